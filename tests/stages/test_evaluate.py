"""Masks on disk against labels on disk, worked by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError
from autoseg.records import Case, Dataset, PredictedCase, Predictions, Scores, Structure, ValueEncoding
from autoseg.stages.evaluate import evaluate, save_csv, save_nnunet_summary

A, B = Structure(name="a", values=(1,), output_value=1), Structure(name="b", values=(2,), output_value=2)
HEAD = Structure(name="head", values=(1, 2), output_value=3)
PAINTED = (Structure(name="b", values=(1,), output_value=7), Structure(name="a", values=(2,), output_value=9))
ON_DISK = {0: 0, 100: 1, 200: 2, 255: 3}


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def _square(value: int, top: int = 2) -> np.ndarray:
    array = np.zeros((12, 16), np.uint8)
    array[top : top + 4, 2:6] = value
    return array


def _dataset(root: Path, *cases: Case, ignore: int | None = None) -> Dataset:
    return Dataset(
        name="d", layout="folders", root=str(root), rank=2, channels=("x",), targets=(A, B), derived=(HEAD,), ignore_value=ignore,
        encodings={"default": ValueEncoding(values=ON_DISK)}, cases=cases,
    )  # fmt: skip


def _predictions(*cases: PredictedCase, targets: tuple[Structure, ...] = PAINTED) -> Predictions:
    return Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", targets=targets, derived=(), regions=False, cases=cases
    )  # fmt: skip


def _write_case(
    root: Path, name: str, label: np.ndarray, mask: np.ndarray | None, spacing: tuple[float, ...] | None = (3.0, 1.0)
) -> Case:
    _save(root / "images" / f"{name}.png", np.arange(label.size).reshape(label.shape) % 251)
    _save(root / "labels" / f"{name}.png", label)
    if mask is not None:
        _save(root / "out" / f"{name}.png", mask)
    return Case(id=name, subject=name[:2], images=(f"images/{name}.png",), label=f"labels/{name}.png", spacing_mm=spacing)


def _done(*names: str) -> tuple[PredictedCase, ...]:
    return tuple(PredictedCase(id=name, images=(f"{name}.png",), status="done", mask=f"{name}.png") for name in names)


def _evaluate(root: Path, dataset: Dataset, predictions: Predictions) -> Scores:
    return evaluate(dataset, predictions, root / "out", labels_name="labels")


@pytest.fixture
def scores(tmp_path: Path) -> Scores:
    """Case 1 shifted by a row, case 2 exact but without a spacing, case 3 missed, case 4 a false alarm, case 5 not predicted."""
    cases = (
        _write_case(tmp_path, "s1_1", _square(100), _square(9, top=3)),
        _write_case(tmp_path, "s1_2", _square(100), _square(9), spacing=None),
        _write_case(tmp_path, "s2_1", _square(100), _square(0)),
        _write_case(tmp_path, "s2_2", _square(0), _square(9)),
        _write_case(tmp_path, "s3_1", _square(100), None),
    )
    failed = PredictedCase(id="s3_1", images=("s3_1.png",), status="failed", error="unreadable")
    done = _done("s1_1", "s1_2", "s2_1", "s2_2", "unlabelled")
    return _evaluate(tmp_path, _dataset(tmp_path, *cases), _predictions(*done, failed))


def test_cases_are_scored_by_name_of_structure(scores: Scores) -> None:
    shifted, exact, missed, alarm = (case.structures["a"] for case in scores.cases)
    assert shifted.dice == pytest.approx(0.75) and shifted.hd95_mm == pytest.approx(3.0)
    assert exact.dice == 1.0 and exact.hd95_mm is None
    assert missed.missed and missed.dice == 0.0 and missed.hd95_mm == pytest.approx(np.hypot(36, 16))
    assert alarm.false_alarm and alarm.dice is None
    assert not any(case.structures["b"].present or case.structures["b"].false_alarm for case in scores.cases)
    assert scores.cases[0].structures["head"].dice == pytest.approx(0.75)


def test_summary_and_missing(scores: Scores) -> None:
    assert scores.missing == ("s3_1",)
    summary = scores.summary["a"]
    assert (summary.cases, summary.present, summary.missed) == (4, 3, 1)
    assert (summary.absent, summary.false_alarms, summary.without_mm) == (1, 1, 1)
    assert summary.dice == pytest.approx(1.75 / 3)
    assert scores.mean_dice == pytest.approx(1.75 / 3)  # b is nowhere present, and the union is no target
    assert scores.summary["head"].circumference_mae_mm is None  # 16 pixels are too few for an ellipse


def test_record_round_trip(scores: Scores, tmp_path: Path) -> None:
    scores.save(tmp_path / "scores.json")
    assert Scores.load(tmp_path / "scores.json") == scores


def test_csv_has_a_row_per_case_and_structure(scores: Scores, tmp_path: Path) -> None:
    save_csv(scores, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["s1_1"] * 3 + ["s1_2"] * 3 + ["s2_1"] * 3 + ["s2_2"] * 3
    assert [row["structure"] for row in rows] == ["a", "b", "head"] * 4
    assert (rows[0]["dice"], rows[0]["hd95_mm"], rows[0]["present"], rows[0]["reference_pixels"]) == ("0.75", "3", "1", "16")
    assert (rows[0]["hd_mm"], rows[0]["surface_dice"], rows[0]["size_error"]) == ("3", "0.666667", "0")
    assert (rows[1]["dice"], rows[1]["present"], rows[1]["accuracy"]) == ("", "0", "1")


def test_workers_and_progress_change_nothing(tmp_path: Path) -> None:
    names = [f"s{number}_1" for number in range(9)]
    cases = [_write_case(tmp_path, name, _square(100), _square(9, top=2 + number % 3)) for number, name in enumerate(names)]
    dataset, predictions = _dataset(tmp_path, *cases), _predictions(*_done(*names))
    seen: list[int] = []
    pooled = evaluate(dataset, predictions, tmp_path / "out", labels_name="labels", workers=2, on_done=seen.append)
    assert pooled == _evaluate(tmp_path, dataset, predictions)
    assert seen == list(range(1, 10))


def test_ignored_pixels_are_left_out(tmp_path: Path) -> None:
    label = _square(100)
    label[6, 2:6] = 255
    mask = _square(9)
    mask[6, 2:6] = 9
    case = _write_case(tmp_path, "s1_1", label, mask)
    found = _evaluate(tmp_path, _dataset(tmp_path, case, ignore=3), _predictions(*_done("s1_1"))).cases[0].structures["a"]
    assert found.dice == 1.0 and found.accuracy == 1.0 and found.hd95_mm == 0.0


def test_head_circumference_error(tmp_path: Path) -> None:
    y, x = np.indices((80, 80)) - 40.3
    radius = np.hypot(y, x)
    label = np.where(radius <= 30, 100, 0)
    label[38:42, 38:42] = 200
    mask = np.where(radius <= 24, 9, 0)
    case = _write_case(tmp_path, "s1_1", label, mask, spacing=(0.5, 0.5))
    found = _evaluate(tmp_path, _dataset(tmp_path, case), _predictions(*_done("s1_1")))
    assert found.summary["head"].circumference_mae_mm == pytest.approx(2 * np.pi * 3, rel=0.02)
    assert found.summary["a"].circumference_mae_mm is None


def test_volumes_take_their_spacing_from_the_file(tmp_path: Path) -> None:
    label, mask = np.zeros((4, 6, 6), np.uint8), np.zeros((4, 6, 6), np.uint8)
    label[1, 3, 3], mask[2, 3, 3] = 100, 9
    for folder, array, spacing in (("images", label + 1, 2.5), ("labels", label, 2.5), ("out", mask, 2.5), ("other", mask, 2.0)):
        (tmp_path / folder).mkdir()
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.7, 0.7, spacing))
        sitk.WriteImage(image, str(tmp_path / folder / "v.nii.gz"))
    case = Case(id="v", subject="v", images=("images/v.nii.gz",), label="labels/v.nii.gz")
    dataset = _dataset(tmp_path, case).model_copy(update={"rank": 3})
    predictions = _predictions(PredictedCase(id="v", images=("v.nii.gz",), status="done", mask="v.nii.gz"))
    scores = _evaluate(tmp_path, dataset, predictions)
    found = scores.cases[0].structures["a"]
    assert found.hd95_mm == pytest.approx(2.5)
    assert scores.size_unit == "ml" and found.reference_size == pytest.approx(2.5 * 0.7 * 0.7 / 1000)
    with pytest.raises(DataError, match=r"v: mask spacing .*2, 0.7.* reference spacing .*2.5"):
        evaluate(dataset, predictions, tmp_path / "other", labels_name="labels")


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    good = _write_case(tmp_path, "s1_1", _square(100), _square(9))
    small = _write_case(tmp_path, "s2_1", _square(100), _square(9)[:10])
    strange = _write_case(tmp_path, "s3_1", _square(100), _square(4))
    broken = _write_case(tmp_path, "s4_1", _square(100), _square(9))
    (tmp_path / "out" / "s4_1.png").write_bytes(b"no picture")
    undeclared = _write_case(tmp_path, "s5_1", _square(33), _square(9))
    names = ("s1_1", "s2_1", "s3_1", "s4_1", "s5_1")
    with pytest.raises(DataError) as caught:
        _evaluate(tmp_path, _dataset(tmp_path, good, small, strange, broken, undeclared), _predictions(*_done(*names)))
    assert [fault.case for fault in caught.value.faults] == ["s2_1", "s3_1", "s4_1", "s5_1"]
    size, value, _, label = (fault.message for fault in caught.value.faults)
    assert "(10, 16)" in size and "(12, 16)" in size
    assert "4 (16 pixels)" in value
    assert "33" in label


def test_nothing_in_common_is_an_error(tmp_path: Path) -> None:
    case = _write_case(tmp_path, "s1_1", _square(100), _square(9))
    with pytest.raises(DataError, match=r"other.*s1_1"):
        _evaluate(tmp_path, _dataset(tmp_path, case), _predictions(*_done("other")))
    with pytest.raises(DataError, match=r"structures a, b, .*predictions a, c"):
        renamed = (PAINTED[1], PAINTED[0].model_copy(update={"name": "c"}))
        _evaluate(tmp_path, _dataset(tmp_path, case), _predictions(*_done("s1_1"), targets=renamed))


def test_tolerance_reaches_the_figure_and_is_told(tmp_path: Path) -> None:
    case = _write_case(tmp_path, "s1_1", _square(100), _square(9, top=3))
    dataset, predictions = _dataset(tmp_path, case), _predictions(*_done("s1_1"))
    found = {
        tolerance: evaluate(dataset, predictions, tmp_path / "out", labels_name="labels", tolerance_mm=tolerance)
        for tolerance in (0.0, 1.0, 3.0)
    }
    assert [scores.tolerance_mm for scores in found.values()] == [0.0, 1.0, 3.0]
    surface_dice = [scores.cases[0].structures["a"].surface_dice for scores in found.values()]
    assert surface_dice == [pytest.approx(6 / 12), pytest.approx(8 / 12), 1.0]
    assert _evaluate(tmp_path, dataset, predictions).tolerance_mm == 1.0
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="tolerance"):
            evaluate(dataset, predictions, tmp_path / "out", labels_name="labels", tolerance_mm=wrong)


def test_sizes_are_areas_in_2d(scores: Scores) -> None:
    assert scores.size_unit == "mm2"
    shifted, exact, missed, alarm = (case.structures["a"] for case in scores.cases)
    assert shifted.reference_size == shifted.predicted_size == pytest.approx(48.0) and shifted.size_error == 0.0
    assert exact.size_error is None and exact.relative_size_error == 0.0, "no spacing"
    assert missed.size_error == pytest.approx(-48.0) and alarm.predicted_size == pytest.approx(48.0)
    assert scores.summary["a"].intervals["relative_size_error"] == pytest.approx((-1.0, 0.0))


def test_nnunets_summary_is_of_the_same_masks(scores: Scores, tmp_path: Path) -> None:
    cases = tuple(
        Case(id=case.id, subject=case.subject, images=(f"images/{case.id}.png",), label=f"labels/{case.id}.png")
        for case in scores.cases
    )
    predictions = _predictions(*_done(*(case.id for case in cases)))
    save_nnunet_summary(scores, _dataset(tmp_path, *cases), predictions, tmp_path / "out", tmp_path / "summary.json")
    found = json.loads((tmp_path / "summary.json").read_text())
    first = found["metric_per_case"][0]
    assert (first["prediction_file"], first["reference_file"]) == (
        str(tmp_path / "out" / "s1_1.png"),
        str(tmp_path / "labels" / "s1_1.png"),
    )
    assert set(first["metrics"]) == {"9", "7"}, "the values that the masks hold; the head is a union, which nnU-Net does not know"
    assert first["metrics"]["9"] == {
        "Dice": 0.75, "IoU": 0.6, "TP": 12, "FP": 4, "FN": 4, "TN": 172, "n_pred": 16, "n_ref": 16
    }  # fmt: skip
    assert found["mean"]["9"]["Dice"] == pytest.approx((0.75 + 1 + 0 + 0) / 4), "nnU-Net counts the false alarm, too"
    assert Path(first["prediction_file"]).is_file() and Path(first["reference_file"]).is_file()
