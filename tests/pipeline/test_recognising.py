"""What is said of a set that nothing recognises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autoseg
from autoseg.errors import DataError
from autoseg.pipeline.recognising import recognised
from tests.public_layouts import brats, kvasir


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(1).integers(0, 255, (12, 16)).astype(np.uint8)
    if value:
        array = np.zeros((12, 16), np.uint8)
        array[3:6, 4:8] = value
    Image.fromarray(array).save(path)


def refusal(root: Path) -> list[str]:
    with pytest.raises(DataError) as told:
        recognised(root)
    return str(told.value).splitlines()


def test_the_last_line_is_what_to_type(tmp_path: Path) -> None:
    first, last = refusal(brats(tmp_path) / "BraTS2021")
    assert "is not recognised (known: coco, cvat, " in first and first.endswith("folders; --from NAME tells what it looks for)")
    assert last == (
        "or name the files by patterns: --image 'flair={case}/{case}_flair.nii.gz' --image 't1={case}/{case}_t1.nii.gz' "
        "--image 't1ce={case}/{case}_t1ce.nii.gz' --image 't2={case}/{case}_t2.nii.gz' --label '{case}/{case}_seg.nii.gz'"
    )


@pytest.mark.parametrize("name", autoseg.annotations.FORMATS)
def test_a_format_by_name_tells_what_it_looks_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").touch()
    with pytest.raises(DataError, match=r"holds (no|0) |names no classes"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "out", format=name, workers=0)


def test_folders_within_that_are_read(tmp_path: Path) -> None:
    kvasir(tmp_path / "set")
    assert refusal(tmp_path / "set")[1] == "set/Kvasir-SEG is read as colour-masks: give that folder"
    (tmp_path / "set" / "more" / "b").mkdir(parents=True)
    (tmp_path / "set" / "more" / "b" / "c.json").write_text(
        '{"images": [], "annotations": [], "categories": []}', encoding="utf-8"
    )
    assert "set/more/b is read as coco: give that folder" in refusal(tmp_path / "set")


def test_what_plan_reads_as_it_lies(tmp_path: Path) -> None:
    for case in ("a", "b"):
        picture(tmp_path / "set" / "images" / f"{case}_0000.png")
        picture(tmp_path / "set" / "labels" / f"{case}.png", 1)
    assert refusal(tmp_path / "set") == [f"{tmp_path / 'set'} is read by `autoseg plan` as it lies; `--from folders` copies it"]


def test_files_that_are_not_read(tmp_path: Path) -> None:
    for case in ("a", "b"):
        picture(tmp_path / "tissue" / f"{case}.tif")
        (tmp_path / f"{case}.xml").touch()
    *_, unread, last = refusal(tmp_path)
    assert unread == "it holds 2 files of .xml, which is not read; draw its shapes as masks, one a picture, and save these as PNG"
    assert last == "or name the files by patterns of your own, such as --image '{case}_image.tif' --label '{case}_label.tif'"


def test_a_layout_that_was_recognised_says_by_what(tmp_path: Path) -> None:
    for case in ("a", "b"):
        picture(tmp_path / "set" / "images" / f"{case}.png")
        picture(tmp_path / "set" / "labels" / f"{case}.png", 1)
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", format="folders", workers=0)
    assert "read as folders: found the folders images/ and labels/" in report.notes


def test_a_lone_file(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    assert refusal(tmp_path / "thesis.txt")[-1].startswith("or name the files by patterns of your own")
