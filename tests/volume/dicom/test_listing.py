"""What a folder of DICOM files holds, and what its images are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from autoseg.errors import DataError
from autoseg.volume.dicom import case_name, is_dicom, list_images, parts_of, read, read_header
from autoseg.volume.dicom.facts import HoldsNoImage

from .written import region, write_cine, write_enhanced, write_frame, write_series

SLICES = np.zeros((3, 4, 5), np.int16)
PICTURE = np.zeros((4, 5), np.uint8)


def listed(root: Path) -> list[tuple[str, str, str, int]]:
    return [(image.name, image.kind, image.path.relative_to(root).as_posix(), image.frames) for image in list_images(root).images]


def test_a_series_is_named_by_its_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "case_1", SLICES)
    write_series(tmp_path / "deep" / "case_2", SLICES)
    assert listed(tmp_path) == [("case_1", "volume", "case_1", 3), ("deep_case_2", "volume", "deep/case_2", 3)]
    assert [(image.name, image.path) for image in list_images(tmp_path / "case_1").images] == [("case_1", tmp_path / "case_1")]


def test_several_series_of_a_folder_are_told_by_their_numbers(tmp_path: Path) -> None:
    for number, start in ((2, 0), (5, 3), (5, 6)):
        write_series(tmp_path / "study", SLICES, number=number, names=[f"{start + index}.dcm" for index in range(3)])
    assert listed(tmp_path) == [
        ("study_series_2", "volume", "study/series@2", 3),
        ("study_series_5", "volume", "study/series@5", 3),
        ("study_series_5_2", "volume", "study/series@5.2", 3),
    ]
    assert read_header(tmp_path / "study" / "series@5.2").shape == (3, 4, 5)
    assert case_name(tmp_path / "study" / "series@5.2") == "study_series_5_2"
    with pytest.raises(DataError, match=r"study: holds 3 series; give one of them: study/series@2 \(3 slices\), study/series@5"):
        read(tmp_path / "study")
    with pytest.raises(
        DataError, match=r"study/series@9: there is no such series of slices; there are: series@2, series@5, series@5\.2"
    ):
        read(tmp_path / "study" / "series@9")


def test_single_frames_are_images_of_their_own_even_in_one_series(tmp_path: Path) -> None:
    series = generate_uid()
    for name in ("a.dcm", "b.DCM", "1.2.840.17"):
        write_frame(tmp_path / name, PICTURE, SeriesInstanceUID=series)
    write_cine(tmp_path / "film.dcm", np.zeros((6, 4, 5), np.uint8))
    write_enhanced(tmp_path / "volume", SLICES)
    assert listed(tmp_path) == [
        ("1.2.840.17", "frame", "1.2.840.17", 1),
        ("a", "frame", "a.dcm", 1),
        ("b", "frame", "b.DCM", 1),
        ("film", "cine", "film.dcm", 6),
        ("volume", "volume", "volume", 3),
    ]


def test_survey_images_are_left_out_and_do_not_stand_in_the_way(tmp_path: Path) -> None:
    write_series(tmp_path, SLICES)
    write_series(tmp_path, SLICES[:2], number=1, names=["l1", "l2"], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = list_images(tmp_path)
    assert [image.path for image in found.images] == [tmp_path]
    assert [path.name for path in found.localizers] == ["l1", "l2"]
    assert read_header(tmp_path).shape == (3, 4, 5)


def test_other_objects_and_other_files_are_no_images(tmp_path: Path) -> None:
    write_series(tmp_path, SLICES)
    for name in ("DICOMDIR", "test-SR.dcm", "rtstruct.dcm"):
        (tmp_path / name).write_bytes(Path(get_testdata_file(name, download=False)).read_bytes())
    (tmp_path / "notes").write_text("no image")
    found = list_images(tmp_path)
    assert [path.name for path in found.without_image] == ["DICOMDIR", "rtstruct.dcm", "test-SR.dcm"]
    assert [image.name for image in found.images] == [tmp_path.name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("DICOMDIR", "is a directory of other files"),
        ("test-SR.dcm", "is a structured report"),
        ("rtplan.dcm", "is an RT plan"),
        ("rtdose.dcm", "is an RT dose"),
        ("rtstruct.dcm", "holds RT structures"),
        ("liver_1frame.dcm", "is a DICOM segmentation"),
        ("waveform_ecg.dcm", "holds a waveform"),
    ],
)
def test_an_object_without_image_says_what_it_is(name: str, told: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: {told}"):
        read(Path(get_testdata_file(name, download=False)))


def test_a_damaged_file_is_told_and_never_left_out_of_its_series(tmp_path: Path) -> None:
    paths = write_series(tmp_path, SLICES)
    paths[2].write_bytes(paths[2].read_bytes()[:400])
    assert [fault.case for fault in list_images(tmp_path).damaged] == ["IM002.dcm"]
    with pytest.raises(DataError, match=r"IM002\.dcm: .*(truncated|damaged)"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["slice", "frame", "enhanced"])
def test_a_file_that_is_cut_is_told_as_that_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    """Numbers that are cut (0.8\\0.7 becomes 0.8\\0) are not told as the file's, and nothing is taken for an object without image."""
    if kind == "slice":
        (path,) = write_series(tmp_path, SLICES[:1])
    elif kind == "frame":
        path = write_frame(tmp_path / "a.dcm", PICTURE, regions=[region(0.02, 0.02, (0, 0, 4, 3))], PixelSpacing=[0.8, 0.7])
    else:
        path = write_enhanced(tmp_path / "a.dcm", SLICES)
    content, cut = path.read_bytes(), tmp_path / "cut.dcm"
    for length in range(1, len(content), 3):
        cut.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut\.dcm: .*(truncated|damaged)") as raised:
            read(cut)
        assert "correct the file" not in str(raised.value) and not isinstance(raised.value, HoldsNoImage)


