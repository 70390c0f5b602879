"""Largest components, holes and specks on masks drawn by hand, for labels and for regions."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from autoseg.inference.postprocessing import before_ellipses, component_sizes, paintings, postprocess
from autoseg.records import PostprocessingStep, Structure

LABELS = (Structure(name="a", values=(1,), output_value=10), Structure(name="b", values=(2,), output_value=20))
REGIONS = (Structure(name="whole", values=(1, 2), output_value=1), Structure(name="core", values=(2,), output_value=2))


def step(kind: str, structure: str | None = None, least: float | None = None, unit: str | None = None) -> PostprocessingStep:
    return PostprocessingStep(kind=kind, structure=structure, least=least, unit=unit)  # type: ignore[arg-type]


def test_the_largest_component_of_one_structure_leaves_the_others() -> None:
    winners = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [2, 0, 2, 2]])
    found = postprocess(winners, [step("largest_component", "a")], LABELS, regions=False, spacing_mm=None)
    assert found.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [2, 0, 2, 2]]
    assert winners[0, 3] == 1, "what was handed in is left as it is"


def test_the_whole_foreground_hangs_together_across_structures_and_corners() -> None:
    winners = np.array([[1, 0, 0, 0, 2], [0, 2, 0, 0, 0], [0, 0, 1, 0, 0]])
    found = postprocess(winners, [step("largest_component")], LABELS, regions=False, spacing_mm=None)
    assert found.tolist() == [[1, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 1, 0, 0]]


def test_a_hole_is_filled_unless_another_structure_lies_in_it() -> None:
    ring = np.ones((5, 5), int)
    ring[1:4, 1:4] = [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    found = postprocess(ring, [step("fill_holes", "a")], LABELS, regions=False, spacing_mm=None)
    assert np.count_nonzero(found == 1) == 24 and found[2, 2] == 2
    open_ring = ring.copy()
    open_ring[0, 2] = 0  # the hole opens to the outside
    assert postprocess(open_ring, [step("fill_holes", "a")], LABELS, regions=False, spacing_mm=None) is open_ring


@pytest.mark.parametrize(
    ("least", "unit", "left"), [(3, "pixels", [4]), (4, "pixels", [4]), (1.9, "mm2", [4, 2]), (2.1, "mm2", [4])]
)
def test_specks_are_measured_in_pixels_or_mm(least: float, unit: str, left: list[int]) -> None:
    """Pixels of 2 x 0.5 mm are 1 mm2 each: components of four and of two."""
    winners = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 1, 1]])
    found = postprocess(winners, [step("minimum_size", "a", least, unit)], LABELS, regions=False, spacing_mm=(2.0, 0.5))
    assert sorted(component_sizes(found == 1), reverse=True) == left


def test_a_size_in_mm_is_nothing_where_the_spacing_is_unknown() -> None:
    winners = np.array([[1, 0, 1]])
    assert postprocess(winners, [step("minimum_size", "a", 9, "mm2")], LABELS, regions=False, spacing_mm=None) is winners


def test_what_a_region_loses_shows_the_one_around_it() -> None:
    """Winner 1 paints the whole, 2 the core within it; a lost core is still whole, a lost whole takes its core along."""
    winners = np.array([[1, 2, 2, 1, 0, 2], [0, 0, 0, 0, 0, 0], [1, 0, 2, 1, 0, 0]])
    core = postprocess(winners, [step("largest_component", "core")], REGIONS, regions=True, spacing_mm=None)
    assert core.tolist() == [[1, 2, 2, 1, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0]]
    whole = postprocess(winners, [step("largest_component", "whole")], REGIONS, regions=True, spacing_mm=None)
    assert whole.tolist() == [[1, 2, 2, 1, 0, 0], [0] * 6, [0] * 6]
    meaning = paintings(REGIONS, True)
    assert meaning["whole"].inside == {1, 2} and meaning["core"].beneath == 1


def test_steps_follow_one_another_and_empty_masks_are_fine() -> None:
    winners = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 0], [1, 1, 1, 0, 0]])
    steps = [step("largest_component", "a"), step("fill_holes", "a")]
    assert postprocess(winners, steps, LABELS, regions=False, spacing_mm=None).tolist() == [[1, 1, 1, 0, 0]] * 3
    nothing = np.zeros((3, 3), int)
    assert postprocess(nothing, [*steps, step("largest_component")], LABELS, regions=False, spacing_mm=None) is nothing


def test_volumes_too() -> None:
    winners = np.zeros((3, 3, 3), int)
    winners[0, 0, 0] = winners[1, 1, 1] = winners[0, 2, 2] = 1  # the first two touch at a corner
    found = postprocess(winners, [step("largest_component", "a")], LABELS, regions=False, spacing_mm=None)
    assert found[1, 1, 1] == 1 and found[0, 0, 0] == 1 and found.sum() == 3 - int(found[0, 2, 2] == 0)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "fill_holes"}, {"kind": "minimum_size", "structure": "a"}, {"kind": "fill_holes", "structure": "a", "least": 3.0}],
)
def test_a_step_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PostprocessingStep(**wrong)  # type: ignore[arg-type]


def ellipse(cy: float = 30, cx: float = 40, a: float = 22, b: float = 14) -> np.ndarray:
    y, x = np.mgrid[:60, :80]
    return ((y - cy) / b) ** 2 + ((x - cx) / a) ** 2 <= 1


def test_an_ellipse_takes_the_place_of_a_head_with_a_bump_and_a_notch() -> None:
    winners = ellipse().astype(int)
    winners[13:18, 36:42], winners[38:46, 50:54] = 1, 0
    found = postprocess(winners, [step("ellipse", "a")], LABELS, regions=False, spacing_mm=(0.2, 0.2))
    before, after = (np.count_nonzero(one.astype(bool) != ellipse()) for one in (winners, found))
    assert before > 35 and after < 12
    within = winners.copy()
    within[28:32, 38:42] = 2
    kept = postprocess(within, [step("ellipse", "a")], LABELS, regions=False, spacing_mm=(0.2, 0.2))
    assert (kept[28:32, 38:42] == 2).all() and np.array_equal(np.where(kept == 2, 1, kept), found)


def test_what_is_no_ellipse_and_volumes_stay() -> None:
    cross = np.zeros((40, 40), int)
    cross[5:35, 18:20] = cross[18:20, 5:35] = 1
    steps = [step("ellipse", "a")]
    assert postprocess(cross, steps, LABELS, regions=False, spacing_mm=None) is cross
    volume = np.ones((3, 4, 5), int)
    assert postprocess(volume, steps, LABELS, regions=False, spacing_mm=None) is volume
    assert step("ellipse", "a").told == "a: the ellipse that fits it"
    assert before_ellipses([step("fill_holes", "a"), step("ellipse", "a")]) == (step("fill_holes", "a"),)
