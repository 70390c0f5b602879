from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.processing.labels import decode_labels
from autoseg.records import ColourEncoding, OutlineEncoding, ValueEncoding
from autoseg.volume.files import read

MAPPED = ValueEncoding(values={0: 0, 128: 2, 255: 1})
HEAD = ColourEncoding(colours={"0,0,0": 0, "255,0,0": 1, "0,255,0": 2, "255,255,0": 2})


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int64, np.float32])
def test_values_are_mapped_by_declaration(kind: type) -> None:
    decoded = decode_labels(np.array([[[0, 255], [128, 0]]], dtype=kind), MAPPED)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == [[0, 1], [2, 0]]


def test_negative_and_distant_values_can_be_declared() -> None:
    encoding = ValueEncoding(values={-1: 0, 1000: 1})
    assert decode_labels(np.array([[[-1, 1000]]], dtype=np.int32), encoding).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float64])
def test_every_undeclared_value_is_named_with_its_count_and_the_cure(kind: type) -> None:
    array = np.zeros((1, 4, 5), dtype=kind)
    array[0, 0, :3], array[0, 1, 0] = 130, 233
    with pytest.raises(DataError) as raised:
        decode_labels(array, MAPPED, "rat2.png")
    message = str(raised.value)
    assert message.startswith("rat2.png: label values not declared: 130 (3 pixels), 233 (1 pixel); declared: 0; 128; 255;")
    assert "correct the mask, or declare" in message


def test_values_far_apart_need_no_huge_table() -> None:
    with pytest.raises(DataError, match=r"4000000000 \(1 pixel\)"):
        decode_labels(np.array([[[0, 4_000_000_000]]], dtype=np.int64), MAPPED)


@pytest.mark.parametrize("stray", [0.5, np.nan, np.inf])
def test_numbers_that_are_not_whole_are_refused(stray: float) -> None:
    with pytest.raises(DataError, match="1 pixels hold numbers that are not whole"):
        decode_labels(np.array([[[0, stray, 255]]], dtype=np.float32), MAPPED)


def test_alpha_and_equal_channels_are_dropped_where_values_are_declared() -> None:
    grey = np.array([[0, 255], [128, 0]], dtype=np.uint8)
    expected = [[0, 1], [2, 0]]
    alpha = np.full_like(grey, 77)
    assert decode_labels(np.stack([grey, alpha]), MAPPED).tolist() == expected
    assert decode_labels(np.stack([grey, grey, grey, alpha]), MAPPED).tolist() == expected
    with pytest.raises(DataError, match="3 different channels"):
        decode_labels(np.stack([grey, grey, alpha]), MAPPED)


def test_volumes_keep_their_axes() -> None:
    array = np.arange(24).reshape(1, 2, 3, 4) % 2 * 255
    assert decode_labels(array, MAPPED).shape == (2, 3, 4)


def test_an_empty_array_decodes_to_an_empty_one() -> None:
    assert decode_labels(np.zeros((1, 0, 4), dtype=np.uint16), MAPPED).shape == (0, 4)


def test_colours_are_mapped_and_two_may_share_a_value() -> None:
    pixels = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 255, 0], [255, 255, 0]]], dtype=np.uint8)
    array = np.moveaxis(pixels, -1, 0)
    assert decode_labels(array, HEAD).tolist() == [[0, 1], [2, 2]]
    with_alpha = np.concatenate([array, np.full((1, 2, 2), 255, dtype=np.uint8)])
    assert decode_labels(with_alpha, HEAD).tolist() == [[0, 1], [2, 2]]
    assert decode_labels(np.zeros((1, 2, 2), dtype=np.uint8), HEAD).tolist() == [[0, 0], [0, 0]]


def test_every_undeclared_colour_is_named_with_its_count() -> None:
    array = np.zeros((3, 2, 3), dtype=np.uint8)
    array[2, 0, :2] = 255
    array[:, 1, 1] = (1, 2, 3)
    with pytest.raises(DataError) as raised:
        decode_labels(array, HEAD)
    assert "label colours not declared: 0,0,255 (2 pixels), 1,2,3 (1 pixel); declared: 0,0,0; 255,0,0;" in str(raised.value)


def test_colours_need_eight_bits() -> None:
    with pytest.raises(DataError, match="8 bits per colour"):
        decode_labels(np.full((3, 2, 2), 60000, dtype=np.uint16), HEAD)


def draw_ring(shape: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float], width: float) -> np.ndarray:
    """A ring drawn by distance to 20,000 points of the ellipse: knows nothing of the fit."""
    t = np.linspace(0, 2 * math.pi, 20_000)
    y, x = centre[0] + axes[1] * np.sin(t), centre[1] + axes[0] * np.cos(t)
    ring = np.zeros(shape, dtype=np.uint8)
    for dy in np.arange(-width, width + 1):
        for dx in np.arange(-width, width + 1):
            if math.hypot(dy, dx) <= width:
                rows, columns = np.rint(y + dy).astype(int), np.rint(x + dx).astype(int)
                inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
                ring[rows[inside], columns[inside]] = 255
    return ring


def test_an_outline_is_filled_to_its_centre_line() -> None:
    ring = draw_ring((300, 400), (150, 200), (120, 90), 1)
    decoded = decode_labels(ring[None], OutlineEncoding(value=3))
    assert set(np.unique(decoded)) == {0, 3}
    assert (decoded == 3).sum() == pytest.approx(math.pi * 120 * 90, rel=2e-3)
    assert ((ring > 0) & (decoded == 0)).sum() > (ring > 0).sum() / 3  # the outer half of the ring is not head


def test_an_outline_that_leaves_the_image_is_filled_all_the_same() -> None:
    ring = draw_ring((300, 400), (40, 200), (120, 90), 1)
    decoded = decode_labels(ring[None], OutlineEncoding())
    assert decoded[0, 200] == 1
    assert decoded[40, 200] == 1
    assert decoded[128, 200] == 1
    assert decoded[135, 200] == 0


def test_no_outline_is_background_and_a_filled_mask_is_refused() -> None:
    assert not decode_labels(np.zeros((1, 20, 30), dtype=np.uint8), OutlineEncoding()).any()
    y, x = np.mgrid[:300, :400]
    disc = ((y - 150) ** 2 / 90**2 + (x - 200) ** 2 / 120**2 <= 1).astype(np.uint8)
    with pytest.raises(DataError, match="filled mask"):
        decode_labels(disc[None], OutlineEncoding())
    with pytest.raises(DataError, match="at least 6"):
        decode_labels(np.eye(5, dtype=np.uint8)[None] * (np.arange(5) < 3), OutlineEncoding())


def test_real_outlines_that_leave_the_image(shared_data: Path) -> None:
    paths = [
        shared_data / "HC18" / "training_set" / f"{stem}_Annotation.png" for stem in ("186_HC", "346_HC", "628_2HC", "787_HC")
    ]
    present = [path for path in paths if path.exists()]
    assert present
    for path in present:
        array = read(path).array
        assert decode_labels(array, OutlineEncoding()).sum() > 20 * (array > 0).sum()  # a ring has 2.5 px, the head hundreds