def test_a_damaged_file_alone_is_a_case_that_fails_by_its_name(tmp_path: Path) -> None:
    write_frame(tmp_path / "good.dcm", PICTURE)
    (tmp_path / "bad.dcm").write_bytes(b"something else" * 100)
    assert [image.name for image in list_images(tmp_path).images] == ["bad", "good"]
    for look in (read, list_images):
        with pytest.raises(DataError, match=r"bad\.dcm: is no DICOM file"):
            look(tmp_path / "bad.dcm")
    assert [(image.name, image.kind) for image in list_images(tmp_path / "good.dcm").images] == [("good", "frame")]


def test_dicom_is_known_by_suffix_or_first_bytes(tmp_path: Path) -> None:
    write_frame(tmp_path / "IM1", PICTURE)
    (tmp_path / "notes").write_text("DICM, and more " * 100)
    (tmp_path / "empty").mkdir()
    assert [is_dicom(tmp_path / name) for name in ("IM1", "gone.dcm", "notes", "gone", "empty", "x.png", "series@1")] == [
        True,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    assert is_dicom(tmp_path)
    assert not is_dicom(tmp_path / "gone" / "series@1")


def test_a_series_has_many_parts_and_another_file_one(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "case", SLICES)
    assert parts_of(tmp_path / "case") == parts_of(tmp_path / "case" / "series@3") == tuple(paths)
    assert parts_of(paths[0]) == (paths[0],)
    assert parts_of(tmp_path / "gone.png") == (tmp_path / "gone.png",)


def test_real_folders_are_told_apart() -> None:
    """pydicom's small set of a CR, a CT and an MR study, thinned out: their series have gaps, which is told."""
    root = Path(get_testdata_file("dicomdirtests/DICOMDIR", download=False)).parent
    if not (root / "98892001").is_dir():
        pytest.skip("these folders are not in this pydicom")
    found = {image.name: image for image in list_images(root).images}
    assert (found["98892001_CT5N"].kind, found["98892001_CT5N"].frames) == ("volume", 5)
    assert found["77654033_CR1_6154"].kind == "frame"
    assert {"98892003_MR2_series_2", "98892003_MR2_series_2_2"} <= set(found)
    assert read(found["98892001_CT5N"].path).geometry.spacing_mm == pytest.approx((2.5, 0.488281, 0.488281))
    with pytest.raises(DataError, match=r"CT2: its slices are not evenly spaced: 1\.25 to 202\.5 mm apart"):
        read(found["77654033_CT2"].path)
