"""Shapes -> label maps. A pixel belongs to a shape if its centre does.

Overlaps are decided in one of three ways, see `Overlap`:

- `order`: what lies above counts (`z_order`, then the order of the file), as the drawing programs show it;
- `smaller`: what is smaller counts, for sets in which the order means nothing;
- `regions`: both count; every combination of labels that occurs gets a value of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Annotation, Bitmap, MaskFile, Polygon, Shape, Size
from autoseg.errors import DataError
from autoseg.volume.files import read

Overlap = Literal["order", "smaller", "regions"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
LEAST_RING = 3


@dataclass(frozen=True, eq=False)
class Painted:
    """One image's labels.

    `labels` is uint16 `(height, width)`: the place of the label in the list, counted from 1; with `regions`, numbers that `combinations`
    explains. `covered` counts the pixels at which a label (second) lies over another (first).
    """

    labels: np.ndarray
    covered: Mapping[tuple[str, str], int]


class Combinations:
    """Which labels each value stands for, where labels overlap; grows as images are painted."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._values: dict[int, int] = {0: 0, **{1 << place: place + 1 for place in range(len(labels))}}

    def value(self, bits: int) -> int:
        """Of the labels whose bits are set; single labels keep their places, and combinations come after them in the order of appearance."""
        return self._values.setdefault(bits, len(self._values))

    def members(self) -> dict[str, tuple[int, ...]]:
        """By label the values that contain it."""
        return {
            name: tuple(sorted(value for bits, value in self._values.items() if bits >> place & 1))
            for place, name in enumerate(self.labels)
        }


def paint(
    annotations: Sequence[Annotation],
    size: Size,
    labels: Sequence[str],
    overlap: Overlap = "order",
    combinations: Combinations | None = None,
) -> Painted:
    """The label map of one image.

    Args:
        annotations: shapes whose labels are in `labels`.
        size: (height, width).
        labels: all labels of the set, in order.
        overlap: what counts where shapes lie over one another.
        combinations: of the set, with `regions`.

    Raises:
        DataError: a mask is of another size.
    """
    if overlap == "regions" and combinations is None:
        raise ValueError("regions need the combinations of their set")
    if len(labels) > np.iinfo(np.uint16).max or (overlap == "regions" and len(labels) > np.iinfo(np.int64).bits - 1):
        raise DataError(f"{len(labels)} labels are more than a label map can hold")
    place_of = {name: place for place, name in enumerate(labels)}
    drawn = [(place_of[one.label], pixels_of(one.shape, size)) for one in sorted(annotations, key=lambda one: one.z_order)]
    if overlap == "smaller":
        drawn.sort(key=lambda pair: -int(np.count_nonzero(pair[1])))
    covered: Counter[tuple[str, str]] = Counter()
    result = np.zeros(size, np.uint16)
    bits = np.zeros(size, np.int64)
    for place, inside in drawn:
        for below, pixels in zip(*np.unique(result[inside], return_counts=True), strict=True):
            if below not in (0, place + 1):
                covered[labels[int(below) - 1], labels[place]] += int(pixels)
        result[inside] = place + 1
        bits[inside] |= 1 << place
    if overlap == "regions" and combinations is not None:
        found, back = np.unique(bits, return_inverse=True)
        values = np.array([combinations.value(int(one)) for one in found], np.uint16)
        result = values[back].reshape(size)
    return Painted(result, covered)


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
    array = read(shape.path, expand_palette=False).array
    channels = array[:-1] if len(array) in (2, 4) else array  # alpha says nothing
    mask = (channels != 0).any(axis=0)
    if mask.shape != size:
        raise DataError(f"mask {shape.path.name} has {mask.shape[1]}x{mask.shape[0]} pixels, its image {size[1]}x{size[0]}")
    return mask


def _of_bitmap(shape: Bitmap, size: Size) -> np.ndarray:
    """What of it lies within the picture."""
    inside = np.zeros(size, bool)
    height, width = shape.mask.shape
    top, left = max(0, shape.top), max(0, shape.left)
    bottom, right = min(size[0], shape.top + height), min(size[1], shape.left + width)
    if top < bottom and left < right:
        inside[top:bottom, left:right] = shape.mask[top - shape.top : bottom - shape.top, left - shape.left : right - shape.left]
    return inside
