from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError
from autoseg.volume.files import is_picture, read, read_header, split_suffix, write_labels
from autoseg.volume.geometry import Geometry

OBLIQUE = (0.9358968, -0.2272635, 0.2691871, 0.1692167, 0.9603105, 0.2217261, -0.3089062, -0.1619617, 0.9372158)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("case_0000.nii.gz", ("case_0000", ".nii.gz")),
        ("Case.1.NII.GZ", ("Case.1", ".nii.gz")),
        ("a.b.PNG", ("a.b", ".png")),
        ("plain", ("plain", "")),
        ("folder/x.nrrd", ("x", ".nrrd")),
    ],
)
def test_suffix_is_split_with_both_parts_of_nii_gz(name: str, expected: tuple[str, str]) -> None:
    assert split_suffix(Path(name)) == expected


def test_pictures_are_told_from_volumes() -> None:
    assert is_picture("a.TIFF")
    assert not is_picture("a.nii.gz")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_labels_written_over_an_oblique_image_lie_exactly_where_it_lies(tmp_path: Path, suffix: str) -> None:
    array = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.8, 3.3))
    image.SetOrigin((10.1, -33.3, 7.7))
    image.SetDirection(_orthonormal(OBLIQUE))
    first = tmp_path / f"image{suffix}"
    sitk.WriteImage(image, str(first))
    volume = read(first)
    assert volume.array.shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(volume.array[0], array)
    np.testing.assert_allclose(volume.geometry.spacing_mm or (), (3.3, 0.8, 0.7), rtol=1e-6)
    second = tmp_path / f"mask{suffix}"
    write_labels(second, array, volume.geometry)
    if suffix in (".nii", ".nii.gz", ".mha", ".mhd"):
        assert read_header(second).geometry == volume.geometry
    else:  # NRRD stores spacing times direction as text: the last bit may differ
        np.testing.assert_allclose(read_header(second).geometry.direction, volume.geometry.direction, rtol=0, atol=1e-15)
    written = read(second).array
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written[0], array)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_real_orientations_survive_to_the_last_bit(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "sct_testing_data").rglob("*.nii.gz"))
    names = {"t2s.nii.gz", "mt0.nii.gz", "mt1_gmseg.nii.gz", "t2.nii.gz", "PAM50_t1.nii.gz"}
    chosen = [file for file in files if file.name in names]
    assert len(chosen) == len(names)
    for file in chosen:
        header = read_header(file)
        write_labels(tmp_path / "mask.nii.gz", np.zeros(header.shape, dtype=np.uint8), header.geometry)
        assert read_header(tmp_path / "mask.nii.gz") == header, file.name


def test_sheared_nifti_that_itk_refuses_is_read_and_written_with_its_affine(tmp_path: Path) -> None:
    affine = np.array([[2.0, 0.5, 0, 10], [0, 1.5, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    array = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    nifti = nibabel.Nifti1Image(array, affine)
    nifti.set_qform(None, code=0)
    nibabel.save(nifti, tmp_path / "sheared.nii.gz")
    volume = read(tmp_path / "sheared.nii.gz")
    assert volume.array.shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(volume.array[0], array.T)
    assert volume.geometry.spacing_mm == pytest.approx((3.0, np.sqrt(1.5**2 + 0.5**2), 2.0))
    assert read_header(tmp_path / "sheared.nii.gz").shape == (2, 3, 4)
    write_labels(tmp_path / "mask.nii.gz", volume.array[0], volume.geometry)
    np.testing.assert_allclose(nibabel.load(tmp_path / "mask.nii.gz").affine, affine, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj), array)


def test_fourth_axis_and_vector_components_are_channels(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    nifti = nibabel.Nifti1Image(array.T, np.diag([2.0, 2.0, 4.0, 1.0]))  # x, y, z, channel
    nibabel.save(nifti, tmp_path / "channels.nii.gz")
    header, volume = read_header(tmp_path / "channels.nii.gz"), read(tmp_path / "channels.nii.gz")
    assert (header.channels, header.shape, header.spacing_mm) == (2, (3, 4, 5), (4.0, 2.0, 2.0))
    np.testing.assert_array_equal(volume.array, array)
    assert len(volume.geometry.direction) == 9
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(array, 0, -1), isVector=True), str(tmp_path / "vector.nrrd"))
    np.testing.assert_array_equal(read(tmp_path / "vector.nrrd").array, array)
    assert read_header(tmp_path / "vector.nrrd").channels == 2


def test_one_slice_stays_three_dimensional_and_a_flat_file_two(tmp_path: Path) -> None:
    write_labels(tmp_path / "slice.mha", np.zeros((1, 5, 6), dtype=np.uint8), Geometry.plain(3, (2.0, 1.0, 1.0)))
    assert read(tmp_path / "slice.mha").shape == (1, 5, 6)
    write_labels(tmp_path / "flat.nii.gz", np.zeros((5, 6), dtype=np.uint8), Geometry.plain(2, (0.5, 0.25)))
    assert read(tmp_path / "flat.nii.gz").geometry.spacing_mm == (0.5, 0.25)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".bmp"])
