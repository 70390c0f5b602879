"""Each transform of values equals batchgeneratorsv2 for the same parameters, and all rows at once equal one after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform, _build_kernel
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform

from autoseg.learning.augmentation import intensity
from autoseg.learning.augmentation.draw import SampleDraw
from autoseg.learning.augmentation.intensity import (
    blur,
    blur_kernel,
    brighten,
    change_contrast,
    coarsen,
    gamma,
    gamma_inverted,
    vary_values,
)

SHAPES = [(20, 30), (8, 16, 14)]
TOLERANCE = {"atol": 2e-5, "rtol": 1e-5}  # values around 1


def rows(shape: tuple[int, ...], count: int = 3) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1)) * 1.5 + 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_blur(shape: tuple[int, ...]) -> None:
    sigmas = np.random.default_rng(0).uniform(0.5, 1.5, (3, len(shape)))
    expected = GaussianBlurTransform((0.5, 1))._apply_to_image(
        rows(shape), apply_to_channel=torch.tensor([True] * 3), sigmas=sigmas.tolist()
    )
    result = rows(shape)
    blur(result, torch.from_numpy(sigmas).float())
    torch.testing.assert_close(result, expected, **TOLERANCE)


@pytest.mark.parametrize("sigma", np.linspace(0.3, 2, 35))
def test_kernels_are_those_of_the_library(sigma: float) -> None:
    torch.testing.assert_close(torch.from_numpy(blur_kernel(sigma)), _build_kernel(sigma, truncate=6), atol=1e-6, rtol=0)


def test_a_short_axis_is_reflected_as_often_as_needed() -> None:
    row = torch.tensor([[[1.0, 3.0]]])  # 1 x 2: reflected 1 3 1 3 1 ..., and one row stays one row
    blur(row, torch.tensor([[1.0, 1.0]]))
    kernel = blur_kernel(1.0)
    odd = float(kernel[[0, 2, 4, 6]].sum())
    torch.testing.assert_close(row[0, 0], torch.tensor([1 + 2 * odd, 3 - 2 * odd]))


def factors(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_brightness_and_contrast() -> None:
    for shape in SHAPES:
        values = torch.tensor([0.8, 1.2, 1.0])
        channels = torch.arange(3)
        for own, library in (
            (brighten, MultiplicativeBrightnessTransform((0, 1), False)),
            (change_contrast, ContrastTransform((0, 1), True, False)),
        ):
            expected = library._apply_to_image(rows(shape), apply_to_channel=channels, multipliers=values)
            result = rows(shape)
            own(result, values[:, None])
            torch.testing.assert_close(result, expected, **TOLERANCE)


def test_contrast_keeps_the_range() -> None:
    result = rows((20, 30))
    low, high = result.amin(), result.amax()
    change_contrast(result, factors(3.0, 3.0, 3.0))
    assert result.amin() >= low and result.amax() <= high


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gamma(shape: tuple[int, ...], inverted: bool) -> None:
    values = torch.tensor([0.7, 1.5, 1.0])
    expected = GammaTransform((0, 1), 0, False, 1, 1)._apply_to_image(
        rows(shape),
        apply_to_channel=torch.arange(3),
        retain_stats=torch.tensor([True] * 3),
        invert_image=torch.tensor([inverted] * 3),
        gamma=values,
    )
    result = rows(shape)
    (gamma_inverted if inverted else gamma)(result, values[:, None])
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.flatten(1).mean(1), rows(shape).flatten(1).mean(1), **TOLERANCE)


def test_a_constant_channel_stays_what_it_is() -> None:
    for transform in (gamma, gamma_inverted, change_contrast):
        row = torch.full((1, 8, 8), 2.5)
        transform(row, factors(1.3))
        torch.testing.assert_close(row, torch.full((1, 8, 8), 2.5))


@pytest.mark.parametrize("shape", SHAPES)
def test_low_resolution(shape: tuple[int, ...]) -> None:
    zooms = torch.tensor([[0.5] * len(shape), [0.83] * len(shape), [1.0, *[0.6] * (len(shape) - 1)]])
    expected = SimulateLowResolutionTransform((0.5, 1), False, True, None)._apply_to_image(
        rows(shape), apply_to_channel=torch.arange(3), scales=zooms
    )
    result = rows(shape)
    coarsen(result, zooms)
    torch.testing.assert_close(result, expected, **TOLERANCE)


def full_draw(shape: tuple[int, ...], seed: int) -> SampleDraw:
    rng = np.random.default_rng(seed)
    pair = lambda low, high: tuple(rng.uniform(low, high, 2).tolist())  # noqa: E731
    return SampleDraw(
        shape,
        blur=(None, tuple(rng.uniform(0.5, 1, len(shape)).tolist())),
        brightness=pair(0.8, 1.2),
        contrast=pair(0.8, 1.2),
        low_resolution=(0.6, None),
        gamma_inverted=pair(0.7, 1.5),
        gamma=pair(0.7, 1.5),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_together_equal_rows_one_by_one(shape: tuple[int, ...]) -> None:
    """What a GPU does for all rows at once is what a CPU does for each; no draw touches another sample."""
    images = rows(shape, 6).view(3, 2, *shape)
    draws = [full_draw(shape, 0), SampleDraw(shape), full_draw(shape, 1)]
    one_by_one = images.clone()
    vary_values(one_by_one, draws, sliced=False)
    together = images.clone().flatten(0, 1)
    intensity.vary_together(together, draws, 2, sliced=False)
    torch.testing.assert_close(together.view_as(images), one_by_one, **TOLERANCE)
    assert torch.equal(one_by_one[1], images[1])
    assert not torch.equal(one_by_one[0], images[0])


def test_noise_has_its_sigma_and_follows_from_the_seed() -> None:
    images = torch.zeros(3, 2, 64, 64)
    vary_values(images, [SampleDraw((64, 64), noise=0.2, seed=seed) for seed in (5, 6, 5)], sliced=False)
    assert images[0].std() == pytest.approx(0.2, rel=0.02) and images[0].mean() == pytest.approx(0, abs=0.01)
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    assert not torch.equal(images[0, 0], images[0, 1]), "channels have noise of their own"


def test_slices_keep_their_resolution() -> None:
    images = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 1, 4, 16, 16).clone()
    before = images.clone()
    vary_values(images, [SampleDraw((4, 16, 16), low_resolution=(0.5,))], sliced=True)
    assert torch.equal(images, before)
    vary_values(images, [SampleDraw((4, 16, 16), low_resolution=(0.5,))], sliced=False)
    assert not torch.equal(images, before)
