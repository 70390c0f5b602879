"""What is drawn is distributed as in batchgeneratorsv2, by that library's own draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from scipy.stats import binomtest, ks_2samp

from autoseg.learning.augmentation.draw import (
    SampleDraw,
    affine_matrix,
    bounding_box,
    draw_bend,
    draw_sample,
    is_sliced,
)
from autoseg.learning.augmentation.reference import intensity_transforms, isolated_random_state
from autoseg.records import AugmentationSpec
from tests.learning.augmentation.specs import default, only

DRAWS = 2000
LEAST_P = 0.001
PATCH = (16, 16, 16)
IMAGE = torch.zeros(1, *PATCH)


def ours(spec: AugmentationSpec, value: Callable[[SampleDraw], float], patch: tuple[int, ...] = PATCH) -> list[float]:
    rng = np.random.default_rng(1)
    return [value(draw_sample(rng, spec, patch, tuple(range(len(patch))), 1)) for _ in range(DRAWS)]


def spatial(patch: tuple[int, ...], degrees: float) -> SpatialTransform:
    """As nnU-Net sets it up."""
    largest = np.radians(degrees)
    return SpatialTransform(
        patch,
        0,
        False,
        p_rotation=1,
        rotation=(-largest, largest),
        p_scaling=1,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
    )


def theirs(draw: Callable[[], float]) -> list[float]:
    with isolated_random_state(2):
        return [draw() for _ in range(DRAWS)]


def of_affine(patch: tuple[int, ...], degrees: float, value: Callable[[np.ndarray], float]) -> Callable[[], float]:
    transform = spatial(patch, degrees)
    return lambda: value(transform.get_parameters(image=torch.zeros(1, *patch))["affine"])


def plane_angle(matrix: np.ndarray) -> float:
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))


def scale_of(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix[:, 0]))


def angle_about(axis: int) -> Callable[[np.ndarray], float]:
    """Of the rotations Rz Ry Rx in a matrix."""

    def angle(matrix: np.ndarray) -> float:
        turn = matrix / np.linalg.norm(matrix[:, 0])
        return (np.arctan2(turn[2, 1], turn[2, 2]), -np.arcsin(turn[2, 0]), np.arctan2(turn[1, 0], turn[0, 0]))[axis]

    return angle


PAIRS = {
    "angle in the plane": (
        lambda: ours(only("rotation", "scaling"), lambda draw: plane_angle(draw.matrix), (16, 16)),
        of_affine((16, 16), 180, plane_angle),
    ),
    "angle of slices": (
        lambda: ours(only("rotation", patch_size=(4, 16, 16)), lambda draw: plane_angle(draw.matrix), (4, 16, 16)),
        of_affine((16, 16), 180, plane_angle),
    ),
    **{
        f"angle about axis {axis}": (
            lambda axis=axis: ours(only("rotation", patch_size=PATCH), lambda draw: angle_about(axis)(draw.matrix)),
            of_affine(PATCH, 30, angle_about(axis)),
        )
        for axis in range(3)
    },
    "scale": (
        lambda: ours(only("rotation", "scaling", patch_size=PATCH), lambda draw: scale_of(draw.matrix)),
        of_affine(PATCH, 30, scale_of),
    ),
    "noise": (
        lambda: ours(only("noise"), lambda draw: draw.noise),
        lambda: GaussianNoiseTransform((0, 0.1), 1.0, True).get_parameters(image=IMAGE)["sigmas"],
    ),
    "blur": (
        lambda: ours(only("blur"), lambda draw: draw.blur[0][1]),
        lambda: GaussianBlurTransform((0.5, 1.0), False, False, 1.0).get_parameters(image=IMAGE)["sigmas"][0][1],
    ),
    "brightness": (lambda: ours(only("brightness"), lambda draw: draw.brightness[0]), BGContrast((0.75, 1.25))),
    "contrast": (lambda: ours(only("contrast"), lambda draw: draw.contrast[0]), BGContrast((0.75, 1.25))),
    "zoom": (
        lambda: ours(only("low_resolution"), lambda draw: draw.low_resolution[0]),
        lambda: float(
            SimulateLowResolutionTransform((0.5, 1.0), False, True, None, None, 1.0).get_parameters(image=IMAGE)["scales"][0, 0]
        ),
    ),
    "inverted gamma": (lambda: ours(only("gamma_inverted"), lambda draw: draw.gamma_inverted[0]), BGContrast((0.7, 1.5))),
    "gamma": (lambda: ours(only("gamma"), lambda draw: draw.gamma[0]), BGContrast((0.7, 1.5))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_parameters_are_distributed_as_in_the_library(name: str) -> None:
    own, library = PAIRS[name]
    assert ks_2samp(own(), theirs(library)).pvalue > LEAST_P


def test_the_comparison_tells_distributions_apart() -> None:
    shifted = [value * 1.1 for value in ours(only("gamma"), lambda draw: draw.gamma[0])]
    assert ks_2samp(shifted, theirs(BGContrast((0.7, 1.5)))).pvalue < LEAST_P


FIRED: dict[str, tuple[Callable[[SampleDraw], bool], float]] = {
    "rotation": (lambda draw: draw.angles != (), 0.2),
    "scaling": (lambda draw: draw.scale != 1, 0.2),
    "elastic": (lambda draw: draw.bend is not None, 0.0),
    "turned or scaled": (lambda draw: draw.matrix is not None, 0.36),
    "noise": (lambda draw: draw.noise > 0, 0.1),
    "blur": (lambda draw: any(draw.blur), 0.2 * 0.5),
    "brightness": (lambda draw: draw.brightness != (), 0.15),
    "contrast": (lambda draw: draw.contrast != (), 0.15),
    "low resolution": (lambda draw: any(draw.low_resolution), 0.25 * 0.5),
    "inverted gamma": (lambda draw: draw.gamma_inverted != (), 0.1),
    "gamma": (lambda draw: draw.gamma != (), 0.3),
    "mirrored along axis 0": (lambda draw: 0 in draw.mirrored, 0.5),
    "mirrored along axis 2": (lambda draw: 2 in draw.mirrored, 0.5),
}


@pytest.mark.parametrize("name", FIRED)
def test_transforms_fire_as_often_as_in_nnunet(name: str) -> None:
    fired, probability = FIRED[name]
    times = int(sum(ours(default(PATCH), lambda draw: float(fired(draw)))))
    assert binomtest(times, DRAWS, probability).pvalue > LEAST_P


def test_the_library_fires_as_often() -> None:
    """Its wrappers of random transforms, as they are set up for the reference."""
    for transform in intensity_transforms(default(PATCH), sliced=False):
        assert isinstance(transform, RandomTransform)
        times = int(sum(theirs(lambda transform=transform: float(transform.get_parameters()["apply_transform"]))))
        assert binomtest(times, DRAWS, transform.apply_probability).pvalue > LEAST_P
    mirror = MirrorTransform((0, 1, 2))
    times = int(sum(theirs(lambda: float(0 in mirror.get_parameters()["axes"]))))
    assert binomtest(times, DRAWS, 0.5).pvalue > LEAST_P


def test_half_of_the_factors_are_below_one() -> None:
    times = sum(value < 1 for value in ours(only("gamma"), lambda draw: draw.gamma[0]))
    assert binomtest(int(times), DRAWS, 0.5).pvalue > LEAST_P


def test_what_is_read_is_the_box_of_the_drawn_transform() -> None:
    still = bounding_box(np.eye(2), (32, 48), None)
    assert still == (32, 48)
    # a square turned by 45 degrees is as wide as its diagonal: 31 * sqrt(2) = 43.84 between outer centres, so 45 voxels;
    # the patch has an even size, so the box has one: 46
    assert bounding_box(affine_matrix((np.pi / 4,), 2), (32, 32), None) == (46, 46)
    assert bounding_box(affine_matrix((np.pi / 2,), 2), (32, 48), None) == (48, 32)
    assert bounding_box(np.eye(2) * 0.7, (32, 32), None) == (24, 24), "scaled up: less is read; 31 * 0.7 = 21.7 between centres"
    rng = np.random.default_rng(0)
    for _ in range(50):
        bend = draw_bend(rng, (32, 48), (0.05, 0.1), (0.1, 0.3))
        box = bounding_box(np.eye(2), (32, 48), bend)
        assert all(n <= size <= n + 2 * (0.1 * 32 + 1) for size, n in zip(box, (32, 48), strict=True))


def test_patches_that_stay_as_they_are_are_read_as_they_are() -> None:
    rng = np.random.default_rng(0)
    draws = [draw_sample(rng, default(PATCH), PATCH, (), 1) for _ in range(200)]
    assert {draw.read_size for draw in draws if draw.matrix is None} == {PATCH}
    assert len({draw.read_size for draw in draws if draw.matrix is not None}) > 5


def test_anisotropic_patches_are_turned_within_their_slices() -> None:
    assert is_sliced((8, 32, 32)) and not is_sliced((16, 32, 32)) and not is_sliced((8, 32))
    rng = np.random.default_rng(0)
    draw = draw_sample(rng, only("rotation", "scaling", "elastic", patch_size=(8, 32, 32)), (8, 32, 32), (), 1)
    assert draw.matrix.shape == (2, 2) and len(draw.angles) == 1
    assert draw.read_size[0] == 8 and draw.bend.nodes.shape[0] == 2


def test_channels_are_drawn_apart() -> None:
    spec = only("blur", "brightness", "contrast", "gamma", "gamma_inverted", "low_resolution")
    draw = draw_sample(np.random.default_rng(0), spec, (32, 32), (), 3)
    for values in (draw.blur, draw.brightness, draw.contrast, draw.gamma, draw.gamma_inverted, draw.low_resolution):
        assert len(set(values)) == 3
    assert len(set(draw.blur[0])) == 2, "a sigma of its own for each axis"


def test_words_tell_what_fired() -> None:
    assert SampleDraw((4, 4)).words() == ()
    draw = SampleDraw((4, 4), np.eye(2), (np.pi / 2,), 1.25, None, 0.05, (None, (0.5, 1.0)), gamma=(0.8, 1.2), mirrored=(0, 1))
    assert draw.words() == (
        "turned 90°",
        "scaled 0.80",
        "noise 0.05",
        "blurred -/0.5x1",
        "gamma 0.80/1.20",
        "mirrored along 0, 1",
    )
