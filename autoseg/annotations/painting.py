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
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Annotation, Bitmap, MaskFile, Polygon, Shape, Size
from autoseg.errors import DataError
from autoseg.volume.files import is_picture, read

Overlap = Literal["order", "smaller", "regions"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
LEAST_RING = 3
MOST_REGIONS = 16  # bits of a value


@dataclass(frozen=True, eq=False)
class Painted:
    """One image's labels.

    `labels` is uint16 of the image's size: the place of the label in the list, counted from 1; with `regions` 2 to the power of its place
    counted from 0, summed over the labels. `covered` counts the pixels at which a label (second) lies over another (first).
    """

    labels: np.ndarray
    covered: Mapping[tuple[str, str], int]


def paint(
    annotations: Sequence[Annotation],
    size: Size,
    labels: Sequence[str],
    overlap: Overlap = "order",
) -> Painted:
    """The label map of one image.

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
    drawn = [(place_of[one.label], pixels_of(one.shape, size)) for one in sorted(annotations, key=lambda one: one.z_order)]
    if overlap == "smaller":
        drawn.sort(key=lambda pair: -int(np.count_nonzero(pair[1])))
    covered: Counter[tuple[str, str]] = Counter()
    result = np.zeros(size, np.uint16)
    bits = np.zeros(size, np.uint16)
    for place, inside in drawn:
        for below, pixels in zip(*np.unique(result[inside], return_counts=True), strict=True):
            if below not in (0, place + 1):
                covered[labels[int(below) - 1], labels[place]] += int(pixels)
        result[inside] = place + 1
        if overlap == "regions":
            bits[inside] |= np.uint16(1 << place)
    return Painted(bits if overlap == "regions" else result, covered)


def region_values(labels: Sequence[str], found: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """By label the values of a set with `regions` that contain it, of those that were found."""
    values = sorted(set(found) - {0})
    return {name: tuple(value for value in values if value >> place & 1) for place, name in enumerate(labels)}


def pixels_of(shape: Shape, size: Size) -> np.ndarray:
    """Boolean `(height, width)`: the pixels that belong to a shape.

    Raises:
        DataError: a mask is of another size.
    """
    if isinstance(shape, Polygon):
        return area_inside(shape, size)
    if isinstance(shape, MaskFile):
        return _of_file(shape, size)
    return _of_bitmap(shape, size)


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


def _of_file(shape: MaskFile, size: Size) -> np.ndarray:
    """Inside is what reaches half of the largest value, since borders may be smoothed and values stray."""
    array = read(shape.path, expand_palette=False).array
    values = (array[:-1] if is_picture(shape.path) and len(array) in (2, 4) else array).max(axis=0)  # alpha says nothing
    if values.shape != tuple(size):
        found, wanted = ("x".join(map(str, reversed(one))) for one in (values.shape, size))
        raise DataError(f"mask {shape.path.name} has {found} pixels, its image {wanted}")
    return (values > 0) & (2 * values.astype(np.float64) >= values.max())


def _of_bitmap(shape: Bitmap, size: Size) -> np.ndarray:
    """What of it lies within the picture."""
    inside = np.zeros(size, bool)
    height, width = shape.mask.shape
    top, left = max(0, shape.top), max(0, shape.left)
    bottom, right = min(size[0], shape.top + height), min(size[1], shape.left + width)
    if top < bottom and left < right:
        inside[top:bottom, left:right] = shape.mask[top - shape.top : bottom - shape.top, left - shape.left : right - shape.left]
    return inside
