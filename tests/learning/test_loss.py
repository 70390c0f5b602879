"""The loss against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from autoseg.learning.loss import SegmentationLoss, hard_counts, shrink_labels
from tests.learning.cases import small_configuration, small_plan


def labels_of(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int16)[None, None]


def test_undecided_logits() -> None:
    """Two of four pixels are foreground and p = 1/2 everywhere: Dice = 2*1/(2+2) = 1/2, cross-entropy = ln 2."""
    loss = SegmentationLoss(small_plan(small_configuration()), batch_dice=False)
    value = loss(torch.zeros(1, 2, 2, 2), labels_of([[1, 1], [0, 0]]))
    assert float(value) == pytest.approx(0.5 + math.log(2), abs=1e-4)


def test_perfect_logits_cost_nothing() -> None:
    labels = labels_of([[1, 1], [0, 0]])
    logits = torch.stack([(labels[:, 0] == 0) * 40.0, (labels[:, 0] == 1) * 40.0], dim=1)
    loss = SegmentationLoss(small_plan(small_configuration()), batch_dice=True)
    assert float(loss(logits, labels)) == pytest.approx(0, abs=1e-4)


def test_batch_dice_pools_the_batch() -> None:
    """One sample full, one empty, p = 1/2: pooled 2*(4/2)/(4+4) = 1/2; apart (4/(4+2), ~0) = mean of 2/3 and 0."""
    labels = torch.cat([labels_of([[1, 1], [1, 1]]), labels_of([[0, 0], [0, 0]])])
    plan = small_plan(small_configuration())
    pooled, apart = (
        float(SegmentationLoss(plan, batch_dice=pool)(torch.zeros(2, 2, 2, 2), labels)) - math.log(2) for pool in (True, False)
    )
    assert pooled == pytest.approx(0.5, abs=1e-4)
    assert apart == pytest.approx((1 / 3 + 1) / 2, abs=1e-4)


def test_deep_supervision_weights() -> None:
    """Level 1 weighs half of level 0: perfect level 0 and undecided level 1 cost a third of the undecided loss."""
    labels = labels_of([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    fine = torch.stack([(labels[:, 0] == 0) * 40.0, (labels[:, 0] == 1) * 40.0], dim=1)
    loss = SegmentationLoss(small_plan(small_configuration()), batch_dice=True)
    value = loss([fine, torch.zeros(1, 2, 2, 2)], labels)
    assert float(value) == pytest.approx((0.5 + math.log(2)) / 3, abs=1e-4)


@pytest.mark.parametrize("regions", [False, True])
def test_ignored_pixels_take_no_part(regions: bool) -> None:
    plan = small_plan(small_configuration(out_channels=2), regions=regions, ignore_value=3)
    loss = SegmentationLoss(plan, batch_dice=True)
    labels = labels_of([[1, 2 if regions else 1], [3, 3]])
    logits = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    changed = logits.clone()
    changed[..., 1, :] = 17
    assert float(loss(logits, labels)) == pytest.approx(float(loss(changed, labels)), abs=1e-6)
    assert float(loss(logits, labels_of([[3, 3], [3, 3]]))) <= 1.0001  # Dice of nothing at most; no cross-entropy


def test_regions_overlap() -> None:
    """Values 1 and 2 form `whole`, 2 alone `core`: perfect sigmoids cost nothing."""
    labels = labels_of([[0, 1], [2, 2]])
    logits = torch.stack([(labels[:, 0] > 0) * 80.0 - 40, (labels[:, 0] == 2) * 80.0 - 40], dim=1)
    plan = small_plan(small_configuration(), regions=True)
    assert float(SegmentationLoss(plan, batch_dice=True)(logits, labels)) == pytest.approx(0, abs=1e-4)
    assert hard_counts(logits, labels, plan).tolist() == [[3, 2], [0, 0], [0, 0]]


def test_hard_counts_of_exclusive_labels() -> None:
    labels = labels_of([[1, 1], [0, 0]])
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, :, 0] = 1  # the first column is called foreground: one hit, one false alarm, one miss
    assert hard_counts(logits, labels, small_plan(small_configuration())).tolist() == [[1], [1], [1]]


def test_labels_shrink_by_nearest_neighbour() -> None:
    labels = torch.arange(16, dtype=torch.int16).reshape(1, 1, 4, 4)
    assert shrink_labels(labels, torch.Size((2, 2)))[0, 0].tolist() == [[5, 7], [13, 15]]
    assert shrink_labels(labels, torch.Size((4, 4))) is labels
