"""How a network computes quickest on this machine: how its tensors lie in memory, and whether `torch.compile` pays.

Both are tried on a few real steps; the weights stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import torch
from torch import Tensor, nn

from autoseg.engines.device import MemoryFormat, laid, place
from autoseg.learning.step import Step
from autoseg.learning.stopwatch import least_seconds
from autoseg.records import Shape

LEAST_GAIN = 0.95  # of the eager time; less is not worth the time that compiling takes
FORMATS: tuple[MemoryFormat, ...] = ("contiguous", "channels_last")


def quickest_format(step: Step, network: nn.Module, shape: Shape) -> tuple[MemoryFormat, str]:
    """Time forward and backward of a batch `(B, C, *patch)` in both memory formats.

    Returns:
        The quicker one, in which the network is left, and the times in words.
    """
    images, labels = _batch(step.device, shape)
    seconds = {}
    for memory_format in FORMATS:
        place(network, step.device, memory_format)
        seconds[memory_format] = _step_seconds(dry(step, network), laid(images, memory_format), labels)
    best = min(FORMATS, key=seconds.__getitem__)
    place(network, step.device, best)
    network.zero_grad(set_to_none=True)
    return best, f"a step takes {seconds['contiguous']:.3f} s contiguous and {seconds['channels_last']:.3f} s channels-last"


def why_not_compiled(step: Step, network: nn.Module, shape: Shape, memory_format: MemoryFormat, *, must_pay: bool) -> str | None:
    """Try a few steps on a batch `(B, C, *patch)` with `torch.compile`, and without if it `must_pay`.

    Returns:
        None if it works, and pays; else why not: an error of the compiler in one line, or the two times.
    """
    images, labels = _batch(step.device, shape)
    images = laid(images, memory_format)
    try:
        compiled = _step_seconds(dry(step, torch.compile(network)), images, labels)  # type: ignore[arg-type]
    except Exception as error:  # whatever the compiler, or the C++ compiler that it calls, throws
        network.zero_grad(set_to_none=True)
        first_line = (str(error).strip().splitlines() or [""])[0]
        return f"the compiler failed ({type(error).__name__}: {first_line[:200]})"
    eager = _step_seconds(dry(step, network), images, labels) if must_pay else inf
    network.zero_grad(set_to_none=True)
    if compiled <= LEAST_GAIN * eager:
        return None
    return f"a step takes {compiled:.3f} s compiled and {eager:.3f} s as it is"


def dry(step: Step, network: nn.Module) -> Step:
    """The step with an optimiser that changes nothing."""
    still = torch.optim.SGD(step.optimizer.param_groups[0]["params"], 0.0)
    return replace(step, network=network, average=None, scaler=None, optimizer=still)


def _step_seconds(step: Step, images: Tensor, labels: Tensor) -> float:
    return least_seconds(lambda: step(images, labels), step.device)


def _batch(device: torch.device, shape: Shape) -> tuple[Tensor, Tensor]:
    """Noise without a structure, as large as a batch."""
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return images.to(device), torch.zeros((shape[0], 1, *shape[2:]), dtype=torch.int16, device=device)
