"""Values of pixels: rescaled, upright, and decoded as ITK decodes them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pydicom = pytest.importorskip("pydicom")

from pydicom.data import get_testdata_file  # noqa: E402

from autoseg.errors import DataError  # noqa: E402
from autoseg.volume.dicom import read, read_header  # noqa: E402
from autoseg.volume.dicom.pixels import inverted, rescaled  # noqa: E402

from .written import CR_CLASS, CT_CLASS, write_frame, write_series  # noqa: E402

AS_ITK = [  # file, shape; plain, big endian, run lengths, JPEG (three kinds), JPEG-LS, JPEG 2000, RGB, YBR, palette
    ("CT_small.dcm", (1, 128, 128)),
    ("MR_small_bigendian.dcm", (1, 64, 64)),
    ("MR_small_RLE.dcm", (1, 64, 64)),
    ("MR_small_jpeg_ls_lossless.dcm", (1, 64, 64)),
    ("MR_small_jp2klossless.dcm", (1, 64, 64)),
    ("J2K_pixelrep_mismatch.dcm", (1, 512, 512)),
    ("SC_rgb_jpeg_gdcm.dcm", (3, 100, 100)),
    ("SC_rgb_jpeg_dcmtk.dcm", (3, 100, 100)),
    ("SC_rgb_dcmtk_+eb+cy+s2.dcm", (3, 100, 100)),
    ("SC_ybr_full_422_uncompressed.dcm", (3, 100, 100)),
    ("examples_palette.dcm", (3, 350, 800)),
    ("examples_jpeg2k.dcm", (3, 480, 640)),
    ("image_dfl.dcm", (1, 512, 512)),
]


def real(name: str) -> Path:
    return Path(get_testdata_file(name, download=False))


@pytest.mark.parametrize(("name", "shape"), AS_ITK)
def test_real_files_are_read_as_itk_reads_them(name: str, shape: tuple[int, ...]) -> None:
    volume, header = read(real(name)), read_header(real(name))
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(real(name))))[0]
    assert volume.array.shape == shape
    assert (header.channels, header.shape, header.geometry) == (shape[0], shape[1:], volume.geometry)
    np.testing.assert_array_equal(
        volume.array if shape[0] == 3 else volume.array[0], np.moveaxis(expected, -1, 0) if shape[0] == 3 else expected
    )
    assert volume.array.dtype.isnative


def test_jpeg_of_twelve_bits_is_decoded_by_itk() -> None:
    """pydicom's own reference holds the same picture without compression."""
    assert read(real("JPEG-lossy.dcm")).array.max() == 264


def test_decoders_do_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    sitk.ReadImage(str(real("JPEG-lossy.dcm")), imageIO="GDCMImageIO")
    assert "JPEG" in capfd.readouterr().err, "what is kept back is there"
    read(real("JPEG-lossy.dcm"))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_hounsfield_units_come_from_slope_and_intercept(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path, np.array([[[0, 1024], [2048, 24]]]), intercept=-1024)
    assert read(path).array.tolist() == [[[-1024, 0], [1024, -1000]]]


def test_rescaled_stays_whole_where_it_can() -> None:
    stored = np.array([0, 7], np.uint16)
    assert rescaled(stored, 1, 0) is stored
    assert rescaled(stored, 2, -3).dtype == np.int16
    assert rescaled(stored, 2, -3).tolist() == [-3, 11]
    assert rescaled(stored, 10_000, 0).dtype == np.int32
    assert rescaled(stored, 0.5, 1).dtype == np.float32
    assert rescaled(stored, 0.5, 1).tolist() == [1.0, 4.5]


def test_inverted_exchanges_the_ends_of_what_can_be_stored() -> None:
    assert inverted(np.array([0, 1, 4095], np.uint16), 12, False).tolist() == [4095, 4094, 0]
    assert inverted(np.array([-128, 0, 127], np.int8), 8, True).tolist() == [127, -1, -128]
    # 2 v - 3 of stored 0 and 255 is -3 and 507, which change places
    assert inverted(np.array([-3, 507], np.int16), 8, False, 2, -3).tolist() == [507, -3]


def test_a_picture_in_which_0_is_white_is_turned_but_not_hounsfield_units(tmp_path: Path) -> None:
    array = np.array([[0, 1000], [2000, 4095]], np.uint16)
    options = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    picture = write_frame(tmp_path / "chest.dcm", array, uid=CR_CLASS, modality="CR", **options)
    assert read(picture).array[0].tolist() == [[4095, 3095], [2095, 0]]
    slice_ = write_frame(tmp_path / "slice.dcm", array, uid=CT_CLASS, modality="CT", **options)
    assert read(slice_).array[0].tolist() == array.tolist()


def lut(entries: list[int], first: int = 0) -> list[pydicom.Dataset]:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [len(entries), first, 16], "OD"
    item.LUTData = np.array(entries, np.uint16).tobytes()
    return [item]


