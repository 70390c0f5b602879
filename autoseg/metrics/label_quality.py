"""How far a label and a network that had not seen it disagree, structure by structure, and how sure the network is of itself.

A network errs, too. What speaks against a label is disagreement that the network's own probabilities do not foresee, so figures are taken
from label, mask and probability together. Nothing here compares cases with one another; `label_ranking` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from autoseg.metrics.overlap import count
from autoseg.metrics.surface import assd_mm, bounding_box, surface_distances

CONFIDENT = 0.9  # probability from which a pixel counts as claimed by the network, and below 1 less it as denied
SOFTMIN_TEMPERATURE = 0.1  # of Lad and Mueller 2023
LEAST_ERROR = 0.01  # of Dice: what two people differ by at the border of a large structure, or more
MARGIN = 1  # pixels around both masks; surface pixels need their neighbours


@dataclass(frozen=True)
class Disagreement:
    """One structure of one case.

    Attributes:
        label_pixels: of the label.
        model_pixels: of the network's mask.
        dice: of the two; 1 where both are empty, 0 where one is.
        expected_dice: what the network's probabilities promise for its own mask, see `expected_dice`.
        confident: share of the pixels of label and mask together at which the network is sure that the label is wrong.
        distance: mean distance of the two outlines, by the diameter of a disc (ball) as large as the larger of them; None where one is empty.
    """

    label_pixels: int
    model_pixels: int
    dice: float
    expected_dice: float
    confident: float
    distance: float | None

    @property
    def present(self) -> bool:
        """Whether there is anything to disagree about."""
        return self.label_pixels > 0 or self.model_pixels > 0

    @property
    def excess(self) -> float:
        """How many times more label and mask differ than the network expects, (1 - Dice) / (1 - expected Dice), as a natural logarithm.

        0 where it is right about itself, also where it knows that it may be wrong; errors of a hundredth are added to both sides.
        """
        return log((1 - self.dice + LEAST_ERROR) / (1 - self.expected_dice + LEAST_ERROR))


def disagreement(
    label: np.ndarray,
    model: np.ndarray,
    probability: np.ndarray,
    spacing_mm: Sequence[float] | None = None,
) -> Disagreement:
    """Compare a structure's label with what a network says of it.

    Args:
        label: boolean `(*spatial)`.
        model: boolean `(*spatial)`, the network's mask.
        probability: `(*spatial)`, of the structure.
        spacing_mm: in the order of the axes; None: pixels are taken for cubes.
    """
    counts = count(label, model)
    both = counts.reference + counts.predicted
    denied = int(np.count_nonzero(probability[label] < 1 - CONFIDENT))
    claimed = int(np.count_nonzero(probability[model & ~label] > CONFIDENT))
    union = both - counts.tp
    return Disagreement(
        label_pixels=counts.reference,
        model_pixels=counts.predicted,
        dice=2 * counts.tp / both if both else 1.0,
        expected_dice=expected_dice(model, probability),
        confident=(denied + claimed) / union if union else 0.0,
        distance=_relative_distance(label, model, spacing_mm),
    )


def expected_dice(model: np.ndarray, probability: np.ndarray) -> float:
    """Dice that a network may expect of its mask m by its probabilities p: 2 sum(p m) / (sum p + sum m).

    It is the Dice of the mask with a truth in which every pixel belongs to the structure to the part that p says, the soft Dice of
    Milletari et al. 2016. Of an empty mask it is 1 - max(p), the probability that it is right at the pixel that is least sure.
    """
    pixels = int(np.count_nonzero(model))
    if not pixels:
        return 1.0 - float(probability.max(initial=0.0))
    inside = float(probability[model].sum(dtype=np.float64))
    return 2 * inside / (float(probability.sum(dtype=np.float64)) + pixels)


class Softmin:
    """Quality of a label map as a whole, from the probability of the label that is given, pixel by pixel.

    s . softmax((1 - s) / t) over the pixels' probabilities s of the given label: their mean, in which the least ones weigh most.
    Lad and Mueller, "Estimating label quality and errors in semantic segmentation data via any model", 2023 (arXiv 2307.05080).
    Small values speak against the label. Pixels are handed in class by class, so that no volume of all classes is needed.
    """

    def __init__(self) -> None:
        self._weighted = self._weights = 0.0

    def add(self, given: np.ndarray) -> None:
        """Probabilities of the given label, at some of the pixels."""
        values = given.astype(np.float32, copy=False)
        weights = np.exp(values * np.float32(-1 / SOFTMIN_TEMPERATURE))  # softmax does not mind the 1 that is missing
        self._weights += float(weights.sum(dtype=np.float64))
        weights *= values
        self._weighted += float(weights.sum(dtype=np.float64))

    @property
    def value(self) -> float:
        """1 without a pixel."""
        return self._weighted / self._weights if self._weights else 1.0


def best_exchange(overlaps: np.ndarray, label_pixels: Sequence[int], model_pixels: Sequence[int]) -> Exchange | None:
    """The two structures whose exchange in the label raises its agreement most; None where no exchange raises it.

    Args:
        overlaps: `(structures, structures)`: pixels that are the row's structure in the label and the column's in the network's mask.
        label_pixels: by structure.
        model_pixels: by structure.
    """
    sums = np.add.outer(np.asarray(label_pixels, float), np.asarray(model_pixels, float))
    dice = np.divide(2.0 * overlaps, sums, out=np.zeros_like(sums), where=sums > 0)
    best = None
    for first in range(len(dice)):
        for second in range(first + 1, len(dice)):
            if not (label_pixels[first] and label_pixels[second]):
                continue
            before = (dice[first, first] + dice[second, second]) / 2
            after = (dice[first, second] + dice[second, first]) / 2
            if after > before and (best is None or after - before > best.after - best.before):
                best = Exchange(first, second, float(before), float(after))
    return best


@dataclass(frozen=True)
class Exchange:
    """Two structures by their place, and their mean Dice before and after they are exchanged."""

    first: int
    second: int
    before: float
    after: float


def common_box(label: np.ndarray, model: np.ndarray, margin: int = MARGIN) -> tuple[slice, ...] | None:
    """The smallest box around both masks, widened where the image allows it; None where both are empty."""
    box = bounding_box(label | model)
    if box is None:
        return None
    return tuple(
        slice(max(0, part.start - margin), min(size, part.stop + margin)) for part, size in zip(box, label.shape, strict=True)
    )


def equivalent_diameter(size: float, rank: int) -> float:
    """Of a disc of that area, or a ball of that volume."""
    return float(2 * np.sqrt(size / np.pi) if rank == 2 else (6 * size / np.pi) ** (1 / 3))


def _relative_distance(label: np.ndarray, model: np.ndarray, spacing_mm: Sequence[float] | None) -> float | None:
    spacing = (1.0,) * label.ndim if spacing_mm is None else tuple(spacing_mm)
    box = common_box(label, model)
    if box is None or (distances := surface_distances(label[box], model[box], spacing)) is None:
        return None
    largest = max(int(np.count_nonzero(label[box])), int(np.count_nonzero(model[box])))
    return assd_mm(distances) / equivalent_diameter(largest * float(np.prod(spacing)), label.ndim)