def test_a_file_cut_short_is_an_error_and_never_a_half_read_array(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 255, (64, 65) if suffix in (".png", ".tif", ".bmp") else (8, 40, 50))
    path = tmp_path / f"whole{suffix}"
    write_labels(path, array, Geometry.plain(array.ndim, (1.0,) * array.ndim))
    content = path.read_bytes()
    for share in (0.0, 0.02, 0.5, 0.99):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match=r"cut\."):
            read(cut)


def test_a_flipped_bit_in_a_compressed_nifti_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_labels(path, np.random.default_rng(0).integers(0, 99, (9, 40, 50)), Geometry.plain(3, (1.0, 1.0, 1.0)))
    content = bytearray(gzip.decompress(path.read_bytes()))
    packed = bytearray(gzip.compress(bytes(content), 0))
    packed[-2000] ^= 1
    path.write_bytes(packed)
    with pytest.raises(DataError, match="damaged"):
        read(path)


def test_what_cannot_be_read_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt: format \.txt is not read; save it as"):
        read(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_header(tmp_path / "gone.png")


def test_labels_beyond_a_byte_are_written_as_sixteen_bits(tmp_path: Path) -> None:
    labels = np.array([[0, 255], [256, 65535]])
    for suffix in (".png", ".tif", ".nii.gz", ".nrrd"):
        path = tmp_path / f"wide{suffix}"
        write_labels(path, labels, Geometry.plain(2, None if is_picture(path) else (1.0, 1.0)))
        found = read(path).array
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found[0], labels)


@pytest.mark.parametrize(
    ("name", "labels", "cure"),
    [
        ("a.jpg", [[0, 1]], "PNG"),
        ("a.png", [[[0, 1]]], "NIfTI"),
        ("a.bmp", [[0, 256]], "PNG"),
        ("a.png", [[0, 65536]], "65535"),
        ("a.png", [[0, -1]], "65535"),
        ("a.xyz", [[0, 1]], "use one of"),
    ],
)
def test_formats_that_cannot_hold_the_labels_are_refused_and_leave_nothing(
    tmp_path: Path, name: str, labels: list, cure: str
) -> None:
    array = np.array(labels)
    with pytest.raises(DataError, match=cure):
        write_labels(tmp_path / name, array, Geometry.plain(array.ndim))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_labels(path, np.ones((4, 4), dtype=np.uint8), Geometry.plain(2))

    def half(image: Image.Image, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="disk full"):
        write_labels(path, np.zeros((4, 4), dtype=np.uint8), Geometry.plain(2))
    assert read(path).array.min() == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def _orthonormal(matrix: tuple[float, ...]) -> list[float]:
    left, _, right = np.linalg.svd(np.reshape(matrix, (3, 3)))
    return (left @ right).ravel().tolist()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_numbers_that_are_not_finite_are_found_where_itk_hides_them(tmp_path: Path, suffix: str) -> None:
    array = np.ones((4, 5, 6), np.float32)
    array[1, 2, 3], array[0, 0, 0] = np.nan, np.inf
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    with pytest.raises(DataError, match="2 values are NaN or infinite"):
        read(path)


def test_a_header_extension_is_not_taken_for_voxels(tmp_path: Path) -> None:
    """A kilobyte of 0xFF, which would be NaN, between the header and the data."""
    path = tmp_path / "image.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.float32)), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 108, 352 + 1024)
    content[348] = 1
    extension = struct.pack("<2i", 1024, 2) + b"\xff" * 1016
    path.write_bytes(bytes(content[:352]) + extension + bytes(content[352:]))
    assert read(path).array.sum() == 120


def test_a_file_that_one_may_not_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"something")
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever is root may read anything
    for function in (read, read_header):
        with pytest.raises(DataError, match="you lack the right to read"):
            function(path)


@pytest.mark.parametrize(("order", "suffix"), [("<", ".nii"), (">", ".nii.gz")])
def test_a_nifti_without_a_voxel_size_says_that_1_mm_is_taken(tmp_path: Path, order: str, suffix: str) -> None:
    header = nibabel.Nifti1Header(endianness=order)
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([0.5, 0.6, 0.7, 1]), header), path)
    assert read_header(path).notes == ()
    content = bytearray(path.read_bytes())
    struct.pack_into(f"{order}3f", content, 80, 0, 0.6, math.nan)
    path = tmp_path / f"b{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    found = read_header(path)
    assert found.spacing_mm == pytest.approx((1, 0.6, 1))
    assert found.notes == ("its header gives no voxel size (0 along x, nan along z); 1 mm is taken",) == read(path).notes
