"""How training patches are varied: the `augmentation` section of a configuration. Ranges are uniform, probabilities per patch.

The names and the order are nnU-Net's; presets stand in `plans/augmentation/`.
"""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part


class Rotation(Part):
    """About every axis at once; `degrees` is the largest angle, to either side."""

    probability: float
    degrees: float


class Scaling(Part):
    """Objects become `factor` times as small; one factor for all axes."""

    probability: float
    factor: tuple[float, float]


class Elastic(Part):
    """Smooth random displacements: `displacement` and `smoothness` (sigma) as parts of the patch's shortest edge."""

    probability: float
    displacement: tuple[float, float]
    smoothness: tuple[float, float]


class Noise(Part):
    """Gaussian noise on all channels; `sigma` in units of the normalised intensities."""

    probability: float
    sigma: tuple[float, float]


class Blur(Part):
    """Gaussian blur of some channels; `sigma` in pixels, drawn per axis."""

    probability: float
    channel_probability: float
    sigma: tuple[float, float]


class Factor(Part):
    """A factor per channel: half of the draws fall below 1, half above."""

    probability: float
    factor: tuple[float, float]


class LowResolution(Part):
    """Some channels are sampled down (nearest) by `zoom` and up again (linear)."""

    probability: float
    channel_probability: float
    zoom: tuple[float, float]


class Mirroring(Part):
    """Along each of the configuration's `training.mirror_axes`."""

    probability: float


class PreviousStage(Part):
    """Faults put into the first stage's mask, from which the second stage of a cascade learns; other networks have no use for it.

    With `morphology_probability`, each label is dilated, eroded, opened or closed (equally likely) by a ball of a whole number of
    voxels in `radius`, if its own `morphology_label_probability` says so. With `removal_probability`, each label loses one of its
    connected components that fill at most `largest_share` of the patch, if its own `removal_label_probability` says so.
    """

    morphology_probability: float
    morphology_label_probability: float
    radius: tuple[int, int]
    removal_probability: float
    removal_label_probability: float
    largest_share: float


class AugmentationSpec(Part):
    """All of it. `backend` `torch` works on whole batches where the network is; `batchgeneratorsv2` is nnU-Net's own library."""

    preset: str = "default"
    backend: Literal["torch", "batchgeneratorsv2"] = "torch"
    rotation: Rotation
    scaling: Scaling
    elastic: Elastic
    noise: Noise
    blur: Blur
    brightness: Factor
    contrast: Factor
    low_resolution: LowResolution
    gamma_inverted: Factor
    gamma: Factor
    mirroring: Mirroring
    previous_stage: PreviousStage
