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
from autoseg.learning.augmentation import Augmentation, isolated_random_state
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.step import Step, sgd
from autoseg.networks.unet import build_network
from autoseg.records import MachineProfile, NetworkSpec, Shape, Throughput

WARM_UP_STEPS = 2
FEWEST_STEPS = 3
MOST_STEPS = 12
PROBE_BATCH = 2
PROBE_PATCHES: dict[int, tuple[Shape, ...]] = {2: ((96, 96), (224, 224)), 3: ((24, 24, 24), (40, 40, 40))}
PROBE_WIDTHS = (16, 32)
SECONDS_PER_PROBE = 0.7  # of repetitions, if the fewest are done sooner
PROBE_SECONDS = 12.0  # after this the larger patches are left out
AUGMENTED_SAMPLES = 12  # a third of them are turned or scaled, which takes longest


def probe_machine(device: torch.device, ranks: Sequence[int] = (2, 3)) -> MachineProfile:
    """Describe the device and measure networks of two widths on two sizes of patch per rank; about 10 s on a slow machine."""
    start = time.monotonic()
    profile = describe_machine(device)
    measured = []
    for size in range(2):
        for rank in ranks:
            for width in PROBE_WIDTHS:
                if size == 0 or time.monotonic() - start < PROBE_SECONDS:
                    patch = PROBE_PATCHES[rank][size]
                    measured.append(measure(probe_network(rank, width), patch, PROBE_BATCH, device, profile.precision))
    return profile.model_copy(update={"throughput": tuple(measured)})


def probe_network(rank: int, width: int, n_stages: int = 4) -> NetworkSpec:
    """A U-Net with a channel in and two classes out."""
    return NetworkSpec(
        rank=2 if rank == 2 else 3,
        in_channels=1,
        out_channels=2,
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
        OutOfMemory: on a device that has not enough.
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
    """Seconds to augment one patch: the mean over random draws, in the quicker of two rounds."""
    augmentation = Augmentation(patch_size, tuple(range(len(patch_size))))
    rng = np.random.default_rng(0)
    draws = [augmentation.draw_spatial(rng) for _ in range(AUGMENTED_SAMPLES)]
    rounds = []
    with isolated_random_state(0):
        samples = [(torch.randn(channels, *draw.read_size), torch.zeros(1, *draw.read_size, dtype=torch.int16)) for draw in draws]
        for _ in range(2):
            start = time.perf_counter()
            for (image, labels), draw in zip(samples, draws, strict=True):
                augmentation.apply(image.clone(), labels.clone(), draw)
            rounds.append(time.perf_counter() - start)
    return min(rounds) / len(samples)


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
