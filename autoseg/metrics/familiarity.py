"""Whether an image is like those that a model was trained on: its spacing, its size, and how bright its foreground is.

A fact is familiar within the range of the training cases, widened by a margin: factors for spacing and size, and for intensities that are
all above 0; a share of the range for others. So no training case is strange itself, and of new ones like them hardly any; how many of the
training cases lie outside the range of the others is measured in docs/trust.md. A range, and not a spread about the mean, since what was
trained on may come from several machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autoseg.records import CaseFacts, FamiliarRange

SPACING_FACTOR = 1.25  # within the scaling that training applies to images, 0.7 to 1.4
SIZE_FACTOR = 1.25
INTENSITY_FACTOR = 1.5
INTENSITY_SHARE = 0.5  # of the range, where intensities lie on both sides of 0
FEWEST_CASES = 20  # from fewer, a range tells little
AXES = {2: ("y", "x"), 3: ("z", "y", "x")}

Facts = dict[str, tuple[float, str]]  # a value and its unit, by the words for it


def image_facts(
    shape: Sequence[int],
    spacing_mm: Sequence[float] | None,
    medians: Sequence[float] | None,
    channels: Sequence[str],
) -> Facts:
    """What is compared of an image.

    Args:
        shape: `(*spatial)`, as it is read.
        spacing_mm: in the same order; None where it is unknown.
        medians: per channel, of the intensities of the foreground (of a label, or of a mask that was predicted), as they are read; None
            without foreground.
        channels: their names.
    """
    facts: Facts = {}
    axes = AXES[len(shape)]
    for axis, spacing in zip(axes, spacing_mm or (), strict=False):
        facts[f"spacing along {axis}"] = (float(spacing), "mm")
    for axis, size in zip(axes, shape, strict=True):
        facts[f"size along {axis}"] = (float(size), "pixels")
    for channel, median in zip(channels, medians or (), strict=False):
        facts[f"median {channel} intensity in the foreground"] = (float(median), "")
    return facts


def facts_of_training(case: CaseFacts, channels: Sequence[str]) -> Facts:
    """The same facts of a case of the fingerprint."""
    medians = None if case.intensities is None else [channel.median for channel in case.intensities]
    return image_facts(case.shape, case.spacing_mm, medians, channels)


def familiar_ranges(cases: Iterable[Facts]) -> tuple[FamiliarRange, ...]:
    """The range of every fact over the training cases, and how far beyond it is accepted; empty with fewer than 20 cases.

    A fact that fewer than 20 cases have is left out.
    """
    values: dict[str, list[float]] = {}
    units: dict[str, str] = {}
    for facts in cases:
        for name, (value, unit) in facts.items():
            values.setdefault(name, []).append(value)
            units[name] = unit
    return tuple(
        FamiliarRange(
            name=name, unit=units[name], seen=(min(seen), max(seen)), accepted=_accepted(min(seen), max(seen), units[name])
        )
        for name, seen in values.items()
        if len(seen) >= FEWEST_CASES
    )


def strange_facts(ranges: Iterable[FamiliarRange], facts: Facts) -> tuple[str, ...]:
    """A sentence for every fact that lies beyond what is accepted; empty for most images."""
    sentences: dict[str, None] = {}
    for known in ranges:
        if known.name not in facts:
            continue
        value, _ = facts[known.name]
        if not known.accepted[0] <= value <= known.accepted[1]:
            unit = f" {known.unit}" if known.unit else ""
            low, high = known.seen
            trained = f"{low:.4g}{unit}" if low == high else f"{low:.4g} to {high:.4g}{unit}"
            sentences[f"its {known.name} of {value:.4g}{unit} lies outside the {trained} of the training data"] = None
    return tuple(sentences)


def strange_training_cases(cases: Sequence[Facts]) -> tuple[int, ...]:
    """Which training cases would be strange if the ranges came from the other cases: how often familiar images are flagged."""
    values: dict[str, list[float]] = {}
    for facts in cases:
        for name, (value, _) in facts.items():
            values.setdefault(name, []).append(value)
    ordered = {name: sorted(seen) for name, seen in values.items() if len(seen) > FEWEST_CASES}
    return tuple(
        place
        for place, facts in enumerate(cases)
        if any(name in ordered and _strange_among(ordered[name], value, unit) for name, (value, unit) in facts.items())
    )


def _strange_among(ordered: Sequence[float], value: float, unit: str) -> bool:
    """Whether one of these values is beyond what is accepted where the others were seen; their range follows from the ends."""
    low, high = ordered[1 if value == ordered[0] else 0], ordered[-2 if value == ordered[-1] else -1]
    accepted = _accepted(low, high, unit)
    return not accepted[0] <= value <= accepted[1]


def _accepted(low: float, high: float, unit: str) -> tuple[float, float]:
    factor = {"mm": SPACING_FACTOR, "pixels": SIZE_FACTOR}.get(unit, INTENSITY_FACTOR)
    if low > 0:
        return low / factor, high * factor
    margin = INTENSITY_SHARE * (high - low)
    return low - margin, high + margin
