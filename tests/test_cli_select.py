"""What `select` prints, from records made by hand."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autoseg.cli_select import select_report
from autoseg.records import (
    IntervalReport,
    Judgement,
    Proportion,
    RankCorrelation,
    ReviewRule,
    Scores,
    Selection,
    SelectionReport,
    Trust,
    TrustReport,
)
from tests.conftest import exit_code

SHARE = Proportion(count=8, total=100, share=0.08, low=0.035, high=0.15)
SCORES = Scores(labels="labels", predictions="out", mean_dice=None, cases=(), summary={})


def report(*, review: bool = True) -> SelectionReport:
    def judged(candidate: str, difference: float, adopted: bool, reason: str) -> Judgement:
        return Judgement(
            question="postprocessing",
            baseline="as predicted",
            candidate=candidate,
            cases=9,
            subjects=8,
            baseline_dice=0.9,
            candidate_dice=0.9 + difference,
            difference=difference,
            interval=(difference - 0.001, difference + 0.001),
            adopted=adopted,
            reason=reason,
        )

    rule = ReviewRule(thresholds={"predicted Dice": 0.06}, rate=0.1, good_cases=90) if review else None
    trust = Trust(review=rule, review_off=None if review else "Masks are not flagged: 0.31 only.", temperature=1.4)
    return SelectionReport(
        selection=Selection(
            configurations=("2d",), profile="best", postprocessing=(), judged={"2d": ("0", "1")}, weights=("a",), trust=trust
        ),
        folds_planned=5,
        cases=9,
        subjects=8,
        seconds_per_case={"2d, best": 0.5},
        judgements=(
            judged("liver: largest component only", 0.01, True, "+0.0100"),
            judged("liver: holes filled", 0, False, "nothing changes"),
        ),
        not_established=("what an ensemble of folds brings: one fold alone is trained",),
        trust=TrustReport(
            correlation=RankCorrelation(value=0.7, low=0.6, high=0.8, cases=100),
            good_dice=0.9,
            good_mm=10.0,
            good=90,
            bad=10,
            good_flagged=SHARE if review else None,
            bad_found=None,
            strange=0,
            intervals=(IntervalReport(structure="head", measure="HC", coverage=SHARE, median_width=11.7, unit="mm"),),
            calibration_error=0.02,
            calibration_error_after=0.005,
        ),
    )


def printed(found: SelectionReport) -> str:
    text = io.StringIO()
    console = Console(width=200, file=text)
    for part in select_report(found, SCORES, Path("run")):
        console.print(part)
    return text.getvalue()


def test_comparisons_costs_and_what_is_not_established_are_told() -> None:
    text = printed(report())
    for expected in (
        "9 cases of 8 subjects",
        "2d: folds 0, 1",
        "not all of 5 folds are trained",
        "liver: largest component only",
        "+0.0100 [+0.0090..+0.0110]",
        "These change nothing: liver: holes filled",
        "Selected: 2d, profile best, postprocessing: none",
        "not established: what an ensemble of folds brings",
    ):
        assert expected in text, expected


def test_what_predictions_are_worth_is_told() -> None:
    text = printed(report())
    for expected in (
        "Spearman 0.70 [0.60..0.80] on 100 cases",
        "(Dice of at least 0.90, HC within 10 mm is good): 8.0 % [3.5..15.0] of 100 good masks flagged, there are no bad ones found",
        "calibration error 0.020, 0.005 with it",
        "head HC",
        "11.7 mm",
    ):
        assert expected in text, expected
    assert "Review: Masks are not flagged: 0.31 only." in printed(report(review=False))


def test_the_verb_passes_everything_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    select = replaced("select", (report(), SCORES))
    assert exit_code("select", "run", "--profile", "fast", "--engine", "torch-float32", "--workers", "3", "--json") == 0
    assert select.call_args.kwargs["profiles"] == ("fast",) and select.call_args.kwargs["engine"] == "torch-float32"
    assert select.call_args.kwargs["workers"] == 3
    assert SelectionReport.model_validate_json(capsys.readouterr().out, strict=True) == report()
    exit_code("select", "run")
    assert select.call_args.kwargs["profiles"] == ("best", "fast")
