"""Two sets of scores with differences that are known."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.metrics.comparison import BETTER, USUAL, compare_scores
from autoseg.metrics.scoring import FIGURES, score_masks
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import CaseScores

A = ScoredStructure("a", frozenset({1}), frozenset({1}), True)
B = ScoredStructure("b", frozenset({2}), frozenset({2}), True)
SUBJECTS = [f"s{number}" for number in range(8)]


def case(
    name: str,
    shift: int,
    *,
    subject: str = "",
    spacing: tuple[float, ...] | None = (1.0, 1.0),
    rows: int = 4,
    nothing: bool = False,
) -> CaseScores:
    """A square of 4 columns, predicted so many columns too far to the right; b is nowhere."""
    reference, predicted = np.zeros((12, 24), np.int16), np.zeros((12, 24), np.uint8)
    reference[2 : 2 + rows, 2:6] = 0 if nothing else 1
    predicted[2 : 2 + rows, 2 + shift : 6 + shift] = 1
    return CaseScores(id=name, subject=subject or name, structures=score_masks(reference, predicted, (A, B), spacing))


def test_differences_are_b_minus_a_and_tested_over_subjects() -> None:
    a, b = [case(name, 2) for name in SUBJECTS], [case(name, 1) for name in SUBJECTS]
    found = {one.figure: one for one in compare_scores(a, b)}
    assert set(found) == {"dice", "surface_dice", "hd95_mm", "assd_mm", "absolute_relative_size_error"}, (
        "b is nowhere, and no head"
    )
    dice = found["dice"]
    assert (dice.structure, dice.better, dice.cases, dice.subjects) == ("a", "higher", 8, 8)
    assert (dice.mean_a, dice.mean_b, dice.difference) == (pytest.approx(0.5), pytest.approx(0.75), pytest.approx(0.25))
    assert (
        dice.interval == pytest.approx((0.25, 0.25)) and dice.effect == 1.0 and dice.effect_interval == pytest.approx((1.0, 1.0))
    )
    assert dice.p == pytest.approx(2 / 2**8, rel=0.5), "all of eight subjects on one side"
    assert found["hd95_mm"].difference == pytest.approx(-1.0) and found["hd95_mm"].effect == -1.0
    size = found["absolute_relative_size_error"]
    assert (size.difference, size.p, size.effect) == (0.0, 1.0, 0.0), "the size is right in both"
    smallest = min(one.p for one in found.values() if one.p is not None)
    assert dice.p_holm == pytest.approx(5 * smallest), "five were tested"


def test_subjects_count_once_in_the_test_and_cases_in_the_mean() -> None:
    shifts_a, shifts_b = [2, 2, 2, 1], [1, 1, 1, 2]
    subjects = ["many", "many", "many", "one"]
    a, b = (
        [case(str(number), shift, subject=subject) for number, (shift, subject) in enumerate(zip(shifts, subjects, strict=True))]
        for shifts in (shifts_a, shifts_b)
    )
    (dice,) = compare_scores(a, b, figures=("dice",))
    assert dice.difference == pytest.approx(0.125), "three of +0.25 and one of -0.25"
    assert dice.effect == 0.0 and dice.p == 1.0, "one subject on either side"
    assert (dice.cases, dice.subjects) == (4, 2)


def test_cases_without_the_figure_on_one_side_are_left_out() -> None:
    a = [case("x", 1), case("y", 1), case("absent", 1, nothing=True)]
    b = [case("x", 0), case("y", 0, spacing=None), case("absent", 1, nothing=True)]
    found = {one.figure: one for one in compare_scores(a, b, figures=("dice", "hd95_mm"))}
    assert (found["dice"].cases, found["hd95_mm"].cases) == (2, 1)
    assert found["hd95_mm"].interval is None and found["hd95_mm"].p is None and found["hd95_mm"].p_holm is None


def test_cases_that_only_one_side_has_are_left_out_whatever_their_order() -> None:
    a, b = [case("x", 1), case("y", 2), case("z", 3)], [case("z", 1), case("x", 1)]
    (dice,) = compare_scores(a, b, figures=("dice",))
    assert dice.cases == 2 and dice.difference == pytest.approx((0.0 + 0.5) / 2)


def test_nothing_present_is_nothing_to_compare() -> None:
    both = [case("x", 0, nothing=True)], [case("x", 1, nothing=True)]
    assert compare_scores(*both) == ()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ([case("w", 1)], "no case is scored in both"),
        ([case("x", 1, subject="someone")], "subjects differ.*x; .*--subjects"),
        ([case("x", 1, rows=3)], "x: its reference label has 16 pixels of a in A and 12 in B"),
        ([case("x", 1, spacing=(1.0, 1.1))], "x: the size of a in its reference is 16 in A and 17.6 in B"),
        ([case("x", 1), case("x", 2)], "B scored x more than once"),
        (
            [case("x", 1).model_copy(update={"structures": {"a": case("x", 1).structures["a"]}})],
            "structures differ: a, b in A, a in B",
        ),
        ([case("x", 1).model_copy(update={"structures": {}})], "structures differ: a, b in A, none in B"),
    ],
)
def test_what_is_not_alike_is_refused(other: list[CaseScores], words: str) -> None:
    with pytest.raises(DataError, match=words):
        compare_scores([case("x", 1)], other)


def test_a_few_of_many_faults_are_named() -> None:
    a, b = ([case(f"case_{number}", 1, rows=rows) for number in range(10)] for rows in (4, 3))
    with pytest.raises(DataError) as caught:
        compare_scores(a, b)
    assert [fault.case for fault in caught.value.faults] == ["case_0", "case_1", "case_2", "data set"]
    assert "and 7 cases more" in str(caught.value)


def test_figures_that_can_be_compared_have_means() -> None:
    assert set(USUAL) <= set(BETTER) <= set(FIGURES)
