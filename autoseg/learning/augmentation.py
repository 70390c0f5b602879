"""nnU-Net's augmentation, from its makers' library batchgeneratorsv2; probabilities and ranges are those of nnU-Net 2.8.

Rotation and scaling are drawn here rather than inside the library, so that only the patches that are turned or scaled
are read with a margin (0.2 + 0.2 - 0.04 = 36 % of them).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.pseudo2d import Convert2DTo3DTransform, Convert3DTo2DTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from torch import Tensor

P_ROTATION = 0.2
P_SCALING = 0.2
SCALING = (0.7, 1.4)
ANISOTROPY = 3  # patches longer than this against their first axis are turned within their slices only


@dataclass(frozen=True)
class SpatialDraw:
    """Whether this patch is turned or scaled, and how much is to be read for it."""

    rotate: bool
    scale: bool
    read_size: tuple[int, ...]


class Augmentation:
    """Random transforms for `(C, *patch)` images with `(L, *patch)` labels.

    Args:
        patch_size: what comes out.
        mirror_axes: of the patch.
        masked_channels: channels whose zeros mark what lies outside the body; these stay zero.
    """

    def __init__(self, patch_size: tuple[int, ...], mirror_axes: tuple[int, ...], masked_channels: tuple[int, ...] = ()):
        self.patch_size, self.masked_channels = patch_size, masked_channels
        self.sliced = len(patch_size) == 3 and max(patch_size) / patch_size[0] > ANISOTROPY
        self.largest_angle = _largest_angle(patch_size, self.sliced)
        self.margin_size = _enlarged(patch_size, self.largest_angle, self.sliced)
        self.spatial = {
            (rotate, scale): self._spatial(rotate, scale)
            for rotate in (False, True)
            for scale in (False, True)
            if rotate or scale
        }
        self.intensity = ComposeTransforms(_intensity_transforms(self.sliced))
        self.mirror = MirrorTransform(mirror_axes)

    def draw_spatial(self, rng: np.random.Generator) -> SpatialDraw:
        """Decide what happens to the next patch's geometry."""
        rotate, scale = bool(rng.random() < P_ROTATION), bool(rng.random() < P_SCALING)
        return SpatialDraw(rotate, scale, self.margin_size if rotate or scale else self.patch_size)

    def apply(self, image: Tensor, labels: Tensor, draw: SpatialDraw) -> tuple[Tensor, Tensor]:
        """Transform an image of `draw.read_size`; the result has `patch_size`."""
        planes = len(labels)
        outside = (image[list(self.masked_channels)] == 0).all(dim=0, keepdim=True) if self.masked_channels else None
        if outside is not None:
            labels = torch.cat([labels, outside.to(labels.dtype)])
        sample = {"image": image, "segmentation": labels}
        if draw.rotate or draw.scale:
            sample = self.spatial[draw.rotate, draw.scale](**sample)
        sample = self.mirror(**self.intensity(**sample))
        image, labels = sample["image"].contiguous(), sample["segmentation"].contiguous()
        if outside is not None:
            image[list(self.masked_channels)] *= labels[planes:] == 0
        return image, labels[:planes]

    def _spatial(self, rotate: bool, scale: bool) -> BasicTransform:
        transform = SpatialTransform(
            self.patch_size[1:] if self.sliced else self.patch_size,
            patch_center_dist_from_border=0,
            random_crop=False,
            p_rotation=float(rotate),
            rotation=(-self.largest_angle, self.largest_angle),
            p_scaling=float(scale),
            scaling=SCALING,
            p_synchronize_scaling_across_axes=1,
        )
        return ComposeTransforms([Convert3DTo2DTransform(), transform, Convert2DTo3DTransform()]) if self.sliced else transform


@contextlib.contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed the global generators that batchgeneratorsv2 draws from, and put them back as they were afterwards."""
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)


def _intensity_transforms(sliced: bool) -> list[BasicTransform]:
    """Noise to gamma, in nnU-Net's order."""

    def gamma(inverted: bool) -> GammaTransform:
        return GammaTransform(BGContrast((0.7, 1.5)), float(inverted), False, 1.0, 1.0)

    around_one = BGContrast((0.75, 1.25))
    return [
        RandomTransform(GaussianNoiseTransform((0, 0.1), 1.0, True), 0.1),
        # benchmark=True would choose between two algorithms by timing them, and training would no longer be repeatable
        RandomTransform(GaussianBlurTransform((0.5, 1.0), False, False, 0.5, benchmark=False), 0.2),
        RandomTransform(MultiplicativeBrightnessTransform(around_one, False, 1.0), 0.15),
        RandomTransform(ContrastTransform(around_one, True, False, 1.0), 0.15),
        RandomTransform(SimulateLowResolutionTransform((0.5, 1.0), False, True, (0,) if sliced else None, None, 0.5), 0.25),
        RandomTransform(gamma(inverted=True), 0.1),
        RandomTransform(gamma(inverted=False), 0.3),
    ]


def _largest_angle(patch_size: tuple[int, ...], sliced: bool) -> float:
    """Radians: 180 degrees in a plane, but 15 where a 2D patch is elongated; 30 about each axis in 3D."""
    if len(patch_size) == 2:
        return np.pi / 12 if max(patch_size) / min(patch_size) > 1.5 else np.pi
    return np.pi if sliced else np.pi / 6


def _enlarged(patch_size: tuple[int, ...], angle: float, sliced: bool) -> tuple[int, ...]:
    """What must be read so that a turned patch has no empty corners: its largest bounding box, by 1 / 0.85 for the zoom.

    The 0.85 is nnU-Net's. Its box is the one at the largest angle (at 90 degrees that of the patch itself, with empty
    corners in between); here it is the largest over all angles up to that, one pair of axes after another.
    """
    size = np.array(patch_size[1:] if sliced else patch_size, float)
    diagonal = float(np.linalg.norm(size))
    for first in range(len(size)):
        for second in range(first + 1, len(size)):
            a, b = size[first], size[second]
            size[first], size[second] = _widest(a, b, angle), _widest(b, a, angle)
    enlarged = tuple(int(np.ceil(min(s, diagonal) / 0.85)) for s in size)
    return (patch_size[0], *enlarged) if sliced else enlarged


def _widest(side: float, other: float, angle: float) -> float:
    """Largest width of a rectangle turned by up to `angle`: side * cos + other * sin, which peaks at atan(other / side)."""
    angle = min(angle, float(np.arctan2(other, side)))
    return float(side * np.cos(angle) + other * np.sin(angle))
