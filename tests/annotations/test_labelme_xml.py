"""LabelMe's XML: polygons, masks, boxes and what was deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations import labelme
from autoseg.annotations.painting import paint
from autoseg.errors import DataError
from tests.annotations.pictures import save, write

BOX = "<polygon><pt><x>0</x><y>0</y></pt><pt><x>2.00</x><y>0</y></pt><pt><x>2</x><y>1</y></pt><pt><x>0</x><y>1</y></pt></polygon>"
XML = f"""<annotation><filename>x.png</filename><folder>plane</folder>
<source><sourceImage></sourceImage><sourceAnnotation>Datumaro</sourceAnnotation></source>
<imagesize><nrows>2</nrows><ncols>3</ncols></imagesize>
<object><name>Brain</name><deleted>0</deleted>{BOX}</object>
<object><name>Brain</name><deleted>1</deleted>{BOX.replace("<y>1", "<y>2")}</object>
<object><name>CSP</name><deleted>0</deleted><segm><mask>m.png</mask></segm></object>
<object><name>CSP</name><deleted>0</deleted><type>bounding_box</type>{BOX}</object>
<object><name>CSP</name><segm><mask>lost.png</mask></segm></object>
<object><name>CSP</name><segm><mask>../../secret.png</mask></segm></object>
<object><name></name>{BOX}</object>
<object><name>LV</name></object>
</annotation>"""


def test_objects_of_an_image(tmp_path: Path) -> None:
    write(tmp_path / "default/item_0.xml", XML)
    save(
        tmp_path / "default/Masks/m.png",
        [[(0, 0, 0, 0), (0, 0, 0, 0), (255, 203, 0, 153)], [(255, 203, 0, 153)] + [(0, 0, 0, 0)] * 2],
    )
    save(tmp_path / "secret.png", [[1]])
    assert labelme.recognise(tmp_path) == "found item_0.xml with <annotation>"
    found = labelme.read(tmp_path)
    (image,) = found.images
    assert image.name == "plane/x.png" and image.size == (2, 3) and found.labels == ("Brain", "CSP")
    assert paint(image.annotations, (2, 3), found.labels).labels.tolist() == [[1, 1, 2], [2, 0, 0]]
    assert found.notes == ("1 of kind box have no area, and are left out",)
    told = [fault.message for fault in found.faults]
    assert told[0] == "object 5 of item_0.xml (CSP) cannot be read: its mask lost.png is not in Masks/; export it again"
    assert "secret.png is not in Masks/" in told[1] and "it has no name" in told[2] and "no polygon and no mask" in told[3]


def test_boxes_of_pascal_voc_begin_alike(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", "<annotation><size><width>3</width></size><object><name>a</name><bndbox/></object></annotation>")
    assert labelme.recognise(tmp_path) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "broken.xml", XML[:300])
    with pytest.raises(DataError, match=r"plane/x.png: its broken.xml is no proper XML"):
        labelme.read(tmp_path)
    write(tmp_path / "whole.xml", XML)
    found = labelme.read(tmp_path)
    assert len(found.images) == 1 and found.faults[0].case == "broken.xml"


def test_a_damaged_file_is_told_by_its_image(tmp_path: Path) -> None:
    """That it names itself, or that lies beside it; boxes of PASCAL VOC are left alone."""
    for name in ("b", "c", "d", "e"):
        save(tmp_path / f"{name}.png", [[0]])
    write(tmp_path / "a.xml", XML[:300])
    write(tmp_path / "b.xml", "")
    write(tmp_path / "c.xml", "<other/>")
    write(tmp_path / "d.xml", "<annotation><object><bndbox/></object></annotation>")
    write(tmp_path / "elsewhere.xml", "<other/>")
    write(tmp_path / "e.xml", XML.replace("<filename>x.png</filename><folder>plane</folder>", "<filename>e.png</filename>"))
    found = labelme.read(tmp_path)
    assert [image.name for image in found.images] == ["e.png"]
    told = {fault.case: fault.message for fault in found.faults if fault.case != "e.png"}
    assert set(told) == {"plane/x.png", "b.png", "c.png"}
    assert told["b.png"].startswith("its b.xml is no proper XML")
    assert told["c.png"] == "its c.xml is no XML of LabelMe; save it again, or take it out of the folder"
