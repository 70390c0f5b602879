"""One optimiser step: what training repeats, and what the probe times."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autoseg.engines.device import Precision, autocast
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.optimiser import WeightAverage


@dataclass(frozen=True)
class StepResult:
    """The loss, still on the device, and whether the weights were changed: not by a loss or gradients that are no numbers."""

    loss: Tensor
    taken: bool


@dataclass
class Step:
    """Forward in mixed precision, loss, backward, clipping, and the optimiser. `scaler` is for float16, whose gradients underflow.

    With `parts` above 1 the batch goes through the network in so many parts, whose gradients are added up; Dice is then taken
    of each part for itself.
    """

    network: nn.Module
    loss: SegmentationLoss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    device: torch.device
    precision: Precision
    gradient_clip: float
    parts: int = 1
    average: WeightAverage | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> StepResult:
        """Train on a batch that is on the device already."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for some_images, some_labels in zip(images.chunk(self.parts), labels.chunk(self.parts), strict=True):
            with autocast(self.device, self.precision):
                outputs = self.network(some_images)
            loss = self.loss(outputs, some_labels) * (len(some_images) / len(images))
            (loss if self.scaler is None else self.scaler.scale(loss)).backward()
            total += loss.detach()
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.gradient_clip)
        # the same answer for all that share the batch; float16 gradients overflow now and then, which the scaler sees to by itself
        everyones = self.loss.ranks.total(total)
        taken = bool(torch.isfinite(everyones if self.scaler is not None else everyones + norm))
        if taken and self.scaler is None:
            self.optimizer.step()
        elif taken and self.scaler is not None:
            self.scaler.step(self.optimizer)
        if self.scaler is not None:
            self.scaler.update()  # or it would not unscale another step
        if taken and self.average is not None:
            self.average.update()
        return StepResult(total, taken)
