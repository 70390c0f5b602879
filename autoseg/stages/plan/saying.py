"""How a decision is put into words: a template filled from numbers, so that no number stands in a sentence alone.

`{name}` writes a number with four digits, and a tuple as a size (`128x96`). Other formats are `{name:mm}` millimetres per
axis (one number where all axes agree), `{name:list}` values as `--set` takes them, `{name:%}` a percentage, `{name:bytes}`
and `{name:time}` bytes and seconds as people say them, `{name:#case}` a count with its noun (`1 case`, `1,334 cases`; where
an `s` will not do, `{name:#patch/patches}`). Any other format is Python's own. Names given by the user (of structures,
channels, machines) go in as numbers, too: they may hold braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

from autoseg.records import Decision
from autoseg.records.plan import Number

UNITS = ((2 * 86400, 86400, "days"), (3600, 3600, "h"), (120, 60, "min"), (0, 1, "s"))  # from, seconds of one, name
SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Clause:
    """A piece of a decision that is known elsewhere: templates, and the numbers that fill them."""

    text: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    rule: str = ""
    alternative: str = ""


def decide(name: str, choice: str, *, rule: str, reason: str, numbers: Mapping[str, Number], alternative: str) -> Decision:
    """A decision whose `choice`, `reason` and `alternative` are templates over `numbers`; numbers that none of them uses are dropped.

    Args:
        name: what is decided.
        choice: the value, as short as it can be.
        rule: the rule in general, with its source ("nnU-Net's ..., Isensee et al. 2021", "ours: ...").
        reason: the rule applied to these data, in sentences.
        numbers: by name.
        alternative: what else there was, and how to get it.
    """
    used = {key for text in (choice, reason, alternative) for _, key, _, _ in Formatter().parse(text)}
    return Decision(
        name=name,
        choice=say(choice, numbers),
        rule=rule,
        reason=say(reason, numbers),
        numbers={key: value for key, value in numbers.items() if key in used},
        alternative=say(alternative, numbers),
    )


def say(template: str, numbers: Mapping[str, Number]) -> str:
    """A template, filled."""
    return template.format_map({key: _Said(value) for key, value in numbers.items()})


def said_seconds(seconds: float) -> str:
    """`45 s`, `12.5 min`, `9.3 h`, `4.2 days`."""
    size, unit = next(((size, unit) for start, size, unit in UNITS if seconds >= start), UNITS[-1][1:])
    return f"{seconds / size:.3g} {unit}"


def said_bytes(size: float) -> str:
    """`800 kB`, `45 MB`, `7.7 GB`, `1.2 TB`; powers of ten."""
    unit, name = next(((unit, name) for unit, name in SIZES if size >= 0.9995 * unit), SIZES[-1])
    return f"{size / unit:.3g} {name}"


class _Said:
    def __init__(self, value: Number):
        self.value = value

    def __format__(self, form: str) -> str:
        value = self.value
        if isinstance(value, (bool, str)):
            return str(value)
        if form == "mm":
            return f"{_axes(value)} mm"
        if isinstance(value, tuple):
            if form == "list":
                return ",".join("none" if axis is None else f"{axis:.4g}" for axis in value)
            return "x".join("own" if axis is None else f"{axis:{form or 'g'}}" for axis in value)
        if form == "bytes":
            return said_bytes(value)
        if form == "time":
            return said_seconds(value)
        if form == "%":
            if 0 < value < 1e-6:
                return "less than 0.0001%"
            return f"{value:.0%}" if value >= 0.005 or not value else f"{100 * value:.1g}%"  # a little is not nothing
        if form.startswith("#"):
            one, _, many = form[1:].partition("/")
            return f"{value:,} {one if value == 1 else many or one + 's'}"
        return format(value, form or (".4g" if isinstance(value, float) else ","))


def _axes(spacing: int | float | tuple[float | None, ...]) -> str:
    """Axes that are left as they are stay unsaid."""
    axes = spacing if isinstance(spacing, tuple) else (spacing,)
    said = [f"{axis:.4g}" for axis in axes if axis is not None]
    return said[0] if len(set(said)) == 1 else " x ".join(said)
