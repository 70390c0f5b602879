"""Folds that share what they must not."""

from __future__ import annotations

from autoseg.records import Fold, Splits
from autoseg.stages.check import leakage
from autoseg.stages.check.duplicates import Pair, Twins
from tests.stages.check.sets import look, set_look

NONE = Twins((), ())
LOOKS = [look("a1", subject="a"), look("a2", subject="a"), look("b1", subject="b"), look("c1", subject="c")]


def splits(*folds: tuple[tuple[str, ...], tuple[str, ...]], held_out: tuple[str, ...] = ()) -> Splits:
    return Splits(rule="", seed=None, folds=tuple(Fold(train=t, validation=v) for t, v in folds), held_out=held_out)


def found(given: Splits | None, twins: Twins = NONE):
    return leakage.leaks(set_look(LOOKS, splits=given), twins)


SOUND = splits((("a1", "a2"), ("b1", "c1")), (("b1", "c1"), ("a1", "a2")))


def test_sound_folds_and_no_folds() -> None:
    assert found(SOUND) == [] and found(None) == []


def test_a_subject_on_both_sides() -> None:
    (one,) = found(splits((("a1", "b1"), ("a2", "c1"))))
    assert (
        one.severity == "error"
        and one.cases == ("a1", "a2")
        and "subject a in training of fold 0" in one.told.replace("stands ", "")
    )


def test_a_case_on_both_sides_is_told_once() -> None:
    (one,) = found(splits((("b1", "a1", "a2"), ("b1", "c1"))))
    assert one.severity == "error" and one.cases == ("b1",) and "1 case" in one.told


def test_held_out_and_in_a_fold() -> None:
    (one,) = found(splits((("a1",), ("b1", "c1")), held_out=("a2",)))
    assert one.severity == "error" and "held out" in one.told and one.cases == ("a2", "a1")


def test_duplicates_on_both_sides() -> None:
    exact = Twins((("a1", "b1"),), ())
    assert [one.severity for one in found(SOUND, exact)] == ["error", "error"]  # in either fold
    near = Twins((), (Pair("a1", "b1", 0.9),))
    assert [one.severity for one in found(SOUND, near)] == ["warning", "warning"]
    within = Twins((("a1", "a2"),), (Pair("b1", "c1", 0.9),))
    assert found(SOUND, within) == []


def test_names_that_are_not_there_and_cases_in_no_fold() -> None:
    strangers, left = found(splits((("a1", "a2"), ("b1", "nobody"))))
    assert strangers.severity == "error" and strangers.cases == ("nobody",)
    assert left.severity == "note" and left.cases == ("c1",)
