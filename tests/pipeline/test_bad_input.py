"""What a user gets for broken data: every fault at once, each with its case, and nothing left half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError, RunFolderError
from autoseg.pipeline import plan

CASES = ("a_1", "b_1", "c_1", "d_1")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (40, 48), dtype=np.uint8)


def mask(value: int = 1) -> np.ndarray:
    labels = np.zeros((40, 48), np.uint8)
    labels[10:20, 10:30] = value
    return labels


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four grey images with masks, a table of pixel sizes, and a declaration."""
    root = tmp_path / "data"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for seed, case in enumerate(CASES):
        Image.fromarray(picture(seed)).save(root / "images" / f"{case}.png")
        Image.fromarray(mask()).save(root / "labels" / f"{case}.png")
    (root / "sizes.csv").write_text("name,pixel size(mm)\n" + "".join(f"{case}.png,0.2\n" for case in CASES))
    (root / "dataset.json").write_text(json.dumps({"labels": {"blob": 1}, "subjects": "(.)_"}))
    return root


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Four two-channel volumes in nnU-Net's layout."""
    root = tmp_path / "data"
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for case in CASES:
        for channel in ("0000", "0001"):
            write_volume(root / "imagesTr" / f"{case}_{channel}.nii.gz", rng.normal(100, 10, (8, 12, 12)).astype(np.float32))
        labels = np.zeros((8, 12, 12), np.uint8)
        labels[2:5, 3:8, 3:8] = 1
        write_volume(root / "labelsTr" / f"{case}.nii.gz", labels)
    declared = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "blob": 1},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(declared))
    return root


