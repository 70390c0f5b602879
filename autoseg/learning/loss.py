"""Dice plus cross-entropy under deep supervision, as nnU-Net weighs them, on MONAI's Dice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor, nn

from autoseg.records import Plan

SMOOTH = 1e-5


class SegmentationLoss(nn.Module):
    """Soft Dice + cross-entropy (exclusive labels), or Dice of sigmoids + binary cross-entropy (regions).

    Called with logits `(B, K, *spatial)`, or a list of them finest first, and labels `(B, 1, *spatial)` of internal
    values. Level i of a list weighs 1/2^i (normalised) and is compared with labels subsampled to its grid. Pixels of
    `ignore_value` take no part. A batch in which every pixel is ignored has loss 0. Without a plan: exclusive labels, none
    of them ignored.
    """

    def __init__(self, plan: Plan | None, *, batch_dice: bool):
        super().__init__()
        self.regions = plan is not None and plan.regions
        self.members = tuple(target.values for target in plan.targets) if plan else ()
        self.ignore_value = plan.ignore_value if plan else None
        self.dice = DiceLoss(include_background=self.regions, batch=batch_dice, smooth_nr=SMOOTH, smooth_dr=SMOOTH)

    def forward(self, logits: Tensor | list[Tensor], labels: Tensor) -> Tensor:
        """The scalar loss in float32."""
        levels = logits if isinstance(logits, list) else [logits]
        weights = [0.5**level for level in range(len(levels))]
        total = torch.zeros((), device=labels.device)
        for weight, level in zip(weights, levels, strict=True):
            total = total + weight / sum(weights) * self._one_level(level.float(), shrink_labels(labels, level.shape[2:]))
        return total

    def _one_level(self, logits: Tensor, labels: Tensor) -> Tensor:
        counted = labels != self.ignore_value if self.ignore_value is not None else None
        if self.regions:
            target = self.one_hot(labels)
            probabilities = torch.sigmoid(logits)
            entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
            entropy = (
                entropy.mean() if counted is None else (entropy * counted).sum() / (counted.sum() * logits.shape[1]).clamp(min=1)
            )
        else:
            classes = labels[:, 0].long() if counted is None else torch.where(counted, labels, 0)[:, 0].long()
            target = F.one_hot(classes, logits.shape[1]).movedim(-1, 1).float()
            probabilities = torch.softmax(logits, dim=1)
            entropy = F.cross_entropy(logits, classes, reduction="none")
            entropy = entropy.mean() if counted is None else (entropy * counted[:, 0]).sum() / counted.sum().clamp(min=1)
        if counted is not None:
            probabilities, target = probabilities * counted, target * counted
        return self.dice(probabilities, target) + entropy

    def one_hot(self, labels: Tensor) -> Tensor:
        """Membership of each region, `(B, K, *spatial)` float32."""
        return torch.cat(
            [torch.isin(labels, torch.tensor(values, device=labels.device)) for values in self.members], dim=1
        ).float()


def shrink_labels(labels: Tensor, size: torch.Size) -> Tensor:
    """Labels on a coarser grid, by nearest neighbour."""
    if labels.shape[2:] == size:
        return labels
    return F.interpolate(labels.float(), size=size, mode="nearest-exact").to(labels.dtype)


def hard_counts(logits: Tensor, labels: Tensor, plan: Plan) -> Tensor:
    """True positives, false positives and false negatives per target, `(3, K)`, over a batch; ignored pixels left out."""
    counted = (
        labels[:, 0] != plan.ignore_value if plan.ignore_value is not None else torch.ones_like(labels[:, 0], dtype=torch.bool)
    )
    winner = None if plan.regions else logits.argmax(dim=1)
    counts = []
    for index, target in enumerate(plan.targets):
        truth = torch.isin(labels[:, 0], torch.tensor(target.values, device=labels.device)) & counted
        found = ((logits[:, index] > 0) if winner is None else winner == index + 1) & counted
        counts.append(torch.stack([(truth & found).sum(), (found & ~truth).sum(), (truth & ~found).sum()]))
    return torch.stack(counts, dim=1)
