"""Measure, in a few seconds, how fast this machine trains and what memory that takes.

A probe is a real training step (augmentation, forward, loss, backward, optimiser) of a U-Net on random patches. A few sizes
are measured for every machine; the network that a plan has chosen may be measured as well, so that its time is no guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from autoseg.engines.device import Precision, autocast, describe_machine, peak_memory, place, synchronize
from autoseg.learning.augmentation import Augmentation, SpatialDraw, isolated_random_state
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.step import Step, sgd
from autoseg.networks.unet import build_network
from autoseg.records import MachineProfile, NetworkSpec, Shape, Throughput

WARM_UP_STEPS = 1
FEWEST_STEPS = 2
MOST_STEPS = 12
PROBE_BATCH = 2
PROBE_PATCHES: dict[int, tuple[Shape, ...]] = {  # the smallest tell what a step costs beside its arithmetic
    2: ((48, 48), (96, 96), (224, 224)),
    3: ((16, 16, 16), (24, 24, 24), (40, 40, 40)),
}
PROBE_WIDTHS = (16, 32)
SECONDS_PER_PROBE = 0.5  # of repetitions, if the fewest are done sooner
PROBE_SECONDS = 12.0  # after this the larger patches are left out
TIMED_SAMPLES = 6  # augmented, of those that are turned or scaled (which takes longest) and of the others
COUNTED_SAMPLES = 400  # drawn to count how many are which


def probe_machine(
    device: torch.device, ranks: Sequence[int] = (2, 3), in_channels: int = 1, out_channels: int = 2
) -> MachineProfile:
    """Describe the device and measure networks of two widths on a few sizes of patch per rank; about 10 s on a slow machine."""
    start = time.monotonic()
    profile = describe_machine(device)
    measured = []
    for size in range(len(PROBE_PATCHES[2])):
        for rank in ranks:
            for width in PROBE_WIDTHS:
                if size == 0 or time.monotonic() - start < PROBE_SECONDS:
                    patch = PROBE_PATCHES[rank][size]
                    network = probe_network(rank, width, in_channels, out_channels)
                    measured.append(measure(network, patch, PROBE_BATCH, device, profile.precision))
    return profile.model_copy(update={"throughput": tuple(measured)})


def probe_network(rank: int, width: int, in_channels: int = 1, out_channels: int = 2) -> NetworkSpec:
    """A U-Net of four stages."""
    n_stages = 4
    return NetworkSpec(
        rank=2 if rank == 2 else 3,
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(width * 2**stage for stage in range(n_stages)),
        strides=((1,) * rank, *((2,) * rank,) * (n_stages - 1)),
        kernel_sizes=((3,) * rank,) * n_stages,
        encoder_blocks=(2,) * n_stages,
        decoder_convs=(2,) * (n_stages - 1),
    )


def measure(spec: NetworkSpec, patch_size: Shape, batch_size: int, device: torch.device, precision: Precision) -> Throughput:
    """Seconds of a training step, of a forward pass and of the augmentation, and the memory they take.

    The quickest of several repetitions: what else runs on the machine in these seconds says nothing about the hours to come.

    Raises:
        RuntimeError, MemoryError: on a device that has not enough memory.
    """
    with torch.random.fork_rng(), peak_memory(device) as peak:
        torch.manual_seed(0)
        network = place(build_network(spec), device)
        images = torch.randn(batch_size, spec.in_channels, *patch_size, device=device)
        labels = torch.randint(0, max(2, spec.out_channels), (batch_size, 1, *patch_size), dtype=torch.int16, device=device)
        labels = labels.clamp(max=spec.out_channels - 1)
        scaler = torch.amp.GradScaler(device.type) if precision == "float16" else None
        loss = SegmentationLoss(None, batch_dice=True)
        step = Step(network, loss, sgd(network, 1e-3, 0.99, 3e-5), scaler, device, precision, 12.0)

        def train() -> None:
            network.train()
            step(images, labels)

        def forward() -> None:
            network.eval()
            with torch.inference_mode(), autocast(device, precision):
                network(images)

        step_seconds, forward_seconds = _least_seconds(train, device), _least_seconds(forward, device)
    return Throughput(
        network=spec,
        patch_size=patch_size,
        batch_size=batch_size,
        step_seconds=step_seconds,
        forward_seconds=forward_seconds,
        data_seconds=batch_size * augmentation_seconds(spec.in_channels, patch_size) if device.type == "cpu" else 0.0,
        peak_bytes=peak.bytes,
    )


def augmentation_seconds(channels: int, patch_size: Shape) -> float:
    """Seconds to augment one patch: the mean over random draws."""
    augmentation = Augmentation(patch_size, tuple(range(len(patch_size))))
    rng = np.random.default_rng(0)
    drawn = [augmentation.draw_spatial(rng) for _ in range(COUNTED_SAMPLES)]
    turned = [draw for draw in drawn if draw.rotate or draw.scale]
    kept = [draw for draw in drawn if not (draw.rotate or draw.scale)]
    return sum(len(draws) / len(drawn) * _seconds_to_augment(augmentation, channels, draws) for draws in (turned, kept))


def _seconds_to_augment(augmentation: Augmentation, channels: int, draws: Sequence[SpatialDraw]) -> float:
    times = []
    with isolated_random_state(0):
        for draw in draws[: 1 + TIMED_SAMPLES]:
            image, labels = torch.randn(channels, *draw.read_size), torch.zeros(1, *draw.read_size, dtype=torch.int16)
            start = time.perf_counter()
            augmentation.apply(image, labels, draw)
            times.append(time.perf_counter() - start)
    return sum(times[1:]) / TIMED_SAMPLES  # the first warms up


def _least_seconds(work: Callable[[], None], device: torch.device) -> float:
    times: list[float] = []
    while len(times) < WARM_UP_STEPS + FEWEST_STEPS or (
        len(times) < WARM_UP_STEPS + MOST_STEPS and sum(times) < SECONDS_PER_PROBE
    ):
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[WARM_UP_STEPS:])
