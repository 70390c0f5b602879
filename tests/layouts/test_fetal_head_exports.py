"""Fetal heads from every export that has masks: the same labels as from the segmentation masks; boxes alone are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.processing.cases import load_labels
from autoseg.records import Dataset
from autoseg.stages.index import index_dataset

from ..annotations.exports import BOX_EXPORTS, EXPORTS
from .fetal_head_set import COLOURS, GROUPS, HEIGHT, WIDTH, write_set, zip_folder

# as the published archives are called, by what writes them in the tests
NAMES = {
    "coco": "COCO",
    "cvat": "CVAT",
    "datumaro": "Datumaro",
    "voc": "PASCAL-VOC ",
    "labelme-xml": "LabelMe",
    "cityscapes": "CityScapes",
    "openimages": "Open-Images",
}
BOXES = {"YOLO 1.1": "YOLO-1.1-", "TFRecord": "TFRecord", "ICDAR": "ICDAR-Localization"}


def label_map() -> np.ndarray:
    """What `mask_of` shows in colours."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:20, 10:30] = 1
    labels[12:14, 12:18] = 2
    labels[16:18, 20:24] = 3
    return labels


def exported(root: Path, kind: str, *, zipped: bool, groups_zipped: bool = False) -> Path:
    """The set in which every group has this export in the place of its masks, and nothing else."""
    write_set(root)
    for group in GROUPS:
        inner = root / group.folder / group.folder
        shutil.rmtree(inner / group.masks)
        for foreign in inner.glob("*.zip"):
            foreign.unlink()
        maps = {f"{name}.png": label_map() for name in group.names}
        maps[f"{group.names[0]}.png"] = np.where(label_map() == 3, 1, label_map()).astype(np.uint8)  # one without LV
        folder = inner / f"{group.folder}-{(NAMES | BOXES)[kind]}"
        write = EXPORTS[kind][1] if kind in EXPORTS else BOX_EXPORTS[kind]
        write(folder, maps, COLOURS)
        if zipped:
            zip_folder(folder)
        if groups_zipped:
            zip_folder(root / group.folder, keep_name=True)
    return root


def check(dataset: Dataset | None, faults: object) -> Dataset:
    assert dataset is not None and not faults
    assert len(dataset.cases) == 10 and {case.group for case in dataset.cases} == {
        "Trans-thalamic", "Trans-cerebellum", "Trans-ventricular", "Diverse",
    }  # fmt: skip
    assert len({case.subject for case in dataset.cases}) == 7, "one person is in two groups, another has two frames"
    firsts = {group.names[0] for group in GROUPS}
    for case in dataset.cases:
        expected = np.where(label_map() == 3, 1, label_map()) if case.id in firsts else label_map()
        assert np.array_equal(load_labels(dataset, case), expected), case.id
    return dataset


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("zipped", [False, True], ids=["unpacked", "zipped"])
def test_every_export_with_masks_gives_the_same_labels(tmp_path: Path, kind: str, zipped: bool) -> None:
    root = exported(tmp_path / "set", kind, zipped=zipped)
    dataset = check(*index_dataset(root, layout="fetal-head"))
    assert any(NAMES[kind].strip() in note and "labels drawn from" in note for note in dataset.notes)
    drawn = sorted((tmp_path / "set.unpacked" / "drawn-labels").rglob("*.png"))
    times = [file.stat().st_mtime_ns for file in drawn]
    check(*index_dataset(root, layout="fetal-head"))
    assert [file.stat().st_mtime_ns for file in drawn] == times and len(drawn) == 10, "they are drawn once"


def test_exports_inside_the_zips_of_the_groups(tmp_path: Path) -> None:
    check(*index_dataset(exported(tmp_path / "set", "coco", zipped=True, groups_zipped=True), layout="fetal-head"))


