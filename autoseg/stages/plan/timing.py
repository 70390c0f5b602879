"""Seconds and bytes that a training will take on a machine, predicted from its probes (or, without any, from typical figures)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, log, prod

from autoseg.networks.cost import multiply_adds, training_bytes
from autoseg.records import InferenceSpec, MachineProfile, NetworkSpec, Shape, Throughput
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.presets import BudgetRule

# Forward multiply-adds per second of training step where nothing was measured. CPU: per core, float32; a U-Net of width 16
# on 160x240 pixels took 0.27 s for a batch of four on two cores with bfloat16. CUDA: nnU-Net's 128^3 batch of two on an A100.
CPU_CORE_RATE = 5e9
BFLOAT16_GAIN = 2.4
DEVICE_RATE = {"cuda": 5e12, "mps": 3e11}
FORWARD_SHARE = 1 / 3  # of a step: the backward pass costs two forward passes
DATA_SECONDS_PER_MEGAVOXEL = 0.1  # of augmentation in the training process, where nothing was measured
OTHER_FAMILY = 1.0  # distance, as a factor e in size: a network of another kind says little about this one's speed
TELLING_BYTES = 1e8  # smaller probes hardly grow a process
MEMORY_RATIOS = (0.5, 2.0)  # a measured peak beyond these, against the closed form, is a fault of measuring


@dataclass(frozen=True)
class Speed:
    """Interpolates between probes: a network runs at the rates of those that are like it in width and in work.

    Rates (multiply-adds of the forward pass per second) are averaged on a logarithmic scale with weights 1/distance^2
    (Shepard 1968), so that a network which was probed itself gets exactly its own seconds. Distance is taken over the logarithms
    of width, of work per step and of the number of outputs, on which the loss depends.
    """

    probes: tuple[Throughput, ...]
    typical_rate: float
    device: str

    @property
    def measured(self) -> bool:
        """Whether there is any probe."""
        return bool(self.probes)

    @cached_property
    def _probed_work(self) -> tuple[tuple[Throughput, float], ...]:
        """Probes with the multiply-adds of a forward pass."""
        return tuple((probe, multiply_adds(probe.network, probe.patch_size, probe.batch_size)) for probe in self.probes)

    def probe_of(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> Throughput | None:
        """The probe of this very network, patch and batch."""
        wanted = (network, tuple(patch_size), batch_size)
        return next((p for p in self.probes if (p.network, p.patch_size, p.batch_size) == wanted), None)

    def step_seconds(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
        """Forward, backward and optimiser for one batch."""
        return self._seconds(network, patch_size, batch_size, "step_seconds")

    def forward_seconds(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
        """One forward pass of a batch, without gradients."""
        return self._seconds(network, patch_size, batch_size, "forward_seconds")

    def data_seconds(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
        """Augmentation of one batch in the training process; 0 where other processes do it."""
        if self.device != "cpu":
            return 0.0
        if found := self.probe_of(network, patch_size, batch_size):
            return found.data_seconds
        voxels = prod(patch_size) * batch_size
        if not self.probes:
            return DATA_SECONDS_PER_MEGAVOXEL * voxels / 1e6
        nearest = min(self.probes, key=lambda p: abs(log(prod(p.patch_size) * p.batch_size / voxels)))
        return nearest.data_seconds * voxels / (prod(nearest.patch_size) * nearest.batch_size)

    def _seconds(self, network: NetworkSpec, patch_size: Shape, batch_size: int, field: str) -> float:
        work = multiply_adds(network, patch_size, batch_size)
        if not self.probes:
            return work / self.typical_rate * (1.0 if field == "step_seconds" else FORWARD_SHARE)
        total = weights = 0.0
        for probe, probe_work in self._probed_work:
            away = log(network.features[0] / probe.network.features[0]) ** 2 + log(work / probe_work) ** 2
            away += log(network.out_channels / probe.network.out_channels) ** 2
            away += OTHER_FAMILY * (network.family != probe.network.family)
            rate = log(probe_work / getattr(probe, field))
            if away < 1e-12:
                return work / exp(rate)
            total += rate / away
            weights += 1 / away
        return work / exp(total / weights)


def speed_of(machine: MachineProfile, rank: int) -> Speed:
    """The machine's speed for networks of a rank, from its probes of that rank, else of the other, else typical figures."""
    probes = tuple(probe for probe in machine.throughput if probe.network.rank == rank) or machine.throughput
    rate = DEVICE_RATE.get(machine.device, CPU_CORE_RATE * max(1, machine.cores))
    rate *= BFLOAT16_GAIN if machine.device == "cpu" and machine.precision == "bfloat16" else 1.0
    return Speed(probes, rate, machine.device)


def value_bytes(machine: MachineProfile) -> int:
    """Bytes per value in the machine's precision."""
    return 4 if machine.precision == "float32" else 2


@dataclass(frozen=True)
class Memory:
    """Memory of a training step: the closed form, scaled by what the machine's probes took against it.

    `probes` are those that took enough to tell; `scale` is the largest of their ratios.
    """

    probes: tuple[Throughput, ...]
    scale: float
    value_bytes: int

    def peak_bytes(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
        """Of one step; at least what was measured for this very network, if that is credible."""
        return self.scale * training_bytes(network, patch_size, batch_size, self.value_bytes)

    def is_measured(self, network: NetworkSpec, patch_size: Shape, batch_size: int) -> bool:
        """Whether this very network was among the probes."""
        wanted = (network, tuple(patch_size), batch_size)
        return any((probe.network, probe.patch_size, probe.batch_size) == wanted for probe in self.probes)


def memory_of(machine: MachineProfile) -> Memory:
    """How much memory networks take on a machine."""
    size = value_bytes(machine)
    probes, ratios = [], []
    for probe in machine.throughput:
        expected = training_bytes(probe.network, probe.patch_size, probe.batch_size, size)
        if probe.peak_bytes is not None and expected >= TELLING_BYTES:
            probes.append(probe)
            ratios.append(probe.peak_bytes / expected)
    scale = min(max(max(ratios), MEMORY_RATIOS[0]), MEMORY_RATIOS[1]) if ratios else 1.0
    return Memory(tuple(probes), scale, size)


def training_step_seconds(
    speed: Speed, network: NetworkSpec, patch_size: Shape, batch_size: int, validation_share: float
) -> float:
    """One optimiser step with its augmentation and its share of validation patches for the curve."""
    seconds = speed.step_seconds(network, patch_size, batch_size) + speed.data_seconds(network, patch_size, batch_size)
    return seconds + validation_share * speed.forward_seconds(network, patch_size, batch_size)


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
    forward = tiles * speed.forward_seconds(network, patch_size, 1)
    export = rule.export_seconds + rule.export_seconds_per_megavoxel * inputs.median_voxels / 1e6 * inputs.n_outputs
    return float(inputs.n_validation * (forward + export))
