"""What all configurations of a plan share, and the parts that are the same however a network is sized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from autoseg.records import Configuration, Decision, MachineProfile, Normalization, Preparation, Shape, Spacing
from autoseg.records.plan import NetworkFamily, Optimizer
from autoseg.stages.plan import decisions
from autoseg.stages.plan.augmentation import DEFAULT_AUGMENTATION
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import Clause
from autoseg.stages.plan.spacing import Extent

TILE_BATCH_VOXELS = 2**19  # windows are predicted together up to this size: small ones do not fill a machine alone
LARGEST_TILE_BATCH = 4
CASCADE = "3d_cascade_fullres"
NETWORK_RANK = {"3d_fullres": 3, "2d": 2, "3d_lowres": 3, CASCADE: 3}


@dataclass(frozen=True)
class PlanOptions:
    """What the user asked for. Times in seconds, memory in bytes; None leaves it to the preset and the machine."""

    preset: str = "default"
    time_budget_seconds: float | None = None
    epochs: int | None = None
    memory_bytes: float | None = None
    overrides: tuple[str, ...] = ()
    family: NetworkFamily | None = None  # instead of the preset's
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)  # by configuration, or for all (""), instead of by length
    augmentation: str = DEFAULT_AUGMENTATION
    source: Configuration | None = None  # whose network, patch and grid are taken over


@dataclass(frozen=True)
class Frame:
    """What all configurations of a plan share; axes are transposed, except in `target_before`."""

    inputs: PlanInputs
    preset: Preset
    machine: MachineProfile
    options: PlanOptions
    spacing: Spacing
    median: Extent
    order: tuple[int, ...]
    target_before: Spacing
    coarse_axis_rule: bool
    schemes: tuple[Normalization, ...]

    @property
    def has_volumes(self) -> bool:
        """Whether 3D networks make sense: not for single slices."""
        return self.inputs.rank == 3 and self.median[0] != 1

    @property
    def family(self) -> NetworkFamily:
        """Of the networks that are planned."""
        return self.options.family or self.preset.size.family

    def rank_of(self, name: str) -> int:
        """Of a configuration's network; one that is taken over may have any name."""
        return self.options.source.network.rank if self.options.source else NETWORK_RANK[name]

    @property
    def memory_bytes(self) -> float:
        """What a training may fill."""
        return self.options.memory_bytes or self.machine.memory_bytes * self.preset.memory_share


def preparation_of(frame: Frame, name: str, spacing: Spacing) -> Preparation:
    """Preparation for a configuration on a grid (all axes of the data, transposed)."""
    grid: tuple[float | None, ...] | None = None
    if frame.inputs.known_spacings:
        grid = tuple(None if axis == slice_axis(frame, name) else value for axis, value in enumerate(spacing))
    return Preparation(
        canonical_orientation=frame.preset.canonical_orientation and frame.inputs.rank == 3,
        transpose=frame.order,
        crop_to_nonzero=True,
        spacing_mm=grid,
        normalization=frame.schemes,
    )


def shared_decisions(frame: Frame, plain: Configuration, grid: Clause | None) -> list[Decision]:
    """Reasons for what happens before the network; `grid` says why it differs from the target spacing."""
    return [
        decisions.orientation(frame.inputs, frame.preset),
        decisions.spacing(frame.inputs, frame.spacing, frame.coarse_axis_rule, plain, grid, frame.preset),
        decisions.transpose(frame.target_before, frame.order),
        decisions.normalization(frame.inputs, frame.schemes),
        decisions.augmentation(plain, asked=frame.options.augmentation != DEFAULT_AUGMENTATION),
    ]


def cascade_of(fullres: Configuration, n_targets: int) -> Configuration:
    """The second stage of a cascade: the full-resolution network, which also sees the low-resolution one's mask of each target."""
    network = fullres.network.model_copy(update={"in_channels": fullres.network.in_channels + n_targets})
    reasons = (*fullres.decisions, decisions.cascade(fullres, n_targets))
    return fullres.model_copy(update={"name": CASCADE, "previous_stage": "3d_lowres", "network": network, "decisions": reasons})


def slice_axis(frame: Frame, name: str) -> int | None:
    """A 2D network on volumes runs along the first axis after transposition."""
    return 0 if frame.rank_of(name) < frame.inputs.rank else None


def tile_batch(patch_size: Shape) -> int:
    """Windows predicted at a time."""
    return max(1, min(LARGEST_TILE_BATCH, TILE_BATCH_VOXELS // prod(patch_size)))
