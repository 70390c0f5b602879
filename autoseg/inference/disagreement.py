"""How far folds and mirrors disagree, pixel by pixel.

The generalised Jensen-Shannon divergence of the members' probabilities (Lin 1991): the entropy of their mean less the mean of
their entropies, the part of the uncertainty that the members do not share (Lakshminarayanan et al. 2017). It is 0 where all say
the same, and is divided by the largest value possible, so that 1 means that they could not differ more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch

from autoseg.engines import Engine
from autoseg.inference.mirroring import OnMember, member_logits, mirror_subsets


def mean_and_disagreement(
    engine: Engine,
    tiles: torch.Tensor,
    mirror_axes: Sequence[int],
    batch_size: int | None,
    *,
    regions: bool,
    on_member: OnMember | None = None,
) -> torch.Tensor:
    """The members' mean logits, and their disagreement as one more channel: (B, K + 1, *patch) float32.

    Args:
        engine: the folds' networks.
        tiles: (B, C, *patch).
        mirror_axes: spatial axes.
        batch_size: tiles that go through the networks at a time.
        regions: outputs overlap; the divergence is then the mean of those of each output and its complement.
        on_member: told of every member's logits, see `mirroring.member_logits`.
    """
    members = len(mirror_subsets(mirror_axes)) * engine.n_folds
    logits_sum = probability_sum = entropy_sum = torch.zeros(())
    for logits in member_logits(engine, tiles, mirror_axes, batch_size, on_member):
        probability = logits.float().sigmoid() if regions else logits.float().softmax(1)
        logits_sum = logits_sum + logits
        probability_sum = probability_sum + probability
        entropy_sum = entropy_sum + _entropy(probability, regions)
    shared = entropy_sum / members
    divergence = _entropy(probability_sum / members, regions) - shared
    choices = 2 if regions else logits_sum.shape[1]
    largest = log(min(members, choices)) if members > 1 else 1.0
    return torch.cat([logits_sum / members, divergence.clamp_(min=0) / largest], dim=1)


def _entropy(probability: torch.Tensor, regions: bool) -> torch.Tensor:
    """In nats, (B, 1, *patch)."""
    entropy = torch.special.entr(probability)
    if regions:
        return (entropy + torch.special.entr(1 - probability)).mean(1, keepdim=True)
    return entropy.sum(1, keepdim=True)
