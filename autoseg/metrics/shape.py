"""Size and shape of any structure, from its mask: area, perimeter, diameters and the equivalent ellipse in 2D, their like in 3D.

- Perimeter and surface are the total variation of the mask smoothed with a Gaussian of one pixel: the integral of the gradient's length is
  the mean length of all level lines (coarea formula, Federer 1959), and smoothing takes the staircase away. On discs and turned squares of
  20 pixels and more it is within 1.2 % on square pixels and 2 % where pixels are twice as long as wide. (Crofton's formula with few
  directions, as in SimpleITK's LabelShapeStatistics, is up to 5 % and 15 % off on squares.) Parts thinner than about 4 pixels, and corners,
  are told too short.
- The equivalent ellipse (ellipsoid) has the same centre and second moments as the structure; each pixel counts with its own extent.
- Diameters run between points half way from an inside pixel to its outside neighbour, as the outline does.

Nothing here depends on what a structure is; what it is cut off by, or how many pieces it has, does not matter either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from autoseg.metrics.surface import bounding_box
from autoseg.volume.ellipse import Ellipse
from autoseg.volume.geometry import MM3_PER_ML

SMOOTHING = 1.0  # pixels
SMOOTHING_MARGIN = 5  # pixels around the mask, beyond which nothing is left of it
MOST_CORNERS = 3000  # of a convex hull, between which the largest distance is searched; a larger hull is thinned out


@dataclass(frozen=True)
class Shape2D:
    """A structure of one slice. Lengths in mm, the ellipse from the centre of pixel (0, 0)."""

    area_mm2: float
    perimeter_mm: float
    largest_diameter_mm: float
    ellipse: Ellipse


@dataclass(frozen=True)
class Shape3D:
    """A structure of a volume. `diameters_mm`: the largest, the largest across it, and the one across both.

    `axes_mm` are the whole axes of the equivalent ellipsoid, longest first.
    """

    volume_ml: float
    surface_mm2: float
    diameters_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]


def shape_2d(mask: np.ndarray, spacing_mm: Sequence[float]) -> Shape2D | None:
    """Of a boolean mask `(y, x)`; None if it is empty."""
    _check(mask, spacing_mm, 2)
    box = bounding_box(mask)
    if box is None:
        return None
    inner, offset = np.pad(mask[box], 1), np.array([part.start - 1 for part in box])
    centre, variances, axes = _moments(inner, offset, spacing_mm)
    major, minor = (2 * math.sqrt(variance) for variance in variances)
    angle = math.atan2(axes[0, 0], axes[1, 0]) % math.pi
    diameter = _largest_distance(_hull(_face_points(inner, spacing_mm)))
    return Shape2D(
        _size(inner, spacing_mm),
        _border(inner, spacing_mm),
        diameter,
        Ellipse((float(centre[0]), float(centre[1])), (major, minor), angle),
    )


def shape_3d(mask: np.ndarray, spacing_mm: Sequence[float]) -> Shape3D | None:
    """Of a boolean mask `(z, y, x)`; None if it is empty.

    The second diameter is the largest distance seen along the first, the third the width seen along the first and across the second; so
    a box of the largest three surrounds the structure, which lies more or less obliquely in it.
    """
    _check(mask, spacing_mm, 3)
    box = bounding_box(mask)
    if box is None:
        return None
    inner, offset = np.pad(mask[box], 1), np.array([part.start - 1 for part in box])
    _, variances, _ = _moments(inner, offset, spacing_mm)
    first, second, third = (2 * math.sqrt(5 * variance) for variance in variances)
    return Shape3D(
        _size(inner, spacing_mm) / MM3_PER_ML,
        _border(inner, spacing_mm),
        _three_diameters(_hull(_face_points(inner, spacing_mm))),
        (first, second, third),
    )


def _check(mask: np.ndarray, spacing_mm: Sequence[float], rank: int) -> None:
    if mask.ndim != rank or len(spacing_mm) != rank:
        raise ValueError(f"expected a {rank}D mask and {rank} spacings, found {mask.ndim}D and {len(spacing_mm)}")


def _size(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    return float(np.count_nonzero(mask) * math.prod(spacing_mm))


def _border(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Length (mm) or area (mm2) of the border; the border of the picture counts as border of the structure."""
    padded = np.pad(mask, SMOOTHING_MARGIN).astype(np.float32)
    squares = np.zeros_like(padded)
    for axis, step in enumerate(spacing_mm):
        order = [int(other == axis) for other in range(mask.ndim)]
        squares += (gaussian_filter(padded, SMOOTHING, order=order, mode="constant") / step) ** 2
    return float(np.sqrt(squares).sum(dtype=float) * math.prod(spacing_mm))


def _moments(mask: np.ndarray, offset: np.ndarray, spacing_mm: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre in mm, variances along the principal axes (largest first), and these axes as columns."""
    spacing, count = np.asarray(spacing_mm, dtype=float), np.count_nonzero(mask)
    places = [np.arange(size) for size in mask.shape]
    alone = [_counts(mask, (axis,)) for axis in range(mask.ndim)]
    middle = np.array([place @ counts / count for place, counts in zip(places, alone, strict=True)])
    away = [(place - centre) * step for place, centre, step in zip(places, middle, spacing, strict=True)]
    covariance = np.diag(spacing**2 / 12)  # of the pixel itself
    for axis in range(mask.ndim):
        covariance[axis, axis] += away[axis] ** 2 @ alone[axis] / count
        for other in range(axis):
            covariance[axis, other] = covariance[other, axis] = away[other] @ _counts(mask, (other, axis)) @ away[axis] / count
    variances, axes = np.linalg.eigh(covariance)
    return (middle + offset) * spacing, variances[::-1], axes[:, ::-1]


def _counts(mask: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    """Pixels by their place along some axes: all that moments need, where coordinates of every pixel would take 72 bytes each."""
    return np.asarray(mask.sum(axis=tuple(axis for axis in range(mask.ndim) if axis not in kept)))


def _face_points(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Half way between inside pixels and their outside neighbours, in mm from the array's corner; the mask is padded."""
    points = []
    for axis in range(mask.ndim):
        crossing = np.argwhere(np.diff(mask.astype(np.int8), axis=axis)).astype(float)
        crossing[:, axis] += 0.5
        points.append(crossing)
    return np.concatenate(points) * np.asarray(spacing_mm, dtype=float)


def _hull(points: np.ndarray) -> np.ndarray:
    """The corners of the convex hull; of points in a line or a plane, all of them."""
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:
        corners = np.unique(points, axis=0)
    return corners[:: -(-len(corners) // MOST_CORNERS)]


def _largest_distance(points: np.ndarray) -> float:
    return float(pdist(points).max()) if len(points) > 1 else 0.0


def _three_diameters(corners: np.ndarray) -> tuple[float, float, float]:
    first, direction = _longest(corners)
    across = corners - np.outer(corners @ direction, direction)
    second, other = _longest(across)
    third = float(np.ptp(corners @ np.cross(direction, other)))
    return first, second, third


def _longest(points: np.ndarray) -> tuple[float, np.ndarray]:
    """The largest distance between points, and its direction."""
    distances = pdist(points)
    place = int(distances.argmax())
    rows, columns = np.triu_indices(len(points), 1)
    step = points[columns[place]] - points[rows[place]]
    return float(distances[place]), step / distances[place]
