"""Distances between the surfaces of two masks, in mm. One heavy function collects the distances; tiny ones read figures from them.

Definitions, since tools differ by more than methods do (Podobnik and Vrtovec, arXiv 2410.02630):

- A surface pixel belongs to the mask and has a face neighbour (4 in 2D, 6 in 3D) outside it. Beyond the border of the image is outside.
- A distance runs from the centre of a surface pixel to the centre of the nearest surface pixel of the other mask.
- HD is the largest distance of either direction.
- HD95 is the larger of the two directed 95th percentiles (linear interpolation), not the percentile of the pooled distances.
- ASSD is the mean over the pooled distances of both directions.
- Surface Dice is the part of the pooled surface pixels whose distance is within a tolerance (Nikolov et al., arXiv 1809.04430). They define
  it on areas; here every surface pixel counts alike.

How much these choices change a figure is measured in docs/metrics.md, where the figures of empty masks stand, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

TOLERANCE_MM = 1.0  # of the surface Dice, where none is given; how far observers lie apart is the right one for a structure
ROUNDING = 1e-9  # part of the tolerance: three steps of 0.1 mm are 0.30000000000000004 mm, and meant as 0.3


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """For every surface pixel of one mask the distance to the other mask's surface, in mm; both arrays have at least one entry."""

    from_reference: np.ndarray
    from_predicted: np.ndarray


def surface_distances(reference: np.ndarray, predicted: np.ndarray, spacing_mm: Sequence[float]) -> SurfaceDistances | None:
    """Distances both ways between two boolean masks of one shape; None if either is empty, as no distance exists then.

    A search tree over the surface pixels gives the same numbers as Euclidean distance maps of the two surfaces, in a third of the
    time on 2D outlines and a sixth on 3D organs, as surfaces are few pixels and maps are many.

    Args:
        reference: `(*spatial)`.
        predicted: `(*spatial)`.
        spacing_mm: one per axis, in the order of the axes.
    """
    if reference.shape != predicted.shape or len(spacing_mm) != reference.ndim:
        raise ValueError(f"masks {reference.shape} and {predicted.shape} with {len(spacing_mm)} spacings cannot be compared")
    reference_points = _surface_points_mm(reference, spacing_mm)
    predicted_points = _surface_points_mm(predicted, spacing_mm)
    if not len(reference_points) or not len(predicted_points):
        return None
    from_reference, _ = KDTree(predicted_points).query(reference_points)
    from_predicted, _ = KDTree(reference_points).query(predicted_points)
    return SurfaceDistances(from_reference, from_predicted)


def hd_mm(distances: SurfaceDistances) -> float:
    """Hausdorff distance: how far the worst surface pixel of either mask is from the other mask."""
    return float(max(distances.from_reference.max(), distances.from_predicted.max()))


def hd95_mm(distances: SurfaceDistances) -> float:
    """Hausdorff distance at the 95th percentile: the larger of the two directed percentiles."""
    return float(max(np.percentile(distances.from_reference, 95), np.percentile(distances.from_predicted, 95)))


def assd_mm(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance: the mean over the surface pixels of both masks."""
    pixels = len(distances.from_reference) + len(distances.from_predicted)
    return float((distances.from_reference.sum() + distances.from_predicted.sum()) / pixels)


def surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Part of the surface pixels of both masks whose distance is at most `tolerance_mm`, from 0 to 1."""
    within = tolerance_mm * (1 + ROUNDING)
    both = (distances.from_reference, distances.from_predicted)
    return float(sum(np.count_nonzero(way <= within) for way in both) / sum(len(way) for way in both))


def diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Diagonal of the image: the distance that a missed structure is given, as no error within the image is larger."""
    return float(np.linalg.norm(np.asarray(shape) * np.asarray(spacing_mm)))


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds a boolean mask; None if it is empty."""
    box = []
    for axis in range(mask.ndim):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not len(occupied):
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def _surface_points_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Centres of the surface pixels, `(n, rank)` in mm; outside the bounding box there is nothing to look at."""
    box = bounding_box(mask)
    if box is None:
        return np.empty((0, mask.ndim))
    inner = mask[box]
    surface = np.argwhere(inner & ~binary_erosion(inner))
    return (surface + [part.start for part in box]) * np.asarray(spacing_mm, dtype=float)