def test_masks_come_before_other_exports(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set")
    inner = root / GROUPS[0].folder / GROUPS[0].folder
    EXPORTS["coco"][1](inner / "Trans-thalamic-COCO", {f"{GROUPS[0].names[0]}.png": label_map() * 0}, COLOURS)
    dataset, faults = index_dataset(root)
    assert dataset is not None and not faults and not (tmp_path / "set.unpacked" / "drawn-labels").exists()
    assert all(load_labels(dataset, case).any() for case in dataset.cases)


@pytest.mark.parametrize("kind", BOXES)
def test_boxes_alone_are_refused_with_what_to_take(tmp_path: Path, kind: str) -> None:
    root = exported(tmp_path / "set", kind, zipped=True)
    dataset, faults = index_dataset(root, layout="fetal-head")
    told = {fault.case: fault.message for fault in faults}
    assert len(faults) == 4 and set(told) == {"Trans-thalamic", "Trans-cerebellum", "Trans-ventricular", "Diverse"}
    assert all(f"has only boxes here ({kind})" in message and "COCO" in message for message in told.values())
    assert dataset is None or not dataset.cases


def test_a_set_with_exports_is_recognised(tmp_path: Path) -> None:
    dataset, _ = index_dataset(exported(tmp_path / "set", "cvat", zipped=False))
    assert dataset is not None and dataset.layout == "fetal-head"


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    root = exported(tmp_path / "set", "coco", zipped=True)
    archive = next(root.rglob("*thalamic-COCO.zip"))
    archive.write_bytes(archive.read_bytes()[:-30])
    dataset, faults = index_dataset(root, layout="fetal-head")
    assert [str(fault).partition(" (")[0] for fault in faults] == ["Trans-thalamic-COCO.zip: cannot be unpacked"]
    assert dataset is not None and {case.group for case in dataset.cases} == {"Trans-cerebellum", "Trans-ventricular", "Diverse"}
    group = GROUPS[0]
    inner = archive.parent
    maps = {
        f"{name}.png": np.where(label_map() == 3, 1, label_map()) if name == group.names[0] else label_map()
        for name in group.names
    }
    EXPORTS["cvat"][1](inner / "Trans-thalamic-CVAT", maps, COLOURS)
    dataset, faults = index_dataset(root, layout="fetal-head")
    check(dataset, faults)
    assert dataset is not None and any("Trans-thalamic: passed over: Trans-thalamic-COCO.zip" in note for note in dataset.notes)


def test_rectangles_are_read_as_they_were_drawn(tmp_path: Path) -> None:
    """CVAT writes rectangles as boxes, with how far they are turned, into COCO, too, where they have no mask."""
    root = exported(tmp_path / "set", "coco", zipped=False)
    file = next(root.rglob("*thalamic-COCO/annotations/instances_default.json"))
    content = json.loads(file.read_text())
    csp = next(one["id"] for one in content["categories"] if one["name"] == "CSP")
    turned = [one for one in content["annotations"] if one["category_id"] == csp]
    for number, one in enumerate(turned):
        one |= {"segmentation": [], "bbox": [10, 8, 6, 4], "attributes": {"rotation": 90.0} if number else {}, "iscrowd": 0}
    file.write_text(json.dumps(content))
    dataset, faults = index_dataset(root, layout="fetal-head")
    assert dataset is not None and not faults
    names = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    for number, one in enumerate(turned):
        labels = load_labels(dataset, next(case for case in dataset.cases if case.id == names[one["image_id"]]))
        wanted = np.zeros(labels.shape, bool)
        wanted[(slice(7, 13), slice(11, 15)) if number else (slice(8, 12), slice(10, 16))] = True
        assert np.array_equal((labels == 2) | ((labels == 3) & wanted), wanted), "LV lies above"


def test_labels_are_drawn_again_when_the_export_or_an_image_changes(tmp_path: Path) -> None:
    """Drawn once they are kept, faults and all; a corrected export of the same size, and an image that comes later, count."""
    root = exported(tmp_path / "set", "coco", zipped=False)
    _, before = index_dataset(root, layout="fetal-head")
    assert not before
    drawn = next(file for file in sorted((tmp_path / "set.unpacked" / "drawn-labels").rglob("*.png")))
    first = drawn.stat().st_mtime_ns
    index_dataset(root, layout="fetal-head")
    assert drawn.stat().st_mtime_ns == first, "nothing changed"
    image = next(file for file in sorted(root.rglob(f"{drawn.stem}.png")))
    sound = image.read_bytes()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(image)
    for _ in range(2):
        _, faults = index_dataset(root, layout="fetal-head")
        assert [fault.case for fault in faults if "was annotated at" in fault.message] == [drawn.stem]
    image.write_bytes(sound)
    check(*index_dataset(root, layout="fetal-head"))
