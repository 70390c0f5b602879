"""PASCAL VOC and CVAT's segmentation masks: lists, tables, palettes and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.annotations import voc
from autoseg.annotations.base import ReadOptions
from autoseg.annotations.colours import voc_colour
from autoseg.errors import DataError
from tests.annotations.pictures import decoded, save, write

PALETTE = [number for place in range(256) for number in voc_colour(place)]


def test_without_a_table_the_colours_are_the_standards(tmp_path: Path) -> None:
    save(tmp_path / "SegmentationClass/2007_1.png", [[0, 1, 15], [20, 255, 0]], PALETTE)
    assert voc.recognise(tmp_path) == "found SegmentationClass/ without labelmap.txt"
    found = voc.read(tmp_path)
    assert len(found.labels) == 20 and found.labels[:2] == ("aeroplane", "bicycle")
    (image,) = found.images
    assert image.name == "2007_1" and image.label_map is not None
    labels = decoded(image.label_map, found)
    assert labels.labels.tolist() == [[0, 1, 15], [20, 0, 0]] and not labels.unknown
    assert found.notes == ("without labelmap.txt colours are PASCAL VOC's own, and undecided borders are background",)


def test_the_lists_say_which_images_there_are(tmp_path: Path) -> None:
    write(tmp_path / "labelmap.txt", "Brain:255,0,0::\nbackground:0,0,0::\n")
    for name in ("a", "sub/b", "not listed"):
        save(tmp_path / f"SegmentationClass/{name}.png", [[(255, 0, 0)]])
    write(tmp_path / "ImageSets/Segmentation/train.txt", 'sub/b\nlost\n"a"\n')
    write(tmp_path / "ImageSets/Segmentation/trainval.txt", "a\n\nsub/b\n")
    write(tmp_path / "ImageSets/Main/train.txt", "elsewhere\n")
    found = voc.read(tmp_path)
    assert [image.name for image in found.images] == ["sub/b", "a"] and found.labels == ("Brain",)
    (fault,) = found.faults
    assert fault.case == "lost" and fault.message.startswith(
        "is listed in train.txt and has no mask in SegmentationClass/; give it"
    )
    assert found.notes == ("1 masks of images that ImageSets/Segmentation does not list are left out",)


def test_places_of_the_table_in_grey_masks(tmp_path: Path) -> None:
    write(tmp_path / "labelmap.txt", "Brain:255,0,0::\nCSP:0,255,0::\nbackground:0,0,0::\n")
    file = save(tmp_path / "SegmentationClass/a.png", [[0, 1, 2]])
    assert decoded(file, voc.read(tmp_path)).labels.tolist() == [[0, 1, 2]]


def test_the_caller_can_name_what_the_table_does_not(tmp_path: Path) -> None:
    write(tmp_path / "labelmap.txt", "Brain:255,0,0::\nCSP:0,255,0::\nbackground:0,0,0::\n")
    file = save(tmp_path / "SegmentationClass/a.png", [[(255, 255, 0), (255, 0, 0), (0, 0, 0)]])
    assert decoded(file, voc.read(tmp_path)).unknown == {"255,255,0": 1}
    found = voc.read(tmp_path, ReadOptions(colours={(255, 255, 0): "CSP"}))
    assert np.array_equal(decoded(file, found).labels, [[2, 1, 0]]) and found.labels == ("Brain", "CSP")


def test_what_is_no_voc(tmp_path: Path) -> None:
    assert voc.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"give the folder of an export as 'Segmentation mask 1.1'"):
        voc.read(tmp_path)
