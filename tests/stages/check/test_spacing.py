"""Pixel sizes unlike the others'."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.stages.check import spacing
from tests.stages.check.sets import image_look, look, numbered, set_look


def sized(name: str, *spacing_mm: float):
    shape = (100,) * len(spacing_mm)
    return look(name, image_look(shape=shape, spacing_mm=spacing_mm or None))


@pytest.mark.parametrize(
    ("factor", "word"),
    [
        (1 / 1000, "in metres?"),
        (1 / 10, "in centimetres?"),
        (1000, "in micrometres?"),
        (10, "a decimal point that slipped?"),
        (1 / 25.4, "in inches?"),
        (200, "another zoom, or a mistake?"),
    ],
)
def test_units_by_their_factor(factor: float, word: str) -> None:
    """Others have 0.2 mm."""
    (found,) = spacing.outliers(set_look([*numbered(6), sized("far", 0.2 * factor, 0.2 * factor)]))
    assert found.kind == "spacing" and found.severity == "warning" and found.cases == ("far",)
    assert word in found.told and "the median (0.2, 0.2) mm" in found.told


def test_a_spread_that_zoom_makes_is_no_mistake() -> None:
    """HC18 has 0.054 to 0.299 mm about a median of 0.124."""
    sizes = np.geomspace(0.054, 0.299, 30)
    assert spacing.unlike(sizes) == []
    ((place, factor),) = spacing.unlike(np.append(sizes, 1.24))
    assert place == 30 and factor == pytest.approx(9.5, abs=0.1)


def test_less_far_but_apart_from_all_others() -> None:
    """3.2 times the median with nothing between: told. With others on the way, or with as many as a fifth there, not."""
    body = [1.0] * 17 + [1.5] * 3
    assert [place for place, _ in spacing.unlike(np.array([*body, 3.2]))] == [20]
    assert spacing.unlike(np.array([*body, 2.4, 3.2])) == []
    assert spacing.unlike(np.array([*body, 2.9])) == []
    assert spacing.unlike(np.array([1.0] * 16 + [3.2] * 5)) == []


def test_thick_slices_are_a_note_and_units_of_volumes_a_warning() -> None:
    volumes = [sized(f"v{place}", 1.0, 1.0, 1.0) for place in range(6)]
    (found,) = spacing.outliers(set_look([*volumes, sized("thick", 5.0, 1.0, 1.0)], rank=3))
    assert found.severity == "note" and "along z" in found.told
    (found,) = spacing.outliers(set_look([*volumes, sized("cm", 0.1, 0.1, 0.1)], rank=3))
    assert found.severity == "warning" and "in centimetres?" in found.told
    assert spacing.outliers(set_look([*volumes, sized("fine", 3.9, 1.0, 1.0)], rank=3))[0].severity == "note"  # alone, and apart
    assert spacing.outliers(set_look([*volumes, sized("fine", 2.9, 1.0, 1.0)], rank=3)) == []


def test_too_few_to_tell() -> None:
    assert spacing.outliers(set_look([*numbered(2), sized("far", 20.0, 20.0)])) == []


def test_unknown_spacings() -> None:
    (found,) = spacing.unknown(set_look([*numbered(3), sized("a", 0.2, 0.2), look("lost", image_look(spacing_mm=None))]))
    assert found.severity == "warning" and found.cases == ("lost",)
    (found,) = spacing.unknown(set_look([look("lost", image_look(spacing_mm=None))]))
    assert found.severity == "note" and found.cases == ()
    assert spacing.unknown(set_look(numbered(3))) == []


def test_a_set_that_is_too_small_or_too_large_as_a_whole() -> None:
    """100 pixels of 0.2 mm are 20 mm."""
    assert spacing.extent(set_look(numbered(3))) == []
    (found,) = spacing.extent(set_look([sized("a", 0.0002, 0.0002), sized("b", 0.0002, 0.0002)]))
    assert "0.02 mm long or less" in found.told and found.severity == "note"
    (found,) = spacing.extent(set_look([sized("a", 200.0, 200.0)]))
    assert "2e+04 mm long or more" in found.told
