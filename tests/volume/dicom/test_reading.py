"""DICOM images as volumes: the same as ITK reads where it is right, and by hand where it is not."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pydicom = pytest.importorskip("pydicom")

from pydicom.data import get_testdata_file  # noqa: E402

from autoseg.errors import DataError  # noqa: E402
from autoseg.volume import dicom, files  # noqa: E402
from autoseg.volume.dicom import planes_of, take_frames  # noqa: E402
from autoseg.volume.geometry import Geometry  # noqa: E402

from .written import PLANTED, region, write_cine, write_enhanced, write_frame, write_series  # noqa: E402

VALUES = np.arange(4 * 5 * 6).reshape(4, 5, 6)
OBLIQUE = (0.8, 0.6, 0.0, -0.6 * 0.8, 0.8 * 0.8, -0.6)


def by_itk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE])
def test_a_series_lies_where_itk_puts_it(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    """File names run against the positions, and the thickness that the files claim is wrong."""
    write_series(tmp_path, VALUES, orientation=orientation, names=["d", "c", "b", "a"])
    volume, image = files.read(tmp_path), by_itk(tmp_path)
    np.testing.assert_array_equal(volume.array[0], sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.geometry.spacing_mm or (), image.GetSpacing()[::-1], rtol=1e-9)
    np.testing.assert_allclose(volume.geometry.origin, image.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(volume.geometry.direction, image.GetDirection(), atol=1e-9)
    assert files.read_header(tmp_path).geometry == volume.geometry
    assert volume.array.dtype == np.int16
    assert volume.array.min() == -1024


def test_slices_are_in_the_order_of_their_places(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES, step=(0, 0, -2.5))
    volume = files.read(tmp_path)
    np.testing.assert_array_equal(volume.array[0], VALUES[::-1] - 1024)
    assert volume.geometry.origin == (-10.0, -20.0, 30.0 - 3 * 2.5)
    assert planes_of(tmp_path) == (tuple(reversed(paths)), (0, 0, 0, 0))


def test_a_tilted_gantry_is_read_with_its_shear(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, step=(0, 1.5, 2.0))
    volume = files.read(tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.6, 0.8))
    np.testing.assert_allclose(np.reshape(volume.geometry.direction, (3, 3))[:, 2], (0, 0.6, 0.8), atol=1e-12)
    assert "tilted by 36.9 degrees" in volume.notes[0]
    files.write_labels(tmp_path / "mask.nii.gz", np.ones((4, 5, 6), np.uint8), volume.geometry)
    written = files.read_header(tmp_path / "mask.nii.gz").geometry
    np.testing.assert_allclose(written.direction, volume.geometry.direction, atol=1e-6)
    np.testing.assert_allclose(written.spacing_mm or (), volume.geometry.spacing_mm or (), rtol=1e-6)


def test_a_rescaling_of_each_slice_is_followed(tmp_path: Path) -> None:
    """As PET has it."""
    for index, path in enumerate(write_series(tmp_path, VALUES[:2], intercept=0)):
        data = pydicom.dcmread(path)
        data.RescaleSlope = index + 0.5
        pydicom.dcmwrite(path, data)
    volume = files.read(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[0], [VALUES[0] * 0.5, VALUES[1] * 1.5])


def test_an_enhanced_file_is_a_volume_in_the_order_of_its_places(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "a.dcm", VALUES, order=(2, 0, 3, 1))
    volume = files.read(path)
    np.testing.assert_array_equal(volume.array[0], 2 * VALUES - 10)
    assert volume.geometry == Geometry(3, (3.0, 0.5, 0.5), (5.0, 6.0, 7.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    assert planes_of(path) == ((path,), (1, 3, 0, 2))
    assert files.read_header(path).shape == (4, 5, 6)
    assert files.read(tmp_path).array.shape == (1, 4, 5, 6)  # a folder that holds nothing else


def test_slices_of_other_sizes_are_several_series(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    data = pydicom.dcmread(paths[1])
    data.Rows, data.Columns = 6, 5
    pydicom.dcmwrite(paths[1], data)
    with pytest.raises(DataError, match=r"1 of 4 slices have another size \(IM001\.dcm: 6 x 5, 1 channel\) than IM000\.dcm"):
        files.read(tmp_path)


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_series_without_its_place_is_refused(tmp_path: Path, tag: str) -> None:
    write_series(tmp_path / "case", VALUES, **{tag: None})
    with pytest.raises(DataError, match=rf"case: 4 of its 4 slices have no {tag}"):
        files.read_header(tmp_path / "case")


def test_numbers_that_are_none_name_their_element(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.dcm", np.zeros((4, 5), np.uint8))
    data = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        data.add_new("PixelSpacing", "LO", ["wide", "narrow"])
        pydicom.dcmwrite(path, data)
    with pytest.raises(DataError, match=r"a\.dcm: its PixelSpacing is not 2 numbers"):
        files.read(path)


def test_an_ultrasound_frame_has_the_millimetres_of_its_region(tmp_path: Path) -> None:
    array = np.arange(20, dtype=np.uint8).reshape(4, 5)
    path = write_frame(tmp_path / "IM1", array, regions=[region(0.02, 0.03, (0, 0, 4, 3))])
    volume = files.read(path)
    assert volume.array.tolist() == [array.tolist()]
    assert volume.geometry == Geometry.plain(2, (pytest.approx(0.2), pytest.approx(0.3)))  # type: ignore[arg-type]
    assert files.read_header(path).shape == (4, 5)


def test_a_real_ultrasound_frame_has_its_millimetres() -> None:
    """0.026228787661969977 cm, written in the file."""
    path = Path(get_testdata_file("examples_palette.dcm", download=False))
    assert files.read_header(path).spacing_mm == pytest.approx((0.26228787661969977,) * 2)


def test_frames_over_time_are_refused_and_can_be_taken(tmp_path: Path) -> None:
    array = np.arange(7 * 4 * 5, dtype=np.uint8).reshape(7, 4, 5)
    path = write_cine(tmp_path / "film.dcm", array)
    with pytest.raises(
        DataError, match=r"film\.dcm: holds 7 frames without a place in space.*autoseg import SRC DST --from dicom"
    ):
        files.read(path)
    taken = list(take_frames(path, every=3, start=1))
    assert [index for index, _ in taken] == [1, 4]
    for index, volume in taken:
        np.testing.assert_array_equal(volume.array[0], array[index])
        assert volume.geometry.spacing_mm == pytest.approx((0.2, 0.2))
    assert list(take_frames(path, start=7)) == []
    with pytest.raises(DataError, match="at a step of 1 or more"):
        next(take_frames(path, every=0))


def test_a_real_cine_gives_its_frames() -> None:
    path = Path(get_testdata_file("examples_ybr_color.dcm", download=False))
    taken = [(index, volume.array.shape) for index, volume in take_frames(path, every=15)]
    assert taken == [(0, (3, 240, 320)), (15, (3, 240, 320))]


def test_a_file_without_a_header_of_its_own_is_read(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.dcm", np.arange(20, dtype=np.uint8).reshape(4, 5))
    content = path.read_bytes()
    group_2_bytes = 12 + int.from_bytes(content[140:144], "little")
    path.write_bytes(content[132 + group_2_bytes :])
    assert files.read(path).array[0, 3, 4] == 19


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(DataError, match=r"gone\.dcm: no such file"):
        files.read(tmp_path / "gone.dcm")
    with pytest.raises(DataError, match=r"empty\.dcm: the file is empty"):
        files.read_header(tmp_path / "empty.dcm")


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_frame(tmp_path / "a.dcm", np.zeros((4, 5), np.uint8))

    def absent(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(dicom.tags, "import_module", absent)
    with pytest.raises(DataError, match=r"needs the package pydicom.*pip install 'autoseg-toolkit\[dicom\]'"):
        files.read(path)
    assert importlib.import_module("pydicom") is pydicom


def test_nothing_of_the_patient_is_kept_or_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    write_series(tmp_path / "case", VALUES)
    write_frame(tmp_path / "frame.dcm", np.zeros((4, 5), np.uint8), PatientBirthDate="not a date")
    caplog.clear()
    recwarn.clear()
    with caplog.at_level(logging.DEBUG):
        found = dicom.list_images(tmp_path)
        facts = [dicom.image_facts(path) for image in found.images for path in image.files]
        headers = [files.read_header(image.path) for image in found.images]
    told = repr((found, facts, headers)) + caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert [word for word in (*PLANTED, "not a date") if word in told] == []
