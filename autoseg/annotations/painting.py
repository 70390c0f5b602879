"""Shapes -> label maps. A pixel belongs to a shape if its centre does.

Overlaps are decided in one of three ways, see `Overlap`:

- `order`: what lies above counts (`z_order`, then the order of the file), as the drawing programs show it;
- `smaller`: what is smaller counts, for sets in which the order means nothing;
- `regions`: both count; a pixel's value has a bit for each label that it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Annotation, Bitmap, MaskFile, Polygon, Shape, Size
from autoseg.annotations.colours import ALPHA_CHANNELS, RGB, runs_in
from autoseg.errors import DataError
from autoseg.volume.files import is_picture, read, read_header

Overlap = Literal["order", "smaller", "regions"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
LEAST_RING = 3
MOST_REGIONS = 16  # bits of a value
FLAT_RUN = 2.5  # pixels in a row, on average, of a value that fills areas
MOST_LABELS = 8  # distinct values of a mask that are counted as labels
LOWEST_GREY = 128  # largest value from which on a picture is taken for greys of 0 to 255


@dataclass(frozen=True, eq=False)
class Painted:
    """One image's labels.

    `labels` is uint16 of the image's size: the place of the label in the list, counted from 1; with `regions` 2 to the power of its place
    counted from 0, summed over the labels. `covered` counts the pixels at which a label (second) lies over another (first), and `joined` the
    values of a label's mask that are all inside, where they are several, as in a label map.
    """

    labels: np.ndarray
    covered: Mapping[tuple[str, str], int]
    joined: Mapping[str, int]


def paint(
    annotations: Sequence[Annotation],
    size: Size,
    labels: Sequence[str],
    overlap: Overlap = "order",
) -> Painted:
    """The label map of one image. Shapes are drawn one by one, so that no more than one mask is in memory; with `smaller` each is drawn twice.

    Args:
        annotations: shapes whose labels are in `labels`.
        size: of the image; (height, width) unless all shapes are files.
        labels: all labels of the set, in order.
        overlap: what counts where shapes lie over one another.

    Raises:
        DataError: a mask is of another size; there are more labels than a label map can hold.
    """
    most = MOST_REGIONS if overlap == "regions" else np.iinfo(np.uint16).max
    if len(labels) > most:
        raise DataError(
            f"{len(labels)} labels are more than the {most} that a label map can hold; choose some of them with --only"
        )
    place_of = {name: place for place, name in enumerate(labels)}
    ordered = sorted(annotations, key=lambda one: one.z_order)
    if overlap == "smaller":
        pixels_in = {id(one): int(np.count_nonzero(pixels_of(one.shape, size))) for one in ordered}
        ordered.sort(key=lambda one: -pixels_in[id(one)])
    covered: Counter[tuple[str, str]] = Counter()
    joined: dict[str, int] = {}
    result = np.zeros(size, np.uint16)
    bits = np.zeros(size, np.uint16)
    for one in ordered:
        place, (inside, values) = place_of[one.label], _drawn(one.shape, size)
        if values > 1:
            joined[one.label] = max(values, joined.get(one.label, 0))
        for below, pixels in zip(*np.unique(result[inside], return_counts=True), strict=True):
            if below not in (0, place + 1):
                covered[labels[int(below) - 1], labels[place]] += int(pixels)
        result[inside] = place + 1
        if overlap == "regions":
            bits[inside] |= np.uint16(1 << place)
    return Painted(bits if overlap == "regions" else result, covered, joined)


def region_values(labels: Sequence[str], found: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """By label the values of a set with `regions` that contain it, of those that were found."""
    values = sorted(set(found) - {0})
    return {name: tuple(value for value in values if value >> place & 1) for place, name in enumerate(labels)}


def pixels_of(shape: Shape, size: Size) -> np.ndarray:
    """Boolean `(height, width)`: the pixels that belong to a shape.

    Raises:
        DataError: a mask is of another size.
    """
    return _drawn(shape, size)[0]


def _drawn(shape: Shape, size: Size) -> tuple[np.ndarray, int]:
    """The pixels that belong to a shape, and how many values of a mask they have."""
    if isinstance(shape, Polygon):
        return area_inside(shape, size), 1
    if isinstance(shape, MaskFile):
        return _of_file(shape, size)
    return _of_bitmap(shape, size), 1


def area_inside(polygon: Polygon, size: Size) -> np.ndarray:
    """Boolean `(height, width)`: pixels whose centre an odd number of rings encloses. A centre on an edge belongs to the left and upper side's
    shape, so that shapes which share an edge share no pixel.
    """
    height, width = size
    crossings: list[list[float]] = [[] for _ in range(height)]
    for ring in polygon.rings:
        points = np.asarray(ring, float).reshape(-1, 2)
        if len(points) >= LEAST_RING:
            for row, x in _crossings(points, height):
                crossings[row].append(x)
    inside = np.zeros(size, bool)
    for row, xs in enumerate(crossings):
        xs.sort()
        for left, right in zip(xs[::2], xs[1::2], strict=False):
            first, last = (int(np.clip(np.ceil(x - 0.5), 0, width)) for x in (left, right))
            inside[row, first:last] = True
    return inside


def _crossings(points: np.ndarray, height: int) -> Iterator[tuple[int, float]]:
    """(row, x) at which a closed ring crosses the line through the row's pixel centres."""
    for one, other in zip(points, np.roll(points, -1, axis=0), strict=True):
        # An edge gives the same numbers in both directions, so that neighbours meet in it, and an edge there and back encloses nothing.
        (x0, y0), (x1, y1) = (one, other) if one[1] < other[1] else (other, one)
        first, last = max(0, int(np.ceil(y0 - 0.5))), min(height, int(np.ceil(y1 - 0.5)))
        for row in range(first, last):
            yield row, x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)


