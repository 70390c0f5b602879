from __future__ import annotations

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.processing.normalise import normalise
from autoseg.records import Normalization


def test_ct_clips_then_scales() -> None:
    scheme = Normalization(scheme="ct", mean=50, std=20, lower=-100, upper=150)
    values = np.array([[[-1000, 50, 150, 3000, 70]]], dtype=np.int16)
    assert normalise(values, [scheme]).tolist() == [[[-7.5, 0, 5, 5, 1]]]


def test_zscore_of_1_to_4() -> None:
    result = normalise(np.array([[[1, 2], [3, 4]]]), [Normalization(scheme="zscore")])
    assert result.dtype == np.float32
    assert np.allclose(result.ravel(), np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25), atol=1e-6)


def test_zscore_inside_a_mask_leaves_the_rest() -> None:
    array = np.array([[[0, 0, 2, 4]]], dtype=np.float32)
    mask = np.array([[False, False, True, True]])
    assert normalise(array, [Normalization(scheme="zscore", use_mask=True)], mask).tolist() == [[[0, 0, -1, 1]]]


def test_channels_have_their_own_scheme() -> None:
    array = np.array([[[0, 10]], [[0, 255]], [[7, 8]]], dtype=np.float32)
    schemes = [Normalization(scheme="rescale_to_0_1"), Normalization(scheme="rgb_to_0_1"), Normalization(scheme="none")]
    assert normalise(array, schemes).tolist() == [[[0, 1]], [[0, 1]], [[7, 8]]]


def test_constant_images_become_zero() -> None:
    array = np.full((2, 3, 3), 7.0)
    result = normalise(array, [Normalization(scheme="zscore"), Normalization(scheme="rescale_to_0_1")])
    assert not result.any()


def test_large_offset_does_not_ruin_the_statistics() -> None:
    values = np.tile(np.array([1e6, 1e6 + 2], dtype=np.float32), 1_500_000)[None, None]
    result = normalise(values, [Normalization(scheme="zscore")])
    assert np.allclose(result[0, 0, :2], [-1, 1], atol=1e-4)


def test_in_place_only_when_asked() -> None:
    array = np.array([[[1, 3]]], dtype=np.float32)
    assert normalise(array, [Normalization(scheme="zscore")]) is not array
    assert array.tolist() == [[[1, 3]]]
    assert normalise(array, [Normalization(scheme="zscore")], in_place=True) is array
    assert array.tolist() == [[[-1, 1]]]


def test_refusals() -> None:
    with pytest.raises(DataError, match="found 0 to 256"):
        normalise(np.array([[[0, 256]]]), [Normalization(scheme="rgb_to_0_1")])
    with pytest.raises(ValueError, match="2 channels, but 1"):
        normalise(np.zeros((2, 3, 3)), [Normalization(scheme="none")])
    with pytest.raises(ValueError, match="no mask"):
        normalise(np.zeros((1, 3, 3)), [Normalization(scheme="zscore", use_mask=True)])
