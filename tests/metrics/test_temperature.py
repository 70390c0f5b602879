"""Temperatures that are known because the labels were drawn from them."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from scipy.special import expit, softmax

from autoseg.metrics.temperature import PixelSample, calibration_error, draw_pixels, fit_temperature, negative_log_likelihood


def drawn(temperature: float, n: int = 20_000, k: int = 3, seed: int = 0) -> PixelSample:
    """Labels follow the logits divided by a temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (n, k)).astype(np.float32)
    edges = softmax(logits / temperature, axis=1).cumsum(1)
    labels = (random.random((n, 1)) > edges).sum(1).clip(max=k - 1)
    return PixelSample(logits, labels, np.full(n, 1 / n))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    sample = drawn(temperature)
    found = fit_temperature(sample)
    assert found == pytest.approx(temperature, rel=0.05)
    assert negative_log_likelihood(sample, found) <= negative_log_likelihood(sample, temperature)
    after = calibration_error(sample, found)
    assert after is not None and after < 0.01
    if temperature > 1:
        before = calibration_error(sample)
        assert before is not None and before > 0.05


def test_regions_have_one_temperature_for_all_outputs() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 4, (20_000, 2)).astype(np.float32)
    sample = PixelSample(logits, random.random(logits.shape) < expit(logits / 3), np.full(len(logits), 1 / len(logits)))
    assert fit_temperature(sample) == pytest.approx(3, rel=0.05)
    before, after = calibration_error(sample), calibration_error(sample, 3)
    assert before is not None and after is not None and after < 0.01 < 0.05 < before


def test_likelihood_and_error_by_hand() -> None:
    """Two pixels with probability 0.8 of output 1, which is right for one of them."""
    sample = PixelSample(np.log([[0.2, 0.8], [0.2, 0.8]]), np.array([1, 0]), np.array([0.5, 0.5]))
    assert negative_log_likelihood(sample) == pytest.approx(-(log(0.8) + log(0.2)) / 2)
    assert calibration_error(sample) == pytest.approx(0.3)  # sure to 0.8, right in 0.5
    assert fit_temperature(sample) == pytest.approx(20, rel=0.01)  # nothing but 0.5 would do
    weighted = PixelSample(sample.logits, sample.labels, np.array([0.8, 0.2]))
    assert fit_temperature(weighted) == pytest.approx(1, abs=0.01)
    assert calibration_error(weighted) == pytest.approx(0)


def test_easy_background_is_left_out_of_the_error() -> None:
    sure = np.tile([[0.0, -30.0]], (98, 1))
    logits = np.concatenate([sure, np.log([[0.2, 0.8], [0.2, 0.8]])])
    sample = PixelSample(logits, np.array([0] * 98 + [1, 0]), np.full(100, 0.01))
    assert calibration_error(sample) == pytest.approx(0.3)
    assert calibration_error(sample, foreground=False) == pytest.approx(0.3 * 0.02)
    assert calibration_error(PixelSample(sure, np.zeros(98, int), np.full(98, 1 / 98))) is None


def test_pixels_are_drawn_half_near_the_foreground_and_stand_for_all() -> None:
    probabilities = np.zeros((2, 100, 100), np.float16)
    probabilities[1, :10, :50] = 0.75  # 500 pixels
    probabilities[0] = 1 - probabilities[1]
    labels = np.zeros((100, 100), np.int16)
    labels[:10, :60] = 1  # 100 more that were not found
    sample = draw_pixels(probabilities, labels, size=400)
    near = (sample.labels == 1) | (sample.logits[:, 1] > log(0.01))
    assert len(sample.labels) == 400 and near.sum() == 200
    assert sample.weights.sum() == pytest.approx(1)
    assert sample.weights[near].sum() == pytest.approx(600 / 10_000)
    np.testing.assert_allclose(np.exp(sample.logits[sample.logits[:, 1] > -1, 1]), 0.75, rtol=1e-3)
    again = draw_pixels(probabilities, labels, size=400)
    assert np.array_equal(again.logits, sample.logits)
    labels[5:10, 20:50] = 0  # found where it is not
    first, second = (draw_pixels(probabilities, labels, size=400, seed=seed).labels for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_small_images_are_taken_whole_and_ignored_pixels_left_out() -> None:
    probabilities = np.full((2, 4, 5), 0.5, np.float16)
    labels = np.zeros((4, 5), np.int16)
    labels[0, 0] = 1
    valid = np.ones((4, 5), bool)
    valid[1] = False
    sample = draw_pixels(probabilities, labels, valid=valid)
    assert len(sample.labels) == 15 and sample.weights.tolist() == pytest.approx([1 / 15] * 15)
    empty = draw_pixels(probabilities, labels, valid=np.zeros((4, 5), bool))
    assert len(empty.labels) == 0 and fit_temperature(empty) == 1 and calibration_error(empty) is None


def test_regions_are_drawn_with_their_log_odds() -> None:
    probabilities = np.array([0.9, 0.2], np.float32).reshape(2, 1, 1) * np.ones((2, 3, 3), np.float32)
    labels = np.zeros((2, 3, 3), bool)
    labels[0] = True
    sample = draw_pixels(probabilities, labels)
    assert sample.regions and sample.labels.shape == (9, 2)
    np.testing.assert_allclose(sample.logits[0], [log(9), log(0.25)], rtol=1e-5)


def test_joined_samples_weigh_cases_alike() -> None:
    one, other = drawn(1, n=50), drawn(1, n=150)
    joined = PixelSample.joined([one, other])
    assert len(joined.labels) == 200
    assert joined.weights[:50].sum() == pytest.approx(joined.weights[50:].sum()) == pytest.approx(1)
