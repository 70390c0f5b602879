"""Masks for other programs hold the very pixels, and come back by `import`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import autoseg
from autoseg.annotations import coco, cvat
from autoseg.annotations.painting import paint
from autoseg.errors import DataError, RunFolderError
from autoseg.pipeline.handing_on import hand_on_masks
from autoseg.processing.cases import load_labels
from autoseg.records import PredictedCase, Predictions, Structure
from autoseg.stages.hand_on import MaskFormat, colours_of
from autoseg.stages.index import index_dataset

TARGETS = (Structure(name="Brain", values=(1,), output_value=3), Structure(name="LV", values=(2,), output_value=200))


def masks(root: Path) -> dict[str, np.ndarray]:
    """Two cases that were predicted, and one that failed."""
    random, found, cases = np.random.default_rng(0), {}, []
    for name in ("a", "b"):
        image, mask = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
        for file, values in (
            (image, random.integers(0, 255, (20, 30))),
            (mask, np.array([0, 3, 200])[random.integers(0, 3, (20, 30))]),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(file)
        found[name] = np.asarray(Image.open(mask))
        cases.append(PredictedCase(id=name, images=(str(image),), status="done", mask=mask.name, spacing_mm=(0.2, 0.1)))
    cases.append(PredictedCase(id="bad", images=("bad.png",), status="failed", error="truncated"))
    Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", targets=TARGETS, derived=(), regions=False, cases=tuple(cases)
    ).save(root / "masks" / "predictions.json")
    return found


@pytest.mark.parametrize("to", ["coco", "cvat"])
def test_run_lengths_are_exact(tmp_path: Path, to: MaskFormat) -> None:
    found = masks(tmp_path)
    (file,) = hand_on_masks(tmp_path / "masks", tmp_path / "out", to)
    read = (coco if to == "coco" else cvat).read(file)
    assert read.labels == ("Brain", "LV") and [image.name for image in read.images] == ["a.png", "b.png"]
    for image in read.images:
        labels = np.array([0, 3, 200])[paint(image.annotations, (20, 30), read.labels).labels]
        assert np.array_equal(labels, found[image.name[0]])


def test_colours_are_those_of_the_label_map(tmp_path: Path) -> None:
    found = masks(tmp_path)
    hand_on_masks(tmp_path / "masks", tmp_path / "out", "colours")
    lines = (tmp_path / "out" / "labelmap.txt").read_text().splitlines()
    assert lines == ["# label:color_rgb:parts:actions", "background:0,0,0::", "Brain:230,159,0::", "LV:86,180,233::"]
    assert (tmp_path / "out" / "ImageSets" / "Segmentation" / "default.txt").read_text() == "a\nb\n"
    colours = np.asarray(Image.open(tmp_path / "out" / "SegmentationClass" / "a.png"))
    for value, colour in ((0, (0, 0, 0)), (3, (230, 159, 0)), (200, (86, 180, 233))):
        assert np.array_equal((colours == colour).all(axis=2), found["a"] == value)
    many = colours_of({str(number): number for number in range(1, 60)})
    assert len(set(many.values())) == 59 and (0, 0, 0) not in many.values()


def test_a_data_set_of_predicted_labels(tmp_path: Path) -> None:
    found = masks(tmp_path)
    hand_on_masks(tmp_path / "masks", tmp_path / "out", "labels")
    dataset, faults = index_dataset(tmp_path / "out")
    assert dataset is not None and not faults
    assert [(case.id, case.spacing_mm) for case in dataset.cases] == [("a", (0.2, 0.1)), ("b", (0.2, 0.1))]
    for case in dataset.cases:
        assert np.array_equal(np.array([0, 3, 200])[load_labels(dataset, case)], found[case.id])


def same_names(root: Path) -> dict[str, np.ndarray]:
    """The two cases of `masks`, each with an image called `image.png` in a folder of its own, and a third one called otherwise."""
    found = masks(root)
    before = Predictions.load(root / "masks" / "predictions.json")
    cases = []
    for case in before.cases[:2]:
        image = root / "images" / case.id / "image.png"
        image.parent.mkdir()
        Path(case.images[0]).rename(image)
        cases.append(case.model_copy(update={"images": (str(image),)}))
    (root / "images" / "other.png").write_bytes(image.read_bytes())
    (root / "masks" / "c.png").write_bytes((root / "masks" / "b.png").read_bytes())
    cases.append(cases[1].model_copy(update={"id": "c", "mask": "c.png", "images": (str(root / "images" / "other.png"),)}))
    before.model_copy(update={"cases": tuple(cases)}).save(root / "masks" / "predictions.json")
    return found | {"other": found["b"]}


@pytest.mark.parametrize("to", ["coco", "cvat", "colours"])
def test_images_of_one_name_are_called_after_their_cases(
    tmp_path: Path, to: MaskFormat, caplog: pytest.LogCaptureFixture
) -> None:
    found = same_names(tmp_path)
    files = hand_on_masks(tmp_path / "masks", tmp_path / "out", to)
    assert "2 images share their names with others" in caplog.text
    if to == "colours":
        written = {path.stem: np.asarray(Image.open(path)) for path in files[0].iterdir()}
        assert set(written) == set(found)
        assert all(np.array_equal((written[name] == (230, 159, 0)).all(axis=2), found[name] == 3) for name in found)
        return
    read = (coco if to == "coco" else cvat).read(files[0])
    assert [image.name for image in read.images] == ["a.png", "b.png", "other.png"]


def test_images_and_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    same_names(tmp_path)
    before = Predictions.load(tmp_path / "masks" / "predictions.json")
    clash = before.cases[2].model_copy(update={"images": (str(tmp_path / "A.tif"),)})
    before.model_copy(update={"cases": (*before.cases[:2], clash)}).save(tmp_path / "masks" / "predictions.json")
    with pytest.raises(DataError, match=r"a: would be called a\.png as another case is; rename its image") as told:
        hand_on_masks(tmp_path / "masks", tmp_path / "out", "coco")
    assert [fault.case for fault in told.value.faults] == ["a", "c"]


def test_volumes_and_series_take_all_their_files_along(tmp_path: Path) -> None:
    image = tmp_path / "scan.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5)), str(image))
    (tmp_path / "masks").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.full((3, 4, 5), 3, np.uint8)), str(tmp_path / "masks" / "scan.nii.gz"))
    case = PredictedCase(id="scan", images=(str(image),), status="done", mask="scan.nii.gz")
    Predictions(
        run="r", configuration="3d", folds=("0",), device="cpu", targets=TARGETS, derived=(), regions=False, cases=(case,)
    ).save(tmp_path / "masks" / "predictions.json")
    hand_on_masks(tmp_path / "masks", tmp_path / "out", "labels")
    (tmp_path / "scan.raw").unlink()
    dataset, faults = index_dataset(tmp_path / "out")
    assert dataset is not None and not faults
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(dataset.path(dataset.cases[0].images[0])))).max() == 59


def test_what_was_corrected_comes_back(tmp_path: Path) -> None:
    found = masks(tmp_path)
    (file,) = hand_on_masks(tmp_path / "masks", tmp_path / "cvat", "cvat")
    report = autoseg.import_dataset(file, tmp_path / "again", images_folder=tmp_path / "images", workers=0)
    dataset, _ = index_dataset(tmp_path / "again")
    assert report.cases == 2 and dataset is not None
    for case in dataset.cases:
        assert np.array_equal(np.array([0, 3, 200])[load_labels(dataset, case)], found[case.id])


def test_what_cannot_be_handed_on(tmp_path: Path) -> None:
    masks(tmp_path)
    with pytest.raises(RunFolderError, match="is not empty; give a new folder"):
        hand_on_masks(tmp_path / "masks", tmp_path / "images", "coco")
    with pytest.raises(RunFolderError, match="was not written by `autoseg predict`"):
        hand_on_masks(tmp_path / "images", tmp_path / "out", "coco")
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tmp_path / "masks" / "b.png")
    with pytest.raises(DataError, match="b: its mask holds 9, which the model does not paint"):
        hand_on_masks(tmp_path / "masks", tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8)), str(tmp_path / "masks" / "v.nii.gz"))
    volume = PredictedCase(id="v", images=("v.nii.gz",), status="done", mask="v.nii.gz")
    before = Predictions.load(tmp_path / "masks" / "predictions.json")
    before.model_copy(update={"cases": (volume,)}).save(tmp_path / "masks" / "predictions.json")
    with pytest.raises(DataError, match="v is a volume, which cvat cannot hold"):
        hand_on_masks(tmp_path / "masks", tmp_path / "out", "cvat")


def test_regions_are_handed_on_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The head with all that lies in it, whatever was painted over it; colours cannot show that, which is told."""
    found = masks(tmp_path)
    file = tmp_path / "masks" / "predictions.json"
    head, lv = TARGETS[0].model_copy(update={"name": "head", "values": (1, 2)}), TARGETS[1]
    Predictions.load(file).model_copy(update={"targets": (head, lv), "regions": True}).save(file)
    hand_on_masks(tmp_path / "masks", tmp_path / "labels", "labels")
    dataset, faults = index_dataset(tmp_path / "labels")
    assert dataset is not None and not faults and dataset.regions
    inside = {one.name: np.isin(load_labels(dataset, dataset.cases[0]), one.values) for one in dataset.targets}
    assert np.array_equal(inside["head"], found["a"] > 0) and np.array_equal(inside["LV"], found["a"] == 200)
    (cvat_file,) = hand_on_masks(tmp_path / "masks", tmp_path / "cvat", "cvat")
    read = cvat.read(cvat_file)
    alone = [one for one in read.images[0].annotations if one.label == "head"]
    assert np.array_equal(paint(alone, (20, 30), ["head"]).labels > 0, found["a"] > 0)
    seen = np.array([0, 3, 200])[paint(read.images[0].annotations, (20, 30), read.labels).labels]
    assert np.array_equal(seen, found["a"]), "LV lies above"
    hand_on_masks(tmp_path / "masks", tmp_path / "colours", "colours")
    assert "colours show head without what lies in it" in caplog.text


