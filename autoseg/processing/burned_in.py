"""Text that a machine burned into a picture: small, bright, sharply bounded marks of one height in a row.

Kept strict, so that bright echoes in a row are not taken for it: speckle and echoes are blurred by the beam, letters are not. Text over bright
tissue, in dark grey, or in another direction is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, label

BRIGHT = 200  # of 255; machines write in white or in a bright colour
STEP = 110  # grey values from a mark to what lies two pixels from it
SMALLEST_HEIGHT, LARGEST_HEIGHT = 6, 48  # pixels of a letter
WIDEST_BY_HEIGHT = 2.0  # an M, or two letters that touch
FEWEST_LETTERS = 3
SAME_HEIGHT = 1.6  # capitals beside small letters
WIDEST_GAP_BY_HEIGHT = 1.2  # between letters, or words
OFF_LINE_BY_HEIGHT = 0.35  # how far bottoms or middles of neighbours may differ
LARGEST_SHARE = 0.06  # of a picture; where more is bright, it is no dark picture with marks on it
MOST_MARKS = 600
Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are not inside


@dataclass(frozen=True)
class _Mark:
    """A bright connected region, bounded by `box`."""

    box: Box

    @property
    def height(self) -> int:
        return self.box[2] - self.box[0]


def text_rows(picture: np.ndarray) -> tuple[Box, ...]:
    """Rectangles around rows of letters in a uint8 picture `(h, w)`, from top to bottom; none where nothing looks like text."""
    bright = picture >= BRIGHT
    number = int(np.count_nonzero(bright))
    if not FEWEST_LETTERS * SMALLEST_HEIGHT <= number <= LARGEST_SHARE * picture.size:
        return ()
    regions, count = label(bright, structure=np.ones((3, 3), int))
    if count < FEWEST_LETTERS:
        return ()
    marks = []
    for index, place in enumerate(find_objects(regions), start=1):
        box = (place[0].start, place[1].start, place[0].stop, place[1].stop)
        if _could_be_a_letter(box) and _is_sharp(picture, regions, index, box):
            marks.append(_Mark(box))
        if len(marks) > MOST_MARKS:
            return ()
    return tuple(sorted(_around(row) for row in _rows(marks)))


def _could_be_a_letter(box: Box) -> bool:
    height, width = box[2] - box[0], box[3] - box[1]
    return SMALLEST_HEIGHT <= height <= LARGEST_HEIGHT and 1 <= width <= WIDEST_BY_HEIGHT * height


def _is_sharp(picture: np.ndarray, regions: np.ndarray, index: int, box: Box) -> bool:
    """Whether the picture is dark two pixels from the mark, nearly all around it."""
    top, left = max(0, box[0] - 2), max(0, box[1] - 2)
    around = picture[top : box[2] + 2, left : box[3] + 2]
    mark = regions[top : box[2] + 2, left : box[3] + 2] == index
    near = _grown(mark)
    ring = _grown(near) & ~near & (regions[top : box[2] + 2, left : box[3] + 2] == 0)
    if not ring.any():
        return False
    return float(np.percentile(around[ring], 80)) <= float(np.median(around[mark])) - STEP


def _grown(mask: np.ndarray) -> np.ndarray:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    wide = grown.copy()
    wide[:, 1:] |= grown[:, :-1]
    wide[:, :-1] |= grown[:, 1:]
    return wide


def _rows(marks: list[_Mark]) -> list[list[_Mark]]:
    """Marks side by side on one line, with gaps as between letters; each mark goes on the row that ends closest to it."""
    rows: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda one: one.box[1]):
        fitting = [row for row in rows if _continues(row[-1], mark)]
        if fitting:
            min(fitting, key=lambda row: mark.box[1] - row[-1].box[3]).append(mark)
        else:
            rows.append([mark])
    return [row for row in rows if len(row) >= FEWEST_LETTERS]


def _continues(last: _Mark, mark: _Mark) -> bool:
    low, high = sorted((last.height, mark.height))
    gap = mark.box[1] - last.box[3]
    bottoms = abs(mark.box[2] - last.box[2])
    middles = abs(mark.box[0] + mark.box[2] - last.box[0] - last.box[2]) / 2
    return (
        high <= SAME_HEIGHT * low
        and -1 <= gap <= WIDEST_GAP_BY_HEIGHT * high
        and min(bottoms, middles) <= OFF_LINE_BY_HEIGHT * high
    )


def _around(row: list[_Mark]) -> Box:
    tops, lefts, bottoms, rights = zip(*(mark.box for mark in row), strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)