def write_volume(path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def picture_faults() -> dict[str, tuple[Callable[[Path], None], str, str]]:
    """Per fault: how to make it, the case it must name, and words that must occur."""

    def table(text: str) -> Callable[[Path], None]:
        return lambda root: (root / "sizes.csv").write_text(text) and None

    def cut(root: Path) -> None:
        path = root / "images" / "b_1.png"
        path.write_bytes(path.read_bytes()[:-700])

    def colours(root: Path) -> None:
        rgb = np.zeros((40, 48, 3), np.uint8)
        rgb[10:20, 10:30] = (255, 0, 0)
        for case in CASES:
            Image.fromarray(rgb).save(root / "labels" / f"{case}.png")
        rgb[30:32, 30:32] = (9, 9, 9)
        Image.fromarray(rgb).save(root / "labels" / "c_1.png")
        (root / "dataset.json").write_text(json.dumps({"colours": {"blob": "255,0,0"}, "subjects": "(.)_"}))

    rows = "name,pixel size(mm)\na_1.png,0.2\nb_1.png,{}\nc_1.png,0.2\nd_1.png,0.2\n"
    return {
        "missing label": (lambda root: (root / "labels" / "b_1.png").unlink(), "b_1", "label"),
        "size mismatch": (lambda root: Image.fromarray(mask()[:-1]).save(root / "labels" / "b_1.png"), "b_1", "size"),
        "undeclared value": (lambda root: Image.fromarray(mask(7)).save(root / "labels" / "b_1.png"), "b_1", "7"),
        "undeclared colour": (colours, "c_1", "9,9,9"),
        "empty image": (
            lambda root: Image.fromarray(np.zeros((40, 48), np.uint8)).save(root / "images" / "b_1.png"),
            "b_1",
            "constant|empty|same value",
        ),
        "truncated file": (cut, "b_1", "truncated|read|damaged"),
        "no image at all": (lambda root: (root / "images" / "b_1.png").write_text("hello"), "b_1", "read|image"),
        "table lacks an image": (table("name,pixel size(mm)\na_1.png,0.2\nb_1.png,0.2\nc_1.png,0.2\n"), "d_1", "no row"),
        "text in a number": (table(rows.format("small")), "b_1", "small"),
        "negative size": (table(rows.format("-1")), "b_1", "-1"),
    }


def volume_faults() -> dict[str, tuple[Callable[[Path], None], str, str]]:
    def volume(name: str, **changes: object) -> Callable[[Path], None]:
        def write(root: Path) -> None:
            path = root / name
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            if "value" in changes:
                array[3, 4, 4] = changes["value"]
            write_volume(path, array[changes.get("part", slice(None))], changes.get("spacing", (1.0, 1.0, 2.0)))

        return write

    def cut(root: Path) -> None:
        path = root / "imagesTr" / "b_1_0000.nii.gz"
        path.write_bytes(path.read_bytes()[:2000])

    return {
        "missing label": (lambda root: (root / "labelsTr" / "b_1.nii.gz").unlink(), "b_1", "label"),
        "missing channel": (lambda root: (root / "imagesTr" / "b_1_0001.nii.gz").unlink(), "b_1", "0001|channel"),
        "size mismatch": (volume("labelsTr/b_1.nii.gz", part=slice(1, None)), "b_1", "size|shape"),
        "spacing mismatch": (volume("labelsTr/b_1.nii.gz", spacing=(1.0, 1.0, 3.0)), "b_1", "spacing"),
        "undeclared value": (volume("labelsTr/b_1.nii.gz", value=5), "b_1", "5"),
        "NaN": (volume("imagesTr/b_1_0000.nii.gz", value=np.nan), "b_1", "NaN"),
        "truncated file": (cut, "b_1", "truncated|read|damaged"),
    }


@pytest.mark.parametrize("fault", picture_faults())
def test_faults_of_pictures(pictures: Path, tmp_path: Path, fault: str) -> None:
    make, case, words = picture_faults()[fault]
    make(pictures)
    check(pictures, tmp_path, case, words)


@pytest.mark.parametrize("fault", volume_faults())
def test_faults_of_volumes(volumes: Path, tmp_path: Path, fault: str) -> None:
    make, case, words = volume_faults()[fault]
    make(volumes)
    check(volumes, tmp_path, case, words)


def check(data: Path, tmp_path: Path, case: str, words: str) -> None:
    """The fault names its case and says these words; the run folder does not come to be; the sound cases are not named."""
    with pytest.raises(DataError, match=words) as caught:
        plan(data, tmp_path / "run", preset="nnunet")
    assert any(case in fault.case or case in fault.message for fault in caught.value.faults)
    sound = set(CASES) - {case}
    assert not any(fault.case in sound for fault in caught.value.faults)
    assert not (tmp_path / "run").exists()


def test_all_faults_at_once(pictures: Path, tmp_path: Path) -> None:
    Image.fromarray(mask(7)).save(pictures / "labels" / "a_1.png")
    (pictures / "labels" / "b_1.png").unlink()
    (pictures / "images" / "c_1.png").write_text("hello")
    (pictures / "sizes.csv").write_text("name,pixel size(mm)\na_1.png,0.2\nb_1.png,0.2\nc_1.png,0.2\n")
    with pytest.raises(DataError) as caught:
        plan(pictures, tmp_path / "run", preset="nnunet")
    named = {case for fault in caught.value.faults for case in CASES if case in str(fault)}
    assert named == set(CASES)


def test_a_sound_set_is_planned_despite_bom_and_doubled_spaces(pictures: Path, tmp_path: Path) -> None:
    text = "\ufeffname,pixel  size  in  mm\n" + "".join(f"{case}.png,0.2\n" for case in CASES)
    (pictures / "sizes.csv").write_text(text, encoding="utf-8")
    outcome = plan(pictures, tmp_path / "run", preset="nnunet")
    assert {case.spacing_mm for case in outcome.dataset.cases} == {(0.2, 0.2)}
    assert (tmp_path / "run" / "plan.json").exists()


def test_folders_that_hold_something_else(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.docx").write_text("mine")
    with pytest.raises(RunFolderError, match=r"thesis\.docx"):
        plan(pictures, run, preset="nnunet")
    (run / "thesis.docx").unlink()
    plan(pictures, run, preset="nnunet")
    before = (run / "plan.json").read_bytes()
    with pytest.raises(RunFolderError, match="overwrite"):
        plan(pictures, run, preset="nnunet")
    assert (run / "plan.json").read_bytes() == before
    plan(pictures, run, preset="nnunet", overwrite=True)
