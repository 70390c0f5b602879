"""nnU-Net's own augmentation, from its makers' library batchgeneratorsv2: `augmentation.backend=batchgeneratorsv2`.

One sample at a time, on the CPU. Whether a patch is turned, scaled or bent is drawn here rather than inside the library, so that
only such patches are read with a margin.
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

from autoseg.learning.augmentation.draw import SampleDraw, fires, is_sliced
from autoseg.records import AugmentationSpec, Shape


@dataclass(frozen=True, eq=False)
class ReferenceDraw(SampleDraw):
    """Which spatial transforms fire; all the rest the library draws, from `seed`."""

    rotates: bool = False
    scales: bool = False
    bends: bool = False

    def words(self) -> tuple[str, ...]:
        """The library does not tell what else it draws."""
        fired = (("turned", self.rotates), ("scaled", self.scales), ("bent", self.bends))
        return (*(name for name, value in fired if value), "batchgeneratorsv2")


class ReferenceAugmentation:
    """Draws and transforms single samples."""

    def __init__(self, spec: AugmentationSpec, patch_size: Shape, mirror_axes: tuple[int, ...]):
        self.spec, self.patch_size = spec, patch_size
        self.sliced = is_sliced(patch_size)
        self.margin_size = _enlarged(patch_size, np.radians(spec.rotation.degrees), self.sliced)
        flags = (False, True)
        self.spatial = {(r, s, b): self._spatial(r, s, b) for r in flags for s in flags for b in flags if r or s or b}
        # every axis is mirrored with the same probability: the library's 0.5, unless mirroring is off
        self.intensity = ComposeTransforms(intensity_transforms(spec, self.sliced))
        self.mirror = MirrorTransform(mirror_axes if spec.mirroring.probability else ())

    def draw(self, rng: np.random.Generator) -> ReferenceDraw:
        """Decide what happens to the next patch's geometry."""
        parts = (self.spec.rotation, self.spec.scaling, self.spec.elastic)
        rotates, scales, bends = (fires(rng, part.probability) for part in parts)
        size = self.margin_size if rotates or scales or bends else self.patch_size
        return ReferenceDraw(size, seed=int(rng.integers(2**32)), rotates=rotates, scales=scales, bends=bends)

    def apply(self, image: Tensor, labels: Tensor, draw: ReferenceDraw) -> tuple[Tensor, Tensor]:
        """Transform an image (C, *read_size) float32 of its own memory and its labels (L, *read_size); `patch_size` comes out."""
        sample = {"image": image, "segmentation": labels}
        with isolated_random_state(draw.seed):
            if draw.rotates or draw.scales or draw.bends:
                sample = self.spatial[draw.rotates, draw.scales, draw.bends](**sample)
            sample = self.mirror(**self.intensity(**sample))
        return sample["image"], sample["segmentation"]

    def _spatial(self, rotates: bool, scales: bool, bends: bool) -> BasicTransform:
        spec, patch = self.spec, self.patch_size[1:] if self.sliced else self.patch_size
        largest, edge = np.radians(spec.rotation.degrees), min(patch)
        transform = SpatialTransform(
            patch,
            patch_center_dist_from_border=0,
            random_crop=False,
            p_elastic_deform=float(bends),
            elastic_deform_scale=spec.elastic.smoothness,
            elastic_deform_magnitude=tuple(edge * part for part in spec.elastic.displacement),
            p_synchronize_def_scale_across_axes=1,
            p_rotation=float(rotates),
            rotation=(-largest, largest),
            p_scaling=float(scales),
            scaling=spec.scaling.factor,
            p_synchronize_scaling_across_axes=1,
        )
        return ComposeTransforms([Convert3DTo2DTransform(), transform, Convert2DTo3DTransform()]) if self.sliced else transform


def intensity_transforms(spec: AugmentationSpec, sliced: bool) -> list[BasicTransform]:
    """Noise to gamma, in nnU-Net's order."""

    def gamma(factor: tuple[float, float], inverted: bool) -> GammaTransform:
        return GammaTransform(BGContrast(factor), float(inverted), False, 1.0, 1.0)

    low = spec.low_resolution
    return [
        RandomTransform(GaussianNoiseTransform(spec.noise.sigma, 1.0, True), spec.noise.probability),
        # benchmark=True would choose between two algorithms by timing them, and training would no longer be repeatable
        RandomTransform(
            GaussianBlurTransform(spec.blur.sigma, False, False, spec.blur.channel_probability, benchmark=False),
            spec.blur.probability,
        ),
        RandomTransform(
            MultiplicativeBrightnessTransform(BGContrast(spec.brightness.factor), False, 1.0), spec.brightness.probability
        ),
        RandomTransform(ContrastTransform(BGContrast(spec.contrast.factor), True, False, 1.0), spec.contrast.probability),
        RandomTransform(
            SimulateLowResolutionTransform(low.zoom, False, True, (0,) if sliced else None, None, low.channel_probability),
            low.probability,
        ),
        RandomTransform(gamma(spec.gamma_inverted.factor, inverted=True), spec.gamma_inverted.probability),
        RandomTransform(gamma(spec.gamma.factor, inverted=False), spec.gamma.probability),
    ]


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


def _enlarged(patch_size: Shape, angle: float, sliced: bool) -> Shape:
    """What must be read so that a turned patch has no empty corners: its largest bounding box, by 1 / 0.85 for the zoom.

    The 0.85 is nnU-Net's. Its box is the one at the largest angle (at 90 degrees that of the patch itself, with empty
    corners in between); here it is the largest over all angles up to that, one pair of axes after another. Sizes stay even or
    odd as the patch's are, so that both have the same centre.
    """
    plane = patch_size[1:] if sliced else patch_size
    size = np.array(plane, float)
    diagonal = float(np.linalg.norm(size))
    for first in range(len(size)):
        for second in range(first + 1, len(size)):
            a, b = size[first], size[second]
            size[first], size[second] = _widest(a, b, angle), _widest(b, a, angle)
    margins = [int(np.ceil((min(s, diagonal) / 0.85 - n) / 2)) for s, n in zip(size, plane, strict=True)]
    enlarged = tuple(n + 2 * margin for n, margin in zip(plane, margins, strict=True))
    return (patch_size[0], *enlarged) if sliced else enlarged


def _widest(side: float, other: float, angle: float) -> float:
    """Largest width of a rectangle turned by up to `angle`: side * cos + other * sin, which peaks at atan(other / side)."""
    angle = min(angle, float(np.arctan2(other, side)))
    return float(side * np.cos(angle) + other * np.sin(angle))
