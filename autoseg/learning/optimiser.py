"""Optimisers by name, and the moving average of the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autoseg.records import TrainingSpec

ADAM_SECOND_MOMENT = 0.999  # Kingma and Ba 2015


def build_optimiser(network: nn.Module, spec: TrainingSpec, *, scaled: bool = False) -> torch.optim.Optimizer:
    """`sgd` with Nesterov's momentum is nnU-Net's; `adamw` (Loshchilov and Hutter 2019) takes `momentum` as its first moment's decay.

    The fused implementations update all weights in one pass over memory. Where a loss is `scaled` SGD is not fused: an overflow in the
    very first step would leave its momentum as memory happened to be.
    """
    fused = not (scaled and spec.optimizer == "sgd") and all(
        parameter.device.type in ("cpu", "cuda") for parameter in network.parameters()
    )
    if spec.optimizer == "adamw":
        betas = (spec.momentum, ADAM_SECOND_MOMENT)
        return torch.optim.AdamW(network.parameters(), spec.initial_lr, betas=betas, weight_decay=spec.weight_decay, fused=fused)
    return torch.optim.SGD(
        network.parameters(),
        spec.initial_lr,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
        nesterov=spec.momentum > 0,
        fused=fused,
    )


class WeightAverage:
    """An exponential moving average of a network's weights (Polyak and Juditsky 1992).

    In the first steps the average forgets faster, `(1 + step) / (10 + step)` at most, or it would long remember the random start.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.decay, self.steps = network, decay, 0
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def update(self) -> None:
        """After a step of the optimiser."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        current = self.network.state_dict()
        torch._foreach_lerp_(list(self.values.values()), [current[name] for name in self.values], 1 - decay)

    def swap(self) -> None:
        """Put the average into the network, and what was there into the average; a second call undoes it."""
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                held = value.detach().clone()
                value.copy_(self.values[name])
                self.values[name].copy_(held)

    def restore(self, values: dict[str, Tensor], steps: int) -> None:
        """Go on from a checkpoint."""
        self.steps = steps
        for name, value in values.items():
            self.values[name].copy_(value)
