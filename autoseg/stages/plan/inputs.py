"""The facts that planning looks at, taken from a data set, its fingerprint and its splits.

Axes are those of the prepared data before transposition: file order, or canonical order where the preset orients volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from statistics import mean, median
from typing import TypeVar

import numpy as np

from autoseg.errors import PlanError
from autoseg.records import CaseFacts, Dataset, Fingerprint, Intensities, Shape, Spacing, Splits
from autoseg.stages.plan.presets import Preset

T = TypeVar("T")

CANONICAL_LETTERS = ("SI", "AP", "LR")  # of array axes z, y, x


@dataclass(frozen=True)
class PlanInputs:
    """What planning is a function of.

    `spacings_mm` holds None for a case whose spacing is unknown: it counts in pixels and is never resampled.
    `thickness` is the median over cases of a structure's thickness, the smallest over structures, in the unit of the
    spacing (pixels where none is known); None where it was not measured. `thickest` is that of the thickest structure which
    95 % of the cases stay below.
    """

    rank: int
    spacings_mm: tuple[Spacing | None, ...]
    shapes_after_crop: tuple[Shape, ...]
    n_training: int
    n_validation: int  # cases of the largest fold's validation
    channels: tuple[str, ...]
    n_labels: int  # background, targets and the ignore label, as nnU-Net counts them
    n_outputs: int  # channels that the network puts out
    n_targets: int  # structures, background and ignore label left out
    relative_size_after_crop: float
    intensities: tuple[Intensities, ...]
    thickness: float | None = None
    thinnest: str = ""
    thickest: float | None = None
    shares: tuple[tuple[str, float], ...] = ()  # targets and the part of the cropped images they take, mean over cases
    turned: int = 0  # cases whose axes were reordered to the canonical orientation
    oriented: int = 0  # cases with a known orientation other than the canonical one

    @property
    def known_spacings(self) -> tuple[Spacing, ...]:
        """Spacings of the cases that have one."""
        return tuple(spacing for spacing in self.spacings_mm if spacing is not None)

    @cached_property
    def median_voxels(self) -> float:
        """Voxels of the median case as stored, cropped."""
        return float(median(prod(shape) for shape in self.shapes_after_crop))


def inputs_from(dataset: Dataset, fingerprint: Fingerprint, splits: Splits, preset: Preset) -> PlanInputs:
    """Gather the facts of the cases that the folds train on.

    Those held out of every fold are not looked at, but for the set's foreground intensities, which are measured over all.

    Raises:
        PlanError: no case is left, or the fingerprint is of another data set.
    """
    cases = _training_cases(fingerprint, splits)
    oriented = preset.canonical_orientation and dataset.rank == 3
    orders = [_canonical_order(case.orientation) if oriented else tuple(range(dataset.rank)) for case in cases]
    known = dataset.rank == 3 or preset.physical_spacing_2d
    spacings = tuple(
        _reordered(case.spacing_mm, order) if known and case.spacing_mm is not None else None
        for case, order in zip(cases, orders, strict=True)
    )
    found = _thicknesses(dataset, cases, spacings)
    thickness, thinnest = min(((median(values), name) for name, values in found.items()), default=(None, ""))
    return PlanInputs(
        rank=dataset.rank,
        spacings_mm=spacings,
        shapes_after_crop=tuple(_reordered(case.shape_after_crop, order) for case, order in zip(cases, orders, strict=True)),
        n_training=len(cases),
        n_validation=max((len(fold.validation) for fold in splits.folds), default=0),
        channels=dataset.channels,
        n_labels=1 + len(dataset.targets) + (dataset.ignore_value is not None),
        n_outputs=len(dataset.targets) + (not dataset.regions),
        n_targets=len(dataset.targets),
        relative_size_after_crop=median(prod(case.shape_after_crop) / prod(case.shape) for case in cases),
        intensities=fingerprint.intensities,
        thickness=thickness,
        thinnest=thinnest,
        thickest=max((float(np.percentile(values, 95)) for values in found.values()), default=None),
        shares=_shares(dataset, cases),
        turned=sum(order != tuple(range(dataset.rank)) for order in orders),
        oriented=sum(case.orientation not in (None, "LPS") for case in cases) if oriented else 0,
    )


def _shares(dataset: Dataset, cases: Sequence[CaseFacts]) -> tuple[tuple[str, float], ...]:
    """Of targets that occur; cases that lack one count, since nothing is learned about it from them."""
    found = []
    for target in dataset.targets:
        sizes = [(case.structures.get(target.name), prod(case.shape_after_crop)) for case in cases]
        share = mean(0.0 if size is None else size.pixels / voxels for size, voxels in sizes)
        if share > 0:
            found.append((target.name, share))
    return tuple(found)


def _training_cases(fingerprint: Fingerprint, splits: Splits) -> list[CaseFacts]:
    used = {case for fold in splits.folds for case in (*fold.train, *fold.validation)}
    cases = [case for case in fingerprint.cases if case.id in used]
    unknown = sorted(used - {case.id for case in cases})
    if unknown:
        raise PlanError(f"the splits name {len(unknown)} cases that the fingerprint lacks ({unknown[0]}); fingerprint again")
    if not cases:
        raise PlanError("no case is left to plan for: every fold is empty; check the splits and what is held out")
    return cases


def _canonical_order(orientation: str | None) -> tuple[int, ...]:
    """Which array axis becomes z, y, x when a volume is brought to the canonical orientation.

    `orientation` names where the file's x, y and z run; array axes are their reverse. Unknown: unchanged.
    """
    if orientation is None:
        return (0, 1, 2)
    letters = orientation[::-1]
    return tuple(next(axis for axis in range(3) if letters[axis] in pair) for pair in CANONICAL_LETTERS)


def _reordered(values: Sequence[T], order: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[axis] for axis in order)


def _thicknesses(dataset: Dataset, cases: Sequence[CaseFacts], spacings: Sequence[Spacing | None]) -> dict[str, list[float]]:
    """Per target its thickness in the cases that have it; targets that occur nowhere are left out."""
    physical = any(spacing is not None for spacing in spacings)
    found: dict[str, list[float]] = {}
    for target in dataset.targets:
        for case, spacing in zip(cases, spacings, strict=True):
            size = case.structures.get(target.name)
            if size is not None and size.pixels > 0 and not (physical and spacing is None):
                found.setdefault(target.name, []).append(size.thickness * (min(spacing) if spacing else 1.0))
    return found
