"""What is adopted: better beyond chance, and worse for no structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.metrics import statistics
from autoseg.metrics.statistics import paired_differences
from autoseg.records import StructureScores
from autoseg.stages.select.rule import NOTHING_CHANGES, agreement, judge

CASES = [f"c{number}" for number in range(20)]
ALONE = {case: case for case in CASES}


def way(a: float | list[float], b: float | list[float] = 0.5) -> dict[str, dict[str, float]]:
    return {
        case: {"a": float(x), "b": float(y)}
        for case, x, y in zip(CASES, np.broadcast_to(a, 20), np.broadcast_to(b, 20), strict=True)
    }


def scores(present: bool, dice: float | None, false_alarm: bool) -> StructureScores:
    fields = dict.fromkeys(("iou", "precision", "recall", "hd95_mm", "assd_mm"))
    return StructureScores(
        present=present,
        missed=False,
        false_alarm=false_alarm,
        reference_pixels=0,
        predicted_pixels=0,
        dice=dice,
        accuracy=1.0,
        **fields,
    )


def test_an_absent_structure_counts_by_whether_something_was_predicted() -> None:
    assert agreement(scores(True, 0.7, False)) == 0.7
    assert agreement(scores(True, None, False)) == 0.0
    assert agreement(scores(False, None, False)) == 1.0
    assert agreement(scores(False, None, True)) == 0.0


def test_what_is_better_in_every_case_is_adopted() -> None:
    found = judge("q", ("old", way(0.8)), ("new", way([0.81 + 0.001 * n for n in range(20)])), ALONE)
    assert found.adopted and found.cases == found.subjects == 20
    assert found.difference == pytest.approx((0.01 + 0.0095) / 2)  # half of the structures change
    assert found.interval is not None and found.interval[0] > 0


def test_a_difference_that_chance_explains_is_not() -> None:
    found = judge("q", ("old", way(0.8)), ("new", way([0.8 + 0.1 * (-1) ** n + 0.005 for n in range(20)])), ALONE)
    assert found.difference > 0 and not found.adopted and "may be chance" in found.reason


def test_what_lowers_another_structure_is_not() -> None:
    found = judge("q", ("old", way(0.8, 0.5)), ("new", way(0.9, 0.49)), ALONE)
    assert not found.adopted and "it lowers b (-0.0100)" in found.reason


def test_nothing_changes_and_falls_are_told() -> None:
    assert judge("q", ("old", way(0.8)), ("new", way(0.8)), ALONE).reason == NOTHING_CHANGES
    assert judge("q", ("old", way(0.8)), ("new", way(0.7)), ALONE).reason == "the mean falls by 0.0500"


def test_twenty_images_of_one_subject_are_one_piece_of_evidence() -> None:
    found = judge("q", ("old", way(0.8)), ("new", way(0.9)), dict.fromkeys(CASES, "one"))
    assert not found.adopted and found.subjects == 1 and "too few" in found.reason
    few = {case: str(number % 5) for number, case in enumerate(CASES)}
    assert not judge("q", ("old", way(0.8)), ("new", way(0.9)), few).adopted, (
        "five of five are better by chance alone in one of 32"
    )


def test_structures_share_what_is_drawn_with_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """One drawing for all of them, and the interval is that of the mean over structures by itself."""
    drawn: list[int] = []
    draw = statistics.resampled_weights

    def counted(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
        drawn.append(count)
        return draw(count, resamples, seed)

    monkeypatch.setattr(statistics, "resampled_weights", counted)
    random = np.random.default_rng(1)
    old, new = (random.uniform(0.6, 0.9, (2, 20)) for _ in range(2))
    subjects = {case: f"s{number // 3}" for number, case in enumerate(CASES)}
    found = judge("q", ("old", way(*old.tolist())), ("new", way(*new.tolist())), subjects, seed=5)
    assert drawn == [7]
    columns = (old.mean(axis=0).tolist(), new.mean(axis=0).tolist(), list(subjects.values()))
    (alone,) = paired_differences([columns], seed=5)
    assert (found.difference, found.interval) == (pytest.approx(alone.mean), pytest.approx(alone.interval))


def test_only_common_cases_count_and_none_is_an_error() -> None:
    some = {case: value for case, value in way(0.9).items() if case in CASES[:5]}
    assert judge("q", ("old", way(0.8)), ("new", some), ALONE).cases == 5
    with pytest.raises(DataError, match="no case was predicted with old and with new"):
        judge("q", ("old", way(0.8)), ("new", {}), ALONE)
