"""Labels as they are stored: values, how they are told, lines, borders that were smoothed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from autoseg.stages.check.label_look import LabelLook, is_outline, look_at_label, runs_of
from autoseg.volume.geometry import Geometry


def looked(array: np.ndarray, **options: bool) -> LabelLook:
    array = array if array.ndim > 2 else array[None]
    return look_at_label(array, Geometry.plain(array.ndim - 1), **options)


def disc(size: int = 200, radius: float = 60.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) <= radius


def ring(thickness: float, *, size: int = 200, radius: float = 60.0) -> np.ndarray:
    return disc(size, radius) & ~disc(size, radius - thickness)


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


@pytest.mark.parametrize(("thickness", "found"), [(1.5, True), (3.0, True), (5.0, False), (20.0, False), (60.0, False)], ids=str)
def test_a_thin_ring_is_an_outline_and_a_wall_is_none(thickness: float, found: bool) -> None:
    """Of 120 pixels of diameter, 4 % are 4.8."""
    look = looked(ring(thickness).astype(np.uint8) * 3)
    assert set(look.outlines) == ({"3"} if found else set())
    if found:
        assert look.outlines["3"] == pytest.approx(np.pi * 60**2, rel=0.02)


def test_a_ring_by_numbers() -> None:
    """A ring of outer diameter 100 and thickness 4: pi (50^2 - 46^2) = 1206 pixels around pi 46^2 = 6648."""
    assert is_outline(1206, 6648)
    assert not is_outline(1521, 6362)  # thickness 5
    assert not is_outline(100, 150)  # more line than inside


def test_what_encloses_another_structure_is_a_wall() -> None:
    array = ring(2.0).astype(np.uint8)
    array[90:110, 90:110] = 2
    assert looked(array).outlines == {}


def test_an_outline_in_a_large_picture() -> None:
    found = looked(ring(3.0, size=700, radius=250.0).astype(np.uint8)).outlines
    assert found["1"] == pytest.approx(np.pi * 250**2, rel=0.03)


def test_an_open_line_is_no_outline() -> None:
    array = ring(2.0)
    array[:, 95:110] = False
    assert looked(array.astype(np.uint8)).outlines == {}


@pytest.mark.parametrize(
    ("leaves", "found"), [(20, True), (75, False), (-30, False)], ids=["a little", "most of it", "not at all"]
)
def test_an_ellipse_that_leaves_the_picture(leaves: int, found: bool) -> None:
    """A ring of radius 60 of which so much is cut off; within the picture it has a gap only where it leaves."""
    array = ring(3.0)[40 + max(leaves, 0) :]  # the ring begins at row 40
    if leaves < 0:
        array[:, 98:103] = False
    look = looked(array.astype(np.uint8))
    assert bool(look.outlines) == found
    if found:
        assert look.outlines["1"] == pytest.approx(disc(radius=58.5)[60:].sum(), rel=0.01)


def test_an_arc_from_side_to_side_is_no_outline() -> None:
    y, x = np.mgrid[:200, :200]
    layer = np.abs(y - (80 + (x - 100) ** 2 / 250)) < 2
    assert looked(layer.astype(np.uint8)).outlines == {}


def test_borders_that_were_smoothed() -> None:
    picture = Image.fromarray(disc().astype(np.uint8) * 255).resize((100, 100), Image.Resampling.BILINEAR)
    look = looked(np.array(picture.resize((200, 200), Image.Resampling.BICUBIC)))
    assert look.soft > 100


def test_strays_and_small_structures_are_no_smoothed_borders() -> None:
    array = disc().astype(np.uint8)
    for value in range(2, 12):  # ten small structures apart from everything
        array[2:4, 10 * value : 10 * value + 2] = value
    assert looked(array).soft == 0
    assert looked(disc().astype(np.uint8) * 255).soft == 0
    assert looked(np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)).soft == 0  # a picture of greys


def test_a_smoothed_volume() -> None:
    volume = np.zeros((5, 100, 100))
    volume[1:4] = gaussian_filter(disc(100, 30).astype(float), 1.5) * 200
    stored = np.rint(volume).astype(np.uint8)
    counts = np.bincount(stored.ravel())[1:]
    assert looked(stored[None]).soft == counts[counts < 0.02 * counts.sum()].sum() > 0


def test_a_large_image_in_the_place_of_a_label_is_told_by_a_sample() -> None:
    values = np.random.default_rng(0).integers(0, 5000, (1, 2100, 2000)).astype(np.int16)
    look = looked(values)
    assert look.distinct > 256 and len(look.counts) == 64 and look.shape == (2100, 2000)
    mask = np.zeros((1, 2100, 2000), np.uint8)
    mask[0, :5] = 1
    assert dict(looked(mask).counts) == {"0": 2095 * 2000, "1": 5 * 2000}
