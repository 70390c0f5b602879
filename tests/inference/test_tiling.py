"""nnU-Net's tile positions and weights, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from autoseg.inference.tiling import centred_padding, gaussian_window, summed_window, tile_starts


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


def test_summed_window_counts_overlaps() -> None:
    assert summed_window(5, (0, 2), np.ones(3, np.float32)).tolist() == [1, 1, 2, 1, 1]


def test_padding_is_centred_with_the_odd_pixel_behind() -> None:
    assert centred_padding((5, 8, 12), (8, 8, 8)) == ((1, 2), (0, 0), (0, 0))
