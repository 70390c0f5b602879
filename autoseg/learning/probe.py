"""Measure, in a few seconds, how fast this machine trains and what memory that takes.

A probe is a real training step (augmentation, forward, loss, backward, optimiser) of a U-Net on random patches. A few sizes
are measured for every machine; the network that a plan has chosen may be measured as well, so that its time is no guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from autoseg.engines.device import (
    MemoryFormat,
    Precision,
    autocast,
    describe_machine,
    keep_freed_memory,
    laid,
    peak_memory,
    place,
)
from autoseg.learning.augmentation import Augmentation, Drawn, SampleDraw
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.quickest import FORMATS
from autoseg.learning.step import Step
from autoseg.learning.stopwatch import least_seconds
from autoseg.networks.unet import build_network
from autoseg.records import AugmentationSpec, MachineProfile, NetworkSpec, Shape, Throughput
from autoseg.records.augmentation import Blur, Elastic, Factor, LowResolution, Mirroring, Noise, PreviousStage, Rotation, Scaling

FEWEST_STEPS = 2
MOST_STEPS = 12
PROBE_BATCH = 2
PROBE_PATCHES: dict[int, tuple[Shape, ...]] = {  # the smallest tell what a step costs beside its arithmetic
    2: ((48, 48), (96, 96), (224, 224)),
    3: ((16, 16, 16), (24, 24, 24), (40, 40, 40)),
}
PROBE_WIDTHS = (16, 32)
SECONDS_PER_PROBE = 0.3  # of repetitions, if the fewest are done sooner
PROBE_SECONDS = 12.0  # after this the larger patches are left out
TIMED_SAMPLES = 30  # augmented, of those that are turned or scaled (which takes longest) and of the others
USUAL_AUGMENTATION = AugmentationSpec(  # nnU-Net's: what is measured for plans that are not made yet
    rotation=Rotation(probability=0.2, degrees=30),
    scaling=Scaling(probability=0.2, factor=(0.7, 1.4)),
    elastic=Elastic(probability=0, displacement=(0, 0.06), smoothness=(0.05, 0.15)),
    noise=Noise(probability=0.1, sigma=(0, 0.1)),
    blur=Blur(probability=0.2, channel_probability=0.5, sigma=(0.5, 1)),
    brightness=Factor(probability=0.15, factor=(0.75, 1.25)),
    contrast=Factor(probability=0.15, factor=(0.75, 1.25)),
    low_resolution=LowResolution(probability=0.25, channel_probability=0.5, zoom=(0.5, 1)),
    gamma_inverted=Factor(probability=0.1, factor=(0.7, 1.5)),
    gamma=Factor(probability=0.3, factor=(0.7, 1.5)),
    mirroring=Mirroring(probability=0.5),
    previous_stage=PreviousStage(
        morphology_probability=0.4,
        morphology_label_probability=0.5,
        radius=(1, 8),
        removal_probability=0.2,
        removal_label_probability=0.5,
        largest_share=0.15,
    ),
)
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
    keep_freed_memory()
    with torch.random.fork_rng(), peak_memory(device) as peak:
        torch.manual_seed(0)
        network = place(build_network(spec), device)
        images = torch.randn(batch_size, spec.in_channels, *patch_size, device=device)
        labels = torch.randint(0, max(2, spec.out_channels), (batch_size, 1, *patch_size), dtype=torch.int16, device=device)
        labels = labels.clamp(max=spec.out_channels - 1)
        scaler = torch.amp.GradScaler(device.type) if precision == "float16" else None
        # the optimiser that takes more time and memory, whichever the plan will choose
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=device.type != "mps")
        step = Step(network, SegmentationLoss(None, batch_dice=True), optimizer, scaler, device, precision, 12.0)

        def timed(work: Callable[[], object]) -> float:
            return least_seconds(work, device, fewest=FEWEST_STEPS, most=MOST_STEPS, enough_seconds=SECONDS_PER_PROBE)

        def train(memory_format: MemoryFormat) -> float:
            network.train()
            place(network, device, memory_format)
            laid_out = laid(images, memory_format)
            return timed(lambda: step(laid_out, labels))

        def forward() -> None:
            with torch.inference_mode(), autocast(device, precision):
                network(images)

        seconds = {memory_format: train(memory_format) for memory_format in FORMATS}
        place(network, device, "contiguous").eval()
        forward_seconds = timed(forward)
    best = min(FORMATS, key=seconds.__getitem__)
    return Throughput(
        network=spec,
        patch_size=patch_size,
        batch_size=batch_size,
        memory_format=best,
        step_seconds=seconds[best],
        forward_seconds=forward_seconds,
        data_seconds=batch_size * augmentation_seconds(spec.in_channels, patch_size) if device.type == "cpu" else 0.0,
        peak_bytes=peak.bytes,
    )


def augmentation_seconds(channels: int, patch_size: Shape, spec: AugmentationSpec = USUAL_AUGMENTATION) -> float:
    """Seconds to augment one patch: the mean over random draws; reading is not included."""
    augmentation = Augmentation(spec, patch_size, tuple(range(len(patch_size))), channels=channels)
    rng = np.random.default_rng(0)
    drawn = [augmentation.draw(rng) for _ in range(COUNTED_SAMPLES)]
    turned = [draw for draw in drawn if draw.matrix is not None]
    kept = [draw for draw in drawn if draw.matrix is None]
    return sum(len(draws) / len(drawn) * _seconds_to_augment(augmentation, channels, draws) for draws in (turned, kept) if draws)


def _seconds_to_augment(augmentation: Augmentation, channels: int, draws: Sequence[SampleDraw]) -> float:
    times = []
    generator = torch.Generator().manual_seed(0)
    for draw in draws[: 1 + TIMED_SAMPLES]:
        image = torch.randn(channels, *draw.read_size, generator=generator)
        labels = torch.zeros(1, *draw.read_size, dtype=torch.int8)
        labels[:, : labels.shape[1] // 2] = 1
        start = time.perf_counter()
        augmentation.apply(Drawn((image,), (labels,), (draw,), ("",)), torch.device("cpu"))
        times.append(time.perf_counter() - start)
    return sum(times[1:]) / max(1, len(times) - 1)  # the first warms up
