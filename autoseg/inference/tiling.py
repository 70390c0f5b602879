"""Where the tiles of an image lie, and how much each of their pixels counts: plain numbers, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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


def summed_window(length: int, starts: Sequence[int], window: np.ndarray) -> np.ndarray:
    """How much weight every position of an axis gets from all its tiles. (length,) float32, positive where covered."""
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + len(window)] += window
    return total


def centred_padding(shape: Sequence[int], patch: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Pixels to add before and after each axis so that it is at least as long as the patch; the odd one goes after."""
    missing = [max(0, p - s) for s, p in zip(shape, patch, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)
