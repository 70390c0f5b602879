"""Run lengths: by hand, there and back, and as COCO's own tools read them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from autoseg.annotations.rle import decode_compressed, decode_runs, encode_compressed, encode_runs

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
