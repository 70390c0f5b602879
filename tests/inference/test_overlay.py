"""Contours lie where the labels' borders are, in the right colour and proportions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.inference.overlay import GAP, PALETTE, PANEL_LONG_SIDE, draw_plane, save_overlay, wrapped

BLACK = (0, 0, 0)


def drawn(tmp_path: Path, *arguments: object, **options: object) -> np.ndarray:
    save_overlay(tmp_path / "o.png", *arguments, **options)  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["o.png"]
    with Image.open(tmp_path / "o.png") as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        return np.asarray(picture)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def test_a_square_is_outlined_one_pixel_on_either_side(tmp_path: Path) -> None:
    labels = np.zeros((300, 200), np.uint8)
    labels[100:150, 60:160] = 1
    picture = drawn(tmp_path, np.zeros((1, 300, 200), np.uint8), labels, {1: "Head"}, None)
    assert picture.shape == (300, 200, 3)
    line = where(picture, PALETTE[0])[90:160]  # the legend lies in a corner
    expected = np.zeros_like(labels, bool)
    expected[99:151, 59:161] = True
    expected[101:149, 61:159] = False
    expected[[99, 99, 150, 150], [59, 160, 59, 160]] = False  # outer corners are rounded
    assert np.array_equal(line, expected[90:160])


def test_a_structure_inside_another_is_drawn_once_in_its_own_colour(tmp_path: Path) -> None:
    labels = np.zeros((300, 300), np.uint8)
    labels[100:220, 100:220] = 1
    labels[150:170, 150:170] = 2
    picture = drawn(tmp_path, np.zeros((1, 300, 300), np.uint8), labels, {1: "Brain", 2: "CSP"}, None)
    inner = picture[140:180, 140:180]
    assert where(inner, PALETTE[1]).any() and not where(inner, PALETTE[0]).any()


def test_an_empty_mask_leaves_the_image_bare_and_the_legend_says_so(tmp_path: Path) -> None:
    image = np.tile(np.linspace(0, 255, 400, dtype=np.uint8), (1, 300, 1))
    picture = drawn(tmp_path, image, np.zeros((300, 400), np.uint8), {1: "CSP"}, None)
    below = picture[150:]
    assert (below[..., 0] == below[..., 1]).all() and (np.diff(below[0, :, 0].astype(int)) >= 0).all()


def test_legend_of_a_small_image_goes_below_it(tmp_path: Path) -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 3
    picture = drawn(tmp_path, np.zeros((1, 40, 40), np.float32), labels, {3: "Lateral ventricle"}, None)
    assert picture.shape[0] > 40 + GAP and picture.shape[1] > 40
    assert where(picture[:40, :40], PALETTE[0]).any()


def test_colours_of_the_image_are_kept(tmp_path: Path) -> None:
    image = np.zeros((3, 200, 200), np.uint8)
    image[0, :, 100:] = 255
    picture = drawn(tmp_path, image, np.zeros((200, 200), np.uint8), {}, None)
    assert picture[150, 150].tolist() == [255, 0, 0] and picture[150, 50].tolist() == [0, 0, 0]


def test_a_volume_is_shown_in_true_proportions(tmp_path: Path) -> None:
    """z 10 x 3 mm = 30 mm, y 20 mm, x 40 mm: planes of 20x40, 30x40 and 30x20 mm at 12 pixels a mm."""
    labels = np.zeros((10, 20, 40), np.uint8)
    labels[4:7, 5:15, 10:30] = 1
    picture = drawn(tmp_path, np.zeros((1, 10, 20, 40), np.float32), labels, {1: "Liver"}, (3.0, 1.0, 1.0))
    scale = PANEL_LONG_SIDE / 40
    assert picture.shape[1] == 40 * scale + 40 * scale + 20 * scale + 2 * GAP
    assert picture.shape[0] > 30 * scale + GAP
    rows, columns = np.nonzero(where(picture[:, :PANEL_LONG_SIDE], PALETTE[0]) & (np.arange(len(picture)) < 20 * scale)[:, None])
    assert rows.min() == pytest.approx(5 * scale, abs=2) and rows.max() == pytest.approx(15 * scale, abs=2)
    assert columns.min() == pytest.approx(10 * scale, abs=2) and columns.max() == pytest.approx(30 * scale, abs=2)


def test_a_volume_of_one_slice_is_one_plane(tmp_path: Path) -> None:
    picture = drawn(tmp_path, np.zeros((1, 1, 30, 60), np.float32), np.zeros((1, 30, 60), np.uint8), {}, (5.0, 1.0, 1.0))
    assert picture.shape == (PANEL_LONG_SIDE // 2, PANEL_LONG_SIDE, 3)


def test_values_that_are_no_numbers_are_drawn_black(tmp_path: Path) -> None:
    image = np.ones((1, 100, 100), np.float32)
    image[0, :50] = np.nan
    image[0, 50:75] = 2
    picture = drawn(tmp_path, image, np.zeros((100, 100), np.uint8), {}, None)
    assert tuple(picture[10, 10]) == BLACK and picture[60, 10].tolist() == [255] * 3


def test_words_are_broken_where_they_would_run_off() -> None:
    text = "a head with many words to be told below"
    lines = wrapped(text, len, 16, indent="    ")
    assert lines == ["a head with many", "    words to be", "    told below"]
    assert wrapped(text, len, 16) == ["a head with many", "words to be told", "below"]
    assert wrapped("averyveryverylongword", len, 5) == ["averyveryverylongword"]
    assert wrapped("aa bb", len, 1) == ["aa", "bb"] and wrapped("", len, 5) == [""]


def test_structures_that_lie_over_one_another_are_outlined_whole() -> None:
    """Two squares of 20 that share a quarter: with a plane for each the outline of the first goes on below the second."""
    planes = np.zeros((2, 40, 40), np.uint16)
    planes[0, 4:24, 4:24], planes[1, 14:34, 14:34] = 1, 2
    colours = {1: (255, 0, 0), 2: (0, 255, 0)}
    greys = np.zeros((40, 40, 3), np.uint8)
    whole, painted = (draw_plane(greys, one, colours, (40, 40)) for one in (planes, planes.max(axis=0)))
    assert whole[18, 23, 0] > 100 > painted[18, 23, 0]  # on the right side of the first square, within the second
    assert whole[18, 4, 0] > 100 and painted[18, 4, 0] > 100