def test_values_of_a_table_are_turned_within_the_table(tmp_path: Path) -> None:
    """0, 10, 30 and 4000, of which 4000 and 0 change places; the largest does not occur in the picture."""
    array = np.array([[0, 1], [2, 1]], np.uint16)
    options = {"PhotometricInterpretation": "MONOCHROME1", "ModalityLUTSequence": lut([0, 10, 30, 4000])}
    picture = write_frame(tmp_path / "chest.dcm", array, uid=CR_CLASS, modality="CR", **options)
    assert read(picture).array[0].tolist() == [[4000, 3990], [3970, 3990]]
    slice_ = write_frame(tmp_path / "slice.dcm", array, uid=CT_CLASS, modality="CT", **options)
    assert read(slice_).array[0].tolist() == [[0, 10], [30, 10]]
    plain = write_frame(tmp_path / "plain.dcm", array, uid=CR_CLASS, modality="CR", ModalityLUTSequence=lut([5, 6, 9], 1))
    assert read(plain).array[0].tolist() == [[5, 5], [6, 5]]


def test_a_slope_of_nothing_is_taken_for_1_as_itk_does_and_told(tmp_path: Path) -> None:
    array = np.array([[3, 7]], np.uint16)
    path = write_frame(tmp_path / "a.dcm", array, uid=CR_CLASS, modality="CR", RescaleSlope=0, RescaleIntercept=5)
    found = read(path)
    assert found.array[0].tolist() == sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0].tolist() == [[8, 12]]
    (note,) = found.notes
    assert note.startswith("its RescaleSlope is 0, which would make all values the same; 1 is taken")
    assert read_header(path).notes == found.notes
    write_series(tmp_path / "series", np.zeros((3, 4, 5)), RescaleSlope=0)
    assert read_header(tmp_path / "series").notes == (note,)


def palette(array: np.ndarray, path: Path, entries: np.ndarray, bits: int) -> Path:
    elements = {}
    for colour, values in zip(("Red", "Green", "Blue"), (entries, entries[::-1], entries), strict=True):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [len(entries), 0, bits]
        elements[f"{colour}PaletteColorLookupTableData"] = values.tobytes()
    return write_frame(path, array, PhotometricInterpretation="PALETTE COLOR", **elements)


def test_a_palette_of_16_bits_that_uses_8_is_taken_for_8_and_told(tmp_path: Path) -> None:
    array = np.array([[0, 1, 3]], np.uint8)
    found = read(palette(array, tmp_path / "a.dcm", np.array([0, 9, 50, 255], np.uint16), 16))
    assert found.array.dtype == np.uint8
    assert found.array.tolist() == [[[0, 9, 255]], [[255, 50, 0]], [[0, 9, 255]]]
    assert found.notes == ("its palette declares 16 bits and has no entry above 255; its entries are taken for 8 bits",)
    whole = read(palette(array, tmp_path / "b.dcm", np.array([0, 9, 50, 255], np.uint16) * 257, 16))
    assert (whole.array.tolist(), whole.notes) == (found.array.tolist(), ())
    assert read(palette(array, tmp_path / "c.dcm", np.array([0, 9, 50, 255], np.uint8), 8)).notes == ()
    assert read(palette(array, tmp_path / "d.dcm", np.zeros(4, np.uint16), 16)).notes == ()


def test_bits_beside_the_stored_ones_are_dropped(tmp_path: Path) -> None:
    array = np.array([[0x3001, 0x0FFF]], np.uint16)  # an overlay in the upper bits
    path = write_frame(tmp_path / "a.dcm", array, BitsStored=12, HighBit=11)
    assert read(path).array[0].tolist() == [[1, 4095]]


def test_colours_are_channels(tmp_path: Path) -> None:
    array = np.zeros((4, 5, 3), np.uint8)
    array[..., 0], array[1, 2, 2] = 200, 9
    found = read(write_frame(tmp_path / "a.dcm", array)).array
    assert found.shape == (3, 4, 5)
    assert found[:, 1, 2].tolist() == [200, 0, 9]


def test_a_truncated_file_names_itself() -> None:
    with pytest.raises(DataError, match=r"MR_truncated\.dcm: its pixels cannot be decoded; the file is damaged, truncated"):
        read(real("MR_truncated.dcm"))


def test_a_header_alone_is_no_image(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.dcm", np.zeros((4, 5), np.uint8), PixelData=None)
    with pytest.raises(DataError, match=r"a\.dcm: has no pixels in it \(no PixelData\)"):
        read(path)


@pytest.mark.parametrize(
    ("syntax", "told"),
    [
        ("1.2.840.10008.1.2.4.201", r"needs the package pylibjpeg-openjpeg: pip install pylibjpeg-openjpeg"),
        ("1.2.840.10008.1.2.4.102", r"is compressed as MPEG-4.*no decoder here; save it uncompressed"),
    ],
)
def test_a_compression_without_decoder_is_named(tmp_path: Path, syntax: str, told: str) -> None:
    path = write_frame(tmp_path / "a.dcm", np.zeros((4, 5), np.uint8))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = pydicom.encaps.encapsulate([b"no such stream"])
    data["PixelData"].VR = "OB"
    pydicom.dcmwrite(path, data)
    with pytest.raises(DataError, match=told):
        read(path)
