"""The box of a case that holds values: zero margins cost time and tell a network nothing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes

Box = tuple[slice, ...]


def full_box(shape: tuple[int, ...]) -> Box:
    """All of a grid."""
    return tuple(slice(0, size) for size in shape)


def nonzero_box(array: np.ndarray) -> Box:
    """The smallest box of `(C, *spatial)` outside of which every channel is zero (nnU-Net's rule).

    Args:
        array: channels first. nnU-Net also fills holes of the mask first, which cannot change the box.

    Returns:
        One slice per spatial axis; the full grid where everything is zero.
    """
    shape = array.shape[1:]
    occupied = [np.zeros(size, dtype=bool) for size in shape]
    for channel in array:  # channel by channel, so that the mask in memory is one byte per voxel
        mask = channel != 0
        for axis, found in enumerate(occupied):
            found |= mask.any(axis=tuple(other for other in range(len(shape)) if other != axis))
    if not occupied[0].any():
        return full_box(shape)
    return tuple(_span(found) for found in occupied)


def nonzero_mask(array: np.ndarray) -> np.ndarray:
    """Where any channel of `(C, *spatial)` differs from zero, holes filled: bool `(*spatial)`.

    Where everything is zero, the whole grid counts, as it does for the box.
    """
    mask = np.zeros(array.shape[1:], dtype=bool)
    for channel in array:
        mask |= channel != 0
    if mask.all() or not mask.any():
        return np.ones_like(mask)
    return np.asarray(binary_fill_holes(mask))


def paste(part: np.ndarray, box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """`part` `(*spatial)` at its place in a grid of zeros; `part` itself where the box is all of the grid."""
    if box == full_box(shape):
        return part
    whole = np.zeros(shape, dtype=part.dtype)
    whole[box] = part
    return whole


def _span(found: np.ndarray) -> slice:
    return slice(int(found.argmax()), len(found) - int(found[::-1].argmax()))
