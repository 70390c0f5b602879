"""Text that a machine burned into a picture: bright, sharply bounded marks of one height in a row, or small islands beside the image proper.

Kept strict, so that bright echoes in a row are not taken for it: speckle and echoes are blurred by the beam, letters are not. What lies on black
beside the sector may be as dark as it wants (HC18 has the name of the machine there, made nearly invisible). Text over bright tissue,
dark text in the sector, and text in another direction is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, label

BRIGHT = 200  # of 255; machines write in white or in a bright colour
STEP = 140  # grey values from a mark to what lies two pixels from it
SMALLEST_HEIGHT, LARGEST_HEIGHT = 6, 48  # pixels of a letter
WIDEST_BY_HEIGHT = 2.0  # an M, or two letters that touch
FEWEST_LETTERS = 3
SAME_HEIGHT = 1.6  # capitals beside small letters
WIDEST_GAP_BY_HEIGHT = 1.2  # between letters, or words
OFF_LINE_BY_HEIGHT = 0.35  # how far bottoms or middles of neighbours may differ
BESIDE = 2  # pixels from a mark, where it has to be dark
LARGEST_SHARE = 0.06  # of a picture; where more is bright, it is no dark picture with marks on it
MOST_MARKS = 600
BLACK = 4  # of 255; compression leaves a little on black
CLEAR = 8  # pixels between the sector and an island that is none of its echoes
LEAST_SECTOR = 0.1  # of the picture; without a sector nothing lies beside it
FLATTEST, WORD = 1.6, 12  # width by height of a word, and its least width; a single letter may be a speck of dust
MOST_ISLANDS = 12  # more are rather noise
SAME_ROW, SAME_WIDTH = 3, 0.25  # pixels, and share of the width, by which marks that recur may differ
RECURRING_PICTURES, RECURRING_SHARE = 3, 0.05
Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are not inside


@dataclass(frozen=True)
class _Mark:
    """A bright connected region, bounded by `box`."""

    box: Box

    @property
    def height(self) -> int:
        return self.box[2] - self.box[0]


def bright_rows(picture: np.ndarray) -> tuple[Box, ...]:
    """Rectangles around bright letters in a row, wherever they lie in a uint8 picture `(h, w)`, from top to bottom."""
    bright = picture >= BRIGHT
    number = int(np.count_nonzero(bright))
    if not FEWEST_LETTERS * SMALLEST_HEIGHT <= number <= LARGEST_SHARE * picture.size:
        return ()
    rows, columns = (
        _reach(np.asarray(bright.any(axis=axis))) for axis in (1, 0)
    )  # most of a picture is beside whatever is bright in it
    picture = picture[rows, columns]
    regions, count = label(bright[rows, columns], structure=np.ones((3, 3), int))
    if count < FEWEST_LETTERS:
        return ()
    marks = []
    for index, place in enumerate(find_objects(regions), start=1):
        box = (place[0].start, place[1].start, place[0].stop, place[1].stop)
        if _could_be_a_letter(box) and _is_sharp(picture, regions, index, box):
            marks.append(_Mark(box))
        if len(marks) > MOST_MARKS:
            return ()
    down, right = rows.start, columns.start
    around = (_around(row) for row in _rows(marks))
    return tuple(sorted((box[0] + down, box[1] + right, box[2] + down, box[3] + right) for box in around))


def _reach(occupied: np.ndarray) -> slice:
    """From the first place that is set to the last, and the pixels beside them that `_is_sharp` looks at."""
    places = np.flatnonzero(occupied)
    return slice(max(0, int(places[0]) - BESIDE), int(places[-1]) + 1 + BESIDE)


def islands_beside(picture: np.ndarray) -> tuple[Box, ...]:
    """Flat islands on black, of the size of a word, in rows of a uint8 picture where the sector (the largest bright region) is elsewhere.

    Echoes at the rim of a dark sector are such islands, too; letters come back at the same height in other pictures, see `recurring`.
    """
    high, wide = (size // 2 * 2 for size in picture.shape)
    quarters = [picture[top:high:2, left:wide:2] for top in (0, 1) for left in (0, 1)]
    seen = np.maximum(np.maximum(quarters[0], quarters[1]), np.maximum(quarters[2], quarters[3])) > BLACK
    regions, count = label(seen, structure=np.ones((3, 3), int))
    if count < 2:
        return ()
    sizes = np.bincount(regions.ravel())[1:]
    sector = regions == int(sizes.argmax()) + 1
    if sizes.max() < LEAST_SECTOR * seen.size:
        return ()
    columns = np.arange(sector.shape[1])
    first = np.where(sector.any(axis=1), sector.argmax(axis=1), sector.shape[1])
    last = np.where(sector.any(axis=1), (sector * columns).max(axis=1), -1)
    found = []
    for place in find_objects(regions):
        top, left, bottom, right = place[0].start, place[1].start, place[0].stop, place[1].stop
        near = slice(max(0, top - CLEAR // 2), bottom + CLEAR // 2)
        beside = right + CLEAR // 2 <= first[near].min() or left - CLEAR // 2 > last[near].max()
        height, width = 2 * (bottom - top), 2 * (right - left)
        if beside and SMALLEST_HEIGHT <= height <= LARGEST_HEIGHT and width >= max(WORD, FLATTEST * height):
            found.append((2 * top, 2 * left, 2 * bottom, 2 * right))
    return tuple(sorted(found)) if len(found) <= MOST_ISLANDS else ()


def recurring(pictures: Sequence[Sequence[Box]]) -> list[list[Box]]:
    """Of the islands of every picture those that other pictures have, too: of one size and at one height, in `RECURRING_SHARE` of the pictures.

    What a machine writes may move from side to side with the sector; where echoes lie is chance.
    """
    least = max(RECURRING_PICTURES, RECURRING_SHARE * len(pictures))
    boxes = np.array([box for islands in pictures for box in islands], float).reshape(-1, 4)
    owner = np.array([place for place, islands in enumerate(pictures) for _ in islands])
    found: list[list[Box]] = [[] for _ in pictures]
    for place, islands in enumerate(pictures):
        for box in islands:
            rows = (np.abs(boxes[:, [0, 2]] - [box[0], box[2]]) <= SAME_ROW).all(axis=1)
            widths = boxes[:, 3] - boxes[:, 1]
            same = rows & (np.abs(widths - (box[3] - box[1])) <= SAME_WIDTH * (box[3] - box[1]))
            if len(np.unique(owner[same])) >= least:
                found[place].append(box)
    return found


def _could_be_a_letter(box: Box) -> bool:
    height, width = box[2] - box[0], box[3] - box[1]
    return SMALLEST_HEIGHT <= height <= LARGEST_HEIGHT and 1 <= width <= WIDEST_BY_HEIGHT * height


def _is_sharp(picture: np.ndarray, regions: np.ndarray, index: int, box: Box) -> bool:
    """Whether the picture is dark two pixels from the mark, nearly all around it."""
    top, left = max(0, box[0] - BESIDE), max(0, box[1] - BESIDE)
    around = picture[top : box[2] + BESIDE, left : box[3] + BESIDE]
    mark = regions[top : box[2] + BESIDE, left : box[3] + BESIDE] == index
    near = _grown(mark)
    ring = _grown(near) & ~near & (regions[top : box[2] + BESIDE, left : box[3] + BESIDE] == 0)
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
