"""COCO: read as its own tools do, written exactly, and faults by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from scipy.ndimage import binary_dilation, binary_erosion

from autoseg.annotations import coco as format_coco
from autoseg.annotations.base import LabelledImage
from autoseg.annotations.painting import paint
from autoseg.errors import DataError

RING = [1.2, 1.1, 8.7, 2.3, 6.4, 7.8, 2.2, 6.9]


def content(annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": 4, "file_name": "a/x.png", "width": 10, "height": 9}, {"id": 7, "file_name": "y.png", "width": 3, "height": 2}],
        "categories": [{"id": 2, "name": "Brain"}, {"id": 5, "name": "LV"}],
        "annotations": annotations,
    }  # fmt: skip


def write(folder: Path, annotations: list[dict[str, Any]]) -> Path:
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(content(annotations)))
    return folder


def test_polygons_and_both_kinds_of_run_lengths(tmp_path: Path) -> None:
    mask = np.zeros((9, 10), bool)
    mask[2:5, 3:9] = True
    compressed = coco.encode(np.asfortranarray(mask, np.uint8))
    runs = {"size": [9, 10], "counts": compressed["counts"].decode()}
    folder = write(
        tmp_path / "set",
        [
            {"id": 1, "image_id": 4, "category_id": 2, "segmentation": [RING, [0, 0, 1, 0, 1, 1, 0, 1]]},
            {"id": 2, "image_id": 4, "category_id": 5, "segmentation": runs},
            {"id": 3, "image_id": 7, "category_id": 5, "segmentation": {"size": [2, 3], "counts": [1, 2, 3]}},
            {"id": 4, "image_id": 7, "category_id": 5, "bbox": [0, 0, 1, 1]},
        ],
    )
    assert format_coco.recognise(folder) == "found instances_default.json with images, annotations, categories"
    found = format_coco.read(folder)
    assert found.labels == ("Brain", "LV") and [(one.name, one.size) for one in found.images] == [
        ("a/x.png", (9, 10)),
        ("y.png", (2, 3)),
    ]
    first, second = (paint(one.annotations, one.size or (0, 0), found.labels).labels for one in found.images)
    assert np.array_equal(first == 2, mask) and first[0, 0] == 1
    assert second.tolist() == [[0, 2, 0], [2, 0, 0]]
    assert found.notes == ("1 annotations of instances_default.json are boxes without a mask, and are left out",)
    official = coco.decode(coco.merge(coco.frPyObjects([RING], 9, 10))).astype(bool)
    own = paint(found.images[0].annotations[:1], (9, 10), found.labels).labels > 0
    whole = np.ones((3, 3))  # COCO's own tools round the outline in their own way: within one pixel of it
    assert not (own & ~binary_dilation(official, whole)).any() and not (binary_erosion(official, whole) & ~own).any()


def test_a_ring_in_a_ring_is_filled_as_coco_fills_it_and_told(tmp_path: Path) -> None:
    """A square of 6 x 6 with one of 2 x 2 inside: 36 pixels, as COCO's own tools say, and not 32. Two annotations of one square each say nothing."""
    outer, inner = [1, 1, 7, 1, 7, 7, 1, 7], [3, 3, 5, 3, 5, 5, 3, 5]
    both = {"id": 1, "image_id": 4, "category_id": 2, "segmentation": [outer, inner]}
    single = [
        {"id": 2, "image_id": 4, "category_id": 2, "segmentation": [outer]},
        {"id": 3, "image_id": 4, "category_id": 5, "segmentation": [inner]},
    ]
    found = format_coco.read(write(tmp_path / "set", [both, *single]))
    assert (paint(found.images[0].annotations[:2], (9, 10), found.labels).labels == 1).sum() == 36
    assert coco.area(coco.merge(coco.frPyObjects([outer, inner], 9, 10))) == 36
    told = "COCO joins them, so nothing is cut out; export run lengths (RLE) where holes are meant"
    nested = "annotations have a polygon wholly inside another of their polygons, in"
    assert found.notes == (f"1 {nested} a/x.png; {told}",) and not found.faults
    found = format_coco.read(write(tmp_path / "more", [both, both | {"id": 4, "image_id": 7}, *single]))
    assert found.notes == (f"2 {nested} a/x.png and others; {told}",)
    assert not format_coco.read(write(tmp_path / "none", single)).notes


