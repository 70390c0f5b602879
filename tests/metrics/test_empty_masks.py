"""What every figure is where a mask is empty: the table in docs/metrics.md, held against the code."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from autoseg.metrics.nnunet_summary import nnunet_summary
from autoseg.metrics.scoring import score_masks
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import CaseScores, StructureScores

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
SITUATIONS = ("both empty", "only predicted", "only in the reference")
HEAD = ScoredStructure("head", frozenset({1}), frozenset({1}), True)
SHAPE, SPACING = (40, 50), (0.5, 2.0)
COUNTS_AND_FLAGS = {"present", "missed", "false_alarm", "reference_pixels", "predicted_pixels", "tp", "fp", "fn", "tn"}


def _rules() -> dict[str, list[str]]:
    """The cells of the table by the figure in its first one."""
    section = DOCUMENT.read_text(encoding="utf-8").split("## Empty masks")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    header, _, *rows = rows
    assert [cell.startswith(situation) for cell, situation in zip(header[1:], SITUATIONS, strict=True)] == [True] * 3
    return {row[0].replace("`", ""): row[1:] for row in rows}


def _scores(situation: str) -> StructureScores:
    y, x = np.indices(SHAPE) - np.array([20.3, 25.2])[:, None, None]
    disc, empty = (np.hypot(y, x) <= 12).astype(np.int16), np.zeros(SHAPE, np.int16)
    reference = disc if situation == "only in the reference" else empty
    predicted = disc if situation == "only predicted" else empty
    return score_masks(reference, predicted.astype(np.uint8), (HEAD,), SPACING)["head"]


def _expected(rule: str, figure: str, scores: StructureScores) -> float | None:
    pixels, all_pixels = max(scores.reference_pixels, scores.predicted_pixels), math.prod(SHAPE)
    size = pixels * math.prod(SPACING)
    own = getattr(scores, figure) if "circumference" in figure else size
    assert own is None or own > 0 or rule != "its own"
    values = {
        "-": None,
        "(tp + tn) / all": (all_pixels - pixels) / all_pixels,
        "diagonal": math.hypot(40 * 0.5, 50 * 2.0),
        "its own": own,
        "all of the reference": -size,
        "NaN": math.nan,
    }
    return values[rule] if rule in values else float(rule)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_figure_follows_the_table(situation: str) -> None:
    scores, rules = _scores(situation), _rules()
    figures = set(StructureScores.model_fields) - COUNTS_AND_FLAGS
    assert set(rules) == figures | {"nnU-Net's Dice", "nnU-Net's IoU"}, "the table has a row for every figure, and no other"
    for figure in sorted(figures):
        rule = rules[figure][SITUATIONS.index(situation)]
        assert getattr(scores, figure) == pytest.approx(_expected(rule, figure, scores)), figure


@pytest.mark.parametrize("situation", SITUATIONS)
def test_nnunets_rules_follow_the_table(situation: str) -> None:
    scores, rules = _scores(situation), _rules()
    case = CaseScores(id="a", subject="a", structures={"head": scores})
    found = json.loads(nnunet_summary([case], {"head": "1"}, {"a": ("mask", "label")}))["metric_per_case"][0]["metrics"]["1"]
    for figure in ("Dice", "IoU"):
        rule = rules[f"nnU-Net's {figure}"][SITUATIONS.index(situation)]
        assert found[figure] == pytest.approx(_expected(rule, figure, scores), nan_ok=True)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_flags(situation: str) -> None:
    scores = _scores(situation)
    assert scores.present is scores.missed is (situation == "only in the reference")
    assert scores.false_alarm is (situation == "only predicted")
    assert (scores.tp or 0) == 0 and (scores.fp or 0) + (scores.fn or 0) + (scores.tn or 0) == math.prod(SHAPE)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_unknown_spacing_leaves_nothing_in_mm(situation: str) -> None:
    empty = np.zeros(SHAPE, np.int16)
    reference, predicted = (np.where(situation == one, 1, empty) for one in ("only in the reference", "only predicted"))
    scores = score_masks(reference, predicted.astype(np.uint8), (HEAD,), None)["head"]
    in_mm = [
        name for name in StructureScores.model_fields if name.endswith(("_mm", "_size")) or name in ("surface_dice", "size_error")
    ]
    assert len(in_mm) == 9
    assert {getattr(scores, name) for name in in_mm} == {None}
    assert scores.relative_size_error == (-1.0 if scores.present else None)
