"""`plan.json`: everything that was decided for a run, and why."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from autoseg.records.augmentation import AugmentationSpec
from autoseg.records.base import Part, Record, Shape
from autoseg.records.dataset import Structure
from autoseg.records.transfer import Transfer

NormalizationScheme = Literal["ct", "zscore", "rescale_to_0_1", "rgb_to_0_1", "none"]
NetworkFamily = Literal["plain_unet", "residual_unet", "unet2015"]
Optimizer = Literal["sgd", "adamw"]
Number = bool | int | float | str | tuple[float | None, ...]


class Decision(Part):
    """Why a value was chosen: the rule in general, its numbers here, and what else would have been possible.

    `reason` is the rule applied, a sentence that holds the `numbers`; `alternative` says what else there was, and how to get it.
    """

    name: str
    choice: str
    rule: str
    reason: str
    numbers: dict[str, Number]
    alternative: str


class Normalization(Part):
    """How one channel is normalised; the numbers serve the scheme `ct` (clip to the percentiles, then z-score)."""

    scheme: NormalizationScheme
    use_mask: bool = False  # statistics inside the non-zero mask only, zeros outside stay zero
    mean: float = 0.0
    std: float = 1.0
    lower: float = 0.0
    upper: float = 0.0


class Preparation(Part):
    """How a case is brought onto the network's grid.

    `spacing_mm` has the rank of the data; an entry None leaves that axis as it is (the slice axis of a 2D network on
    3D data). `spacing_mm` None altogether: nothing is resampled. Order: orient, transpose, crop to non-zero,
    normalise, resample; `spacing_mm` is in the order after `transpose`. `antialias` smooths axes that shrink, which
    nnU-Net does not.
    """

    canonical_orientation: bool
    transpose: tuple[int, ...]
    crop_to_nonzero: bool
    spacing_mm: tuple[float | None, ...] | None
    normalization: tuple[Normalization, ...]
    image_order: int = 3
    label_order: int = 1
    antialias: bool = False


class NetworkSpec(Part):
    """A U-Net: stage i has `features[i]`, is entered with `strides[i]`, convolves with `kernel_sizes[i]`.

    `plain_unet` is nnU-Net's, `residual_unet` its residual-encoder network (blocks of two convolutions behind a stem),
    `unet2015` that of Ronneberger et al. 2015 (max-pooling, no normalisation).
    """

    family: NetworkFamily = "plain_unet"
    rank: Literal[2, 3]
    in_channels: int
    out_channels: int
    features: tuple[int, ...]
    strides: tuple[Shape, ...]
    kernel_sizes: tuple[Shape, ...]
    encoder_blocks: tuple[int, ...]  # per stage: convolutions, or residual blocks
    decoder_convs: tuple[int, ...]  # per stage but the bottleneck, finest first
    deep_supervision: bool = True

    @property
    def n_stages(self) -> int:
        """Resolutions, the bottleneck included."""
        return len(self.features)

    @property
    def divisor(self) -> Shape:
        """Patch sizes must be multiples of this, per axis."""
        product = [1] * self.rank
        for stride in self.strides:
            product = [p * s for p, s in zip(product, stride, strict=True)]
        return tuple(product)


class TrainingSpec(Part):
    """How a network is trained. One epoch is `steps_per_epoch` optimiser steps.

    The learning rate rises over the first `warmup_share` of the steps and then follows `schedule`: `poly` is nnU-Net's
    `(1 - progress) ** lr_exponent`, `cosine` half a wave, `one_cycle` (Smith and Topin 2018) rises and falls with the momentum
    in the opposite sense. `ema_decay` above 0 hands over a moving average of the weights (per step). A weight of 0 leaves a
    part of the loss out. `memory_format` says how tensors lie (`auto`: tried when training begins), `compile` asks for
    `torch.compile` (kept where it turns out to pay). `deterministic` repeats bit by bit on the same machine: the length is then never amended.
    """

    patch_size: Shape
    batch_size: int
    epochs: int
    steps_per_epoch: int
    validation_steps: int  # batches of validation patches per epoch, for the curve only
    time_budget_seconds: float | None = None  # wall time of a fold, its validation included
    optimizer: Optimizer = "sgd"
    initial_lr: float = 1e-2
    momentum: float = 0.99
    weight_decay: float = 3e-5
    schedule: Literal["poly", "cosine", "one_cycle"] = "poly"
    lr_exponent: float = 0.9
    warmup_share: float = 0.0
    ema_decay: float = 0.0
    gradient_clip: float = 12.0
    dice_weight: float = 1.0
    cross_entropy_weight: float = 1.0
    batch_dice: bool
    foreground_fraction: float = 0.33
    case_sampling: Literal["uniform", "rare_first"] = "uniform"
    mirror_axes: tuple[int, ...]
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: bool = False
    deterministic: bool = False
    seed: int = 0

    def identity(self) -> str:
        """Digest of what a checkpoint must agree on: the length may change, and how it is computed, so they are left out."""
        free = {"epochs": 0, "time_budget_seconds": None, "memory_format": "auto", "compile": False}
        return self.model_copy(update=free).digest()


class InferenceSpec(Part):
    """How a trained network is applied."""

    step_fraction: float = 0.5
    mirror_axes: tuple[int, ...]
    tile_batch_size: int = 1


class Configuration(Part):
    """One complete way to train on the data; `slice_axis` is set for a 2D network on 3D data (after transposition)."""

    name: str
    slice_axis: int | None = None
    previous_stage: str | None = None  # the configuration whose masks are further input channels (cascade)
    next_stage: str | None = None
    preparation: Preparation
    network: NetworkSpec
    training: TrainingSpec
    augmentation: AugmentationSpec
    inference: InferenceSpec
    median_shape: tuple[float, ...]  # of the prepared cases, at the network's rank; halves occur over an even number of cases
    decisions: tuple[Decision, ...] = ()

    @property
    def time_limit_seconds(self) -> float | None:
        """Wall time that the length is amended to meet; None where epochs are fixed, or were edited by hand since planning."""
        numbers = {decision.name: decision.numbers for decision in self.decisions}
        planned = numbers.get("length", {}).get("epochs")
        edited = planned not in (None, self.training.epochs) and "training.time_budget_seconds" not in numbers
        return None if edited else self.training.time_budget_seconds

    def digests(self) -> dict[str, str]:
        """What a checkpoint must agree on, by concern."""
        return {
            "preparation": self.preparation.digest(),
            "network": self.network.digest(),
            "training": f"{self.training.identity()}-{self.augmentation.digest()}",
        }


class Plan(Record):
    """All configurations of a run, one of them the default. `transfer` is set where it was made from another run."""

    FORMAT: ClassVar[int] = 3
    OTHER_FORMAT: ClassVar[str] = (
        "plan the data set again into a new folder (or into this one with --overwrite, if nothing is trained in it). "
        "Folds that were trained under that format work only with the version that trained them"
    )
    format: int = 3
    preset: str
    device: Literal["cpu", "cuda", "mps"]
    rank: Literal[2, 3]
    channels: tuple[str, ...]
    targets: tuple[Structure, ...]
    derived: tuple[Structure, ...]
    regions: bool
    ignore_value: int | None
    dataset_digest: str
    default: str
    configurations: dict[str, Configuration]
    decisions: tuple[Decision, ...] = ()
    transfer: Transfer | None = None

    @classmethod
    def faults_in(cls, content: Any) -> list[str]:
        """Faults of fields, and of what does not go together, of all configurations."""
        from autoseg.records.plan_faults import faults_of_readable_parts, plan_faults  # they read the records of this module

        faults = super().faults_in(content)
        return faults + faults_of_readable_parts(content) if faults else plan_faults(cls.model_validate(content))
