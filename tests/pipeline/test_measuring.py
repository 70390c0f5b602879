"""Measures at the end of a prediction, and whose each case is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import autoseg
from autoseg.errors import DataError
from autoseg.phantom import write_fetal_head
from autoseg.processing.cases import load_labels
from autoseg.records import Measurements
from autoseg.stages.index import index_dataset

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
    with pytest.raises(DataError, match="expected mm per pixel"):
        autoseg.measure(masks, tmp_path / "out", spacing=-1.0, workers=0)


def heads(folder: Path, *names: str, value: int = 1) -> Path:
    folder.mkdir()
    y, x = np.mgrid[:60, :80]
    head = ((y - 30) / 20) ** 2 + ((x - 40) / 30) ** 2 <= 1
    for name in names:
        Image.fromarray(head.astype(np.uint8) * value).save(folder / f"{name}.png")
    return folder


def test_a_truth_of_other_images_is_refused_before_the_work(tmp_path: Path) -> None:
    masks, table = heads(tmp_path / "masks", "a", "b"), tmp_path / "truth.csv"
    table.write_text("image,head_HC_mm\nc,170\n")
    with pytest.raises(DataError, match=r"no mask is in the truth .*truth\.csv, which names c; the masks are a, b"):
        autoseg.measure(masks, tmp_path / "out", spacing=1.0, truth=table, structures={"head": (1,)}, workers=0)
    assert not (tmp_path / "out").exists()


def test_a_truth_says_nothing_where_no_mask_can_be_measured(tmp_path: Path) -> None:
    masks, table = tmp_path / "masks", tmp_path / "truth.csv"
    masks.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)).save(masks / "a.png")
    table.write_text("image,head_HC_mm\na,170\n")
    outcome = autoseg.measure(masks, tmp_path / "out", spacing=1.0, truth=table, workers=0)
    assert outcome.agreement is None and "it is an image and no mask" in str(outcome.measurements.cases[0].error)


def test_the_truth_knows_whose_the_images_are(tmp_path: Path) -> None:
    """Frames of one person count as one subject, though the names of a folder of masks do not tell."""
    data, masks = write_fetal_head(tmp_path / "data", subjects=3), tmp_path / "masks"
    dataset, _ = index_dataset(data)
    assert dataset is not None
    masks.mkdir()
    for case in dataset.cases:
        labels = load_labels(dataset, case).astype(np.uint8)
        Image.fromarray((labels == 1).astype(np.uint8)).save(masks / f"{case.id}.png")
    structures = {dataset.targets[0].name: (1,)}
    found = autoseg.measure(masks, tmp_path / "out", spacing=0.5, truth=data, structures=structures, figures=False, workers=0)
    assert [case.subject for case in found.measurements.cases] == [case.subject for case in dataset.cases]
    assert found.agreement is not None
    assert {one.subjects for one in found.agreement.measures if one.compared == len(dataset.cases)} == {3} != {len(dataset.cases)}


def test_masks_that_were_corrected_have_no_interval(tmp_path: Path) -> None:
    run, images = run_of(tmp_path / "run", rank=2), tmp_path / "images"
    images.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48)).astype(np.uint8)).save(images / "a.png")
    predictions = autoseg.predict(run, images, tmp_path / "out", engine="torch-float32", spacing=0.5)
    value = predictions.targets[0].output_value
    Image.fromarray(np.full((40, 48), value, np.uint8)).save(tmp_path / "out" / "a.png")
    (case,) = autoseg.measure(tmp_path / "out", figures=False, workers=0).measurements.cases
    assert case.status == "done"
    assert case.warnings == ("the mask was changed since it was predicted, so no interval and no flag is told",)


def test_volumes_carry_their_own_spacing(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8)), str(masks / "a.nii.gz"))
    with pytest.raises(DataError, match="volumes carry their own spacing, so leave it out"):
        autoseg.measure(masks, tmp_path / "out", spacing=1.0, workers=0)
    with pytest.raises(DataError, match=r"from 1e-06 to 1000"):
        autoseg.measure(heads(tmp_path / "heads", "a"), tmp_path / "out", spacing=1e9, workers=0)


def test_names_that_are_not_utf8_fail_alone(tmp_path: Path) -> None:
    masks = heads(tmp_path / "masks", "a")
    try:
        os.link(masks / "a.png", os.fsencode(masks) + b"/b\xff.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    measured = autoseg.measure(masks, tmp_path / "out", spacing=1.0, figures=False, workers=0).measurements
    assert [(case.id, case.status) for case in measured.cases] == [("a", "done"), ("b\\xff", "failed")]
    assert "rename the file" in str(measured.cases[1].error)


def test_a_jpeg_and_a_link_that_leads_nowhere_are_no_masks(tmp_path: Path) -> None:
    masks = heads(tmp_path / "masks", "a")
    Image.open(masks / "a.png").save(masks / "b.jpg")
    (masks / "c.png").symlink_to(masks / "gone.png")
    measured = autoseg.measure(masks, tmp_path / "out", spacing=1.0, figures=False, workers=0).measurements
    assert [case.status for case in measured.cases] == ["done", "failed", "failed"]
    assert "JPEG changes values" in str(measured.cases[1].error) and "no such file" in str(measured.cases[2].error)


def test_nothing_of_an_earlier_call_stays_beside_new_figures(tmp_path: Path) -> None:
    masks, table, out = heads(tmp_path / "masks", "a", "b"), tmp_path / "truth.csv", tmp_path / "out"
    table.write_text("image,head_HC_mm\na,170\nb,171\n")
    autoseg.measure(masks, out, spacing=1.0, truth=table, structures={"head": (1,)}, workers=0)
    assert (out / "agreement.json").is_file() and (out / "agreement" / "bland_altman.png").is_file()
    (masks / "b.png").unlink()
    autoseg.measure(masks, out, spacing=1.0, structures={"head": (1,)}, workers=0)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == ["hc18.csv", "measurements.csv", "measurements.json", "measurements/a.png"]


def test_a_picture_that_fails_takes_no_figure_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no font")

    monkeypatch.setattr("autoseg.stages.measure.save_measured_picture", broken)
    measured = autoseg.measure(heads(tmp_path / "masks", "a"), tmp_path / "out", spacing=1.0, workers=0).measurements
    assert [(case.status, case.figure) for case in measured.cases] == [("done", None)]