def test_what_is_written_is_read_by_coco_itself(tmp_path: Path) -> None:
    labels = np.zeros((9, 10), np.uint8)
    labels[1:8, 1:9], labels[3:5, 3:6], labels[0, 9] = 1, 7, 1
    images = [LabelledImage("x.png", labels), LabelledImage("empty.png", np.zeros((4, 4), np.uint8))]
    format_coco.write(tmp_path / "c.json", images, {"Brain": (1,), "LV": (7,)})
    official = COCO(str(tmp_path / "c.json"))
    merged = np.zeros((9, 10), np.uint8)
    for one in official.loadAnns(official.getAnnIds()):
        merged[official.annToMask(one) > 0] = {"Brain": 1, "LV": 7}[official.loadCats(one["category_id"])[0]["name"]]
        assert one["area"] == np.count_nonzero(official.annToMask(one))
    assert np.array_equal(merged, labels)
    again = format_coco.read(tmp_path / "c.json")
    assert [one.name for one in again.images] == ["x.png", "empty.png"] and again.images[1].annotations == ()
    assert np.array_equal(np.array([0, 1, 7])[paint(again.images[0].annotations, (9, 10), again.labels).labels], labels)


def test_faults_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "set",
        [
            {"id": 1, "image_id": 99, "category_id": 2, "segmentation": [RING]},
            {"id": 2, "image_id": 4, "category_id": 77, "segmentation": [RING]},
            {"id": 3, "image_id": 4, "category_id": 2, "segmentation": [[1, 2, 3]]},
            {"id": 4, "image_id": 4, "category_id": 2, "segmentation": {"size": [9, 10], "counts": [3]}},
            {"id": 5, "image_id": 4, "category_id": 5, "segmentation": [RING]},
        ],
    )
    found = format_coco.read(folder)
    assert [len(one.annotations) for one in found.images] == [1, 0]
    told = "\n".join(map(str, found.faults))
    polygon, runs = "annotation 3: a polygon is a list of x and y", "runs of 3 pixels for a mask of 9 x 10"
    for words in ("annotation 1 is of image 99", "annotation 2 has category 77", polygon, runs):
        assert words in told
    assert len(found.faults) == 4


def test_one_name_in_several_files(tmp_path: Path) -> None:
    """Of files that share a category it may be another image; of a file for each structure it is the same one."""
    runs = {"id": 1, "image_id": 7, "category_id": 5, "segmentation": {"size": [2, 3], "counts": [1, 2, 3]}}
    folder = write(tmp_path / "set", [runs])
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(content([runs | {"category_id": 2}])))
    vessel = content([runs | {"category_id": 1}]) | {"categories": [{"id": 1, "name": "Vessel"}]}
    (folder / "annotations" / "vessels.json").write_text(json.dumps(vessel))
    found = format_coco.read(folder)
    assert [(one.name, [shape.label for shape in one.annotations]) for one in found.images] == [
        ("a/x.png", []),
        ("y.png", ["LV", "Vessel"]),
    ]
    assert [str(fault) for fault in found.faults] == [
        f"{name}: stands in instances_default.json and in instances_val.json, and neither is taken; give images names of their own"
        for name in ("a/x.png", "y.png")
    ]


