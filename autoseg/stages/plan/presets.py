"""Presets: the budgets and preferences that planning starts from, one JSON file each under `plans/presets/`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from autoseg.errors import PlanError
from autoseg.records import Part, Record
from autoseg.records.plan import NetworkFamily

Rank = Annotated[int, Field(ge=2, le=3)]
PerRank = dict[Rank, int]
ChoicesPerRank = Annotated[dict[Rank, Annotated[tuple[PositiveInt, ...], Field(min_length=1)]], Field(min_length=2)]


class SizeRule(Part):
    """nnU-Net's sizing: how many feature map elements fit, what they stand for, and how a batch is capped."""

    family: NetworkFamily
    patch_fits_batch: Literal["minimum", "reference"]  # the patch shrinks until a batch of this size fits
    reference_elements: PerRank  # convolution output elements of one sample
    reference_batch: PerRank  # at this batch
    reference_memory_bytes: float  # in this much memory
    useful_memory_bytes: float | None  # more memory than this does not make the plan larger; None: no such limit
    minimum_batch: int
    largest_batch: PerRank | None
    largest_dataset_share: float  # a batch covers at most this part of the data set
    base_features: int
    max_features: PerRank  # at 32 base features; scales with the width
    lowres_threshold: float  # a patch that covers less of the median image than this calls for a coarser network


class LengthRule(Part):
    """Length of a training that is not solved for."""

    epochs: PositiveInt
    steps_per_epoch: PositiveInt
    validation_steps: NonNegativeInt


class Losses(Part):
    """Dice that a training is expected to fall short of what the data set allows, by what it lacks.

    The sum of these terms is what planning in time makes small. They were set by hand after the study in `docs/planning.md`.
    """

    steps: float  # after 1000 optimiser steps with a batch of two
    steps_exponent: float  # falls with this power of the steps
    batch_exponent: float  # a step with twice the batch counts as 2 to this power of steps
    width: float  # at width 16; in proportion to 1 / width
    thickness: float  # where the thinnest structure is one pixel thick; in proportion to 1 / thickness
    patch: float  # for every halving of the part that a patch shows
    onset: NonNegativeFloat  # steps after which a structure is found, times the width and the root of its part of the images
    onset_exponent: PositiveFloat  # how sharply it is missed before
    slices: float  # of a 2D network on volumes, which does not see neighbouring slices


class ShortTraining(Part):
    """Where AdamW takes the place of nnU-Net's optimiser, and how much more it learns there; the study is in `docs/training.md`."""

    adamw_steps_most: NonNegativeInt  # longer trainings have nnU-Net's
    adamw_step_worth: PositiveFloat  # steps of nnU-Net's that one of AdamW's counts for, in the loss for want of steps


class BudgetRule(Part):
    """How a training is fitted into a wall time. Reasons for the numbers stand in `plans/README.md`."""

    default_seconds: PositiveFloat  # on a CPU, per fold
    startup_seconds: NonNegativeFloat
    slack: Annotated[float, Field(ge=0, lt=1)]  # part of the budget that is left unplanned
    steps_minimum: PositiveInt  # below this a training hardly begins to converge, and the losses say nothing
    steps_enough: PositiveInt  # never more than these
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    coarsenings: Annotated[tuple[Annotated[float, Field(ge=1)], ...], Field(min_length=1)]
    patch_voxels: ChoicesPerRank  # limits to try; images below the smallest one are never cut
    batches: ChoicesPerRank
    thickness_pixels: float  # the median thickness of the thinnest structure keeps this many pixels
    epoch_seconds: PositiveFloat  # a journal line about this often
    steps_per_epoch: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    validation_share: float  # validation steps per optimiser step
    mirroring_share: float  # mirror in inference when the fold's validation then takes at most this part of the budget
    export_seconds: float  # per validation case
    export_seconds_per_megavoxel: float  # and class
    losses: Losses
    short: ShortTraining | None = None  # None: nnU-Net's optimiser for all lengths


class Preset(Record):
    """A named set of rules. `fit_machine` False plans as nnU-Net does, whatever the machine at hand."""

    name: str
    summary: str
    fit_machine: bool
    canonical_orientation: bool  # 3D data
    physical_spacing_2d: bool  # 2D images are brought to the median pixel size in mm where it is known
    memory_share: Annotated[float, Field(gt=0, le=1)]  # of the machine's memory that a training may fill
    size: SizeRule
    length: LengthRule
    budget: BudgetRule | None


def preset_names() -> tuple[str, ...]:
    """Names of the presets that ship with the package."""
    return tuple(sorted(file.stem for file in shipped("presets").glob("*.json")))


def load_preset(name: str) -> Preset:
    """A shipped preset by name, or one of the user's own by the path of its JSON file.

    Raises:
        PlanError: no preset has this name.
        RecordError: the file is not a valid preset.
    """
    if name.endswith(".json"):
        return Preset.load(Path(name))
    if name not in preset_names():
        raise PlanError(f"preset {name!r} does not exist; choose {', '.join(preset_names())} or the path of a JSON file")
    return Preset.load(shipped("presets") / f"{name}.json")


def shipped(kind: str) -> Path:
    """`autoseg/plans/KIND` in an installed wheel, `plans/KIND` beside the package in a checkout."""
    package = Path(str(resources.files("autoseg")))
    installed = package / "plans" / kind
    return installed if installed.exists() else package.parent / "plans" / kind
