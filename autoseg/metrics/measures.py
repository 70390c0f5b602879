"""Which figures a structure has, by its name and rank, and how each is told: a value with its doubts, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes

from autoseg.metrics.biometry import HEAD, HeadFit, fit_head, largest_component
from autoseg.metrics.gestation import Dating, age_from_circumference, age_from_diameter
from autoseg.metrics.shape import shape_2d, shape_3d
from autoseg.metrics.width import Width, width_2d
from autoseg.records import FittedEllipse, Measure, MeasuredStructure
from autoseg.volume.ellipse import Ellipse

MEASURED_IN_WIDTH = ("lv", "lateral ventricle", "lateral ventricles", "csp", "cavum septi pellucidi")
OF_A_HEAD = {"HC": "mm", "BPD": "mm", "OFD": "mm", "cephalic_index": "percent", "GA_HC": "weeks", "GA_BPD": "weeks"}
OF_A_WIDTH = {"width": "mm", "width_across": "mm"}
OF_2D = {"area": "mm2", "perimeter": "mm", "largest_diameter": "mm", "major_axis": "mm", "minor_axis": "mm", "angle": "degrees"}
OF_3D = {
    "volume": "ml",
    "surface": "mm2",
    "largest_diameter": "mm",
    "second_diameter": "mm",
    "third_diameter": "mm",
    "major_axis": "mm",
    "middle_axis": "mm",
    "minor_axis": "mm",
}
FIRST = ("HC", "BPD", "OFD", "cephalic_index", "GA_HC", "GA_BPD", "width", "volume")  # what a clinician looks for
NARROW = 4.0  # pixels; what is narrower is told too narrow, see `width`
OTHER_PIECE = 0.05  # of the largest piece; a smaller one is a speck
ABSENT = "the mask holds none of it"
IGNORED = "the label holds pixels to be ignored, so how far the structure goes is not known"
UNKNOWN_SPACING = "the size of a pixel is not known, so there are no millimetres; give --spacing CSV|MM"

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """What a figure is read from, to be drawn: its ends `(y, x)` in mm, and its name."""

    name: str
    ends_mm: tuple[Point, Point]


@dataclass(frozen=True)
class Measured:
    """The record of a structure, and what can be drawn of it."""

    record: MeasuredStructure
    ellipse: Ellipse | None = None
    lines: tuple[Line, ...] = ()
    circle_mm: tuple[Point, float] | None = None  # centre and diameter


def measures_of(name: str, rank: int) -> dict[str, str]:
    """The measures of a structure, and their units, in the order in which they are shown."""
    if rank == 3:
        return dict(OF_3D)
    own = OF_A_HEAD if is_head(name) else OF_A_WIDTH if has_width(name) else {}
    return {**own, **OF_2D}


def is_head(name: str) -> bool:
    """Whether the structure is measured as a fetal head."""
    return name.casefold() == HEAD


def has_width(name: str) -> bool:
    """Whether the width of the structure is told: lateral ventricles and cavum septi pellucidi."""
    return name.casefold().replace("_", " ").strip() in MEASURED_IN_WIDTH


def measure_structure(name: str, mask: np.ndarray, spacing_mm: Sequence[float] | None, dating: Dating) -> Measured:
    """All figures of a structure in one mask.

    Args:
        name: decides what is measured beside size and shape.
        mask: boolean `(*spatial)`.
        spacing_mm: None where it is not known: pixels are counted then, and nothing is told in mm.
        dating: formula for the gestational age.
    """
    pixels, units = int(np.count_nonzero(mask)), measures_of(name, mask.ndim)
    if not pixels:
        return not_measured(name, mask, ABSENT)
    if spacing_mm is None:
        counted = Measure(value=float(pixels), unit="pixels")
        return Measured(
            MeasuredStructure(
                pixels=pixels,
                measures={
                    key: counted if key in ("area", "volume") else failed
                    for key, failed in _failed(units, UNKNOWN_SPACING).items()
                },
            )
        )
    if mask.ndim == 3:
        return Measured(MeasuredStructure(pixels=pixels, measures=_of_volume(mask, spacing_mm)))
    general = _of_slice(mask, spacing_mm)
    if is_head(name):
        fit = fit_head(mask, spacing_mm)
        record = MeasuredStructure(pixels=pixels, measures={**_of_head(fit, dating), **general}, ellipse=_recorded(fit.ellipse))
        return Measured(record, fit.ellipse, () if fit.ellipse is None else _axes(fit.ellipse))
    if has_width(name):
        measures, found = _of_width(mask, spacing_mm)
        record = MeasuredStructure(pixels=pixels, measures={**measures, **general})
        line = () if found is None or found.chord_ends_mm is None else (Line("across", found.chord_ends_mm),)
        return Measured(record, None, line, None if found is None else (found.circle_centre_mm, found.circle_mm))
    return Measured(MeasuredStructure(pixels=pixels, measures=general))


def not_measured(name: str, mask: np.ndarray, why: str) -> Measured:
    """The record of a structure `(*spatial)` of which no figure can be told."""
    return Measured(MeasuredStructure(pixels=int(np.count_nonzero(mask)), measures=_failed(measures_of(name, mask.ndim), why)))


def _of_head(fit: HeadFit, dating: Dating) -> dict[str, Measure]:
    if fit.ellipse is None:
        return _failed(OF_A_HEAD, fit.failure or "it could not be measured")
    major, minor = fit.ellipse.semi_axes
    values = {"HC": fit.ellipse.perimeter(), "BPD": 2 * minor, "OFD": 2 * major, "cephalic_index": fit.cephalic_index}
    measures = {key: Measure(value=value, unit=OF_A_HEAD[key], warnings=fit.warnings) for key, value in values.items()}
    by_circumference = age_from_circumference(fit.ellipse.perimeter(), dating)
    measures["GA_HC"] = _measure(by_circumference.weeks, "weeks", fit.warnings, by_circumference.failure)
    by_diameter = age_from_diameter(2 * minor, dating)
    if by_diameter is None:
        measures["GA_BPD"] = _measure(None, "weeks", (), f"{dating} has no formula here for BPD alone")
    else:
        measures["GA_BPD"] = _measure(by_diameter.weeks, "weeks", fit.warnings, by_diameter.failure)
    return measures


def _of_width(mask: np.ndarray, spacing_mm: Sequence[float]) -> tuple[dict[str, Measure], Width | None]:
    largest, second = largest_component(mask)
    found = width_2d(binary_fill_holes(largest), spacing_mm)
    if found is None:
        return _failed(OF_A_WIDTH, "it is too small or too thin for a width to be told"), None
    doubts = []
    if found.touches_border:
        doubts.append("it touches the border of the picture and may go on beyond")
    if second > OTHER_PIECE:
        doubts.append(f"there is another piece of {100 * second:.0f} % of its size; the largest was measured")
    if found.circle_mm < NARROW * max(spacing_mm):
        doubts.append(f"it is less than {NARROW:g} pixels wide")
    middle = "its middle lies outside of it, so nothing can be measured across it" if found.chord_mm is None else None
    return {
        "width": _measure(found.circle_mm, "mm", doubts, None),
        "width_across": _measure(found.chord_mm, "mm", doubts, middle),
    }, found


def _of_slice(mask: np.ndarray, spacing_mm: Sequence[float]) -> dict[str, Measure]:
    shape = shape_2d(mask, spacing_mm)
    assert shape is not None  # it has pixels
    major, minor = (2 * half for half in shape.ellipse.semi_axes)
    angle = math.degrees(shape.ellipse.angle_rad)
    values = (shape.area_mm2, shape.perimeter_mm, shape.largest_diameter_mm, major, minor, angle)
    return {key: Measure(value=value, unit=unit) for (key, unit), value in zip(OF_2D.items(), values, strict=True)}


def _of_volume(mask: np.ndarray, spacing_mm: Sequence[float]) -> dict[str, Measure]:
    shape = shape_3d(mask, spacing_mm)
    assert shape is not None
    values = (shape.volume_ml, shape.surface_mm2, *shape.diameters_mm, *shape.axes_mm)
    return {key: Measure(value=value, unit=unit) for (key, unit), value in zip(OF_3D.items(), values, strict=True)}


def _measure(value: float | None, unit: str, doubts: Iterable[str], failure: str | None) -> Measure:
    return Measure(
        value=value, unit=unit, warnings=() if value is None else tuple(doubts), failure=None if value is not None else failure
    )


def _failed(units: dict[str, str], why: str) -> dict[str, Measure]:
    return {key: Measure(value=None, unit=unit, failure=why) for key, unit in units.items()}


def _recorded(ellipse: Ellipse | None) -> FittedEllipse | None:
    if ellipse is None:
        return None
    return FittedEllipse(centre_yx_mm=ellipse.centre_yx, semi_axes_mm=ellipse.semi_axes, angle_rad=ellipse.angle_rad)


def _axes(ellipse: Ellipse) -> tuple[Line, ...]:
    (y, x), (major, minor) = ellipse.centre_yx, ellipse.semi_axes
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    return (
        Line("OFD", ((y - major * sine, x - major * cosine), (y + major * sine, x + major * cosine))),
        Line("BPD", ((y - minor * cosine, x + minor * sine), (y + minor * cosine, x - minor * sine))),
    )
