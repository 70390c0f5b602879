"""What a folder of DICOM files asks to be predicted."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from PIL import Image

from autoseg.errors import DataError
from autoseg.inference.inputs import find_inputs
from tests.volume.dicom.written import PLANTED, write_cine, write_enhanced, write_frame, write_series

SLICES, PICTURE = np.zeros((3, 4, 5), np.int16), np.zeros((4, 5), np.uint8)


def found(path: Path, *channels: str) -> list[tuple[str, str, list[str]]]:
    root = path if path.is_dir() else path.parent
    return [
        (item.id, item.mask, [file.relative_to(root).as_posix() for file in item.files])
        for item in find_inputs(path, channels or ("CT",))
    ]


def test_a_folder_of_slices_is_one_image_with_a_nifti_mask(tmp_path: Path) -> None:
    write_series(tmp_path / "case_7", SLICES)
    assert found(tmp_path / "case_7") == [("case_7", "case_7.nii.gz", ["."])]


def test_folders_in_a_folder_are_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "a", SLICES)
    write_series(tmp_path / "b", SLICES, number=2, names=["1", "2", "3"])
    write_series(tmp_path / "b", SLICES, number=4, names=["4", "5", "6"])
    write_series(tmp_path / "b", SLICES[:1], names=["0"], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with caplog.at_level(logging.DEBUG):
        assert found(tmp_path) == [
            ("a", "a.nii.gz", ["a"]),
            ("b_series_2", "b_series_2.nii.gz", ["b/series@2"]),
            ("b_series_4", "b_series_4.nii.gz", ["b/series@4"]),
        ]
    assert "1 files are ignored, being survey images: 0" in caplog.text
    assert [word for word in PLANTED if word in caplog.text] == []


def test_frames_have_png_masks_and_lie_beside_other_pictures(tmp_path: Path) -> None:
    write_frame(tmp_path / "us.dcm", PICTURE)
    write_frame(tmp_path / "IM7", PICTURE)
    write_cine(tmp_path / "film.dcm", np.zeros((3, 4, 5), np.uint8))  # fails when it is read, by its name
    write_enhanced(tmp_path / "whole.dcm", SLICES)
    Image.fromarray(PICTURE).save(tmp_path / "other.jpg")
    assert found(tmp_path) == [
        ("other", "other.png", ["other.jpg"]),
        ("IM7", "IM7.png", ["IM7"]),
        ("film", "film.png", ["film.dcm"]),
        ("us", "us.png", ["us.dcm"]),
        ("whole", "whole.nii.gz", ["whole.dcm"]),
    ]


def test_one_file_or_one_series_may_be_given(tmp_path: Path) -> None:
    write_frame(tmp_path / "us.dcm", PICTURE)
    write_series(tmp_path / "s", SLICES, number=2, names=["1", "2", "3"])
    write_series(tmp_path / "s", SLICES, number=4, names=["4", "5", "6"])
    assert found(tmp_path / "us.dcm") == [("us", "us.png", ["us.dcm"])]
    assert found(tmp_path / "s" / "series@4") == [("s_series_4", "s_series_4.nii.gz", ["series@4"])]
    with pytest.raises(DataError, match="there is no such series"):
        find_inputs(tmp_path / "s" / "series@5", ("CT",))


def test_channels_are_folders_with_a_channel_ending(tmp_path: Path) -> None:
    for name in ("x_0001", "x_0000", "y_0000", "y_0001"):
        write_series(tmp_path / name, SLICES)
    assert found(tmp_path, "T1", "T2") == [("x", "x.nii.gz", ["x_0000", "x_0001"]), ("y", "y.nii.gz", ["y_0000", "y_0001"])]


def test_names_that_clash_are_told(tmp_path: Path) -> None:
    write_series(tmp_path / "a" / "b", SLICES)
    write_series(tmp_path / "a_b", SLICES)
    with pytest.raises(DataError, match=r"a_b: .* would be written under one name"):
        find_inputs(tmp_path, ("CT",))


def test_a_folder_without_dicom_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"holds no image; readable are .* and DICOM"):
        find_inputs(tmp_path, ("CT",))
