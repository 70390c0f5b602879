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


@pytest.mark.parametrize(
    ("images", "names"),
    [
        ([["imagesTr/t1/c1.nii.gz", "imagesTr/t2/c1.nii.gz"], ["imagesTr/t1/c2.nii.gz", "imagesTr/t2/c2.nii.gz"]], ["c1", "c2"]),
        ([["p1/pre/t1.nii.gz", "p1/post/t1.nii.gz"], ["p2/pre/t1.nii.gz", "p2/post/t1.nii.gz"]], ["p1", "p2"]),
        ([["i/p_1_0000.nii.gz", "i/p_1_0001.nii.gz"], ["i/p_2_0000.nii.gz", "i/p_2_0001.nii.gz"]], ["p_1", "p_2"]),
        ([["a/t1.nii.gz", "a/t2.nii.gz"], ["b/t1.nii.gz", "b/t2.nii.gz"]], ["a", "b"]),
        (["p1/t1.nii.gz", "p2/t1.nii.gz"], ["p1", "p2"]),
        (["x/c1.nii.gz", "x/c2.nii.gz"], ["c1", "c2"]),
        (["s1/c1.nii.gz", "s1/c2.nii.gz", "s2/c1.nii.gz"], ["s1_c1", "s1_c2", "s2_c1"]),
        (["s1/a/t1.nii.gz", "s2/a/t1.nii.gz"], ["s1_a_t1", "s2_a_t1"]),
        (["p10.nii.gz", "p1.nii.gz"], ["p10", "p1"]),
    ],
)
def test_names_of_cases_in_a_datalist(tmp_path: Path, images: list[str | list[str]], names: list[str]) -> None:
    """Each has its own, as short as it can be."""
    touch(tmp_path, "label.nii.gz", *(name for one in images for name in ([one] if isinstance(one, str) else one)))
    entries = [{"image": one, "label": "label.nii.gz"} for one in images]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    found = monai_datalist.read(tmp_path)
    assert [one.name for one in found.images] == names and not found.faults


def test_what_is_no_single_label_map(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz", "c.nii.gz", "x.nii.gz", "y.nii.gz")
    labels: dict[str, object] = {"a": ["x.nii.gz", "y.nii.gz"], "b": ["x.nii.gz"], "c": 1, "d": []}
    entries: list[object] = [{"image": f"{name}.nii.gz", "label": label} for name, label in labels.items()]
    (tmp_path / "list.json").write_text(
        json.dumps({"training": [*entries, {"image": None, "label": "x"}, {"image": []}], "val": None})
    )
    found = monai_datalist.read(tmp_path)
    assert [(one.name, one.label_map) for one in found.images] == [("b", tmp_path / "x.nii.gz")]
    assert [fault.case for fault in found.faults] == ["list.json", "list.json", "a", "c"]
    assert "has 2 labels in list.json, where one label map is expected" in found.faults[2].message
    assert "has 1 for a label" in found.faults[3].message and found.notes == ("1 entries have no label and are left out",)


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
    (tmp_path / "config.json").write_text(json.dumps({"final_classes": {"whole": [1, 2, 4], "core": [1, 4]}}))
    nested = mist_csv.read(tmp_path)
    assert nested.values[1] == nested.values[4] != nested.values[2] and nested.unions["core"] == (nested.values[1],)
    (tmp_path / "train_paths.csv").write_text("id,mask\np1,x\n")
    with pytest.raises(DataError, match="no column for an image"):
        mist_csv.read(tmp_path)
