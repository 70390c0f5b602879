"""Records that say how a model is applied: what makes no sense is refused when it is read, and said."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from autoseg.records import (
    DicePredictor,
    MeasurementInterval,
    Model,
    PostprocessingStep,
    PredictedCase,
    Selection,
    Structure,
    TrainedFold,
    Trust,
)

STEP = PostprocessingStep(kind="fill_holes", structure="Head")


def selection(**changes: Any) -> Selection:
    return Selection(**{"configurations": ("2d",), "profile": "best", "judged": {}, "weights": (), **changes})


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (selection, {"configurations": ()}),
        (selection, {"configurations": ("2d", "2d")}),
        (PostprocessingStep, {"kind": "minimum_size", "structure": "Head", "least": -5.0, "unit": "mm2"}),
        (Trust, {"temperature": 0.0}),
        (MeasurementInterval, {"level": 0.95, "low": 5.0, "high": -5.0, "smoothing": None, "cases": 50, "subjects": 50}),
        (MeasurementInterval, {"level": 0.95, "low": -1.0, "high": 1.0, "smoothing": -1.0, "cases": 50, "subjects": 50}),
        (DicePredictor, {"features": ("a",), "means": (0.0, 1.0), "scales": (1.0,), "weights": (1.0,), "intercept": 0.0, "clip": 1e-3, "cases": 9}),
        (DicePredictor, {"features": ("a",), "means": (0.0,), "scales": (0.0,), "weights": (1.0,), "intercept": 0.0, "clip": 1e-3, "cases": 9}),
        (PredictedCase, {"id": "../../evil", "images": (), "status": "done"}),
        (PredictedCase, {"id": "a", "images": (), "status": "done", "mask": "/etc/passwd"}),
        (PredictedCase, {"id": "", "images": (), "status": "done"}),
        (TrainedFold, {"fold": "0", "weights": "../other/weights.safetensors", "sha256": ""}),
        (TrainedFold, {"fold": "0", "weights": "C:/../weights.safetensors", "sha256": ""}),
        (PredictedCase, {"id": "a", "images": (), "status": "done", "spacing_mm": (-1.0, 1.0)}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**wrong)


def test_a_step_for_a_structure_that_the_model_does_not_have() -> None:
    common = {"derived": (), "channels": ("US",), "spacing": "unused", "default": "2d", "configurations": ()}
    head, liver = (Structure(name=name, values=(1,), output_value=1) for name in ("Head", "Liver"))
    assert Model(targets=(head,), selection=selection(postprocessing=(STEP,)), **common).selection is not None
    with pytest.raises(ValidationError, match="names 'Head', which is none of the model's structures \\(Liver\\)"):
        Model(targets=(liver,), selection=selection(postprocessing=(STEP,)), **common)


def test_masks_in_folders_below_are_fine() -> None:
    assert PredictedCase(id="a..b", images=(), status="done", mask="fold_0/a..b.png").mask == "fold_0/a..b.png"
