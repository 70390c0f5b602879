"""How a decision is put into words: a template filled from numbers, so that no number stands in a sentence alone.

`{name}` writes a number with four digits and a tuple as a size (`128x96`); `{name:mm}` as millimetres per axis, `{name:%}` as a
percentage, `{name:GB}` bytes as gigabytes, `{name:time}` seconds as people say them; any other format is Python's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoseg.records import Decision
from autoseg.records.plan import Number


class _Said:
    def __init__(self, value: Number):
        self.value = value

    def __format__(self, form: str) -> str:
        value = self.value
        if isinstance(value, (bool, str)):
            return str(value)
        if form == "mm":
            axes = value if isinstance(value, tuple) else (value,)
            return " x ".join("own" if axis is None else f"{axis:.4g}" for axis in axes) + " mm"
        if isinstance(value, tuple):
            return "x".join("own" if axis is None else f"{axis:{form or 'g'}}" for axis in value)
        if form == "GB":
            return f"{value / 1e9:.2f} GB"
        if form == "time":
            return said_seconds(value)
        if form == "%":
            return f"{value:.0%}"
        return format(value, form or (".4g" if isinstance(value, float) else "d"))


def decide(name: str, choice: str, *, rule: str, reason: str, numbers: Mapping[str, Number], alternative: str) -> Decision:
    """A decision whose `choice`, `reason` and `alternative` are templates over `numbers`."""
    said = {key: _Said(value) for key, value in numbers.items()}
    return Decision(
        name=name,
        choice=choice.format_map(said),
        rule=rule,
        reason=reason.format_map(said),
        numbers=dict(numbers),
        alternative=alternative.format_map(said),
    )


def said_seconds(seconds: float) -> str:
    """`45 s`, `12.5 min`, `9.3 h`, `4.2 days`."""
    for size, unit in ((86400 * 2, "days"), (3600, "h"), (120, "min")):
        if seconds >= size:
            divisor = {"days": 86400, "h": 3600, "min": 60}[unit]
            return f"{seconds / divisor:.3g} {unit}"
    return f"{seconds:.3g} s"
