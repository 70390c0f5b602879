"""Overlap of masks from counts of pixels. Counting is the one heavy step; every figure is a line of arithmetic on the counts.

What each figure is where a mask is empty stands in docs/metrics.md, once for all figures; None is "not defined".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.volume.geometry import MM3_PER_ML

BLOCK_PIXELS = 1 << 22  # joint values are counted in blocks of this many pixels, so memory stays bounded for large volumes


@dataclass(frozen=True)
class Counts:
    """Pixels of one structure: in both masks (tp), predicted only (fp), reference only (fn), in neither (tn)."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def reference(self) -> int:
        """Pixels of the structure in the reference."""
        return self.tp + self.fn

    @property
    def predicted(self) -> int:
        """Pixels of the structure in the prediction."""
        return self.tp + self.fp


def count(reference: np.ndarray, predicted: np.ndarray, valid: np.ndarray | None = None) -> Counts:
    """Counts of two boolean masks of one shape; pixels where `valid` is False are not counted at all."""
    if valid is not None:
        reference, predicted = reference[valid], predicted[valid]
    tp = int(np.count_nonzero(reference & predicted))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(reference)) - tp
    return Counts(tp, fp, fn, reference.size - tp - fp - fn)


def confusion(reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """How often each pair of label values meets: `(reference values, predicted values)` int64, both from 0 to the largest present.

    One pass for all structures, whatever their number. Both arrays hold integers >= 0 and have one shape.
    """
    if reference.shape != predicted.shape:
        raise ValueError(f"masks of shapes {reference.shape} and {predicted.shape} cannot be compared")
    rows, columns = int(reference.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1
    reference, predicted = reference.reshape(-1), predicted.reshape(-1)
    total = np.zeros(rows * columns, dtype=np.int64)
    for start in range(0, reference.size, BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        pairs = reference[block].astype(np.intp) * columns + predicted[block]
        total += np.bincount(pairs, minlength=rows * columns)
    return total.reshape(rows, columns)


def structure_counts(table: np.ndarray, reference_values: Collection[int], predicted_values: Collection[int]) -> Counts:
    """Counts of the structure that is `reference_values` in the rows of a `confusion` table and `predicted_values` in its columns.

    To leave an ignore label out, set its row to zero first. Values beyond the table occur nowhere.
    """
    rows = [value for value in reference_values if value < table.shape[0]]
    columns = [value for value in predicted_values if value < table.shape[1]]
    tp = int(table[np.ix_(rows, columns)].sum())
    fn = int(table[rows].sum()) - tp
    fp = int(table[:, columns].sum()) - tp
    return Counts(tp, fp, fn, int(table.sum()) - tp - fp - fn)


def dice(counts: Counts) -> float | None:
    """2 tp / (2 tp + fp + fn)."""
    return 2 * counts.tp / (counts.reference + counts.predicted) if counts.reference else None


def iou(counts: Counts) -> float | None:
    """Intersection over union, tp / (tp + fp + fn)."""
    return counts.tp / (counts.tp + counts.fp + counts.fn) if counts.reference else None


def accuracy(counts: Counts) -> float:
    """(tp + tn) / all; 1 where no pixel at all is counted, as none is wrong."""
    pixels = counts.tp + counts.fp + counts.fn + counts.tn
    return (counts.tp + counts.tn) / pixels if pixels else 1.0


def precision(counts: Counts) -> float | None:
    """Right part of what was predicted, tp / (tp + fp)."""
    return counts.tp / counts.predicted if counts.reference and counts.predicted else None


def recall(counts: Counts) -> float | None:
    """Found part of the reference, tp / (tp + fn)."""
    return counts.tp / counts.reference if counts.reference else None


def relative_size_error(counts: Counts) -> float | None:
    """(predicted - reference) / reference: how much too large (0.1: by a tenth) or too small a structure is, wherever it lies."""
    return (counts.predicted - counts.reference) / counts.reference if counts.reference else None


def pixel_size(spacing_mm: Sequence[float]) -> float:
    """Size of a pixel in mm2 (two spacings), or of a voxel in ml (three)."""
    size = float(np.prod(spacing_mm))
    return size / MM3_PER_ML if len(spacing_mm) == 3 else size
