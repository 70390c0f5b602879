from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import DataError
from autoseg.volume.files import read, read_header, write_labels

GREY = np.array([[0, 7, 255], [1, 2, 3]], dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_bytes_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"grey{suffix}"
    Image.fromarray(GREY).save(path)
    volume = read(path)
    assert volume.array.dtype == np.uint8
    np.testing.assert_array_equal(volume.array, GREY[None])
    assert volume.geometry.spacing_mm is None
    assert read_header(path).shape == (2, 3)


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_colours_and_alpha_are_channels(tmp_path: Path, mode: str, channels: int) -> None:
    array = np.arange(2 * 3 * channels, dtype=np.uint8).reshape(2, 3, channels)
    Image.fromarray(array, mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png").array, np.moveaxis(array, -1, 0))
    assert read_header(tmp_path / "a.png").channels == channels


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_not_cut_to_eight(tmp_path: Path, suffix: str) -> None:
    grey = np.array([[0, 257, 65535]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / f"grey{suffix}")
    found = read(tmp_path / f"grey{suffix}").array
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[0], grey)
    colours = np.arange(0, 60000, 5000, dtype=np.uint16).reshape(2, 2, 3)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"rgb{suffix}"))
    found = read(tmp_path / f"rgb{suffix}").array
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.moveaxis(colours, -1, 0))
    assert read_header(tmp_path / f"rgb{suffix}").channels == 3


def test_deep_colours_with_alpha_and_truncation(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (32, 32, 4)).astype(np.uint16)
    path = tmp_path / "rgba.png"
    sitk.WriteImage(sitk.GetImageFromArray(deep, isVector=True), str(path))
    np.testing.assert_array_equal(read(path).array, np.moveaxis(deep, -1, 0))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="truncated"):
        read(path)
    sitk.WriteImage(sitk.GetImageFromArray(deep[..., :2].copy(), isVector=True), str(tmp_path / "la.png"))
    with pytest.raises(DataError, match="save it without alpha"):
        read(tmp_path / "la.png")


def test_float_tiff_keeps_its_numbers(tmp_path: Path) -> None:
    values = np.array([[-1.5, 0.25], [3e6, 1.7]], dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array[0], values)


def test_one_bit_holds_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png").array
    assert found.dtype == np.uint8
    assert found.tolist() == [[[1, 0], [0, 1]]]


def test_palette_gives_colours_or_indices(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 255, 255, 0])
    picture.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").array.tolist() == [[[0, 255, 255]], [[0, 0, 255]], [[0, 0, 0]]]
    assert read(tmp_path / "a.png", expand_palette=False).array.tolist() == [[[0, 1, 2]]]
    assert read_header(tmp_path / "a.png").channels == 3


def test_resolution_counts_only_where_it_is_trusted(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", dpi=(254, 127))
    assert read(tmp_path / "a.png").geometry.spacing_mm is None
    assert read(tmp_path / "a.png", trust_spacing=True).geometry.spacing_mm == pytest.approx((0.2, 0.1), rel=1e-3)
    assert read_header(tmp_path / "a.png", trust_spacing=True).spacing_mm == pytest.approx((0.2, 0.1), rel=1e-3)


def test_jpeg_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(path)
    assert read(path).array.shape == (3, 64, 64)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="truncated"):
        read(path)


def test_pages_are_refused_with_their_number(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY) for _ in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="holds 3 pages"):
        read(tmp_path / "stack.tif")


def test_a_picture_with_too_many_pixels_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(tmp_path / "slide.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="million pixels that are read at once; cut it into tiles"):
        read(tmp_path / "slide.png")


def test_a_gif_is_its_colours_and_never_its_indices(tmp_path: Path) -> None:
    """White has index 0 here, as an encoder may choose."""
    for name, palette, expected in (
        ("grey", [255, 255, 255, 0, 0, 0], [[[255, 0, 255]]]),
        ("colours", [255, 0, 0, 0, 0, 9], [[[255, 0, 255]], [[0, 0, 0]], [[0, 9, 0]]]),
    ):
        picture = Image.fromarray(np.array([[0, 1, 0]], np.uint8), "P")
        picture.putpalette(palette)
        path = tmp_path / f"{name}.gif"
        picture.save(path)
        for expand in (True, False):
            assert read(path, expand_palette=expand).array.tolist() == expected
        header = read_header(path)
        assert header.shape == (1, 3) and header.channels == len(expected)
    Image.fromarray(GREY).save(tmp_path / "values.gif")
    np.testing.assert_array_equal(read(tmp_path / "values.gif").array, GREY[None])


def test_a_gif_of_several_frames_is_refused_and_none_is_written(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="holds 2 pages"):
        read(tmp_path / "film.gif")
    Image.fromarray(GREY).save(tmp_path / "one.gif")
    with pytest.raises(DataError, match="GIF is read but not written; write PNG instead"):
        write_labels(tmp_path / "out.gif", GREY, read_header(tmp_path / "one.gif").geometry)


def test_netpbm(tmp_path: Path) -> None:
    """Values as they are stored, also where the file calls another value than 255 the largest possible one."""
    Image.fromarray(GREY).save(tmp_path / "grey.pgm")
    np.testing.assert_array_equal(read(tmp_path / "grey.pgm").array, GREY[None])
    colours = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
    Image.fromarray(colours).save(tmp_path / "colours.ppm")
    np.testing.assert_array_equal(read(tmp_path / "colours.ppm").array, np.moveaxis(colours, -1, 0))
    (tmp_path / "labels.pgm").write_bytes(b"P5\n3 2\n4\n" + bytes([0, 1, 2, 3, 4, 0]))
    np.testing.assert_array_equal(read(tmp_path / "labels.pgm").array, [[[0, 1, 2], [3, 4, 0]]])
    (tmp_path / "plain.pnm").write_bytes(b"P2\n3 1\n2\n0 1 2\n")
    np.testing.assert_array_equal(read(tmp_path / "plain.pnm").array, [[[0, 1, 2]]])
    (tmp_path / "deep.pgm").write_bytes(b"P5\n3 1\n4095\n" + np.array([0, 7, 4095], ">u2").tobytes())
    deep = read(tmp_path / "deep.pgm").array
    assert deep.dtype == np.uint16 and deep.tolist() == [[[0, 7, 4095]]]
    (tmp_path / "whole.pgm").write_bytes(b"P5\n3 1\n65535\n" + np.array([0, 7, 65535], ">u2").tobytes())
    assert read(tmp_path / "whole.pgm").array.tolist() == [[[0, 7, 65535]]]


def test_netpbm_that_is_not_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "deep.ppm").write_bytes(b"P6\n1 1\n65535\n" + bytes(6))
    with pytest.raises(DataError, match="a PPM with colours of more than 8 bits is not read; save it as PNG"):
        read(tmp_path / "deep.ppm")
    (tmp_path / "short.pgm").write_bytes(b"P5\n3 2\n255\n" + bytes(5))
    with pytest.raises(DataError, match="damaged or truncated"):
        read(tmp_path / "short.pgm")
    Image.fromarray(GREY).save(tmp_path / "grey.pgm")
    with pytest.raises(DataError, match="PGM is read but not written; write PNG instead"):
        write_labels(tmp_path / "out.pgm", GREY, read_header(tmp_path / "grey.pgm").geometry)
