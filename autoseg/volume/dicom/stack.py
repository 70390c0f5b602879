"""Planes in space -> a grid: their order, the geometry, and what does not fit together. Arithmetic on plain numbers.

Planes lie along their normal (the row's direction times the column's), from the lowest to the highest, as ITK sorts them: the array
is `(z, y, x)`, the axes of its geometry are those of the rows, of the columns, and of the stack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.volume.dicom.facts import Plane
from autoseg.volume.geometry import Geometry

TURNED = 1e-3  # of the unit vectors' components; files round to six digits and less
OFF_THE_GRID = 0.1  # of the distance of two planes; positions are rounded, too
ASIDE = 0.1  # of a pixel, over the whole stack: more is a gantry's tilt
CROOKED = 0.5  # of a pixel
ONE_PLACE_MM = 1e-3
SAME_SPACING = 1e-3  # relative


@dataclass(frozen=True)
class Stack:
    """`order` tells which plane comes first, second ...; notes are worth knowing."""

    order: tuple[int, ...]
    geometry: Geometry
    notes: tuple[str, ...] = ()


def stacked(planes: Sequence[Plane], names: Sequence[str], case: str) -> Stack:
    """Bring two planes or more into order.

    A gantry's tilt makes the axes meet at another angle than 90 degrees, as in a sheared NIfTI file; nothing is resampled.

    Args:
        planes: as they come.
        names: of the planes, for errors.
        case: whom errors are about.

    Raises:
        DataError: missing positions, other directions or pixel sizes among the planes, several planes at one place, or a gap.
    """
    _refuse_missing(planes, names, case)
    spacing = _common_spacing(planes, names, case)
    rows, columns = _common_directions(planes, names, case)
    normal = np.cross(rows, columns)
    positions = np.array([plane.position for plane in planes])
    depths = positions @ normal
    order = np.argsort(depths, kind="stable")
    sorted_names = [names[index] for index in order]
    _refuse_crowded(depths[order], sorted_names, case)
    steps = len(planes) - 1
    step = (positions[order[-1]] - positions[order[0]]) / steps
    along = float(step @ normal)
    _refuse_gaps(depths[order], along, sorted_names, case)
    aside = step - along * normal
    _refuse_crooked(positions[order], step, min(spacing), case)
    notes: tuple[str, ...] = ()
    third, distance = normal, along
    if float(np.linalg.norm(aside)) * steps > ASIDE * min(spacing):
        distance = float(np.linalg.norm(step))
        third = step / distance
        angle = math.degrees(math.acos(min(1.0, along / distance)))
        notes = (
            f"its slices are tilted by {angle:.1f} degrees against the stack (a gantry's tilt); its axes are not at right angles",
        )
    direction = np.column_stack([rows, columns, third]) + 0.0  # no -0
    origin = tuple(float(value) + 0.0 for value in positions[order[0]])
    geometry = Geometry(3, (distance, *spacing), origin, tuple(float(value) for value in direction.ravel()))
    return Stack(tuple(int(index) for index in order), geometry, notes)


def _refuse_missing(planes: Sequence[Plane], names: Sequence[str], case: str) -> None:
    for field, tag in (
        ("position", "ImagePositionPatient"),
        ("orientation", "ImageOrientationPatient"),
        ("spacing_mm", "PixelSpacing"),
    ):
        lacking = [name for plane, name in zip(planes, names, strict=True) if getattr(plane, field) is None]
        if lacking:
            told = (
                f"{len(lacking)} of its {len(planes)} slices have no {tag} (the first: {lacking[0]}), so their place is not known"
            )
            raise _refused(case, f"{told}; export the series again, or predict its slices as pictures with a 2D model")


def _common_spacing(planes: Sequence[Plane], names: Sequence[str], case: str) -> tuple[float, float]:
    sizes = np.array([plane.spacing_mm for plane in planes])
    if sizes.min() <= 0:
        worst = int(np.argmin(sizes.min(axis=1)))
        raise _refused(
            case, f"PixelSpacing of {names[worst]} is {_told(sizes[worst])} mm; a pixel needs a size above 0: correct the file"
        )
    odd = np.flatnonzero(~np.isclose(sizes, sizes[0], rtol=SAME_SPACING, atol=0).all(axis=1))
    if odd.size:
        told = f"{odd.size} of {len(planes)} slices have another PixelSpacing ({names[odd[0]]}: {_told(sizes[odd[0]])} mm)"
        raise _refused(case, f"{told} than {names[0]} ({_told(sizes[0])} mm); {MIXED}")
    return float(sizes[0, 0]), float(sizes[0, 1])


MIXED = "they are several series in one: export them apart, or take the others out of the folder"


def _common_directions(planes: Sequence[Plane], names: Sequence[str], case: str) -> tuple[np.ndarray, np.ndarray]:
    found = np.array([plane.orientation for plane in planes])
    rows, columns = found[0, :3], found[0, 3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if not np.allclose(lengths, 1, atol=0.01) or abs(float(rows @ columns)) > 10 * TURNED:
        raise _refused(
            case,
            f"ImageOrientationPatient of {names[0]} is {_told(found[0])}, no two directions at right angles; correct the file",
        )
    odd = np.flatnonzero(np.abs(found - found[0]).max(axis=1) > TURNED)
    if odd.size:
        told = f"{odd.size} of {len(planes)} slices lie in another direction ({names[odd[0]]}: {_told(found[odd[0]])})"
        raise _refused(case, f"{told} than {names[0]} ({_told(found[0])}); {MIXED}")
    return rows / lengths[0], columns / lengths[1]


def _refuse_crowded(depths: np.ndarray, names: Sequence[str], case: str) -> None:
    gaps = np.diff(depths)
    close = gaps < ONE_PLACE_MM
    if not close.any():
        return
    places = np.split(np.arange(len(depths)), np.flatnonzero(~close) + 1)
    counts = {len(place) for place in places}
    if len(counts) == 1 and len(places) > 1:
        told = f"holds {counts.pop()} slices at each of {len(places)} places (times, echoes, b-values or phases)"
        raise _refused(case, f"{told}; export each of them as a series of its own")
    first = int(np.flatnonzero(close)[0])
    told = f"{int(close.sum())} of {len(depths)} slices lie where another one lies ({names[first]} and {names[first + 1]}, at {depths[first]:.6g} mm)"
    raise _refused(case, f"{told}; take the duplicates out, or export several series apart")


def _refuse_gaps(depths: np.ndarray, step: float, names: Sequence[str], case: str) -> None:
    off = np.abs(depths - depths[0] - step * np.arange(len(depths)))
    if off.max() <= OFF_THE_GRID * step:
        return
    gaps = np.diff(depths)
    widest, usual = int(np.argmax(gaps)), float(np.median(gaps))
    told = f"its slices are not evenly spaced: {gaps.min():.4g} to {gaps.max():.4g} mm apart, mostly {usual:.4g} mm"
    cure = f"between {names[widest]} and {names[widest + 1]} are {gaps[widest]:.4g} mm: restore what is missing, or export a resampled series"
    raise _refused(case, f"{told}; {cure}")


def _refuse_crooked(positions: np.ndarray, step: np.ndarray, pixel_mm: float, case: str) -> None:
    off = np.linalg.norm(positions - positions[0] - np.outer(np.arange(len(positions)), step), axis=1)
    largest = max(CROOKED * pixel_mm, OFF_THE_GRID * float(np.linalg.norm(step)))
    if off.max() > largest:
        raise _refused(case, f"its slices do not lie behind one another: one is {off.max():.4g} mm beside the line; {MIXED}")


def _refused(case: str, message: str) -> DataError:
    return DataError([Fault(case, message)])


def _told(numbers: np.ndarray) -> str:
    return f"({', '.join(f'{number + 0.0:.4g}' for number in numbers)})"  # no -0
