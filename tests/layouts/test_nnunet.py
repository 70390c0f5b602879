"""nnU-Net v2's raw format, sound and faulty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.layouts.base import LayoutResult, ReadOptions
from autoseg.layouts.nnunet import read, recognise
from autoseg.records import Dataset
from tests.layouts.written import declare, mask, picture, volume

PLAIN = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "tumour": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def write(folder: Path, *, cases: tuple[str, ...] = ("c1", "c2"), channels: int = 1, **declared: object) -> Path:
    for case in cases:
        for channel in range(channels):
            volume(folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz")
        volume(folder / "labelsTr" / f"{case}.nii.gz", 1)
    declare(folder, **{**PLAIN, **declared})
    return folder


def sound(result: LayoutResult) -> Dataset:
    assert result.faults == ()
    assert result.dataset is not None
    return result.dataset


def test_plain(tmp_path: Path) -> None:
    write(tmp_path)
    assert recognise(tmp_path) is not None
    dataset = sound(read(tmp_path, ReadOptions()))
    assert dataset.rank == 3
    assert dataset.channels == ("CT",)
    assert [(case.id, case.images, case.label) for case in dataset.cases] == [
        ("c1", ("imagesTr/c1_0000.nii.gz",), "labelsTr/c1.nii.gz"),
        ("c2", ("imagesTr/c2_0000.nii.gz",), "labelsTr/c2.nii.gz"),
    ]
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [
        ("liver", (1,), 1),
        ("tumour", (2,), 2),
    ]


def test_regions_with_ignore_label_follow_nnunet(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    dataset = sound(read(write(tmp_path, labels=labels, regions_class_order=[1, 2, 3]), ReadOptions()))
    assert dataset.regions
    assert dataset.ignore_value == 4
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [
        ("whole", (1, 2, 3), 1),
        ("core", (2, 3), 2),
        ("enhancing", (3,), 3),
    ]
    assert dataset.encodings["default"].model_dump()["values"] == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


def test_values_need_not_be_consecutive(tmp_path: Path) -> None:
    labels = {"background": 0, "b": 70, "a": 5, "ignore": 255}
    dataset = sound(read(write(tmp_path, labels=labels), ReadOptions()))
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [("a", (1,), 5), ("b", (2,), 70)]
    assert dataset.encodings["default"].model_dump()["values"] == {0: 0, 5: 1, 70: 2, 255: 3}
    assert dataset.ignore_value == 3
    assert any("70 -> 2" in note for note in dataset.notes)


def test_explicit_paths(tmp_path: Path) -> None:
    inside, outside = volume(tmp_path / "set/here/x.nii.gz"), volume(tmp_path / "elsewhere/y.nii.gz", 1)
    entries = {
        "p1": {"images": ["here/x.nii.gz"], "label": str(outside)},
        "p2": {"images": ["../elsewhere/y.nii.gz"], "label": "here/gone.nii.gz"},
    }
    declare(tmp_path / "set", **{**PLAIN, "dataset": entries, "numTraining": 1})
    result = read(tmp_path / "set", ReadOptions())
    assert recognise(tmp_path / "set") is not None
    assert [fault.case for fault in result.faults] == ["p2"]
    assert "here/gone.nii.gz" in result.faults[0].message
    assert result.dataset is not None
    (case,) = result.dataset.cases
    assert result.dataset.path(case.images[0]) == inside
    assert result.dataset.path(case.label or "") == outside


def test_all_faults_at_once(tmp_path: Path) -> None:
    cases = ("fine", "no_label", "no_channel", "broken")
    write(tmp_path, cases=cases, channels=2, channel_names={"0": "T1", "1": "T2"}, numTraining=7)
    (tmp_path / "labelsTr/no_label.nii.gz").unlink()
    (tmp_path / "imagesTr/no_channel_0001.nii.gz").unlink()
    (tmp_path / "imagesTr/broken_0000.nii.gz").write_bytes(b"\x1f\x8b not a volume")
    volume(tmp_path / "labelsTr/no_image.nii.gz", 1)
    volume(tmp_path / "imagesTr/unnumbered.nii.gz")
    result = read(tmp_path, ReadOptions())
    faults = {fault.case: fault.message for fault in result.faults}
    assert set(faults) == {"no_label", "no_channel", "broken", "no_image", "unnumbered.nii.gz"}
    assert "T2 (_0001)" in faults["no_channel"]
    assert result.dataset is not None
    assert [case.id for case in result.dataset.cases] == ["fine"]
    assert any("numTraining 7" in note for note in result.dataset.notes)


def test_mixed_ranks_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path, cases=("a", "b", "flat"))
    volume(tmp_path / "imagesTr/flat_0000.nii.gz", shape=(5, 6), spacing_xyz=(1.0, 1.0))
    (fault,) = read(tmp_path, ReadOptions()).faults
    assert fault.case == "flat" and "2D" in fault.message


def test_one_rgb_file_may_hold_three_channels(tmp_path: Path) -> None:
    picture(tmp_path / "imagesTr/a_0000.png", np.full((12, 16, 3), 80))
    mask(tmp_path / "labelsTr/a.png", 1)
    declare(tmp_path, **{**PLAIN, "channel_names": {"0": "R", "1": "G", "2": "B"}, "file_ending": ".png", "numTraining": 1})
    dataset = sound(read(tmp_path, ReadOptions()))
    assert dataset.rank == 2
    assert dataset.cases[0].images == ("imagesTr/a_0000.png",)
    assert dataset.cases[0].spacing_mm is None


def test_files_that_macos_leaves_are_skipped(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "imagesTr/._c1_0000.nii.gz").write_bytes(b"x")
    (tmp_path / "labelsTr/._c1.nii.gz").write_bytes(b"x")
    assert len(sound(read(tmp_path, ReadOptions())).cases) == 2


@pytest.mark.parametrize(
    ("declared", "match"),
    [
        ({"labels": {"background": 0, "a": [1, 2], "b": 2}}, "regions_class_order"),
        ({"labels": {"background": 0, "a": "1"}}, "label a: expected a value"),
        ({"labels": {"background": 0}}, "no structure"),
        ({"labels": {"background": 0, "a": 1, "ignore": 1}}, "ignore value 1"),
        ({"channel_names": {"1": "CT"}}, "counted from 0"),
        ({"file_ending": ".dcm9"}, "file_ending"),
        ({"file_ending": ".mha"}, "holds no .mha images, though 2 of other formats"),
    ],
)
def test_unusable_declarations(tmp_path: Path, declared: dict[str, object], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(write(tmp_path, **declared), ReadOptions())


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json: is not valid JSON"):
        recognise(tmp_path)
