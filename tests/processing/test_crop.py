from __future__ import annotations

import numpy as np

from autoseg.processing.crop import full_box, nonzero_box, nonzero_mask, paste


def test_box_spans_all_channels() -> None:
    array = np.zeros((2, 10, 12), dtype=np.float32)
    array[0, 3, 4] = -1
    array[1, 7, 9] = 5
    assert nonzero_box(array) == (slice(3, 8), slice(4, 10))


def test_box_in_3d_touching_the_border() -> None:
    array = np.zeros((1, 4, 5, 6))
    array[0, 0, 2, 5] = 1
    array[0, 1, 2, 5] = 1
    assert nonzero_box(array) == (slice(0, 2), slice(2, 3), slice(5, 6))


def test_all_zero_keeps_everything() -> None:
    assert nonzero_box(np.zeros((1, 4, 5))) == (slice(0, 4), slice(0, 5)) == full_box((4, 5))
    assert nonzero_mask(np.zeros((1, 4, 5))).all()


def test_mask_fills_holes_but_not_bays() -> None:
    array = np.zeros((1, 5, 5))
    array[0, 1:4, 1:4] = 1
    array[0, 2, 2] = 0
    assert nonzero_mask(array).sum() == 9
    array[0, 2, 3] = 0  # the hole opens to the outside
    assert nonzero_mask(array).sum() == 7


def test_paste() -> None:
    part = np.ones((2, 2), dtype=np.int16)
    whole = paste(part, (slice(1, 3), slice(0, 2)), (4, 3))
    assert whole.dtype == np.int16
    assert whole.tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert paste(part, full_box((2, 2)), (2, 2)) is part
