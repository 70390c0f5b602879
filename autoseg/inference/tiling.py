"""Where the tiles of an image lie, in which order they come, and how much each of their pixels counts: plain numbers, no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Grid:
    """The tiles of an image, regular along each axis, in the order of a sweep along one of them.

    When a tile that starts at plane `s` of the swept axis comes, no later tile reaches the planes before `s`.
    """

    patch: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]  # per axis
    axis: int  # that is swept

    @classmethod
    def over(cls, shape: Sequence[int], patch: Sequence[int], step_fraction: float) -> Grid:
        """Cover an image that is at least as large as the patch, sweeping along the axis that leaves the fewest pixels open.

        Open are `patch` planes of the swept axis, so it is the one whose patch covers the smallest share; the first of several.
        """
        starts = tuple(
            tile_starts(length, size, step_fraction) if size > 1 else tuple(range(length))
            for length, size in zip(shape, patch, strict=True)
        )
        return cls(tuple(patch), starts, min(range(len(patch)), key=lambda axis: patch[axis] / shape[axis]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what the tiles cover."""
        return tuple(starts[-1] + size for starts, size in zip(self.starts, self.patch, strict=True))

    @property
    def overlaps(self) -> bool:
        """Whether pixels are seen by several tiles; if not, every tile is a part of the result that spans all axes but one."""
        return any(len(starts) > 1 and size > 1 for starts, size in zip(self.starts, self.patch, strict=True))

    def __len__(self) -> int:
        return math.prod(len(starts) for starts in self.starts)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The first index of every tile, along all axes."""
        order = [self.axis, *(axis for axis in range(len(self.patch)) if axis != self.axis)]
        back = [order.index(axis) for axis in range(len(order))]
        for corner in product(*(self.starts[axis] for axis in order)):
            yield tuple(corner[place] for place in back)

    def tile(self, corner: Sequence[int]) -> tuple[slice, ...]:
        """Where the tile at a corner lies."""
        return tuple(slice(start, start + size) for start, size in zip(corner, self.patch, strict=True))


def tile_starts(length: int, patch: int, step_fraction: float) -> tuple[int, ...]:
    """First indices of the tiles that cover one axis, spread evenly, the last one ending at the border.

    The step is at most `step_fraction` of the patch; as in nnU-Net v2 (`compute_steps_for_sliding_window`) there are
    `ceil((length - patch) / (patch * step_fraction)) + 1` of them: 110 with patch 64 and half steps gives 0, 23, 46.

    Raises:
        ValueError: `length` is smaller than `patch` (pad first), or the step is not in (0, 1].
    """
    if length < patch or not 0 < step_fraction <= 1:
        raise ValueError(f"no tiles of {patch} with step {step_fraction} in {length} pixels")
    count = math.ceil((length - patch) / (patch * step_fraction)) + 1
    if count == 1:
        return (0,)
    return tuple(round((length - patch) * index / (count - 1)) for index in range(count))


def gaussian_window(patch: int) -> np.ndarray:
    """One axis of the tile weight: sigma = patch / 8 about index `patch // 2`, largest value 1, none zero. (patch,) float32.

    The weight of a tile is the outer product of its axes' windows, and so is the sum over a regular grid of tiles.
    """
    offset = (np.arange(patch) - patch // 2) / (patch / 8)
    window = np.exp(-0.5 * offset**2).astype(np.float32)
    return np.maximum(window, window[window > 0].min())


def shares(patch: int, starts: Sequence[int]) -> dict[int, np.ndarray]:
    """By start, what share of the sum over all tiles of an axis each pixel of a tile has. (patch,) float32 each, 1 where it is alone."""
    window = gaussian_window(patch)
    total = np.zeros(starts[-1] + patch, np.float32)
    for start in starts:
        total[start : start + patch] += window
    return {start: window / total[start : start + patch] for start in starts}


def centred_padding(shape: Sequence[int], patch: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Pixels to add before and after each axis so that it is at least as long as the patch; the odd one goes after."""
    missing = [max(0, p - s) for s, p in zip(shape, patch, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)
