"""Measures at the end of a prediction, and whose each case is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autoseg
from autoseg.errors import DataError
from autoseg.records import Measurements

from .runs import run_of


def test_a_prediction_measures_its_masks(tmp_path: Path) -> None:
    run, images = run_of(tmp_path / "run", rank=2), tmp_path / "images"
    images.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 255, (40, 48)).astype(np.uint8)
        Image.fromarray(noise).save(images / f"{number:03d}_HC.png")
    predictions = autoseg.predict(run, images, tmp_path / "out", engine="torch-float32", spacing=0.5, measure=True)
    found = Measurements.load(tmp_path / "out" / "measurements.json")
    assert [(case.id, case.subject, case.status) for case in found.cases] == [
        ("000_HC", "000", "done"),
        ("001_HC", "001", "done"),
    ]
    assert list(found.structures) == [target.name for target in (*predictions.targets, *predictions.derived)]
    assert all(case.spacing_mm == (0.5, 0.5) and case.figure is not None for case in found.cases)
    for case, predicted in zip(found.cases, predictions.cases, strict=True):
        assert {name: case.structures[name].pixels for name in predicted.pixels} == predicted.pixels
    again = autoseg.predict(
        run, images, tmp_path / "out", engine="torch-float32", spacing=0.5
    )  # what was measured does not stand in its way
    assert [case.status for case in again.cases] == ["done", "done"]


def test_subjects_and_formula_are_given_or_told(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("p1_a", "p1_b", "p2_a"):
        Image.fromarray(np.ones((9, 9), np.uint8)).save(masks / f"{name}.png")
    outcome = autoseg.measure(masks, tmp_path / "out", subjects=r"^(p\d)", spacing=1.0, figures=False, workers=0)
    assert [case.subject for case in outcome.measurements.cases] == ["p1", "p1", "p2"]
    with pytest.raises(DataError, match="does not match its name"):
        autoseg.measure(masks, tmp_path / "out", subjects=r"^(q\d)", workers=0)
    with pytest.raises(DataError, match="no formula mine"):
        autoseg.measure(masks, tmp_path / "out", dating="mine", workers=0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="positive number"):
        autoseg.measure(masks, tmp_path / "out", spacing=-1.0, workers=0)
