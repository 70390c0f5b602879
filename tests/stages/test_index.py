"""Recognition, and what a caller gives in place of what the data set says."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.records import Dataset
from autoseg.stages.index import index_dataset
from tests.layouts.fetal_head_set import write_set
from tests.layouts.written import declare, mask, picture, volume


def folders(folder: Path, *names: str) -> Path:
    for name in names or ("p1_a", "p1_b", "p2_a"):
        picture(folder / "images" / f"{name}.png")
        mask(folder / "labels" / f"{name}.png", 1)
    return folder


def hc18(folder: Path) -> Path:
    for name in ("001_HC", "002_HC"):
        picture(folder / "training_set" / f"{name}.png")
        mask(folder / "training_set" / f"{name}_Annotation.png", 255)
    (folder / "training_set_pixel_size_and_HC.csv").write_text("filename,pixel size(mm)\n001_HC.png,0.1\n002_HC.png,0.2\n")
    return folder


def nnunet(folder: Path) -> Path:
    volume(folder / "imagesTr/c_0000.nii.gz")
    volume(folder / "labelsTr/c.nii.gz", 1)
    declare(folder, channel_names={"0": "CT"}, labels={"background": 0, "a": 1}, numTraining=1, file_ending=".nii.gz")
    return folder


def msd(folder: Path) -> Path:
    volume(folder / "imagesTr/c.nii.gz")
    volume(folder / "labelsTr/c.nii.gz", 1)
    training = [{"image": "./imagesTr/c.nii.gz", "label": "./labelsTr/c.nii.gz"}]
    declare(folder, modality={"0": "CT"}, labels={"0": "background", "1": "a"}, numTraining=1, training=training)
    return folder


def sound(path: Path, **arguments: object) -> Dataset:
    dataset, faults = index_dataset(path, **arguments)  # type: ignore[arg-type]
    assert faults == []
    assert dataset is not None
    return dataset


@pytest.mark.parametrize(
    ("write", "layout"), [(folders, "folders"), (hc18, "hc18"), (nnunet, "nnunet"), (msd, "msd"), (write_set, "fetal-head")]
)
def test_each_layout_is_recognised_alone_and_says_why(tmp_path: Path, write, layout: str) -> None:  # type: ignore[no-untyped-def]
    dataset = sound(write(tmp_path / "set"))
    assert dataset.layout == layout
    assert dataset.notes[0].startswith(f"read as {layout}: found ")
    assert sound(tmp_path / "set", layout=layout).cases == dataset.cases


def test_the_reason_for_hc18(tmp_path: Path) -> None:
    assert sound(hc18(tmp_path)).notes[0] == "read as hc18: found training_set_pixel_size_and_HC.csv and *_Annotation.png"


def test_a_tie_is_refused_and_settled_by_layout(tmp_path: Path) -> None:
    folders(hc18(tmp_path))
    with pytest.raises(DataError, match="--layout hc18 or folders"):
        index_dataset(tmp_path)
    assert len(sound(tmp_path, layout="folders", spacing=0.1).cases) == 3


def test_an_unknown_folder_lists_what_is_looked_for_and_what_lies_near(tmp_path: Path) -> None:
    folders(tmp_path / "inner")
    with pytest.raises(DataError) as caught:
        index_dataset(tmp_path)
    message = str(caught.value)
    assert all(name in message for name in ("nnunet:", "msd:", "hc18:", "fetal-head:", "folders:"))
    assert f"did you mean {tmp_path / 'inner'} (folders)?" in message
    assert f"autoseg import {tmp_path} DST reads other formats" in message
    with pytest.raises(DataError, match="did you mean"):
        index_dataset(tmp_path / "inner/images")


def test_half_of_a_set_is_told_what_is_missing(tmp_path: Path) -> None:
    for half, other in (("images", "labels"), ("masks", "images")):
        (tmp_path / f"with {half}" / half).mkdir(parents=True)
        with pytest.raises(DataError, match=f"{half}/ is there, and {other}/ is missing beside it") as caught:
            index_dataset(tmp_path / f"with {half}")
        assert "autoseg import" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "layout", "match"),
    [
        ("absent", "auto", "does not exist"),
        ("file.txt", "auto", "is a file"),
        ("empty", "auto", "is empty"),
        (".", "hc81", "did you mean 'hc18'"),
    ],
)
def test_wrong_paths_and_layouts(tmp_path: Path, name: str, layout: str, match: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=match):
        index_dataset(tmp_path / name, layout=layout)


@pytest.mark.parametrize("rule", ["^(p\\d)_", "^p\\d"])
def test_subjects_by_expression(tmp_path: Path, rule: str) -> None:
    dataset = sound(folders(tmp_path), subjects=rule)
    assert [case.subject for case in dataset.cases] == ["p1", "p1", "p2"]
    assert any("2 in 3 cases" in note for note in dataset.notes)


def test_subjects_by_table_and_those_without(tmp_path: Path) -> None:
    table = tmp_path / "subjects.csv"
    table.write_text("name,subject\np1_a.png,X\np1_b,X\n")
    dataset, faults = index_dataset(folders(tmp_path / "set"), subjects=table)
    assert [fault.case for fault in faults] == ["p2_a"]
    assert dataset is not None
    assert {case.id: case.subject for case in dataset.cases} == {"p1_a": "X", "p1_b": "X"}


def test_an_expression_that_matches_only_some_is_a_fault_for_the_others(tmp_path: Path) -> None:
    _, faults = index_dataset(folders(tmp_path), subjects="p1")
    assert [fault.case for fault in faults] == ["p2_a"]


def test_without_subjects_every_case_is_its_own_and_advice_is_given(tmp_path: Path) -> None:
    dataset = sound(folders(tmp_path))
    assert [case.subject for case in dataset.cases] == ["p1_a", "p1_b", "p2_a"]
    assert any("--subjects" in note for note in dataset.notes)


@pytest.mark.parametrize("spacing", [0.25, "0.25"])
def test_one_spacing_for_all_replaces_the_table(tmp_path: Path, spacing: float | str) -> None:
    (hc18(tmp_path) / "training_set_pixel_size_and_HC.csv").write_text("filename,pixel size(mm)\n001_HC.png,broken\n")
    assert [case.spacing_mm for case in sound(tmp_path, spacing=spacing).cases] == [(0.25, 0.25), (0.25, 0.25)]


def test_spacing_by_another_table(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("name;pixel mm x;pixel mm y\n001_HC;0,3;0,4\n002_HC;0,5;0,6\n")
    dataset = sound(hc18(tmp_path / "set"), spacing=str(table))
    assert [case.spacing_mm for case in dataset.cases] == [(0.4, 0.3), (0.6, 0.5)]


@pytest.mark.parametrize(("write", "spacing"), [(folders, -1.0), (folders, "nan"), (nnunet, 0.5), (folders, "absent.csv")])
def test_unusable_spacings(tmp_path: Path, write, spacing: float | str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError):
        index_dataset(write(tmp_path), spacing=spacing)


def test_faulty_cases_are_left_out_and_none_left_is_none(tmp_path: Path) -> None:
    folders(tmp_path, "a", "b")
    (tmp_path / "labels/a.png").unlink()
    dataset, faults = index_dataset(tmp_path)
    assert dataset is not None and [case.id for case in dataset.cases] == ["b"]
    assert [fault.case for fault in faults] == ["a"]
    (tmp_path / "labels/b.png").unlink()
    mask(tmp_path / "labels/c.png", 1)
    dataset, faults = index_dataset(tmp_path)
    assert dataset is None
    assert {fault.case for fault in faults} == {"a", "b", "c"}


def test_for_a_check_labels_are_left_alone_and_cases_at_fault_stay(tmp_path: Path) -> None:
    """Whoever looks at every file itself has no use for a second reading, and wants to see the cases whose pixel size is missing, too."""
    folder = folders(tmp_path / "set")
    (folder / "sizes.csv").write_text("name,mm\np1_a,0.2\np1_b,0.2\n")
    (folder / "labels" / "p1_b.png").write_bytes(b"no picture")
    plain, faults = index_dataset(folder)
    assert plain is not None and [case.id for case in plain.cases] == ["p1_a"] and len(faults) == 2
    dataset, faults = index_dataset(folder, checking=True)
    assert dataset is not None and [case.id for case in dataset.cases] == ["p1_a", "p1_b", "p2_a"] and dataset.targets == ()
    assert [fault.case for fault in faults] == ["p2_a"]
    declare(folder, labels={"background": 0, "head": 1})
    declared, _ = index_dataset(folder, checking=True)
    assert declared is not None and [target.name for target in declared.targets] == ["head"]
