"""The median of the foreground from a sample of the image."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.inference import brightness
from autoseg.inference.brightness import ImageSample


def test_small_images_are_taken_whole() -> None:
    image = np.stack([np.arange(100.0), 1000 - np.arange(100.0)]).reshape(2, 10, 10)
    mask = np.zeros((10, 10), np.uint8)
    mask[3:7] = 2  # values 30 to 69
    sample = ImageSample.of(image)
    image[:] = 0  # it is a copy
    assert sample.medians(mask) == (49.5, 950.5)


def test_hardly_any_foreground_has_no_median() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0], mask[1], mask[2] = 1, 1, 1
    assert ImageSample.of(np.ones((1, 10, 10))).medians(mask) == (1.0,)
    mask[0, 0] = 0
    assert ImageSample.of(np.ones((1, 10, 10))).medians(mask) is None


def test_large_images_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brightness, "POSITIONS", 5000)
    image = np.random.default_rng(0).normal(7, 1, (1, 40, 50, 60)).astype(np.float32)
    mask = np.zeros((40, 50, 60), np.uint8)
    mask[:20] = 1
    image[0, 20:] = 0
    sample = ImageSample.of(image)
    assert sample.values.shape == (1, 5000)
    medians = sample.medians(mask)
    assert medians == ImageSample.of(image).medians(mask)
    assert medians is not None and medians[0] == pytest.approx(7, abs=0.1)
