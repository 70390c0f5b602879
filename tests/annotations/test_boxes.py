"""Exports of boxes: each is recognised by what it holds, and what holds more is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations import boxes
from tests.annotations.pictures import save, write


@pytest.mark.parametrize(
    "line",
    [
        "38,43,920,215,Tiredness",
        "377,117,463,117,465,130,378,130,Genaxis Theatre",
        '10.0 20.0 30.0 40.0 "LV"',
        "1,2,3,4,5,6,7,8,###",
    ],
)
def test_corners_and_a_text(line: str, tmp_path: Path) -> None:
    write(tmp_path / "img_1.txt", f"{line}\n{line}\n")
    assert (boxes.recognise(tmp_path) or "").startswith(
        "found img_1.txt with corners and a text a line, as ICDAR has them: boxes hold no outline"
    )
    write(tmp_path / "img_2.txt", "a list of something\n")
    assert boxes.recognise(tmp_path) is None


def test_corners_without_a_text_in_files_of_that_name(tmp_path: Path) -> None:
    write(tmp_path / "x.txt", "1,2,3,4\n")
    assert boxes.recognise(tmp_path) is None
    write(tmp_path / "default/gt_x.txt", "1,2,3,4\n")
    assert "gt_x.txt" in (boxes.recognise(tmp_path) or "")


def test_pascal_voc_without_masks(tmp_path: Path) -> None:
    write(tmp_path / "Annotations/a.xml", "<annotation><object><bndbox/></object></annotation>")
    assert "found a.xml with <bndbox>, a box of PASCAL VOC" in (boxes.recognise(tmp_path) or "")
    save(tmp_path / "SegmentationClass/a.png", [[0]])
    assert boxes.recognise(tmp_path) is None


def test_polygons_of_yolo_are_not_refused(tmp_path: Path) -> None:
    write(tmp_path / "obj.names", "a\n")
    write(tmp_path / "obj_train_data/a.txt", "0 0.5 0.5 0.1 0.1\n")
    assert "found obj.names and label files of 5 numbers a line" in (boxes.recognise(tmp_path) or "")
    write(tmp_path / "obj_train_data/b.txt", "0 0 0 1 0 1 1\n")
    assert boxes.recognise(tmp_path) is None


def test_a_tfrecord_alone(tmp_path: Path) -> None:
    (tmp_path / "default.tfrecord").write_bytes(b"\0\1\2")
    assert "a TFRecord" in (boxes.recognise(tmp_path / "default.tfrecord") or "")
    assert boxes.recognise(tmp_path / "missing.tfrecord") is None and boxes.recognise(tmp_path / "missing") is None
