"""Augmentation keeps image and label together, and leaves the outside of the body at zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autoseg.learning.augmentation import Augmentation, SpatialDraw, isolated_random_state


def blob(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright box of label 1, off the centre."""
    labels = torch.zeros((1, *shape), dtype=torch.int16)
    labels[(0, *(slice(n // 2, n // 2 + n // 5) for n in shape))] = 1
    return labels.float() * 10, labels


@pytest.mark.parametrize("patch", [(64, 64), (24, 32, 32), (8, 40, 40)])
def test_label_follows_the_image(patch: tuple[int, ...]) -> None:
    augmentation = Augmentation(patch, tuple(range(len(patch))))
    rng = np.random.default_rng(0)
    turned = 0
    for seed in range(20):
        draw = augmentation.draw_spatial(rng)
        turned += draw.rotate or draw.scale
        with isolated_random_state(seed):
            image, labels = augmentation.apply(*blob(draw.read_size), draw)
        assert image.shape == labels.shape == (1, *patch)
        inside, outside = image[labels == 1].mean(), image[labels == 0].mean()
        assert inside > outside + 3, "the bright box is where its label is"
    assert turned > 0


def test_about_36_percent_are_turned_or_scaled_and_only_these_are_read_larger() -> None:
    augmentation = Augmentation((32, 32), (0, 1))
    rng = np.random.default_rng(0)
    draws = [augmentation.draw_spatial(rng) for _ in range(4000)]
    share = np.mean([draw.rotate or draw.scale for draw in draws])
    assert share == pytest.approx(0.36, abs=0.03)
    assert {draw.read_size for draw in draws if not (draw.rotate or draw.scale)} == {(32, 32)}
    assert {draw.read_size for draw in draws if draw.rotate or draw.scale} == {(54, 54)}  # the diagonal 45.25 / 0.85, rounded up


def test_the_outside_of_the_body_stays_zero() -> None:
    augmentation = Augmentation((32, 32), (0, 1), masked_channels=(0,))
    for seed in range(20):
        image = torch.zeros(1, 32, 32)
        image[0, 8:24, 8:24] = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) + 5
        with isolated_random_state(seed):
            result, labels = augmentation.apply(
                image, torch.zeros(1, 32, 32, dtype=torch.int16), SpatialDraw(False, False, (32, 32))
            )
        assert labels.shape == (1, 32, 32)
        assert result[0, :8].abs().max() == 0
        assert result[0, 8:24, 8:24].abs().max() > 0


def test_elongated_patches_turn_little() -> None:
    assert Augmentation((64, 64), ()).largest_angle == pytest.approx(np.pi)
    assert Augmentation((64, 128), ()).largest_angle == pytest.approx(np.pi / 12)
    assert Augmentation((32, 32, 32), ()).largest_angle == pytest.approx(np.pi / 6)
    assert Augmentation((8, 32, 32), ()).sliced
