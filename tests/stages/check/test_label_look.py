"""Labels as they are stored: values, how they are told, lines, borders that were smoothed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from autoseg.stages.check.label_look import LabelLook, look_at_label
from autoseg.stages.check.runs import packed_colours, runs_of, runs_of_colours
from autoseg.volume.geometry import Geometry


def looked(array: np.ndarray, **options: bool) -> LabelLook:
    array = array if array.ndim > 2 else array[None]
    return look_at_label(array, Geometry.plain(array.ndim - 1), **options)


def disc(size: int = 200, radius: float = 60.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) <= radius


def test_values_are_counted_and_told_the_same_however_they_are_stored() -> None:
    array = np.array([[0, 0, 1, 1], [2, 2, 2, 0]])
    counts = {"0": 3, "1": 2, "2": 3}
    for dtype in (np.uint8, np.int16, np.float32, np.float64):
        look = looked(array.astype(dtype))
        assert dict(look.counts) == counts and look.distinct == 3 and look.broken == 0
        assert look.content_hash == looked(array.astype(np.uint8)).content_hash
    assert looked(array[::-1].astype(np.uint8)).content_hash != looked(array.astype(np.uint8)).content_hash


def test_colours_are_told_and_grey_content_is_not_colour() -> None:
    colours = np.zeros((3, 2, 2), np.uint8)
    colours[:, 0, 0] = 255, 128, 1
    assert dict(looked(colours).counts) == {"0,0,0": 3, "255,128,1": 1}
    deep = colours.astype(np.uint16) * 257
    assert dict(looked(deep).counts) == {"0,0,0": 3, "65535,32896,257": 1}
    assert dict(looked(np.repeat(np.full((1, 2, 2), 7, np.uint8), 3, axis=0)).counts) == {"7": 4}


def test_numbers_that_are_not_whole() -> None:
    look = looked(np.array([[0, 0.5, 0.5, np.nan], [1, 1, 1, -0.0]], np.float32))
    assert look.broken == 3
    assert dict(look.counts) == {"0": 2, "0.5": 2, "1": 3, "nan": 1}


def test_runs_are_the_label_again() -> None:
    array = np.random.default_rng(0).integers(0, 4, (5, 6, 7))
    runs = runs_of(array)
    assert (np.array([int(key) for key in runs.keys])[runs.map()] == array).all()
    assert runs_of(np.zeros((0, 4))).counts() == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_runs_of_colours_are_those_of_colours_packed_for_every_pixel(dtype: type) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3]], dtype)
    places = np.repeat(np.random.default_rng(1).integers(0, 5, (20, 6)), 5, axis=1)
    array = np.ascontiguousarray(np.moveaxis(colours[places], -1, 0))
    found, expected = runs_of_colours(array), runs_of(packed_colours(array), coloured=True)
    assert found.keys == expected.keys and found.shape == expected.shape and found.digest() == expected.digest()
    assert (found.map() == expected.map()).all() and len(found.keys) == 5
    assert runs_of_colours(array[:, :0]).counts() == {}


def test_borders_that_were_smoothed() -> None:
    picture = Image.fromarray(disc().astype(np.uint8) * 255).resize((100, 100), Image.Resampling.BILINEAR)
    look = looked(np.array(picture.resize((200, 200), Image.Resampling.BICUBIC)))
    assert look.soft > 100


def test_strays_and_small_structures_are_no_smoothed_borders() -> None:
    array = disc().astype(np.uint8)
    for value in range(2, 12):  # ten small structures apart from everything
        array[2:4, 10 * value : 10 * value + 2] = value
    assert looked(array).soft == 0
    organs = disc().astype(np.uint8)
    for value in range(2, 12):  # and ten beside a large one
        organs[98 + 4 * (value % 2) :, :][:4, 14 * value : 14 * value + 5] = value
    assert looked(organs).soft == 0
    assert looked(disc().astype(np.uint8) * 255).soft == 0
    assert looked(np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)).soft == 0  # a picture of greys


def test_a_smoothed_volume() -> None:
    volume = np.zeros((5, 100, 100))
    volume[1:4] = gaussian_filter(disc(100, 30).astype(float), 1.5) * 200
    stored = np.rint(volume).astype(np.uint8)
    counts = np.bincount(stored.ravel())[1:]
    assert looked(stored[None]).soft == counts[counts < 0.02 * counts.sum()].sum() > 0


def test_a_picture_in_the_place_of_a_label() -> None:
    """Values that change from pixel to pixel; as many classes in blocks are an atlas, and few values a mask."""
    random = np.random.default_rng(0)
    assert looked(random.integers(0, 200, (60, 80)).astype(np.uint8)).picture
    assert not looked(random.integers(0, 32, (60, 80)).astype(np.uint8)).picture
    atlas = np.kron(random.permutation(120).reshape(10, 12), np.ones((5, 5))).astype(np.uint8)
    look = looked(atlas)
    assert not look.picture and look.distinct == 120 and look.counts["119"] == 25


def test_a_large_picture_in_the_place_of_a_label_is_told_by_a_part() -> None:
    values = np.random.default_rng(0).integers(0, 5000, (1, 2100, 2000)).astype(np.int16)
    look = looked(values)
    assert look.picture and look.distinct == 5000 and len(look.counts) == 1000 and look.shape == (2100, 2000)
    mask = np.zeros((1, 2100, 2000), np.uint8)
    mask[0, :5] = 1
    assert dict(looked(mask).counts) == {"0": 2095 * 2000, "1": 5 * 2000}
