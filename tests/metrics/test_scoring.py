"""Scores of small label maps, worked by hand, and their means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.metrics.biometry import fit_head
from autoseg.metrics.scoring import FIGURES, circumference_error_mm, score_masks, summarise
from autoseg.metrics.statistics import bootstrap_interval
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import CaseScores

A = ScoredStructure("a", frozenset({1}), frozenset({10}), True)
B = ScoredStructure("b", frozenset({2}), frozenset({20}), True)
BOTH = ScoredStructure("both", frozenset({1, 2}), frozenset({10, 20}), False)
HEAD = ScoredStructure("Head", frozenset({1}), frozenset({10}), True)


def _maps() -> tuple[np.ndarray, np.ndarray]:
    """A is 4 x 4 and shifted by a row; B is 2 x 2 and missed."""
    reference, predicted = np.zeros((12, 16), np.int16), np.zeros((12, 16), np.uint8)
    reference[2:6, 2:6], predicted[3:7, 2:6] = 1, 10
    reference[8:10, 10:12] = 2
    return reference, predicted


def test_shifted_and_missed() -> None:
    reference, predicted = _maps()
    scores = score_masks(reference, predicted, (A, B, BOTH), (3.0, 1.0))
    assert scores["a"].dice == pytest.approx(0.75) and scores["a"].iou == pytest.approx(0.6)
    assert (scores["a"].reference_pixels, scores["a"].predicted_pixels) == (16, 16)
    assert scores["a"].accuracy == pytest.approx(1 - 8 / 192)
    assert scores["a"].hd95_mm == scores["a"].hd_mm == pytest.approx(3.0) and scores["a"].assd_mm == pytest.approx(14 / 12)
    assert scores["a"].surface_dice == pytest.approx(8 / 12)
    assert (scores["a"].tp, scores["a"].fp, scores["a"].fn, scores["a"].tn) == (12, 4, 4, 172)
    assert (scores["a"].reference_size, scores["a"].size_error) == (pytest.approx(48.0), 0.0)
    diagonal = math.hypot(36, 16)
    assert scores["b"].present and scores["b"].missed and not scores["b"].false_alarm
    assert (scores["b"].dice, scores["b"].precision, scores["b"].recall) == (0.0, None, 0.0)
    assert scores["b"].hd_mm == scores["b"].hd95_mm == scores["b"].assd_mm == pytest.approx(diagonal)
    assert (scores["b"].size_error, scores["b"].relative_size_error) == (pytest.approx(-12.0), -1.0)
    assert scores["both"].size_error == pytest.approx(-12.0) and scores["both"].relative_size_error == pytest.approx(-0.2)
    assert scores["both"].dice == pytest.approx(2 * 12 / (20 + 16)) and not scores["both"].missed


def test_absent_structure_with_and_without_a_false_alarm() -> None:
    nothing, something = np.zeros((6, 6), np.uint8), np.zeros((6, 6), np.uint8)
    something[1, 1] = 10
    quiet = score_masks(nothing.astype(np.int16), nothing, (A,), (1.0, 1.0))["a"]
    loud = score_masks(nothing.astype(np.int16), something, (A,), (1.0, 1.0))["a"]
    for scores, false_alarm, accuracy in ((quiet, False, 1.0), (loud, True, 35 / 36)):
        assert not scores.present and not scores.missed and scores.false_alarm is false_alarm
        assert {scores.dice, scores.iou, scores.precision, scores.recall, scores.hd95_mm, scores.assd_mm} == {None}
        assert scores.accuracy == pytest.approx(accuracy)


def test_predicted_elsewhere_is_not_missed_and_its_distance_is_measured() -> None:
    reference, predicted = np.zeros((10, 10), np.int16), np.zeros((10, 10), np.uint8)
    reference[1, 1], predicted[4, 5] = 1, 10
    scores = score_masks(reference, predicted, (A,), (1.0, 1.0))["a"]
    assert scores.dice == 0.0 and not scores.missed and scores.hd95_mm == pytest.approx(5.0)


def test_unknown_spacing_leaves_out_millimetres_only() -> None:
    scores = score_masks(*_maps(), (A, B), None)
    assert scores["a"].dice == pytest.approx(0.75) and scores["b"].missed
    assert {scores[name].hd95_mm for name in "ab"} == {scores[name].assd_mm for name in "ab"} == {None}


def test_tolerance_of_the_surface_dice() -> None:
    assert score_masks(*_maps(), (A,), (3.0, 1.0), tolerance_mm=0.5)["a"].surface_dice == pytest.approx(6 / 12)
    assert score_masks(*_maps(), (A,), (3.0, 1.0), tolerance_mm=3.0)["a"].surface_dice == 1.0


def test_ignored_pixels_count_nowhere() -> None:
    reference, predicted = _maps()
    reference[6] = 3  # the row that was predicted too many
    predicted[6] = 10
    scores = score_masks(reference, predicted, (A,), (1.0, 1.0), ignore_value=3)["a"]
    assert (scores.reference_pixels, scores.predicted_pixels) == (16, 12)
    assert scores.dice == pytest.approx(24 / 28)
    assert scores.accuracy == pytest.approx(1 - 4 / (192 - 16))
    assert scores.hd95_mm == pytest.approx(1.0)


def test_volumes_are_scored_with_their_spacing() -> None:
    reference, predicted = np.zeros((4, 5, 6), np.int16), np.zeros((4, 5, 6), np.uint8)
    reference[1, 2, 2], predicted[2, 2, 2] = 1, 10
    assert score_masks(reference, predicted, (A,), (2.5, 1.0, 1.0))["a"].hd95_mm == pytest.approx(2.5)
    assert score_masks(reference, predicted, (HEAD,), (2.5, 1.0, 1.0))["Head"].circumference_reference_mm is None


def test_head_circumference_of_two_circles() -> None:
    y, x = np.indices((80, 80)) - 40.3
    reference, predicted = (np.hypot(y, x) <= 30).astype(np.int16), (np.hypot(y, x) <= 24).astype(np.uint8) * 10
    scores = score_masks(reference, predicted, (HEAD, A), (0.5, 0.5))
    assert scores["Head"].circumference_reference_mm == pytest.approx(2 * math.pi * 15, rel=0.003)
    assert scores["Head"].circumference_predicted_mm == pytest.approx(2 * math.pi * 12, rel=0.003)
    assert scores["a"].circumference_reference_mm is None


def _discs(*discs: tuple[float, float, float]) -> np.ndarray:
    """Discs of (centre y, centre x, radius) in 120 x 200 pixels."""
    y, x = np.indices((120, 200))
    return np.any([np.hypot(y - cy, x - cx) <= radius for cy, cx, radius in discs], axis=0)


def test_a_perfect_head_with_a_second_piece_is_no_missed_head() -> None:
    """What `measure` refuses has an error of its own size here, and not one of the whole head."""
    head = _discs((60.3, 60.2, 46.0))
    with_piece = head | _discs((60.0, 160.0, 27.5))  # 36 %
    assert fit_head(with_piece, (1.0, 1.0)).failure is not None
    scores = score_masks(head.astype(np.int16), with_piece * np.uint8(10), (HEAD,), (1.0, 1.0))["Head"]
    assert circumference_error_mm(scores) == 0.0
    square = np.zeros_like(head)
    square[20:100, 20:100] = True
    assert fit_head(square, (1.0, 1.0)).failure is not None
    scores = score_masks(head.astype(np.int16), square * np.uint8(10), (HEAD,), (1.0, 1.0))["Head"]
    assert circumference_error_mm(scores) == pytest.approx(2 * math.pi * 46 - 4 * 80, abs=40)  # the ellipse rounds its corners
    assert score_masks(with_piece.astype(np.int16), head * np.uint8(10), (HEAD,), (1.0, 1.0))["Head"].circumference_reference_mm


@pytest.mark.parametrize("what", ["nothing", "small", "line", "no outline"])
def test_a_head_without_an_ellipse_counts_as_missed(what: str) -> None:
    head, predicted = _discs((60.3, 60.2, 46.0)), np.zeros((120, 200), bool)
    if what == "small":
        predicted[50:54, 50:54] = True
    elif what == "line":
        predicted[50, 20:150] = True
    elif what == "no outline":
        predicted[:] = True
    scores = score_masks(head.astype(np.int16), predicted * np.uint8(10), (HEAD,), (1.0, 1.0))["Head"]
    assert scores.circumference_predicted_mm is None
    assert circumference_error_mm(scores) == pytest.approx(2 * math.pi * 46, rel=0.003)


def _case(name: str, subject: str, reference: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...] | None) -> CaseScores:
    return CaseScores(id=name, subject=subject, structures=score_masks(reference, predicted, (HEAD, B), spacing))


def test_summary_over_present_missed_absent_and_cases_without_mm() -> None:
    y, x = np.indices((80, 80)) - 40.0
    disc, empty = np.hypot(y, x) <= 30, np.zeros((80, 80), np.uint8)
    cases = [
        _case("found", "s1", disc.astype(np.int16), disc.astype(np.uint8) * 10, (1.0, 1.0)),
        _case("missed", "s1", disc.astype(np.int16), empty, (1.0, 1.0)),
        _case("without mm", "s2", disc.astype(np.int16), disc.astype(np.uint8) * 10, None),
        _case("alarm", "s2", empty.astype(np.int16), disc.astype(np.uint8) * 10, (1.0, 1.0)),
        _case("quiet", "s3", empty.astype(np.int16), empty, (1.0, 1.0)),
    ]
    summary = summarise(cases, ["Head", "b"])["Head"]
    assert (summary.cases, summary.present, summary.missed, summary.absent, summary.false_alarms) == (5, 3, 1, 2, 1)
    assert summary.false_alarm_rate == 0.5
    assert summary.dice == pytest.approx(2 / 3) and summary.dice_median == 1.0
    assert summary.dice_interval == pytest.approx((0.5, 1.0))  # subjects s1 (1 and 0) and s2 (1)
    assert summary.precision == 1.0 and summary.recall == pytest.approx(2 / 3)
    assert summary.hd95_mm == pytest.approx(math.hypot(80, 80) / 2) and summary.without_mm == 1
    assert summary.circumference_mae_mm == pytest.approx(2 * math.pi * 30 / 2, rel=0.003)  # the missed head counts in full
    assert summary.hd_mm == summary.hd95_mm and summary.surface_dice == pytest.approx(0.5)
    area = np.count_nonzero(disc)
    assert summary.reference_size == pytest.approx(area) and summary.predicted_size == pytest.approx(area / 2)
    assert summary.size_error == pytest.approx(-area / 2) and summary.absolute_size_error == pytest.approx(area / 2)
    assert summary.relative_size_error == pytest.approx(-1 / 3), "three cases, one of them without mm"
    never = summarise(cases, ["b"])["b"]
    assert never.present == 0 and never.dice is None and never.dice_interval is None and never.false_alarm_rate == 0.0


def test_errors_of_both_signs_cancel_in_the_bias_only() -> None:
    reference, larger, smaller = (np.zeros((10, 10), np.int16) for _ in range(3))
    reference[2:6, 2:6] = 1
    larger[2:7, 2:6], smaller[2:5, 2:6] = 10, 10
    cases = [
        CaseScores(id=name, subject=name, structures=score_masks(reference, mask.astype(np.uint8), (A,), (0.5, 0.5)))
        for name, mask in (("larger", larger), ("smaller", smaller))
    ]
    summary = summarise(cases, ["a"])["a"]
    assert summary.size_error == summary.relative_size_error == 0.0
    assert summary.absolute_size_error == pytest.approx(1.0) and summary.absolute_relative_size_error == pytest.approx(0.25)
    assert summary.intervals["size_error"] == pytest.approx((-1.0, 1.0))
    assert summary.intervals["absolute_size_error"] == pytest.approx((1.0, 1.0))


def test_every_mean_has_an_interval_over_subjects_that_holds_it() -> None:
    random = np.random.default_rng(4)
    y, x = np.indices((80, 80)) - 40.0
    cases = []
    for number in range(12):
        radius, wrong = random.uniform(20, 30), random.uniform(15, 32)
        reference, predicted = (np.hypot(y, x) <= one for one in (radius, wrong))
        if number % 4 == 3:
            reference[:] = False
        if number % 8 == 7:
            predicted[:] = False
        cases.append(
            _case(str(number), f"s{number // 3}", reference.astype(np.int16), predicted.astype(np.uint8) * 10, (1.0, 1.0))
        )
    summary = summarise(cases, ["Head"])["Head"]
    told = {name for name in (*FIGURES, "false_alarm_rate") if getattr(summary, name) is not None}
    assert told == {*FIGURES, "false_alarm_rate"}
    assert set(summary.intervals) == told - {"dice"}
    for name in told:
        low, high = summary.dice_interval if name == "dice" else summary.intervals[name]  # type: ignore[misc]
        assert low - 1e-9 <= getattr(summary, name) <= high + 1e-9, name
        values = [FIGURES[name](case.structures["Head"]) for case in cases] if name in FIGURES else []
        if name in FIGURES:
            present = [
                (value, case.subject) for value, case in zip(values, cases, strict=True) if case.structures["Head"].present
            ]
            alone = bootstrap_interval([value for value, _ in present], [subject for _, subject in present])  # type: ignore[misc]
            assert (low, high) == pytest.approx(alone), "as if it had been drawn for alone"
