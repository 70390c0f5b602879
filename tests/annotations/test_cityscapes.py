"""Cityscapes: names with cities and without, masks in colours and in values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.annotations import cityscapes
from autoseg.annotations.base import ReadOptions
from autoseg.errors import DataError
from autoseg.pipeline import import_dataset
from tests.annotations import exports
from tests.annotations.pictures import decoded, save, write

RED = (255, 0, 0)


def test_colours_are_preferred_and_values_are_read(tmp_path: Path) -> None:
    write(tmp_path / "label_colors.txt", "255 0 0 Brain\n0 255 0 CSP\n")
    save(tmp_path / "gtFine/train/city/a_gtFine_color.png", [[RED, (0, 255, 0), (0, 0, 0)]])
    save(tmp_path / "gtFine/train/city/a_gtFine_labelIds.png", [[9, 9, 9]])
    save(tmp_path / "gtFine/val/b_gtFine_labelIds.png", [[1, 2, 0]])
    save(tmp_path / "gtFine/val/b_gtFine_instanceIds.png", [[8, 8, 8]])
    save(tmp_path / "gtFine/val/c_color.png", [[RED, RED, RED]])
    for name in ("train/city/a", "val/b", "val/d"):
        save(tmp_path / f"imgsFine/leftImg8bit/{name}_leftImg8bit.png", [[7, 7, 7]])
    assert cityscapes.recognise(tmp_path) == "found gtFine/ with a_gtFine_color.png"
    found = cityscapes.read(tmp_path)
    assert [image.name for image in found.images] == ["city/a", "b", "c"]
    maps = [decoded(image.label_map, found).labels.tolist() for image in found.images if image.label_map]
    assert maps == [[[1, 2, 0]], [[1, 2, 0]], [[1, 1, 1]]]
    assert [str(fault) for fault in found.faults] == [
        "d: has no mask in gtFine/val/; give it a black one if nothing is on it, or export again"
    ]


def test_the_images_of_an_export_are_found(tmp_path: Path) -> None:
    """They end in `_leftImg8bit`, which the names of masks do not have."""
    labels = np.zeros((20, 30), np.uint8)
    labels[3:9, 4:20] = 1
    maps = {"a.png": labels, "b.png": labels[::-1]}
    exports.cityscapes(tmp_path / "set", maps, {"Brain": RED}, {name: label_map + 7 for name, label_map in maps.items()})
    folder = tmp_path / "set/imgsFine/leftImg8bit/default"
    assert {one.name: one.files for one in cityscapes.read(tmp_path / "set").images} == {
        name: (folder / f"{name}_leftImg8bit.png",) for name in ("a", "b")
    }
    report = import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    assert (report.kind, report.cases, report.failed) == ("cityscapes", 2, ())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/images/b.png")), labels[::-1] + 7)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/labels/b.png")), labels[::-1])


def test_names_that_two_subsets_share(tmp_path: Path) -> None:
    write(tmp_path / "label_colors.txt", "255 0 0 Brain\n")
    for subset in ("train", "val"):
        save(tmp_path / f"gtFine/{subset}/a_gtFine_color.png", [[RED]])
    found = cityscapes.read(tmp_path)
    assert len(found.images) == 1 and found.faults[0].message.startswith("is there twice, and neither is taken")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert cityscapes.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"give the folder of an export as 'Cityscapes 1.0'"):
        cityscapes.read(tmp_path)
    save(tmp_path / "gtFine/train/a_gtFine_color.png", [[RED]])
    with pytest.raises(
        DataError, match=r"holds no label_colors.txt; .*--structure NAME=R,G,B, or with --structure NAME=VALUE of"
    ):
        cityscapes.read(tmp_path)
    assert cityscapes.read(tmp_path, ReadOptions(colours={RED: "Brain"})).labels == ("Brain",)


def test_values_that_are_named_are_those_of_label_ids(tmp_path: Path) -> None:
    save(tmp_path / "gtFine/train/a_gtFine_color.png", [[RED]])
    save(tmp_path / "gtFine/train/a_gtFine_labelIds.png", [[26]])
    ways = {"values": ReadOptions(values={26: "car"}), "colours": ReadOptions(colours={RED: "car"})}
    chosen = {kind: cityscapes.read(tmp_path, options).images[0].label_map for kind, options in ways.items()}
    assert {kind: file.name for kind, file in chosen.items() if file} == {
        "values": "a_gtFine_labelIds.png",
        "colours": "a_gtFine_color.png",
    }