def test_unions_are_declared(tmp_path: Path) -> None:
    masks(tmp_path)
    file = tmp_path / "masks" / "predictions.json"
    Predictions.load(file).model_copy(update={"derived": (Structure(name="head", values=(1, 2), output_value=4),)}).save(file)
    hand_on_masks(tmp_path / "masks", tmp_path / "out", "labels")
    dataset, _ = index_dataset(tmp_path / "out")
    assert dataset is not None and [(one.name, one.values) for one in dataset.derived] == [("head", (1, 2))]


@pytest.mark.parametrize("to", ["labels", "coco"])
def test_masks_that_were_changed_are_refused(tmp_path: Path, to: MaskFormat) -> None:
    found = masks(tmp_path)
    for changed, told in (
        (found["a"][:10], "a: its mask has 30x10 pixels, and its image 30x20"),
        (found["a"] * 0 + 9, "a: its mask holds 9"),
    ):
        Image.fromarray(changed).save(tmp_path / "masks" / "a.png")
        with pytest.raises(DataError, match=told):
            hand_on_masks(tmp_path / "masks", tmp_path / "out", to)
        assert not (tmp_path / "out").exists()


def test_labels_come_back_with_their_names_and_sizes(tmp_path: Path) -> None:
    found = masks(tmp_path)
    hand_on_masks(tmp_path / "masks", tmp_path / "labels", "labels")
    report = autoseg.import_dataset(tmp_path / "labels", tmp_path / "back", workers=0)
    assert report.kind == "folders" and [one.name for one in report.labels] == ["Brain", "LV"]
    dataset, faults = index_dataset(tmp_path / "back")
    assert dataset is not None and not faults and {case.spacing_mm for case in dataset.cases} == {(0.2, 0.1)}
    assert np.array_equal(load_labels(dataset, dataset.cases[0]) > 0, found["a"] > 0)
