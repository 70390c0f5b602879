"""Images that hold nothing, channels that say nothing, and grey values on another scale than the other cases'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding
from autoseg.stages.check.look import ImageLook

SCALE_FACTOR = 10.0  # from the set's median, in brightness: another unit, or another bit depth
FEWEST_IMAGES = 4  # among fewer no scale is usual
MANY = 0.2  # of the images; scales that vary so much are the set's nature (MR), and no case's fault


def contents(the_set: SetLook) -> list[CheckFinding]:
    """Not-finite numbers, images of one value, channels of one value, and channels that are equal."""
    found = []
    equal: list[str] = []
    for look in the_set.looks:
        image = look.image
        if image is None or not image.channels:
            continue
        flat = [channel.low == channel.high for channel in image.channels]
        if image.not_finite:
            told = f"NaN or infinite: {counted(image.not_finite, 'value')} of the image; replace by finite numbers, or take the case out"
            found.append(finding("not finite", "error", told, [look.case.id]))
        elif all(flat):
            told = f"the image is empty: {image.channels[0].low:g} everywhere; restore it from its source, or take the case out"
            found.append(finding("constant image", "error", told, [look.case.id]))
        elif any(flat):
            names = _channel_names(the_set, image)
            which = ", ".join(f"{names[place]} ({image.channels[place].low:g} everywhere)" for place in np.flatnonzero(flat))
            told = f"of {len(flat)} channels empty: {which}; restore the channel, or take the case out"
            found.append(finding("constant channel", "warning", told, [look.case.id]))
        if image.identical:
            equal.append(look.case.id)
    return found + _identical(the_set, equal)


def _identical(the_set: SetLook, cases: Sequence[str]) -> list[CheckFinding]:
    if not cases:
        return []
    number = len(the_set.looks)
    what = ", ".join(the_set.dataset.channels)
    told = f"channels ({what}) are equal to one another in {counted(len(cases), 'case')} of {number}; the same file twice, or grey stored as colour?"
    return [finding("identical channels", "note" if len(cases) > MANY * number else "warning", told, cases)]


def colours(the_set: SetLook) -> list[CheckFinding]:
    """Pictures in colour among grey ones, or the other way round."""
    pictures = [look for look in the_set.looks if look.image is not None and look.image.geometry.rank == 2]
    coloured = [look.case.id for look in pictures if look.image is not None and look.image.coloured]
    grey = [look.case.id for look in pictures if look.image is not None and not look.image.coloured]
    if not coloured or not grey:
        return []
    kind, few = ("in colour", coloured) if len(coloured) <= len(grey) else ("grey", grey)
    which = f"{counted(len(few), 'image')} of {len(pictures)} {'is' if len(few) == 1 else 'are'} {kind}"
    told = f"{which}, the others not: marks in colour, or another source?"
    return [finding("mixed colours", "warning", told, few)]


def scales(the_set: SetLook) -> list[CheckFinding]:
    """Cases whose bright values (percentile 99.5) lie a factor 10 or more from the set's median, channel by channel."""
    found = []
    images = [(look.case.id, look.image) for look in the_set.looks if look.image is not None and look.image.channels]
    if len(images) < FEWEST_IMAGES:
        return []
    for place, name in enumerate(the_set.dataset.channels):
        shown = [(case, image.channels[place]) for case, image in images if len(image.channels) > place]
        bright = [(case, channel.bright) for case, channel in shown if channel.low < channel.high]  # the others are told already
        far, median = far_from_median([value for _, value in bright])
        cases = [case for (case, _), is_far in zip(bright, far, strict=True) if is_far]
        if cases:
            values = [value for (_, value), is_far in zip(bright, far, strict=True) if is_far]
            extent = f"{min(values):.4g}" if len(values) == 1 else f"{min(values):.4g} to {max(values):.4g}"
            told = (
                f"{name}: percentile 99.5 of the grey values is {extent} in {counted(len(cases), 'case')}, the set's median {median:.4g}: "
                "another unit, or another bit depth? bring them to one scale"
            )
            found.append(finding("intensity scale", "note" if len(cases) > MANY * len(bright) else "warning", told, cases))
    return found


def far_from_median(values: Sequence[float]) -> tuple[list[bool], float]:
    """Which values are `SCALE_FACTOR` times the median or more, or as much less; none where the median is not positive. And the median."""
    if not values:
        return [], 0.0
    median = float(np.median(values))
    if median <= 0:
        return [False] * len(values), median
    return [value >= SCALE_FACTOR * median or value <= median / SCALE_FACTOR for value in values], median


def depths(the_set: SetLook) -> list[CheckFinding]:
    """Images stored in different number types."""
    kinds = Counter(look.image.dtype for look in the_set.looks if look.image is not None)
    if len(kinds) < 2:
        return []
    usual, _ = kinds.most_common(1)[0]
    cases = [look.case.id for look in the_set.looks if look.image is not None and look.image.dtype != usual]
    told = ", ".join(f"{kind} in {counted(number, 'case')}" for kind, number in kinds.most_common())
    return [finding("bit depth", "note", f"number types are mixed: {told}; grey values may be on different scales", cases)]


def _channel_names(the_set: SetLook, image: ImageLook) -> list[str]:
    names = the_set.dataset.channels
    return [names[place] if len(names) == len(image.channels) else f"channel {place}" for place in range(len(image.channels))]
