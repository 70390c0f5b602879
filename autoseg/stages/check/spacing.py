"""Pixel sizes that are unlike the others', mistakes of the unit, and sizes that are unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding

FEWEST_CASES = 4  # with a spacing; among fewer none is usual
LEAST_FACTOR = 4.0  # from the median, whatever the spread: zoom and protocol of one set rarely differ by more
APART_FACTOR, GAP_FACTOR, FEW = 3.0, 2.0, 0.2  # less far, but apart from all others; not where a fifth of the set is
SPREADS = 4.0  # robust standard deviations of the logarithm, where the set spreads more
PER_DEVIATION = 1.4826  # of a normal distribution, from the median of the absolute deviations
UNITS = (  # what a factor from the median may be, and the mistake that it suggests
    (1 / 1000, "in metres"),
    (1 / 25.4, "in inches"),
    (1 / 10, "in centimetres"),
    (10, "a tenth of a millimetre as the unit, or a decimal point that slipped"),
    (1000, "in micrometres"),
)
UNIT_TOLERANCE = math.log(2.5)  # zoom spreads about the factor of a unit
EXTENT_MM = (2.0, 2000.0)  # of a usual medical image, along its longest side


def outliers(the_set: SetLook) -> list[CheckFinding]:
    """Cases whose spacing is far from the set's median on all axes (a unit, as warnings) or on one (a note)."""
    known = [(look.case.id, look.image.spacing_mm) for look in the_set.looks if look.image is not None and look.image.spacing_mm]
    if len(known) < FEWEST_CASES or len({len(spacing) for _, spacing in known}) != 1:
        return []
    spacings = np.array([spacing for _, spacing in known])
    median = np.median(spacings, axis=0)
    found = []
    for place, factor in unlike(np.exp(np.log(spacings).mean(axis=1))):
        told = f"spacing {_tuple(spacings[place])} mm is {_times(factor)} the median {_tuple(median)} mm; {suggestion(factor)}"
        found.append(finding("spacing", "warning", told, [known[place][0]]))
    told_already = {case for one in found for case in one.cases}
    if the_set.dataset.rank == 3:
        for axis, name in enumerate("zyx"):
            for place, factor in unlike(spacings[:, axis]):
                if known[place][0] not in told_already:
                    told = f"spacing {_tuple(spacings[place])} mm is {_times(factor)} the median {_tuple(median)} mm along {name}"
                    found.append(finding("spacing", "note", told, [known[place][0]]))
    return found


def unlike(sizes: np.ndarray) -> list[tuple[int, float]]:
    """(place, factor from the median) of sizes (n) that the others do not explain.

    Beyond `LEAST_FACTOR` and the set's spread; or beyond `APART_FACTOR`, where there is a gap of `GAP_FACTOR` to those nearer the median and
    few lie beyond it.
    """
    deviation = np.log(sizes) - np.log(np.median(sizes))
    spread = PER_DEVIATION * float(np.median(np.abs(deviation)))
    far = np.abs(deviation) >= max(math.log(LEAST_FACTOR), SPREADS * spread)
    for side in (deviation, -deviation):
        ordered = np.sort(side[side >= 0])
        gaps = np.flatnonzero(np.diff(ordered, prepend=0.0) >= math.log(GAP_FACTOR))
        if gaps.size:
            beyond = side >= max(ordered[gaps[0]], math.log(APART_FACTOR))
            if np.count_nonzero(beyond) <= FEW * len(sizes):
                far |= beyond
    return [(int(place), float(np.exp(deviation[place]))) for place in np.flatnonzero(far)]


def suggestion(factor: float) -> str:
    """What a factor from the median may mean."""
    apart = [(abs(math.log(factor / unit)), told) for unit, told in UNITS]
    nearest, told = min(apart)
    return f"{told}?" if nearest <= UNIT_TOLERANCE else "another zoom, or a mistake? look it up"


def unknown(the_set: SetLook) -> list[CheckFinding]:
    """Cases without a spacing."""
    looked = [look for look in the_set.looks if look.image is not None]
    cases = [look.case.id for look in looked if look.image is not None and look.image.spacing_mm is None]
    if not cases:
        return []
    if len(cases) == len(looked):
        told = (
            "the spacing of no case is known: nothing will be rescaled to mm, and there are no mm results; give --spacing CSV|MM"
        )
        return [finding("unknown spacing", "note", told)]
    told = f"the spacing of {counted(len(cases), 'case')} of {len(looked)} is unknown; not rescaled, and left out of mm results"
    return [finding("unknown spacing", "warning", told, cases)]


def extent(the_set: SetLook) -> list[CheckFinding]:
    """Whether the set as a whole is of a size that medical images have."""
    extents = [
        max(size * step for size, step in zip(look.image.shape, look.image.spacing_mm, strict=True))
        for look in the_set.looks
        if look.image is not None and look.image.spacing_mm and len(look.image.spacing_mm) == len(look.image.shape)
    ]
    if not extents:
        return []
    median = float(np.median(extents))
    if EXTENT_MM[0] <= median <= EXTENT_MM[1]:
        return []
    told = f"half of the images are {median:.3g} mm long or {'less' if median < EXTENT_MM[0] else 'more'}, by their spacing"
    told += "; right under a microscope, else the unit of the spacing may be another one"
    return [finding("spacing", "note", told)]


def _times(factor: float) -> str:
    return f"{factor:.3g} times" if factor > 1 else f"1/{1 / factor:.3g} of"


def _tuple(numbers: Sequence[float] | np.ndarray) -> str:
    return f"({', '.join(f'{number:.4g}' for number in numbers)})"
