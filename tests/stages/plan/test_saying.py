"""Sentences from numbers."""

from __future__ import annotations

import pytest

from autoseg.records.plan import Number
from autoseg.stages.plan.saying import decide, said_bytes, said_seconds


def said(template: str, **numbers: Number) -> str:
    return decide("x", "y", rule="r", reason=template, numbers=numbers, alternative="a").reason


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{n}", 0.43521, "0.4352"),
        ("{n}", 3900, "3,900"),
        ("{n}", (128, 96), "128x96"),
        ("{n}", (36.5, 50.0), "36.5x50"),
        ("{n:mm}", 0.25, "0.25 mm"),
        ("{n:mm}", (0.2, 0.2), "0.2 mm"),
        ("{n:mm}", (5.0, 1.1, 1.1), "5 x 1.1 x 1.1 mm"),
        ("{n:mm}", (None, 1.1, 1.1), "1.1 mm"),
        ("{n:list}", (None, 1.25, 0.5), "none,1.25,0.5"),
        ("{n:%}", 0.256, "26%"),
        ("{n:%}", 0.0038, "0.4%"),
        ("{n:%}", 0.0, "0%"),
        ("{n:bytes}", 12_630_000_000, "12.6 GB"),
        ("{n:time}", 1200.0, "20 min"),
        ("{n:#case}", 1, "1 case"),
        ("{n:#case}", 1334, "1,334 cases"),
        ("{n:#patch/patches}", 2, "2 patches"),
        ("{n:#patch/patches}", 1, "1 patch"),
        ("{n:.1f}", 0.25, "0.2"),
        ("{n}", "a {brace}", "a {brace}"),
    ],
)
def test_formats(template: str, value: Number, text: str) -> None:
    assert said(template, n=value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0488, "0.0488 s"), (119.0, "119 s"), (120.0, "2 min"), (3599.0, "60 min"), (5400.0, "1.5 h"), (86400.0 * 3, "3 days")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert said_seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(500, "0.5 kB"), (69e6, "69 MB"), (999_600_000, "1 GB"), (14.4e9, "14.4 GB"), (1.25e12, "1.25 TB")]
)
def test_bytes(size: float, text: str) -> None:
    assert said_bytes(size) == text


def test_only_numbers_that_are_said_are_kept() -> None:
    decision = decide("x", "{a}", rule="r", reason="{b:%}", numbers={"a": 1, "b": 0.5, "c": 3, "d": 4}, alternative="{c}")
    assert decision.numbers == {"a": 1, "b": 0.5, "c": 3}
    with pytest.raises(KeyError, match="e"):
        said("{e}", n=1)
