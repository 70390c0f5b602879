"""Measure, in a few seconds, how fast this machine trains: a few steps of small networks on random patches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from autoseg.engines.device import Precision, autocast, describe_machine, place
from autoseg.networks.cost import multiply_adds
from autoseg.networks.unet import build_network
from autoseg.records import MachineProfile, NetworkSpec, Throughput

WARM_UP_STEPS = 2
PROBE_SHAPES = {2: ((128, 128), 4), 3: ((40, 40, 40), 2)}  # patch and batch
PROBE_WIDTHS = (16, 32)
ENOUGH_SECONDS = 1.0  # of repetitions; at least three are timed, however long they take


def probe_machine(device: torch.device, ranks: Sequence[int] = (2, 3)) -> MachineProfile:
    """Describe the device and measure seconds per training step and per forward pass; at most 20 s in all."""
    profile = describe_machine(device)
    measured = tuple(
        measure(probe_network(rank, width), *PROBE_SHAPES[rank], device, profile.precision)
        for rank in ranks
        for width in PROBE_WIDTHS
    )
    return profile.model_copy(update={"throughput": measured})


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


def measure(
    spec: NetworkSpec, patch_size: tuple[int, ...], batch_size: int, device: torch.device, precision: Precision
) -> Throughput:
    """Seconds of a training step (forward, backward, SGD) and of a forward pass, for a network on random numbers.

    The quickest of several repetitions: what else runs on the machine in these seconds says nothing about the hours to come.
    """
    with torch.random.fork_rng():
        network = place(build_network(spec), device)
        images = torch.randn(batch_size, spec.in_channels, *patch_size, device=device)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.99, nesterov=True)

    def step() -> None:
        network.train()
        with autocast(device, precision):
            outputs = network(images)
        loss = sum(output.float().square().mean() for output in outputs)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def forward() -> None:
        network.eval()
        with torch.inference_mode(), autocast(device, precision):
            network(images)

    return Throughput(
        rank=spec.rank,
        base_features=spec.features[0],
        n_stages=spec.n_stages,
        patch_size=patch_size,
        batch_size=batch_size,
        work=multiply_adds(spec, patch_size, batch_size),
        step_seconds=_least_seconds(step, device),
        forward_seconds=_least_seconds(forward, device),
    )


def _least_seconds(work: Callable[[], None], device: torch.device) -> float:
    times: list[float] = []
    while len(times) < WARM_UP_STEPS + 3 or (len(times) < WARM_UP_STEPS + 8 and sum(times) < ENOUGH_SECONDS):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[WARM_UP_STEPS:])
