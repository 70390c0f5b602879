"""Open Images: names of classes, masks wherever they lie, and images without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations import boxes, openimages
from autoseg.annotations.painting import paint
from autoseg.errors import DataError
from tests.annotations.pictures import save, write

HEADING = "MaskPath,ImageID,LabelName,BoxID\n"


def test_masks_of_several_subsets(tmp_path: Path) -> None:
    place = tmp_path / "annotations"
    write(place / "oidv6-class-descriptions.csv", 'LabelName,DisplayName\n/m/01,Brain\n/m/02,"Ventricle, lateral"\n')
    write(place / "train-annotations-object-segmentation.csv", HEADING + "m.png,a,/m/01,1\nn.png,a,/m/02,2\nlost.png,c,/m/01,1\n")
    write(place / "val-annotations-object-segmentation.csv", HEADING + "m.png,b,/m/01,1\nm.png,b,/m/99,1\n")
    write(place / "train-annotations-bbox.csv", "ImageID,LabelName,XMin\na,/m/01,0.1\na,/m/01,0.2\n")
    write(place / "train-images-with-rotation.csv", "ImageID,Subset\na,train\nnothing,train\n")
    save(tmp_path / "masks/train/m.png", [[255, 255, 0]])
    save(tmp_path / "masks/n.png", [[0, 1, 0]])
    save(tmp_path / "masks/val/m.png", [[0, 0, 255]])
    save(tmp_path / "images/val/also nothing.png", [[7, 7, 7]])
    assert openimages.recognise(tmp_path) == "found annotations/train-annotations-object-segmentation.csv"
    found = openimages.read(tmp_path)
    assert found.labels == ("Brain", "Ventricle, lateral")
    assert [image.name for image in found.images] == ["a", "nothing", "also nothing", "c", "b"]
    a, _, _, _, b = found.images
    assert a.size == b.size == (1, 3)
    assert paint(a.annotations, (1, 3), found.labels).labels.tolist() == [[1, 2, 0]], "they overlap, and the later one lies above"
    assert paint(b.annotations, (1, 3), found.labels).labels.tolist() == [[0, 0, 1]], "each subset has masks of its own"
    assert found.notes == ("2 of kind box have no area, and are left out",)
    assert [str(fault) for fault in found.faults] == [
        "c: its mask lost.png of Brain is not in masks/; export again",
        "b: val-annotations-object-segmentation.csv gives a mask of /m/99, which no class description names; export again",
    ]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    place = tmp_path / "annotations"
    with pytest.raises(DataError, match=r"export polygons or masks as 'Open Images V6 1.0'"):
        openimages.read(tmp_path)
    write(place / "default-annotations-bbox.csv", "ImageID,LabelName\n")
    assert openimages.recognise(tmp_path) is None and "boxes of Open Images" in (boxes.recognise(tmp_path) or "")
    with pytest.raises(DataError, match="its boxes hold no outline"):
        openimages.read(tmp_path)
    write(place / "default-annotations-object-segmentation.csv", "ImageID\n")
    with pytest.raises(DataError, match="which names the classes"):
        openimages.read(tmp_path)
    write(place / "class-descriptions.csv", "Brain,Brain\n")
    with pytest.raises(DataError, match="has no column MaskPath and no LabelName"):
        openimages.read(tmp_path)
