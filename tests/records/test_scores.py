"""Scores that an older version has written go on being read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from autoseg.records import Scores, StructureScores

OLD_CASE = {
    "present": True, "missed": False, "false_alarm": False, "reference_pixels": 20, "predicted_pixels": 16, "dice": 0.75, "iou": 0.6,
    "accuracy": 0.9, "precision": 0.8, "recall": 0.7, "hd95_mm": 3.0, "assd_mm": 1.0, "circumference_reference_mm": None,
    "circumference_predicted_mm": None,
}  # fmt: skip
OLD_SUMMARY = {
    "cases": 1, "present": 1, "missed": 0, "absent": 0, "false_alarms": 0, "false_alarm_rate": None, "dice": 0.75,
    "dice_interval": None, "dice_median": 0.75, "iou": 0.6, "accuracy": 0.9, "precision": 0.8, "recall": 0.7, "hd95_mm": 3.0,
    "assd_mm": 1.0, "without_mm": 0, "circumference_mae_mm": None,
}  # fmt: skip


def test_scores_without_the_later_figures(tmp_path: Path) -> None:
    content = {
        "format": 1, "labels": "l", "predictions": "p", "mean_dice": 0.75, "missing": [],
        "cases": [{"id": "a", "subject": "a", "structures": {"x": OLD_CASE}}], "summary": {"x": OLD_SUMMARY},
    }  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps(content))
    scores = Scores.load(tmp_path / "scores.json")
    assert scores.tolerance_mm is scores.size_unit is None
    case, summary = scores.cases[0].structures["x"], scores.summary["x"]
    assert (case.hd_mm, case.surface_dice, case.size_error, case.tp) == (None,) * 4
    assert (summary.hd_mm, summary.surface_dice, summary.size_error, summary.intervals) == (None, None, None, {})
    scores.save(tmp_path / "again.json")
    assert Scores.load(tmp_path / "again.json") == scores


@pytest.mark.parametrize("wrong", [{"dice": 1.5}, {"iou": -0.1}, {"precision": 2.0}, {"accuracy": 7.0}])
def test_a_share_beyond_one_is_no_share(wrong: dict[str, float]) -> None:
    assert StructureScores.model_validate(OLD_CASE | {"circumference_reference_mm": None}).dice == 0.75
    with pytest.raises(ValidationError, match=r"less than or equal to 1|greater than or equal to 0"):
        StructureScores.model_validate(OLD_CASE | wrong)
