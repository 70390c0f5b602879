"""Lists of images and labels: MONAI's datalist and MIST's table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoseg.annotations import mist_csv, monai_datalist
from autoseg.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_datalist(tmp_path: Path) -> None:
    touch(tmp_path, "a/t1.nii.gz", "a/t2.nii.gz", "a/seg.nii.gz", "b.nii.gz", "b_seg.nii.gz")
    content = {
        "training": [
            {"image": ["a/t1.nii.gz", "a/t2.nii.gz"], "label": "a/seg.nii.gz", "fold": 0, "patient_id": 7},
            {"image": "b.nii.gz", "label": "b_seg.nii.gz"},
            {"image": "b.nii.gz", "label": "b_seg.nii.gz"},
            {"image": "c.nii.gz", "label": "c_seg.nii.gz"},
        ],
        "testing": [{"image": "d.nii.gz"}],
    }
    (tmp_path / "list.json").write_text(json.dumps(content))
    assert monai_datalist.recognise(tmp_path) == "found list.json with a list of images and labels"
    found = monai_datalist.read(tmp_path)
    first, second = found.images
    assert (first.name, first.subject, len(first.files)) == ("a", "7", 2) and first.label_map == tmp_path / "a/seg.nii.gz"
    assert (second.name, second.subject) == ("b", None)
    assert [fault.case for fault in found.faults] == ["b", "c"] and "c.nii.gz, which is not there" in found.faults[1].message
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="several lists"):
        monai_datalist.read(tmp_path)
    assert monai_datalist.read(tmp_path / "list.json").images == found.images


def test_files_of_layouts_are_no_datalist(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {}, "training": [{"image": "a", "label": "b"}]}))
    assert monai_datalist.recognise(tmp_path) is None
    with pytest.raises(DataError, match="holds no JSON with a list"):
        monai_datalist.read(tmp_path)


def test_a_table_of_mist(tmp_path: Path) -> None:
    touch(tmp_path, "p1/t1.nii.gz", "p1/t2.nii.gz", "p1/seg.nii.gz", "p2/t1.nii.gz", "p2/seg.nii.gz")
    rows = ["id,mask,t1,t2", "p1,p1/seg.nii.gz,p1/t1.nii.gz,p1/t2.nii.gz", "p2,p2/seg.nii.gz,p2/t1.nii.gz,p2/t2.nii.gz"]
    (tmp_path / "train_paths.csv").write_text("\n".join(rows))
    (tmp_path / "config.json").write_text(json.dumps({"final_classes": {"Liver": [1], "Tumor": [2]}}))
    assert mist_csv.recognise(tmp_path) == "found train_paths.csv with the columns id and mask"
    found = mist_csv.read(tmp_path)
    assert (
        found.channels == ("t1", "t2") and found.labels == ("Liver", "Tumor") and found.values == {0: "", 1: "Liver", 2: "Tumor"}
    )
    (image,) = found.images
    assert image.name == "p1" and image.files == (tmp_path / "p1/t1.nii.gz", tmp_path / "p1/t2.nii.gz")
    assert [fault.case for fault in found.faults] == ["p2"]
    (tmp_path / "train_paths.csv").write_text("id,mask\np1,x\n")
    with pytest.raises(DataError, match="no column for an image"):
        mist_csv.read(tmp_path)
