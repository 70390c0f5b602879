"""Dice plus cross-entropy under deep supervision, as nnU-Net weighs them.

Both are taken over the whole batch, also where several processes hold a part of it each: the sums that they are made of are
added up over the processes, and each process's gradient is that of its own part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autoseg.learning.ranks import ALONE, Ranks
from autoseg.records import Plan, TrainingSpec

SMOOTH = 1e-5


class SegmentationLoss(nn.Module):
    """Soft Dice + cross-entropy (exclusive labels), or Dice of sigmoids + binary cross-entropy (regions).

    Called with logits `(B, K, *spatial)`, or a list of them finest first, and labels `(B, L, *spatial)` whose first plane holds
    internal values. Level i of a list weighs 1/2^i (normalised) and is compared with labels subsampled to its grid. Pixels of
    `ignore_value` take no part. A batch in which every pixel is ignored has cross-entropy 0. Without a plan: exclusive labels,
    none of them ignored.

    Dice of a target is `2 * overlap / (predicted + true)`, both sides with 1e-5 added; it is taken of the batch as a whole
    (`batch_dice`) or of every sample, the background of exclusive labels is left out, and the mean is subtracted from 1.
    """

    def __init__(
        self,
        plan: Plan | None,
        *,
        batch_dice: bool,
        dice_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        ranks: Ranks = ALONE,
    ):
        super().__init__()
        self.regions = plan is not None and plan.regions
        self.members = tuple(target.values for target in plan.targets) if plan else ()
        self.ignore_value = plan.ignore_value if plan else None
        self.batch_dice, self.ranks = batch_dice, ranks
        self.dice_weight, self.cross_entropy_weight = dice_weight, cross_entropy_weight

    @classmethod
    def of(cls, plan: Plan, training: TrainingSpec, ranks: Ranks = ALONE) -> SegmentationLoss:
        """As a configuration says."""
        return cls(
            plan,
            batch_dice=training.batch_dice,
            dice_weight=training.dice_weight,
            cross_entropy_weight=training.cross_entropy_weight,
            ranks=ranks,
        )

    def forward(self, logits: Tensor | list[Tensor], labels: Tensor) -> Tensor:
        """The scalar loss in float32; its mean over all processes is the loss of the whole batch."""
        levels = logits if isinstance(logits, list) else [logits]
        weights = [0.5**level for level in range(len(levels))]
        total = torch.zeros((), device=labels.device)
        for weight, level in zip(weights, levels, strict=True):
            total = total + weight / sum(weights) * self._one_level(level.float(), shrink_labels(labels[:, :1], level.shape[2:]))
        return total

    def _one_level(self, logits: Tensor, labels: Tensor) -> Tensor:
        counted = labels != self.ignore_value if self.ignore_value is not None else None
        target, entropy = self._compared(logits, labels, counted)
        result = torch.zeros((), device=labels.device)
        if self.cross_entropy_weight:
            pixels = torch.as_tensor(float(labels.numel()), device=labels.device) if counted is None else counted.sum().float()
            everywhere = self.ranks.total(pixels).clamp(min=1) * (logits.shape[1] if self.regions else 1)
            result = result + self.cross_entropy_weight * self.ranks.size * entropy.sum() / everywhere
        if self.dice_weight:
            probabilities = torch.sigmoid(logits) if self.regions else torch.softmax(logits, dim=1)[:, 1:]
            result = result + self.dice_weight * self._dice_loss(probabilities, target, counted)
        return result

    def _compared(self, logits: Tensor, labels: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is true, `(B, targets, *spatial)`, and the cross-entropy of every pixel, 0 where it does not count."""
        if self.regions:
            target = self.one_hot(labels)
            entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
            return target, entropy if counted is None else entropy * counted
        classes = (labels if counted is None else torch.where(counted, labels, 0))[:, 0].long()
        entropy = F.cross_entropy(logits, classes, reduction="none")
        target = torch.stack([classes == value for value in range(1, logits.shape[1])], dim=1)
        return target, entropy if counted is None else entropy * counted[:, 0]

    def _dice_loss(self, probabilities: Tensor, target: Tensor, counted: Tensor | None) -> Tensor:
        if counted is not None:
            probabilities, target = probabilities * counted, target * counted
        axes = tuple(range(2, target.ndim))
        sums = torch.stack([(probabilities * target).sum(axes), probabilities.sum(axes), target.sum(axes).float()])
        if self.batch_dice:
            mine = sums.sum(dim=1)
            whole = mine + (self.ranks.total(mine) - mine.detach())
            overlap, predicted, true = whole
            loss = 1 - ((2 * overlap + SMOOTH) / (predicted + true + SMOOTH)).mean()
            # every process knows the whole value; its gradient is of its own part, and all parts are averaged, not summed
            return self.ranks.size * loss - (self.ranks.size - 1) * loss.detach()
        overlap, predicted, true = sums
        losses = 1 - (2 * overlap + SMOOTH) / (predicted + true + SMOOTH)
        samples = self.ranks.total(torch.as_tensor(float(len(losses)), device=losses.device))
        return self.ranks.size * losses.mean(dim=1).sum() / samples

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
