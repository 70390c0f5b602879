"""What a folder asks to be predicted. The files are empty: names alone decide."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.inference.inputs import PredictionInput, check_distinct, find_inputs


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def found(path: Path, *channels: str) -> list[tuple[str, list[str], str]]:
    return [(item.id, [file.name for file in item.files], item.mask) for item in find_inputs(path, channels or ("US",))]


def test_images_keep_name_and_format_and_what_is_not_written_becomes_png(tmp_path: Path) -> None:
    path = folder(tmp_path, "b.nii.gz", "a.jpg", "c.nii", "d.PNG", "e.JPEG", "f.gif")
    assert [mask for _, _, mask in found(path)] == ["a.png", "b.nii.gz", "c.nii", "d.PNG", "e.png", "f.png"]


def test_channel_ending_is_dropped_where_all_have_it(tmp_path: Path) -> None:
    path = folder(tmp_path, "x_0000.nii.gz", "y_0000.nii.gz")
    assert found(path) == [("x", ["x_0000.nii.gz"], "x.nii.gz"), ("y", ["y_0000.nii.gz"], "y.nii.gz")]


def test_channel_ending_is_kept_where_one_lacks_it(tmp_path: Path) -> None:
    assert [name for name, _, _ in found(folder(tmp_path, "x_0000.png", "y.png"))] == ["x_0000", "y"]


def test_frame_numbers_are_no_channels(tmp_path: Path) -> None:
    assert [name for name, _, _ in found(folder(tmp_path, "frame_0000.png", "frame_0001.png"))] == ["frame_0000", "frame_0001"]


def test_channels_of_a_case_are_joined(tmp_path: Path) -> None:
    path = folder(tmp_path, "x_0001.nii.gz", "x_0000.nii.gz", "y_0000.nii.gz")
    expected = [("x", ["x_0000.nii.gz", "x_0001.nii.gz"], "x.nii.gz"), ("y", ["y_0000.nii.gz"], "y.nii.gz")]
    assert found(path, "T1", "T2") == expected


def test_one_file_brings_its_other_channels(tmp_path: Path) -> None:
    path = folder(tmp_path, "x_0000.mha", "x_0001.mha", "y_0000.mha", "frame_0123.mha")
    assert found(path / "x_0000.mha", "T1", "T2") == [("x", ["x_0000.mha", "x_0001.mha"], "x.mha")]
    assert found(path / "y_0000.mha", "T1") == [("y", ["y_0000.mha"], "y.mha")]
    assert found(path / "frame_0123.mha", "T1") == [("frame_0123", ["frame_0123.mha"], "frame_0123.mha")]


def test_hidden_files_and_other_files_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folder(tmp_path, "a.png", "._a.png", ".hidden.png", "sizes.csv", "notes.txt")
    (path / "deeper").mkdir()
    (path / "deeper" / "z.png").touch()
    with caplog.at_level(logging.INFO):
        assert [name for name, _, _ in found(path)] == ["a"]
    assert "2 files are ignored" in caplog.text and "notes.txt, sizes.csv" in caplog.text


def test_outlines_of_hc18_are_passed_over_beside_their_image(tmp_path: Path) -> None:
    path = folder(tmp_path, "001_HC.png", "001_HC_Annotation.png", "002_HC_Annotation.png")
    assert [name for name, _, _ in found(path)] == ["001_HC", "002_HC_Annotation"]


def test_two_inputs_for_one_name_are_refused_and_named(tmp_path: Path) -> None:
    path = folder(tmp_path, "a.jpg", "a.png", "b.png", "c.nii", "c.nii.gz")
    with pytest.raises(DataError) as caught:
        find_inputs(path, ("US",))
    assert len(caught.value.faults) == 2
    assert "a.jpg and a.png" in str(caught.value) and "c.nii and c.nii.gz" in str(caught.value)


def test_nothing_to_predict(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image.*\.nii\.gz.*\.png"):
        find_inputs(folder(tmp_path, "sizes.csv"), ("US",))
    with pytest.raises(DataError, match="does not exist"):
        find_inputs(tmp_path / "gone", ("US",))
    with pytest.raises(DataError, match="holds no image"):
        find_inputs(tmp_path / "sizes.csv", ("US",))


def test_distinct_inputs_pass() -> None:
    check_distinct([PredictionInput.of("a", [Path("x/1.png")]), PredictionInput.of("b", [Path("x/1.png")])])
