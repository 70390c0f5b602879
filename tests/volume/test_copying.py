"""Copies of images with all their files, under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import DataError
from autoseg.volume.copying import copy_image, remove_copy
from autoseg.volume.files import parts_of, read
from tests.layouts.written import picture

ARRAY = np.random.default_rng(3).integers(-900, 900, (3, 4, 5)).astype(np.int16)


def volume(path: Path, *, packed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY), str(path), useCompression=packed)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr", ".mha", ".nrrd", ".nii.gz"])
def test_a_copy_needs_nothing_of_its_source(tmp_path: Path, suffix: str, packed: bool) -> None:
    source = volume(tmp_path / "from" / f"scan{suffix}", packed=packed)
    copy = copy_image(source, tmp_path / "to" / "case 1.5")
    other = copy_image(source, tmp_path / "to" / "case 1.6")  # of two, each has data of its own
    assert len(parts_of(source)) == len(parts_of(copy)) == (2 if suffix in (".mhd", ".nhdr") else 1)
    for part in parts_of(source):
        part.unlink()
    for file in parts_of(other):
        file.unlink()
    assert copy.name == f"case 1.5{suffix}" and (read(copy).array[0] == ARRAY).all()
    assert all(part.name.startswith("case 1.5.") for part in parts_of(copy))


def test_pictures_keep_their_suffix_as_it_is(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.b.PNG")
    copy = copy_image(source, tmp_path / "new" / "c.d")
    assert copy == tmp_path / "new" / "c.d.PNG" and copy.read_bytes() == source.read_bytes()


def test_values_that_are_missing_or_spread_are_told(tmp_path: Path) -> None:
    lost = volume(tmp_path / "lost.mhd")
    (tmp_path / "lost.raw").unlink()
    with pytest.raises(DataError, match=r"lost\.mhd: its values are in lost\.raw, which is not there; restore it"):
        copy_image(lost, tmp_path / "new" / "lost")
    spread = tmp_path / "spread.mhd"
    spread.write_text("ObjectType = Image\nNDims = 3\nElementDataFile = LIST\na.raw\nb.raw\n")
    with pytest.raises(DataError, match="its values lie in several files"):
        copy_image(spread, tmp_path / "new" / "spread")
    assert parts_of(spread) == (spread,)


def test_dicom_is_copied_as_it_lies(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from tests.volume.dicom.written import write_frame, write_series

    folder = tmp_path / "case"
    write_series(folder, ARRAY, number=3)
    write_series(folder, ARRAY[::-1], number=5, names=["a.dcm", "b.dcm", "c.dcm"])
    second = copy_image(folder / "series@5", tmp_path / "new" / "second")
    assert sorted(path.name for path in second.iterdir()) == ["a.dcm", "b.dcm", "c.dcm"]
    assert (read(second).array[0] == ARRAY[::-1] - 1024).all()
    whole = copy_image(folder, tmp_path / "new" / "whole")
    assert len(list(whole.iterdir())) == 6
    frame = write_frame(tmp_path / "1.2.840.17", ARRAY[0].astype(np.uint8))
    copy = copy_image(frame, tmp_path / "new" / "frame")
    assert copy.name == "frame.dcm" and (read(copy).array == read(frame).array).all()


def test_a_copy_is_removed_with_all_its_files(tmp_path: Path) -> None:
    """And nothing of a case whose name goes on."""
    names = ("a.mhd", "a.raw", "a.nii.gz", "a.raw.gz", "a_0001.png", "a.b.png", "ab.png", "a.txt")
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "a").mkdir()
    remove_copy(tmp_path / "a")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.b.png", "a.txt", "a_0001.png", "ab.png"]
