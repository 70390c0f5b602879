"""Whether a quicker engine gives the same masks as PyTorch in float32.

Over `CASES` cases with foreground, at least `LEAST_AGREEMENT` of the pixels that either engine calls foreground must bear the same
label, and no measurement may differ by more than `MOST_MM`: per structure the diameter of the circle (ball) of the same area
(volume), and in 2D, of what has at least `LEAST_PIXELS`, the circumference of the ellipse fitted to each structure and to all together.
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
LEAST_PIXELS = 1000  # of foreground in all cases: of fewer, a single pixel would be too much
MOST_CASES = 10  # compared, where they have less foreground


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

    @property
    def suffices(self) -> bool:
        """Whether a verdict can be given."""
        return self.n_cases >= MOST_CASES or (self.n_cases >= CASES and self.foreground >= LEAST_PIXELS)

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
    sizes = [np.bincount(winners.ravel()) for winners in (found, expected)]
    n_values = max(map(len, sizes))
    counts = np.stack([np.pad(size, (0, n_values - len(size))) for size in sizes])[:, 1:]
    diameters = _equivalent_diameters_mm(np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1), spacing_mm)
    largest = float(np.abs(diameters[0] - diameters[1]).max())
    if found.ndim != 2:
        return largest
    present = [value + 1 for value in range(n_values - 1) if counts[:, value].min() >= LEAST_PIXELS]
    for value in present:
        largest = max(largest, _circumference_difference_mm(found == value, expected == value, spacing_mm))
    if len(present) > 1:
        largest = max(largest, _circumference_difference_mm(found > 0, expected > 0, spacing_mm))
    return largest


def _circumference_difference_mm(found: np.ndarray, expected: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """0 where no ellipse can be told from either; a margin keeps the outline from being taken for one that the image's border cuts."""
    if np.array_equal(found, expected):
        return 0.0
    lengths = [head_circumference_mm(np.pad(mask, 1), spacing_mm) for mask in (found, expected)]
    return 0.0 if lengths[0] is None or lengths[1] is None else abs(lengths[0] - lengths[1])


def _equivalent_diameters_mm(pixels: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Of circles or balls of these sizes."""
    sizes = pixels * math.prod(spacing_mm)
    return np.asarray(2 * np.sqrt(sizes / np.pi) if len(spacing_mm) == 2 else 2 * np.cbrt(3 * sizes / (4 * np.pi)))
