"""Label maps -> shapes: outlines that, painted again, give the very same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np
from contourpy import FillType, LineType, contour_generator

from autoseg.annotations.base import Bitmap, Polygon

HALF = 0.5


def pieces_of(mask: np.ndarray) -> Iterator[Polygon]:
    """Connected pieces of a mask, boolean `(height, width)`, as outlines half way between the pixels inside and outside, each with its holes.

    Pixels that touch at a corner alone may become one piece or two. `painting.area_inside` of all pieces together is the mask again.
    """
    if not mask.any():
        return
    values = np.pad(mask.astype(np.float32), 1)  # so that outlines close at the border of the picture
    generator = contour_generator(z=values, name="serial", fill_type=FillType.OuterOffset, line_type=LineType.Separate)
    points, offsets = cast(tuple[list[np.ndarray], list[np.ndarray]], generator.filled(HALF, np.inf))
    for ring_points, ends in zip(points, offsets, strict=True):
        xy = np.asarray(ring_points, float) - HALF  # the padded grid's point (1, 1) is the centre (0.5, 0.5) of the first pixel
        rings = [xy[begin : end - 1] for begin, end in pairwise(ends)]  # the last point repeats the first
        yield Polygon(tuple(rings))


def bitmap_of(mask: np.ndarray) -> Bitmap:
    """A mask that is not empty, cut to what is inside."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return Bitmap(mask[top:bottom, left:right], top, left)
