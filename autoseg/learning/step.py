"""One optimiser step: what training repeats, and what the probe times."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autoseg.engines.device import Precision, autocast
from autoseg.learning.loss import SegmentationLoss


@dataclass(frozen=True)
class Step:
    """Forward in mixed precision, loss, backward, clipping, and SGD. `scaler` is for float16, whose gradients underflow."""

    network: nn.Module
    loss: SegmentationLoss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    device: torch.device
    precision: Precision
    gradient_clip: float

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch that is on the device already; the loss, still there."""
        with autocast(self.device, self.precision):
            outputs = self.network(images)
        loss = self.loss(outputs, labels)
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler is None:
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.detach()


def sgd(network: nn.Module, learning_rate: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """nnU-Net's optimiser: stochastic gradient descent with Nesterov's momentum."""
    return torch.optim.SGD(
        network.parameters(), learning_rate, momentum=momentum, weight_decay=weight_decay, nesterov=momentum > 0
    )
