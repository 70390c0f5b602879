"""Letters that a machine burned into a picture, and echoes that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from autoseg.processing.burned_in import bright_rows, islands_beside, recurring


def sector() -> np.ndarray:
    y, x = np.mgrid[:300, :400]
    speckle = 40 + 60 * gaussian_filter(np.random.default_rng(0).normal(size=(300, 400)), 2)
    return np.where(np.abs(x - 200) < 60 + y / 3, np.clip(speckle * 2, 20, 190), 0).astype(np.uint8)


def written(picture: np.ndarray, text: str, at: tuple[int, int], grey: int = 255) -> np.ndarray:
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(at, text, fill=grey, font=ImageFont.load_default(size=18))
    return np.array(image)


def test_bright_letters_are_found_where_they_are() -> None:
    picture = sector()
    picture[140:175, 100:260] = 0
    ((top, left, bottom, right),) = bright_rows(written(picture, "HC 231 mm", (105, 145)))
    assert 140 <= top < bottom <= 175 and 100 <= left < 115 and 170 < right <= 260


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 2), (80, 150), (82, 152)], ids=str)
def test_letters_are_found_alike_up_to_the_edge_of_the_picture(down: int, right: int) -> None:
    """The glyphs alone, moved to the very corners and away from them: what lies around all that is bright changes nothing."""
    blank = np.zeros((60, 200), np.uint8)
    letters = written(blank, "HC 231 mm", (5, 5))
    rows, columns = np.flatnonzero(letters.any(axis=1)), np.flatnonzero(letters.any(axis=0))
    glyphs = letters[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    high, wide = glyphs.shape
    picture = np.zeros((82 + high, 152 + wide), np.uint8)
    picture[down : down + high, right : right + wide] = glyphs
    ((top, left, bottom, end),) = bright_rows(picture)
    ((top_inside, left_inside, bottom_inside, end_inside),) = bright_rows(np.pad(glyphs, 20))
    assert (top - down, left - right) == (top_inside - 20, left_inside - 20)
    assert (bottom - down, end - right) == (bottom_inside - 20, end_inside - 20)


@pytest.mark.parametrize("marks", ["none", "two letters", "blurred", "bar"])
def test_what_is_no_text(marks: str) -> None:
    picture = sector()
    if marks == "two letters":
        picture = written(picture, "HC", (10, 10))
    if marks == "blurred":  # echoes in a row
        echoes = np.zeros(picture.shape)
        for place in range(6):
            echoes[150:158, 140 + 14 * place : 146 + 14 * place] = 450
        picture = np.clip(np.maximum(picture, gaussian_filter(echoes, 3)), 0, 255).astype(np.uint8)
        assert (picture > 200).any()
    if marks == "bar":
        picture[20:200, 3:9] = 255
    assert bright_rows(picture) == ()


def test_faint_words_beside_the_sector() -> None:
    word = written(sector(), "Machine", (10, 20), grey=14)
    ((top, left, bottom, right),) = islands_beside(word)
    assert 18 <= top < bottom <= 44 and 8 <= left < 14 and 60 < right < 100
    assert islands_beside(sector()) == ()
    assert islands_beside(written(sector(), "Machine", (180, 200), grey=250)) == ()  # in the sector
    assert islands_beside(np.zeros((50, 60), np.uint8)) == ()


def test_marks_that_come_back() -> None:
    same = [[(26, 40 + place, 34, 70 + place)] for place in range(3)]
    assert recurring([*same, [(90, 10, 98, 40)], []]) == [*same, [], []]
    assert recurring(same[:2]) == [[], []]
    wider = [*same[:2], [(26, 40, 34, 90)]]
    assert recurring(wider) == [[], [], []]
    assert recurring([]) == []


def test_real_pictures(shared_data: Path) -> None:
    """HC18 has the machine's name at rows 26 to 34 of most pictures, made nearly invisible."""
    folder = shared_data / "HC18" / "training_set"
    if not folder.is_dir():
        pytest.skip("HC18 is not at hand")
    names = ("002_HC", "010_2HC", "016_HC", "031_HC", "043_HC")
    found = recurring([islands_beside(np.array(Image.open(folder / f"{name}.png"))) for name in names])
    assert all(len(boxes) == 1 and boxes[0][0] == 26 and boxes[0][2] == 34 for boxes in found)
    assert all(bright_rows(np.array(Image.open(folder / f"{name}.png"))) == () for name in names)
