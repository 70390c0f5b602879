"""CVAT for images: polygons, masks and ellipses with their order, there and back, and faults by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.annotations import cvat
from autoseg.annotations.base import LabelledImage, ReadOptions
from autoseg.annotations.painting import paint
from autoseg.errors import DataError

XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>Brain</name></label><label><name>LV</name></label><label><name>background</name></label></labels></task></meta>
<image id="0" name="x.png" width="8" height="6">
 <mask label="LV" source="manual" occluded="0" rle="1, 2, 1" left="2" top="1" width="2" height="2" z_order="1"/>
 <polygon label="Brain" source="manual" occluded="0" points="1.00,0.00;7.00,0.00;7.00,6.00;1.00,6.00" z_order="0"/>
 <box label="Brain" xtl="0" ytl="0" xbr="2" ybr="2"/>
 <polygon label="Brain" points="1.00,oh" z_order="0"/>
</image>
<image id="1" name="y.png" width="40" height="30"><ellipse label="LV" cx="20" cy="15" rx="10" ry="5" rotation="90" z_order="0"/></image>
</annotations>
"""


def test_shapes_lie_as_their_order_says(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(XML)
    assert cvat.recognise(tmp_path) == "found annotations.xml with <annotations>"
    found = cvat.read(tmp_path)
    assert found.labels == ("Brain", "LV")
    first, second = (paint(one.annotations, one.size or (0, 0), found.labels).labels for one in found.images)
    expected = np.zeros((6, 8), int)
    expected[:, 1:7], expected[1, 3], expected[2, 2] = 1, 2, 2
    assert np.array_equal(first, expected)
    assert np.count_nonzero(second == 2) == pytest.approx(np.pi * 50, rel=0.02)
    rows, columns = np.nonzero(second)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 10), "turned by 90 degrees, it stands"
    assert found.notes == ("1 of kind box have no area, and are left out",)
    (fault,) = found.faults
    assert fault.case == "x.png" and "shape 4 (polygon of Brain) cannot be read" in fault.message


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (12, 9)).astype(np.uint8)
    images = [LabelledImage("x.png", labels), LabelledImage("empty.png", np.zeros((4, 4), np.uint8))]
    cvat.write(tmp_path / "annotations.xml", images, {"Brain": (1,), "LV": (2,)})
    found = cvat.read(tmp_path)
    assert found.labels == ("Brain", "LV") and [one.name for one in found.images] == ["x.png", "empty.png"]
    assert np.array_equal(paint(found.images[0].annotations, (12, 9), found.labels).labels, labels)
    assert found.images[1].annotations == () and found.faults == ()


def test_images_of_one_name_in_several_tasks(tmp_path: Path) -> None:
    (tmp_path / "first.xml").write_text(XML)
    second = XML.replace('name="y.png"', 'name="z.png"').replace("LV", "CSP")
    (tmp_path / "second.xml").write_text(second)
    found = cvat.read(tmp_path)
    assert [(one.name, [shape.label for shape in one.annotations]) for one in found.images] == [
        ("x.png", ["LV", "Brain"]),
        ("y.png", ["LV"]),
        ("z.png", ["CSP"]),
    ]
    assert [fault.case for fault in found.faults if "is there twice, and neither is taken" in fault.message] == ["x.png"]


def test_what_is_damaged_or_dangerous(tmp_path: Path) -> None:
    file = tmp_path / "annotations.xml"
    file.write_text(XML[:300])
    with pytest.raises(DataError, match=r"annotations.xml: is no proper XML"):
        cvat.read(tmp_path)
    file.write_text('<!DOCTYPE a [<!ENTITY e "e">]><annotations>&e;</annotations>')
    with pytest.raises(DataError, match="declares entities"):
        cvat.read(tmp_path)
    file.write_text("<annotations><track id='0'/></annotations>")
    with pytest.raises(DataError, match="is an export of a video"):
        cvat.read(tmp_path)
    file.write_text("<other/>")
    assert cvat.recognise(tmp_path) is None


def test_one_damaged_file_of_several_and_one_damaged_image(tmp_path: Path) -> None:
    (tmp_path / "cut.xml").write_text(XML[:300])
    nameless = '<image id="7" width="3" height="2"/><image id="8" name="z.png" width="wide" height="2"><polygon points="0,0;3,0;3,2"/></image>'
    (tmp_path / "whole.xml").write_text(XML.replace("</annotations>", f"{nameless}</annotations>"))
    found = cvat.read(tmp_path)
    assert [one.name for one in found.images] == ["x.png", "y.png", "z.png"] and found.images[2].size is None
    told = [str(fault) for fault in found.faults if fault.case != "x.png"]
    assert told[0].startswith("cut.xml: is no proper XML")
    assert told[1:] == [
        "whole.xml: image 7 has no name; export it again",
        "z.png: shape 1 (polygon of ) cannot be read: it has no label; export it again",
    ]


def test_turned_boxes_are_outlines(tmp_path: Path) -> None:
    """Which nobody draws for a detector; others are, where the caller says so. 6 x 2 pixels about (5, 4), turned by 90 degrees."""
    box = '<box label="CSP" xtl="2" ytl="3" xbr="8" ybr="5" {} z_order="0"/>'
    boxes = box.format('rotation="90.00"') + box.format("")
    image = f'<image id="0" name="a.png" width="12" height="10">{boxes}</image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    found = cvat.read(tmp_path)
    assert found.notes == ("1 of kind box have no area, and are left out",)
    labels = paint(found.images[0].annotations, (10, 12), found.labels).labels
    assert labels.sum() == 12 and labels[1:7, 4:6].all()
    every = cvat.read(tmp_path, ReadOptions(boxes=True))
    assert not every.notes and paint(every.images[0].annotations, (10, 12), every.labels).labels.sum() == 12 + 8
