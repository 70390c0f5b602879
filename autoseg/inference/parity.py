"""Whether a quicker engine gives the same masks as PyTorch in float32.

Over `CASES` cases with foreground, at least `LEAST_AGREEMENT` of the pixels that either engine calls foreground must bear the same
label, and no measurement may differ by more than `MOST_MM`: per structure the diameter of the circle (ball) of the same area
(volume), and in 2D the circumference of the ellipse fitted to each structure and to all of them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autoseg.metrics.biometry import head_circumference_mm
from autoseg.metrics.surface import bounding_box
from autoseg.records import Parity

CASES = 3
LEAST_AGREEMENT = 0.999
MOST_MM = 0.1
UNMEASURED_MM = 1e6  # a structure that one of the two cannot be measured on


class Tally:
    """Compares winners of an engine with those of the reference, case by case."""

    def __init__(self) -> None:
        self.n_cases = 0
        self.foreground = 0
        self.differing = 0
        self.largest_mm: float | None = None

    def add(self, found: np.ndarray, expected: np.ndarray, spacing_mm: Sequence[float] | None) -> None:
        """Count a case, unless neither found any foreground.

        Args:
            found: the engine's winners, integers `(*spatial)`, 0 for background.
            expected: the reference's.
            spacing_mm: of a pixel; None measures nothing.
        """
        box = bounding_box((found > 0) | (expected > 0))
        if box is None:
            return
        found, expected = found[box], expected[box]
        self.n_cases += 1
        self.foreground += int(np.count_nonzero((found > 0) | (expected > 0)))
        self.differing += int(np.count_nonzero(found != expected))
        if spacing_mm is not None:
            self.largest_mm = max(self.largest_mm or 0.0, _difference_mm(found, expected, spacing_mm))

    def verdict(self, engine: str) -> Parity:
        """Of the cases so far."""
        agrees = self.differing <= (1 - LEAST_AGREEMENT) * self.foreground
        return Parity(
            engine=engine,
            n_cases=self.n_cases,
            foreground=self.foreground,
            differing=self.differing,
            largest_mm=None if self.largest_mm is None else round(self.largest_mm, 4),
            passed=agrees and (self.largest_mm or 0.0) <= MOST_MM,
        )


def _difference_mm(found: np.ndarray, expected: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """The largest difference of any measurement."""
    values = [int(value) for value in np.union1d(np.unique(found), np.unique(expected)) if value]
    masks = [(found == value, expected == value) for value in values]
    if len(values) > 1:
        masks.append((found > 0, expected > 0))
    return max(_measured_difference_mm(*pair, spacing_mm) for pair in masks)


def _measured_difference_mm(found: np.ndarray, expected: np.ndarray, spacing_mm: Sequence[float]) -> float:
    difference = abs(_equivalent_diameter_mm(found, spacing_mm) - _equivalent_diameter_mm(expected, spacing_mm))
    if found.ndim != 2 or not (found != expected).any():
        return difference
    # A margin, so that the outline is not taken for one that the image's border cuts off.
    lengths = [head_circumference_mm(np.pad(mask, 1), spacing_mm) for mask in (found, expected)]
    if lengths[0] is None or lengths[1] is None:
        return difference if lengths == [None, None] else UNMEASURED_MM
    return max(difference, abs(lengths[0] - lengths[1]))


def _equivalent_diameter_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Of the circle or ball of the same size."""
    size = np.count_nonzero(mask) * math.prod(spacing_mm)
    return 2 * math.sqrt(size / math.pi) if mask.ndim == 2 else 2 * math.cbrt(3 * size / (4 * math.pi))