def _of_file(shape: MaskFile, size: Size) -> tuple[np.ndarray, int]:
    array = _levels(shape.path)
    if array.shape != tuple(size):
        found, wanted = ("x".join(map(str, reversed(one))) for one in (array.shape, size))
        raise DataError(
            f"its mask {shape.path.name} has {found} pixels, its image {wanted}; resave one of them on the other's grid"
        )
    return _inside(array, is_picture(shape.path))


def _levels(path: Path) -> np.ndarray:
    """What a mask file holds at each pixel, `(*spatial)`: its value, or the largest of its colours' parts; alpha says nothing.

    A palette in greys is those greys, so that white is inside wherever it stands in it. In other palettes 0 is what is black, or where nothing
    is black the first colour, which is the background by custom; whatever else is 1.
    """
    array = read(path, expand_palette=False).array
    if not is_picture(path):
        return array.max(axis=0)
    if read_header(path).channels == len(array):  # no palette
        return (array[:-1] if len(array) in ALPHA_CHANNELS else array).max(axis=0)
    coloured = read(path).array[:RGB]
    if (coloured == coloured[:1]).all():
        return coloured[0]
    black = (coloured == 0).all(axis=0)
    return (~black if black.any() else array[0] > 0).astype(np.uint8)


def _inside(values: np.ndarray, picture: bool) -> tuple[np.ndarray, int]:
    """Where a mask is, and how many values that are labels it has there.

    Whole numbers that are few, or half of which fill areas, are labels, all of which are inside: in a volume, and in a picture whose numbers are
    too low to be greys. Else inside is what reaches half of the largest value, since borders may be smoothed, values stray, and
    probabilities be stored.
    """
    distinct, back, lengths = runs_in(values)
    whole = np.array_equal(np.rint(distinct), distinct)
    if whole and (not picture or distinct[-1] < LOWEST_GREY):
        mean_run = np.bincount(back, lengths) / np.bincount(back)  # of smoothed borders 1 to 2 pixels
        flat = int(np.count_nonzero(mean_run[distinct != 0] >= FLAT_RUN))
        above = int(np.count_nonzero(distinct > 0))
        if len(distinct) <= MOST_LABELS or 2 * flat >= above:
            return values > 0, above
    return (values > 0) & (2 * values.astype(np.float64) >= values.max(initial=0)), 1


def _of_bitmap(shape: Bitmap, size: Size) -> np.ndarray:
    """What of it lies within the picture."""
    inside = np.zeros(size, bool)
    height, width = shape.mask.shape
    top, left = max(0, shape.top), max(0, shape.left)
    bottom, right = min(size[0], shape.top + height), min(size[1], shape.left + width)
    if top < bottom and left < right:
        inside[top:bottom, left:right] = shape.mask[top - shape.top : bottom - shape.top, left - shape.left : right - shape.left]
    return inside
