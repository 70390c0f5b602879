"""Fit a training into a wall time: choose the grid, the patch, the width and the batch so that training converges.

All combinations of a few widths, grids, patches and batches are priced with the machine's measured speed. Each leaves time
for a number of steps, and is expected to lose some Dice: for want of steps (a power law, and for every structure
a number of steps before which it is not found at all), of width, of pixels across the thinnest structure, of what a patch
shows, of neighbouring slices. The smallest sum wins. The numbers are in the preset, the experiment behind them in
`docs/planning.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf, log2, prod, sqrt
from statistics import fmean

from autoseg.errors import PlanError
from autoseg.records import Configuration, InferenceSpec, MachineProfile, NetworkSpec, Shape, Spacing
from autoseg.records.plan import NetworkFamily, Optimizer
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.patch import largest_patch, largest_patch_2015
from autoseg.stages.plan.presets import BudgetRule, Losses, SizeRule
from autoseg.stages.plan.recipe import optimizer_for, worth_of_step
from autoseg.stages.plan.spacing import Extent, coarsened, extent_to_show, median_shape, structure_extent
from autoseg.stages.plan.timing import Memory, Speed, memory_of, speed_of, training_step_seconds, validation_seconds
from autoseg.stages.plan.topology import MOST_FEATURES_2015, WIDTH_2015, Topology, network_of

SMALLEST_BATCH = 2  # steps are counted for it
CONTEXT_PIXELS = 96  # per axis, that a patch needs to show whatever the size of the structures
REFERENCE_WIDTH = 32  # nnU-Net's; the cap on features is stated for it


@dataclass(frozen=True)
class Task:
    """What is to be fitted: one configuration of a data set, on a machine, into a time and a memory."""

    inputs: PlanInputs  # axes transposed
    spacing: Spacing  # target spacing of the data, transposed
    rank: int  # of the network
    machine: MachineProfile
    size: SizeRule
    rule: BudgetRule
    seconds: float
    memory_bytes: float
    family: NetworkFamily = "plain_unet"
    optimizer: Optimizer | None = None  # that the user asked for
    source: Configuration | None = None  # whose network, patch and grid are taken over: only the batch is left to choose
    least_share: float = 0.0  # of the median image that a patch must show
    most_voxels: float = inf  # of the median image
    must_fit: bool = True  # into the time; not where the user fixed the length
    may_mirror: bool = True  # training mirrors, so predictions may

    @property
    def may_coarsen(self) -> bool:
        """Without any known spacing the images stay on their own pixels."""
        return bool(self.inputs.known_spacings)

    @cached_property
    def speed(self) -> Speed:
        """Of the machine."""
        return speed_of(self.machine, self.rank)

    @cached_property
    def memory(self) -> Memory:
        """Of the machine."""
        return memory_of(self.machine)


@dataclass(frozen=True)
class Candidate:
    """One priced combination. `median` and `spacing` have the rank of the data, patch and `extent` that of the network.

    `extent` is what a patch needs to show.
    """

    coarsening: float
    spacing: Spacing
    median: Extent
    extent: Extent
    patch_size: Shape
    network: NetworkSpec
    batch_size: int
    mirror_axes: tuple[int, ...]
    step_seconds: float
    validation_seconds: float
    bytes: float
    steps: int

    @property
    def coverage(self) -> float:
        """Part of what a patch needs to show that it does show, at most 1."""
        return prod(min(1.0, p / e) for p, e in zip(self.patch_size, self.extent, strict=True))


@dataclass(frozen=True)
class _Grid:
    """A target grid with the median image on it, what a patch may show at most, and what it needs to show."""

    coarsening: float
    spacing: Spacing
    median: Extent
    largest: Extent
    needed: Extent


def fit_to_time(task: Task) -> tuple[Candidate, int]:
    """The best candidate, and how many were compared: those with enough steps, if there are any, else those with the most.

    Raises:
        PlanError: nothing fits the memory, or no time is left for training.
    """
    candidates = list(_candidates(task))
    if not candidates:
        raise PlanError(f"no network fits {task.memory_bytes / 1e9:.2g} GB of memory; allow more with --memory")
    possible = [candidate for candidate in candidates if candidate.steps > 0]
    if not possible and not task.must_fit:
        return min(candidates, key=lambda candidate: candidate.step_seconds), len(candidates)
    if not possible:
        quickest = min(candidate.validation_seconds + candidate.step_seconds for candidate in candidates)
        least = (quickest + task.rule.startup_seconds) / (1 - task.rule.slack)
        raise PlanError(
            f"a budget of {task.seconds:.0f} s leaves no time to train: start-up and the validation of "
            f"{task.inputs.n_validation} cases alone take {least:.0f} s; give --time-budget a multiple of that"
        )
    enough = [candidate for candidate in possible if candidate.steps >= task.rule.steps_minimum]
    most = max(candidate.steps for candidate in possible)
    compared = enough or [candidate for candidate in possible if candidate.steps == most]
    return min(compared, key=lambda candidate: expected_loss(task, candidate)), len(compared)


def expected_loss(task: Task, candidate: Candidate) -> float:
    """Dice that the candidate is expected to lose against what the data set allows; differences mean more than the value."""
    return sum(loss_terms(task, candidate).values())


def loss_terms(task: Task, candidate: Candidate) -> dict[str, float]:
    """The expected loss of Dice by cause.

    A patch larger than what it needs to show counts as a larger batch. Coarsening costs nothing where no thickness was measured.
    """
    losses, thickness = task.rule.losses, task.inputs.thickness
    short = task.rule.short
    optimizer = optimizer_for(short, candidate.steps, task.optimizer)
    counted = candidate.steps * worth_of_step(short, optimizer) * _worth(losses, candidate)
    late = [(onset / candidate.steps) ** losses.onset_exponent for _, onset in onsets(task, candidate)]
    pixels = inf if thickness is None else thickness / min(candidate.spacing[-task.rank :])
    return {
        "steps": losses.steps * (1000 / counted) ** losses.steps_exponent,
        "width": losses.width * 16 / candidate.network.features[0],
        "grid": losses.thickness / pixels,
        "patch": losses.patch * log2(1 / candidate.coverage),
        "onset": fmean(min(1.0, loss) for loss in late) if late else 0.0,
        "slices": losses.slices if task.rank < task.inputs.rank else 0.0,
    }


def onsets(task: Task, candidate: Candidate) -> list[tuple[str, float]]:
    """Targets, and the steps after which each is found: the more, the smaller its part of the images and the narrower the network.

    That of nnU-Net's optimiser, whichever trains: AdamW finds them sooner, but not with narrow networks. Empty where sizes were not measured.
    """
    at_once = task.rule.losses.onset / (candidate.network.features[0] * _worth(task.rule.losses, candidate))
    return [(name, at_once / sqrt(share)) for name, share in task.inputs.shares]


def _worth(losses: Losses, candidate: Candidate) -> float:
    """Steps with a batch of two that one step counts for."""
    views = candidate.batch_size * max(1.0, prod(candidate.patch_size) / prod(candidate.extent))
    return float((views / SMALLEST_BATCH) ** losses.batch_exponent)


def allowed_coarsenings(task: Task) -> tuple[float, ...]:
    """Those that leave the thinnest structure its pixels; at least 1.

    Where no thickness was measured (nnU-Net's fingerprints have none) only a low-resolution network may be coarser.
    """
    thickness = task.inputs.thickness
    if not task.may_coarsen:
        return (1.0,)
    if thickness is None:
        return task.rule.coarsenings if task.least_share else (1.0,)
    finest = min(task.spacing[-task.rank :])
    fine = tuple(c for c in task.rule.coarsenings if c == 1 or thickness / (finest * c) >= task.rule.thickness_pixels)
    return fine or (min(task.rule.coarsenings),)


def steps_in(task: Task, step_seconds: float, validation: float) -> int:
    """Optimiser steps that the budget has room for, as far as they are of use; 0 where there is none."""
    rule = task.rule
    seconds = task.seconds * (1 - rule.slack) - rule.startup_seconds - validation
    return min(max(0, int(seconds / step_seconds)), rule.steps_enough)


def _candidates(task: Task) -> Iterator[Candidate]:
    for place, network, patch in _networks(task):
        for batch in _batches(task, place.median, patch):
            candidate = _priced(task, place, patch, network, batch)
            if candidate.bytes <= task.memory_bytes:
                yield candidate


def _networks(task: Task) -> Iterator[tuple[_Grid, NetworkSpec, Shape]]:
    """Every grid with every patch and width; or the one network that is taken over."""
    if task.source is not None:
        spacing = tuple(
            own or given for own, given in zip(task.source.preparation.spacing_mm or task.spacing, task.spacing, strict=True)
        )
        yield _grid(task, 1.0, spacing), task.source.network, task.source.training.patch_size
        return
    for coarsening in allowed_coarsenings(task):
        fine = task.spacing[-task.rank :]
        place = _grid(task, coarsening, (*task.spacing[: -task.rank], *coarsened(fine, coarsening)))
        if prod(place.median) > task.most_voxels:
            continue
        for layout in _layouts(task, place):
            if prod(layout.patch_size) < task.least_share * prod(place.median[-task.rank :]):
                continue
            for width in _widths(task):
                yield place, _network(task, layout, width), layout.patch_size


def _grid(task: Task, coarsening: float, spacing: Spacing) -> _Grid:
    median = median_shape(task.inputs, spacing)
    largest = extent_to_show(task.inputs, spacing, median) if task.may_coarsen else median
    structure = structure_extent(task.inputs, spacing)
    needed = tuple(min(most, max(CONTEXT_PIXELS, size)) for most, size in zip(largest, structure, strict=True))
    return _Grid(coarsening, spacing, median, largest[-task.rank :], needed[-task.rank :])


def _layouts(task: Task, place: _Grid) -> list[Topology]:
    """Patches to try, from small ones to all that should be shown."""
    found: dict[Shape, Topology] = {}
    spacing = place.spacing[-task.rank :]
    shrink = largest_patch_2015 if task.family == "unet2015" else largest_patch
    for limit in task.rule.patch_voxels[task.rank]:
        layout = shrink(spacing, place.largest, partial(_is_within, limit))
        found[layout.patch_size] = layout
    return list(found.values())


def _widths(task: Task) -> tuple[int, ...]:
    return (WIDTH_2015,) if task.family == "unet2015" else task.rule.widths


def _network(task: Task, layout: Topology, width: int) -> NetworkSpec:
    most = task.size.max_features[task.rank] * width // REFERENCE_WIDTH
    return network_of(
        layout,
        family=task.family,
        base_features=width,
        max_features=MOST_FEATURES_2015 if task.family == "unet2015" else most,
        in_channels=len(task.inputs.channels),
        out_channels=task.inputs.n_outputs,
    )


def _batches(task: Task, median: Extent, patch: Shape) -> tuple[int, ...]:
    """Batches to try: the smallest, and those that cover no more of the data set than nnU-Net allows."""
    smallest, *larger = task.rule.batches[task.rank]
    by_data = prod(median) * task.inputs.n_training * task.size.largest_dataset_share / prod(patch)
    return (smallest, *(batch for batch in larger if batch <= by_data))


def _is_within(limit: int, layout: Topology) -> bool:
    return prod(layout.patch_size) <= limit


def _priced(
    task: Task,
    grid: _Grid,
    patch: Shape,
    network: NetworkSpec,
    batch: int,
) -> Candidate:
    """Steps and memory of one combination; predictions are mirrored where that takes a small part of the budget."""
    image, speed = tuple(round(n) for n in grid.median), task.speed
    step = training_step_seconds(speed, network, patch, batch, task.rule.validation_share)

    def validation(axes: tuple[int, ...]) -> float:
        return validation_seconds(speed, task.inputs, network, patch, image, InferenceSpec(mirror_axes=axes), task.rule)

    all_axes = tuple(range(task.rank)) if task.may_mirror else ()
    mirrored = validation(all_axes)
    axes = all_axes if mirrored <= task.rule.mirroring_share * task.seconds else ()
    seconds = mirrored if axes else validation(())
    return Candidate(
        coarsening=grid.coarsening,
        spacing=grid.spacing,
        median=grid.median,
        extent=grid.needed,
        patch_size=patch,
        network=network,
        batch_size=batch,
        mirror_axes=axes,
        step_seconds=step,
        validation_seconds=seconds,
        bytes=task.memory.peak_bytes(network, patch, batch),
        steps=steps_in(task, step, seconds),
    )
