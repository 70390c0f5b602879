"""Masks on disk to records and tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.metrics.measures import IGNORED, UNKNOWN_SPACING
from autoseg.records import Case, Dataset, Measure, Measurements, Structure, ValueEncoding
from autoseg.stages.agree import truth_of_labels
from autoseg.stages.measure import MaskSet, MaskToMeasure, measure_masks, save_csv, save_hc18_csv, told_doubts, told_failures
from autoseg.volume.ellipse import Ellipse
from tests.metrics.head_shapes import filled

HEAD = Ellipse((40.0, 50.0), (36.0, 28.0), 0.3)
STRUCTURES = {"head": (1, 2), "LV": (2,)}


def _save(path: Path, array: np.ndarray) -> MaskToMeasure:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)
    return MaskToMeasure(path.stem, path.stem.split("_")[0], path, spacing_mm=(0.5, 0.5))


def _labels() -> np.ndarray:
    labels = filled((160, 200), (0.5, 0.5), HEAD).astype(np.uint8)
    labels[filled((160, 200), (0.5, 0.5), Ellipse((33.0, 38.0), (8.0, 4.0), 0.3))] = 2
    return labels


def _measure(*items: MaskToMeasure, structures: dict[str, tuple[int, ...]] | None = None, **options: object) -> Measurements:
    found = MaskSet(
        "masks", items, STRUCTURES if structures is None else structures, complete=bool(options.pop("complete", False))
    )
    return measure_masks(found, dating="hadlock-1984", **options)  # type: ignore[arg-type]


def test_a_mask_is_measured_and_drawn(tmp_path: Path) -> None:
    done: list[int] = []
    found = _measure(_save(tmp_path / "p1_a.png", _labels()), out=tmp_path / "out", on_done=done.append)
    (case,) = found.cases
    assert (case.id, case.subject, case.status, case.shape, case.spacing_mm) == ("p1_a", "p1", "done", (160, 200), (0.5, 0.5))
    assert list(case.structures) == ["head", "LV"]
    assert case.structures["head"].measures["HC"].value == pytest.approx(HEAD.perimeter(), abs=0.2)
    assert case.structures["LV"].measures["width"].value == pytest.approx(8, abs=0.3)
    assert case.figure == "measurements/p1_a.png" and (tmp_path / "out" / case.figure).is_file()
    assert told_doubts(case) == [] and told_failures(case) == [] and done == [1]
    found.save(tmp_path / "m.json")
    assert Measurements.load(tmp_path / "m.json") == found


def test_poisoned_masks_fail_by_name_and_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    colours = np.zeros((20, 20, 3), np.uint8)
    colours[..., 0] = 5
    fractions = sitk.GetImageFromArray(np.full((8, 8), 0.5, np.float32))
    sitk.WriteImage(fractions, tmp_path / "half.nii.gz")
    items = (
        MaskToMeasure("broken", "broken", tmp_path / "broken.png"),
        MaskToMeasure("gone", "gone", tmp_path / "gone.png"),
        _save(tmp_path / "colours.png", colours),
        MaskToMeasure("half", "half", tmp_path / "half.nii.gz"),
        MaskToMeasure("known", "known", tmp_path / "known.png", fault="its prediction failed"),
        _save(tmp_path / "good.png", _labels()),
    )
    found = _measure(*items)
    errors = {case.id: case.error for case in found.cases}
    assert [case.status for case in found.cases] == ["failed"] * 5 + ["done"]
    assert "no such file" in str(errors["gone"]) and "3 different channels" in str(errors["colours"])
    assert "not whole" in str(errors["half"]) and errors["known"] == "its prediction failed" and errors["broken"]
    save_csv(found, tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open(newline="")))
    assert [row["status"] for row in rows] == ["failed"] * 5 + ["done"]
    assert rows[0]["failures"] and rows[0]["head_HC_mm"] == ""


def test_values_that_belong_to_nothing(tmp_path: Path) -> None:
    labels = _labels()
    labels[0, 0] = 77
    item = _save(tmp_path / "a.png", labels)
    assert _measure(item).cases[0].warnings == ("the mask holds 77, which no structure has",)
    assert "which the model does not paint" in str(_measure(item, complete=True).cases[0].error)


def test_without_names_every_value_is_a_structure(tmp_path: Path) -> None:
    (case,) = _measure(_save(tmp_path / "a.png", _labels()), structures={}).cases
    assert list(case.structures) == ["label 1", "label 2"]
    grey = np.arange(300, dtype=np.uint16).reshape(15, 20)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    (case,) = _measure(MaskToMeasure("grey", "grey", tmp_path / "grey.png"), structures={}).cases
    assert "it is an image and no mask" in str(case.error)


def test_spacing_of_a_picture_is_never_assumed_and_that_of_a_volume_is_its_own(tmp_path: Path) -> None:
    item = _save(tmp_path / "a.png", _labels())
    (case,) = _measure(MaskToMeasure("a", "a", item.mask)).cases
    assert case.spacing_mm is None and told_failures(case) == [f"head: {UNKNOWN_SPACING}", f"LV: {UNKNOWN_SPACING}"]
    block = np.zeros((10, 20, 20), np.uint8)
    block[2:8, 5:15, 5:15] = 1
    image = sitk.GetImageFromArray(block)
    image.SetSpacing((1.0, 1.5, 2.0))
    sitk.WriteImage(image, tmp_path / "v.nii.gz")
    (case,) = _measure(MaskToMeasure("v", "v", tmp_path / "v.nii.gz"), structures={"organ": (1,)}, out=tmp_path / "out").cases
    assert case.spacing_mm == (2.0, 1.5, 1.0)
    assert case.structures["organ"].measures["volume"].value == pytest.approx(600 * 3 / 1000)
    assert case.figure is not None and (tmp_path / "out" / case.figure).is_file()


def test_the_table_has_what_a_clinician_looks_for_first(tmp_path: Path) -> None:
    empty = np.zeros((160, 200), np.uint8)
    found = _measure(_save(tmp_path / "a.png", _labels()), _save(tmp_path / "b.png", empty))
    save_csv(found, tmp_path / "t.csv")
    rows = list(csv.reader((tmp_path / "t.csv").open(newline="")))
    assert rows[0][:9] == [
        "case", "subject", "head_HC_mm", "head_BPD_mm", "head_OFD_mm", "head_cephalic_index_percent", "head_GA_HC_weeks", "head_GA_BPD_weeks",
        "LV_width_mm",
    ]  # fmt: skip
    assert rows[0][-4:] == ["spacing_mm", "status", "warnings", "failures"]
    assert float(rows[1][2]) == pytest.approx(HEAD.perimeter(), abs=0.2)
    assert rows[1][-4:] == ["0.5 x 0.5", "done", "", ""]
    assert rows[2][2] == ""
    assert "LV: the mask holds none of it" in rows[2][-1] and len(set(map(len, rows))) == 1


def test_intervals_have_columns_of_their_own(tmp_path: Path) -> None:
    found = _measure(_save(tmp_path / "a.png", _labels()))
    case = found.cases[0]
    head = case.structures["head"]
    changed = head.model_copy(
        update={"measures": {**head.measures, "HC": Measure(value=200.0, unit="mm", low=198.0, high=203.0)}}
    )
    found = found.model_copy(update={"cases": (case.model_copy(update={"structures": {**case.structures, "head": changed}}),)})
    save_csv(found, tmp_path / "t.csv")
    (row,) = csv.DictReader((tmp_path / "t.csv").open(newline=""))
    assert (row["head_HC_mm"], row["head_HC_mm_low"], row["head_HC_mm_high"]) == ("200", "198", "203")
    assert "head_BPD_mm_low" not in row


def test_table_of_the_challenge(tmp_path: Path) -> None:
    found = _measure(_save(tmp_path / "a.png", _labels()), _save(tmp_path / "b.png", np.zeros((160, 200), np.uint8)))
    assert save_hc18_csv(found, tmp_path / "hc18.csv")
    rows = list(csv.reader((tmp_path / "hc18.csv").open(newline="")))
    assert rows[0] == ["filename", "center_x_mm", "center_y_mm", "semi_axes_a_mm", "semi_axes_b_mm", "angle_rad"]
    assert len(rows) == 2 and rows[1][0] == "a.png"
    assert [float(cell) for cell in rows[1][1:]] == pytest.approx([50, 40, 36, 28, 0.3], abs=0.05)
    lines = _measure(_save(tmp_path / "c.png", _labels()), structures={"LV": (2,)})
    assert not save_hc18_csv(lines, tmp_path / "none.csv") and not (tmp_path / "none.csv").exists()


def test_angle_of_the_equivalent_ellipse_is_in_degrees(tmp_path: Path) -> None:
    (case,) = _measure(_save(tmp_path / "a.png", _labels())).cases
    assert case.structures["head"].measures["angle"].value == pytest.approx(math.degrees(0.3), abs=0.3)


def test_a_label_with_ignored_pixels_is_no_truth(tmp_path: Path) -> None:
    """A disc of 30 mm is measured whole (2827 mm2) where nothing is ignored, and not at all where its half is."""
    disc = filled((120, 120), (1.0, 1.0), Ellipse((60.0, 60.0), (30.0, 30.0), 0.0)).astype(np.uint8)
    half = disc.copy()
    half[:60] = 200
    cases = []
    for name, labels in (("whole", disc), ("half", half)):
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
        cases.append(Case(id=name, subject=name, images=(), label=f"{name}.png", spacing_mm=(1.0, 1.0)))
    targets = (Structure(name="head", values=(1,), output_value=1),)
    dataset = Dataset(
        name="d", layout="folders", root=str(tmp_path), rank=2, channels=("US",), targets=targets, ignore_value=2, cases=tuple(cases),
        encodings={"default": ValueEncoding(values={0: 0, 1: 1, 200: 2})},
    )  # fmt: skip
    items = tuple(
        MaskToMeasure(case.id, case.id, dataset.path(str(case.label)), case=case, spacing_mm=(1.0, 1.0)) for case in cases
    )
    labels = MaskSet("labels", items, {"head": (1,)}, dataset)
    found = measure_masks(labels, dating="hadlock-1984", out=tmp_path / "out")
    whole, ignored = found.cases
    assert whole.structures["head"].measures["area"].value == pytest.approx(math.pi * 900, rel=0.01)
    measures = ignored.structures["head"].measures
    assert {measure.value for measure in measures.values()} == {None}
    assert ignored.structures["head"].ellipse is None and ignored.structures["head"].pixels == np.count_nonzero(half == 1)
    assert (ignored.status, ignored.warnings, told_failures(ignored)) == ("done", (), [f"head: {IGNORED}"])
    truth = truth_of_labels(found)
    assert truth["whole"] and truth["half"] == {}, "what is no truth is compared with nothing"
