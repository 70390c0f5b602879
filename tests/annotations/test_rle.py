"""Run lengths: by hand, there and back, and as COCO's own tools read them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from autoseg.annotations.rle import decode_compressed, decode_runs, decode_sized, encode_compressed, encode_runs

MASK = np.array([[1, 0, 0], [1, 1, 0]], bool)


def test_by_hand() -> None:
    assert encode_runs(MASK, column_major=True) == [0, 2, 1, 1, 2]
    assert encode_runs(MASK, column_major=False) == [0, 1, 2, 2, 1]
    assert encode_runs(~MASK, column_major=True) == [2, 1, 1, 2]
    assert encode_runs(np.zeros((2, 2), bool), column_major=True) == [4]


@pytest.mark.parametrize("seed", range(4))
def test_there_and_back(seed: int) -> None:
    mask = np.random.default_rng(seed).random((13, 7)) < 0.4
    for column_major in (True, False):
        assert np.array_equal(decode_runs(encode_runs(mask, column_major=column_major), 13, 7, column_major=column_major), mask)
    assert np.array_equal(decode_compressed(encode_compressed(mask), 13, 7), mask)
    official = coco.frPyObjects({"size": [13, 7], "counts": encode_runs(mask, column_major=True)}, 13, 7)
    assert np.array_equal(coco.decode(official).astype(bool), mask)


def test_runs_that_do_not_fit() -> None:
    for counts in ([1, 2], [7], [-1, 7], []):
        with pytest.raises(ValueError, match="a mask of 2 x 3"):
            decode_runs(counts, 2, 3, column_major=True)


def test_compressed_text_that_does_not_fit() -> None:
    """COCO's own tools fill up what is missing with whatever was in memory."""
    text = encode_compressed(MASK)
    for height, width in ((3, 3), (1, 2), (20, 30)):
        with pytest.raises(ValueError, match=f"runs of 6 pixels for a mask of {height} x {width}"):
            decode_compressed(text, height, width)
    for damaged in (text + "\x7f", text[:-1] + "P", "\u00e9"):
        with pytest.raises(ValueError, match="no compressed run lengths"):
            decode_compressed(damaged, 2, 3)


@pytest.mark.parametrize("shape", [(300, 500), (1, 40)])
def test_compressed_text_of_long_runs(shape: tuple[int, int]) -> None:
    """Long and short runs by turns, so that differences of either sign and of several letters occur."""
    mask = np.random.default_rng(1).random(shape) < 0.001
    mask[: shape[0] // 2, :7] = True
    assert np.array_equal(decode_compressed(encode_compressed(mask), *shape), mask)


def test_run_lengths_tell_the_size_of_their_image() -> None:
    for counts in (encode_runs(MASK, column_major=True), encode_compressed(MASK)):
        for image in ((2, 3), None):
            assert np.array_equal(decode_sized(counts, [2, 3], image), MASK)
        with pytest.raises(ValueError, match="its run lengths are of 3x2 pixels, and its image has 2x3"):
            decode_sized(counts, [2, 3], (3, 2))
    for size in (None, [2], "23"):
        with pytest.raises(ValueError, match="no size or no counts"):
            decode_sized([6], size, None)
