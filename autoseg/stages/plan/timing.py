"""Seconds that a training will take on a machine, predicted from its probes (or, without any, from typical figures)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, prod
from statistics import fmean

import numpy as np

from autoseg.networks.cost import multiply_adds
from autoseg.records import InferenceSpec, MachineProfile, NetworkSpec, Shape, Throughput
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.presets import BudgetRule

# Forward multiply-adds per second of training step where nothing was measured. CPU: per core, float32; a U-Net of width 16
# on 160x240 pixels took 0.27 s for a batch of four on two cores with bfloat16. CUDA: nnU-Net's 128^3 batch of two on an A100.
CPU_CORE_RATE = 5e9
BFLOAT16_GAIN = 2.4
DEVICE_RATE = {"cuda": 5e12, "mps": 3e11}
FORWARD_SHARE = 1 / 3  # of a step: the backward pass costs two forward passes
LARGEST_OVERHEAD = 0.5  # of the shortest probe: more than this would be extrapolation, not measurement


@dataclass(frozen=True)
class Speed:
    """A linear model: `overhead` seconds per step, and multiply-adds per second that grow with a network's width.

    `widths`, `rates` and `forward_rates` are parallel, ascending in width; widths between are interpolated on a logarithmic
    axis, those outside take the nearest.
    """

    overhead: float
    widths: tuple[int, ...]
    rates: tuple[float, ...]
    forward_rates: tuple[float, ...]
    measured: bool

    def step_seconds(self, work: float, width: int) -> float:
        """One optimiser step whose forward pass takes `work` multiply-adds."""
        return self.overhead + work / self._at(width, self.rates)

    def forward_seconds(self, work: float, width: int) -> float:
        """One forward pass without gradients."""
        return work / self._at(width, self.forward_rates)

    def _at(self, width: int, rates: tuple[float, ...]) -> float:
        return float(np.interp(log(width), [log(w) for w in self.widths], rates))


def speed_of(machine: MachineProfile, rank: int) -> Speed:
    """The machine's speed for networks of a rank, from its probes of that rank, else of the other, else typical figures."""
    probes = [probe for probe in machine.throughput if probe.rank == rank] or list(machine.throughput)
    if not probes:
        rate = DEVICE_RATE.get(machine.device, CPU_CORE_RATE * machine.cores)
        rate *= BFLOAT16_GAIN if machine.device == "cpu" and machine.precision == "bfloat16" else 1.0
        return Speed(0.0, (32,), (rate,), (rate / FORWARD_SHARE,), measured=False)
    widths = tuple(sorted({probe.base_features for probe in probes}))
    same = [[probe for probe in probes if probe.base_features == width] for width in widths]
    overhead = _overhead(same)
    rates = tuple(fmean(p.work / (p.step_seconds - overhead) for p in group) for group in same)
    forward = tuple(fmean(p.work / p.forward_seconds for p in group) for group in same)
    return Speed(overhead, widths, rates, forward, measured=True)


def _overhead(same_width: list[list[Throughput]]) -> float:
    """Seconds of a step that do not grow with the work: the intercept of a line through probes of one width.

    Across widths there is no such line, as the rate changes with the width. None with different work: 0.
    """
    intercepts = []
    for group in same_width:
        work, seconds = [probe.work for probe in group], [probe.step_seconds for probe in group]
        if len(set(work)) > 1:
            intercept = float(np.polyfit(np.asarray(work) / max(work), seconds, 1)[1])
            intercepts.append(max(intercept, 0.0))
    shortest = min(probe.step_seconds for group in same_width for probe in group)
    return min(fmean(intercepts), LARGEST_OVERHEAD * shortest) if intercepts else 0.0


def training_step_seconds(
    speed: Speed, network: NetworkSpec, patch_size: Shape, batch_size: int, rule: BudgetRule | None
) -> float:
    """One optimiser step with its augmentation and its share of validation patches for the curve."""
    work, width = multiply_adds(network, patch_size, batch_size), network.features[0]
    seconds = speed.step_seconds(work, width)
    if rule is not None:
        seconds += rule.data_seconds_per_megavoxel * prod(patch_size) * batch_size / 1e6
        seconds += rule.validation_share * speed.forward_seconds(work, width)
    return seconds


def n_tiles(shape: Shape, patch_size: Shape, step_fraction: float) -> int:
    """Positions of the sliding window over an image; one where the patch covers it."""
    return prod(ceil((max(n, p) - p) / max(1.0, p * step_fraction)) + 1 for n, p in zip(shape, patch_size, strict=True))


def validation_seconds(
    speed: Speed,
    inputs: PlanInputs,
    network: NetworkSpec,
    patch_size: Shape,
    median: Shape,
    inference: InferenceSpec,
    rule: BudgetRule,
) -> float:
    """Prediction and export of the whole images of the largest fold.

    `median` is the median image on the network's grid, at the rank of the data (a 2D network sees it slice by slice).
    """
    slices = prod(median[: len(median) - network.rank])
    tiles = slices * n_tiles(median[-network.rank :], patch_size, inference.step_fraction) * 2 ** len(inference.mirror_axes)
    forward = tiles * speed.forward_seconds(multiply_adds(network, patch_size, 1), network.features[0])
    megavoxels = float(np.median([prod(shape) for shape in inputs.shapes_after_crop])) / 1e6
    export = rule.export_seconds + rule.export_seconds_per_megavoxel * megavoxels * inputs.n_outputs
    return float(inputs.n_validation * (forward + export))
