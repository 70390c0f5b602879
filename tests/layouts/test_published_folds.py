"""Places that follow from names: fixed for good, and even over many."""

from __future__ import annotations

from collections import Counter

from autoseg.layouts.published_folds import place_of


def test_places_are_these() -> None:
    """Whoever changes the rule changes published folds: these must stay."""
    names = (
        "Patient00168",
        "Patient00188",
        "Patient00216",
        "Patient00305",
        "Patient00630",
        "Patient00644",
        "HC18-001",
        "HC18-010",
    )
    assert [place_of(name) for name in names] == [3, 4, None, None, 2, None, 2, None]


def test_places_are_even() -> None:
    counts = Counter(place_of(f"Patient{number:05d}") for number in range(20_000))
    assert set(counts) == {None, 0, 1, 2, 3, 4}
    assert abs(counts[None] / 20_000 - 0.2) < 0.01 and all(abs(counts[fold] / 20_000 - 0.16) < 0.01 for fold in range(5))
