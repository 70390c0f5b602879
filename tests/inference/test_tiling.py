"""nnU-Net's tile positions and weights, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from autoseg.inference.tiling import Grid, centred_padding, gaussian_window, shares, tile_starts


def test_positions_of_nnunet() -> None:
    assert tile_starts(110, 64, 0.5) == (0, 23, 46)
    assert tile_starts(300, 128, 0.5) == (0, 57, 115, 172)
    assert len(tile_starts(512, 128, 0.5)) == 7
    assert tile_starts(64, 64, 0.5) == (0,)
    assert tile_starts(65, 64, 0.5) == (0, 1)
    assert tile_starts(64, 32, 1.0) == (0, 32)


def test_tiles_cannot_exceed_the_image() -> None:
    with pytest.raises(ValueError, match="no tiles of 64"):
        tile_starts(63, 64, 0.5)


@pytest.mark.parametrize("patch", [16, 31, 128])
def test_window_is_nnunets_filtered_impulse(patch: int) -> None:
    impulse = np.zeros(patch)
    impulse[patch // 2] = 1
    filtered = gaussian_filter(impulse, patch / 8, mode="constant")
    np.testing.assert_allclose(gaussian_window(patch), filtered / filtered.max(), rtol=1e-5)


def test_window_has_no_zero_and_peaks_at_one() -> None:
    window = gaussian_window(48)
    assert window.min() > 0 and window.max() == 1 and window.argmax() == 24


def test_shares_of_all_tiles_sum_to_one() -> None:
    found = shares(4, (0, 2, 3))
    total = np.zeros(7)
    for start, share in found.items():
        total[start : start + 4] += share
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    window = gaussian_window(4)
    assert found[0][0] == 1  # seen by the first tile alone
    np.testing.assert_allclose(found[0][2], window[2] / (window[2] + window[0]), rtol=1e-6)


def test_a_sweep_never_goes_back() -> None:
    grid = Grid.over((8, 20, 12), (8, 8, 8), 0.5)
    assert grid.axis == 1 and grid.starts == ((0,), (0, 4, 8, 12), (0, 4)) and grid.shape == (8, 20, 12)
    corners = list(grid)
    assert len(grid) == len(corners) == 8
    assert corners[:3] == [(0, 0, 0), (0, 0, 4), (0, 4, 0)]
    assert grid.tile((0, 4, 0)) == (slice(0, 8), slice(4, 12), slice(0, 8))
    assert grid.overlaps


def test_slices_are_tiles_one_after_another() -> None:
    grid = Grid.over((8, 5, 8), (8, 1, 8), 0.5)
    assert grid.axis == 1 and list(grid) == [(0, y, 0) for y in range(5)] and not grid.overlaps


def test_padding_is_centred_with_the_odd_pixel_behind() -> None:
    assert centred_padding((5, 8, 12), (8, 8, 8)) == ((1, 2), (0, 0), (0, 0))