def test_subsets_whose_images_lie_apart_may_share_names(tmp_path: Path) -> None:
    runs = {"id": 1, "image_id": 7, "category_id": 5, "segmentation": {"size": [2, 3], "counts": [1, 2, 3]}}
    folder = write(tmp_path / "set", [runs])
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(content([runs | {"category_id": 2}])))
    files = [folder / f"images/{subset}/y.png" for subset in ("default", "val")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    found = format_coco.read(folder)
    told = [(one.name, one.files, [shape.label for shape in one.annotations]) for one in found.images]
    assert told[1:] == [("y.png", (files[0],), ["LV"]), ("images/val/y.png", (files[1],), ["Brain"])]
    assert [fault.case for fault in found.faults] == ["a/x.png"]


def test_exports_of_roboflow(tmp_path: Path) -> None:
    """A folder for each subset, with the images beside the JSON; ids as text, and nulls where there is nothing."""
    listed: dict[str, list[dict[str, Any]] | None] = {
        "train": [{"id": "1", "image_id": "7", "category_id": "5", "segmentation": [[0, 0, 2, 0, 2, 2]], "iscrowd": None}],
        "valid": [{"id": 1, "image_id": 7.0, "category_id": 5, "segmentation": None, "iscrowd": None}],
        "test": None,
    }
    group = {"id": 0, "name": "Heads", "supercategory": "none"}
    categories = [group, *({**one, "supercategory": "Heads"} for one in content([])["categories"])]
    for subset, shapes in listed.items():
        (tmp_path / subset).mkdir()
        (tmp_path / subset / "_annotations.coco.json").write_text(
            json.dumps(content([]) | {"annotations": shapes, "categories": categories})
        )
        (tmp_path / subset / "y.png").touch()
    assert format_coco.recognise(tmp_path) == "found _annotations.coco.json with images, annotations, categories"
    found = format_coco.read(tmp_path)
    by_name = {one.name: one for one in found.images}
    assert set(by_name) == {f"{subset}/{name}" for subset in listed for name in ("a/x.png", "y.png")}
    assert all(by_name[f"{subset}/y.png"].files == (tmp_path / subset / "y.png",) for subset in listed)
    assert by_name["train/a/x.png"].files == () and not found.faults
    assert [one.label for one in by_name["train/y.png"].annotations] == ["LV"]
    assert found.labels == ("Brain", "LV") and found.notes == (
        "1 annotations of _annotations.coco.json are boxes without a mask, and are left out",
        "Heads is a group of categories that no shape has, as Roboflow writes it, and is left out",
    )
    assert {one.name for one in format_coco.read(tmp_path / "train").images} == {"train/a/x.png", "train/y.png"}


def test_what_is_of_the_wrong_kind_is_a_fault_of_its_image(tmp_path: Path) -> None:
    common = {"image_id": 4, "category_id": 2}
    segmentations = [
        [[None, 1, 2, 3, 4, 5]],
        [[{}, 1, 2, 3, 4, 5]],
        "text",
        3,
        {"size": None, "counts": [90]},
        {"size": [None, 10], "counts": [90]},
    ]
    segmentations += [{"size": [9, 10], "counts": None}, {"size": [9, 10], "counts": [None]}, {"size": [10, 9], "counts": [90]}]
    folder = write(tmp_path / "set", [{"id": place, **common, "segmentation": one} for place, one in enumerate(segmentations)])
    content_file = folder / "annotations" / "instances_default.json"
    listed = json.loads(content_file.read_text())
    listed["annotations"] += [{"id": 98, "image_id": 4, "category_id": None}, {"id": 99, "category_id": 2}]
    listed["images"][1] |= {"height": "tall"}
    content_file.write_text(json.dumps(listed))
    found = format_coco.read(folder)
    assert [one.annotations for one in found.images] == [(), ()] and found.images[1].size is None
    assert [fault.case for fault in found.faults] == ["a/x.png"] * 10 + ["instances_default.json"]
    assert "annotation 8: its run lengths are of 9x10 pixels, and its image has 10x9; export it again" in str(found.faults[8])


def test_what_is_no_coco(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"images": []}')
    assert format_coco.recognise(tmp_path) is None
    with pytest.raises(DataError, match="holds no JSON with images, annotations, categories"):
        format_coco.read(tmp_path)
    (tmp_path / "other.json").write_text('{"images": [{"id": 1}], "annotations": [], "categories": []}')
    with pytest.raises(DataError, match=r"other.json: entry 1 of images \(1\) has no file_name, and is left out"):
        format_coco.read(tmp_path)


def test_an_image_without_a_name_is_left_out_alone(tmp_path: Path) -> None:
    shapes = [{"id": image, "image_id": image, "category_id": 2, "segmentation": [RING]} for image in (4, 7, 9)]
    file = write(tmp_path / "set", shapes) / "annotations" / "instances_default.json"
    damaged = json.loads(file.read_text())
    damaged["images"] += [{"id": 9, "width": 3, "height": 2}, 5, {"file_name": "z.png"}, {}]
    file.write_text(json.dumps(damaged))
    found = format_coco.read(tmp_path / "set")
    assert [(one.name, len(one.annotations)) for one in found.images] == [("a/x.png", 1), ("y.png", 1)]
    assert [fault.message for fault in found.faults] == [
        "entry 3 of images (9) has no file_name, and is left out; export it again",
        "entry 4 of images is no object, and is left out; export it again",
        "entry 5 of images (z.png) has no id, and is left out; export it again",
        "entry 6 of images has no id and no file_name, and is left out; export it again",
    ]
    assert {fault.case for fault in found.faults} == {"instances_default.json"}


def test_one_damaged_file_of_several(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", [])
    (folder / "annotations" / "instances_val.json").write_text('{"images": [')
    found = format_coco.read(folder)
    assert len(found.images) == 2
    assert [str(fault) for fault in found.faults] == ["instances_val.json: is no proper JSON; export it again"]
