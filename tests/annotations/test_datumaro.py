"""Datumaro: shapes with their order, both kinds of run lengths, and faults by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.annotations import datumaro
from autoseg.annotations.base import ReadOptions
from autoseg.annotations.painting import paint
from autoseg.annotations.rle import encode_compressed
from autoseg.errors import DataError
from tests.annotations.pictures import write

CATEGORIES = {"label": {"labels": [{"name": "Brain"}, {"name": "CSP"}, {"name": "background"}], "attributes": []}}


def content(items: list[dict[str, Any]]) -> str:
    return json.dumps({"info": {}, "categories": CATEGORIES, "items": items})


def test_shapes_lie_as_their_order_says(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:4] = True
    shapes = [
        {"id": 0, "type": "mask", "label_id": 1, "z_order": 2, "rle": {"counts": encode_compressed(mask), "size": [6, 8]}},
        {"id": 1, "type": "polygon", "label_id": 0, "z_order": 1, "points": [0, 0, 8, 0, 8, 3, 0, 3]},
        {"id": 2, "type": "mask", "label_id": 1, "rle": {"counts": [5, 1, 42], "size": [6, 8]}},
        {"id": 3, "type": "polygon", "label_id": 2, "points": [0, 0, 8, 0, 8, 3]},
        {"id": 4, "type": "bbox", "label_id": 0, "bbox": [0, 0, 1, 1]},
        {"id": 5, "type": "label", "label_id": 0},
    ]
    ellipse = {"id": 0, "type": "ellipse", "label_id": 0, "points": [10, 5, 30, 15]}
    items = [
        {"id": "plane/x", "annotations": shapes, "image": {"path": "plane/x.png", "size": [6, 8]}},
        {"id": "y", "annotations": [ellipse], "media": {"path": "frames/00.jpg", "size": [40, 40]}},
        {"id": "z", "annotations": []},
    ]
    write(tmp_path / "annotations/default.json", content(items))
    assert datumaro.recognise(tmp_path) == "found default.json with categories, items"
    found = datumaro.read(tmp_path)
    told = [(image.name, image.size) for image in found.images]
    assert told == [("plane/x.png", (6, 8)), ("y.jpg", (40, 40)), ("z", None)] and found.labels == ("Brain", "CSP")
    expected = np.zeros((6, 8), int)
    expected[:3], expected[1:3, 2:4], expected[5, 0] = 1, 2, 2
    assert np.array_equal(paint(found.images[0].annotations, (6, 8), found.labels).labels, expected)
    oval = paint(found.images[1].annotations, (40, 40), found.labels).labels
    assert oval.sum() == pytest.approx(np.pi * 50, rel=0.02) and oval[10, 10] and not oval[5, 5]
    assert found.notes == (
        "1 of kind bbox have no area, and are left out",
        "1 of kind label have no area, and are left out",
    )


def test_faults_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    shapes: list[Any] = [
        {"id": 7, "type": "polygon", "label_id": 9, "points": [0, 0, 8, 0, 8, 3]},
        {"id": 8, "type": "polygon", "label_id": 0, "points": [0, 0, 8]},
        {"id": 9, "type": "mask", "label_id": 0, "rle": {"counts": [3], "size": [6, 8]}},
        {"id": 10, "label_id": 0},
        {"id": 11, "type": "polygon", "label_id": 0, "points": [0, 0, 8, 0, 8, 3]},
    ]
    write(tmp_path / "train.json", content([{"id": "x", "annotations": shapes, "image": {"path": "x.png", "size": [6, 8]}}]))
    write(tmp_path / "val.json", content([{"id": "x", "annotations": [], "image": {"path": "x.png"}}]))
    found = datumaro.read(tmp_path)
    assert [len(image.annotations) for image in found.images] == [1]
    told = [str(fault) for fault in found.faults]
    assert told[0] == "x.png: annotation 7 cannot be read: label 9 is none of the 3 named ones; export it again"
    assert "annotation 8 cannot be read: its points are no pairs" in told[1] and "runs of 3 pixels" in told[2]
    assert "annotation 10" in told[3] and "is there twice" in told[4]


def test_run_lengths_of_another_size_than_the_image(tmp_path: Path) -> None:
    turned = {"id": 3, "type": "mask", "label_id": 0, "rle": {"counts": [5, 1, 42], "size": [8, 6]}}
    right = {"id": 4, "type": "mask", "label_id": 0, "rle": {"counts": [5, 1, 42], "size": [6, 8]}}
    write(tmp_path / "a.json", content([{"id": "x", "annotations": [turned, right], "image": {"path": "x.png", "size": [6, 8]}}]))
    found = datumaro.read(tmp_path)
    assert len(found.images[0].annotations) == 1
    assert [str(fault) for fault in found.faults] == [
        "x.png: annotation 3 cannot be read: its run lengths are of 6x8 pixels, and its image has 8x6; export it again"
    ]


def test_what_is_no_datumaro(tmp_path: Path) -> None:
    assert datumaro.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"export as 'Datumaro 1.0'"):
        datumaro.read(tmp_path)
    write(tmp_path / "a.json", '{"categories": {}, "items": []}')
    with pytest.raises(DataError, match=r"a.json: its categories name no labels"):
        datumaro.read(tmp_path)


def test_one_damaged_file_of_several_and_one_damaged_image(tmp_path: Path) -> None:
    write(tmp_path / "cut.json", '{"categories": {')
    items = [{"id": "x", "annotations": 3, "image": {"path": "x.png", "size": [None, 8]}}, {"id": "y"}]
    items += [{"annotations": [], "image": {"path": "z.png"}}, {}, 7]  # type: ignore[list-item]
    write(tmp_path / "train.json", content(items))
    found = datumaro.read(tmp_path)
    assert [(image.name, image.size) for image in found.images] == [("x.png", None), ("y", None)]
    assert [str(fault) for fault in found.faults] == [
        "cut.json: is no proper JSON; export it again",
        "x.png: its annotations are no list in train.json; export it again",
        "z.png: item 3 in train.json has no id, and is left out; export it again",
        "train.json: item 4 in train.json has no id, and is left out; export it again",
        "train.json: item 5 in train.json has no id, and is left out; export it again",
    ]


def test_turned_boxes_are_outlines(tmp_path: Path) -> None:
    box = {"id": 1, "type": "bbox", "label_id": 0, "bbox": [2, 3, 6, 2]}
    item = {
        "id": "a",
        "annotations": [{**box, "attributes": {"rotation": 90.0}}, box],
        "image": {"path": "a.png", "size": [10, 12]},
    }
    told = {"categories": {"label": {"labels": [{"name": "CSP"}]}}, "items": [item]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "default.json").write_text(json.dumps(told))
    found = datumaro.read(tmp_path)
    assert found.notes == ("1 of kind bbox have no area, and are left out",)
    labels = paint(found.images[0].annotations, (10, 12), found.labels).labels
    assert labels.sum() == 12 and labels[1:7, 4:6].all()
    every = datumaro.read(tmp_path, ReadOptions(boxes=True))
    assert paint(every.images[0].annotations, (10, 12), every.labels).labels.sum() == 12 + 8
