"""Islands, holes and stray values: told where other labels do not have them."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.label_forms import Form, form_of, unusual_forms

WHOLE = Form(pixels=1000, pieces=1, island_pixels=0, holes=0, hole_pixels=0)


def kinds(forms: list[Form], place: int = 0) -> list[str]:
    found = unusual_forms([{"head": form} for form in forms], 2, [None] * len(forms))
    assert all(not one for index, one in enumerate(found) if index != place)
    return [one.kind for one in found[place]]


def test_pieces_and_holes_are_counted() -> None:
    labels = np.zeros((12, 12), np.int16)
    labels[1:8, 1:8] = 1
    labels[8, 8] = 1  # hangs on by a corner
    labels[11, 0:2] = 1
    labels[3, 3] = 0
    labels[5, 5] = 2  # another structure is no hole
    assert form_of(labels == 1, labels == 0) == Form(pixels=49 - 2 + 1 + 2, pieces=2, island_pixels=2, holes=1, hole_pixels=1)
    assert form_of(labels == 7, labels == 0) == Form(0, 0, 0, 0, 0)


def test_what_one_of_thirty_has_is_told() -> None:
    rest = [WHOLE] * 29
    assert kinds([Form(1000, 3, 12, 0, 0), *rest]) == ["islands"]
    assert kinds([Form(1000, 1, 0, 1, 4), *rest]) == ["holes"]
    assert kinds([Form(15, 1, 0, 0, 0), *rest]) == ["stray value"]
    assert kinds([WHOLE, *rest]) == []


def test_what_many_have_is_a_habit_of_the_set() -> None:
    islands = Form(1000, 2, 12, 0, 0)
    assert kinds([islands] * 3 + [WHOLE] * 27) == []
    assert kinds([Form(1000, 5, 12, 0, 0)] + [islands] * 3 + [WHOLE] * 26) == ["islands"]


def test_few_cases_tell_nothing() -> None:
    assert kinds([Form(1000, 3, 12, 1, 3)] + [WHOLE] * 8) == []


def test_value_that_hardly_any_label_has() -> None:
    nothing = Form(0, 0, 0, 0, 0)
    assert kinds([Form(3, 1, 0, 0, 0)] + [nothing] * 29) == ["stray value"]
    assert kinds([Form(500, 1, 0, 0, 0)] + [nothing] * 29) == [], "a rare structure of some size is no slip"
    (found, *_) = unusual_forms([{"x": Form(1, 1, 0, 0, 0)}, *[{"x": nothing}] * 29], 2, [(1.0, 1.0)] * 30)
    assert found[0].told == "x is labelled with 1 pixel only; it occurs in 1 of 30 labels"


def test_no_cases() -> None:
    assert unusual_forms([], 2, []) == ()


@pytest.mark.parametrize(("count", "told"), [(19, False), (20, True)])
def test_islands_are_told_where_one_of_the_cases_is_few(count: int, told: bool) -> None:
    whole, broken = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    whole[1:4, 1:4] = broken[1:4, 1:4] = broken[7, 7] = True
    forms = [{"a": form_of(broken if number == 3 else whole, ~whole)} for number in range(count)]
    found = unusual_forms(forms, 2, [None] * count)
    assert [one.kind for one in found[3]] == (["islands"] if told else [])
