"""Ellipses: fitted to outline points by least squares, their perimeter, and their filled area.

The head circumference of fetal ultrasound is the perimeter of the ellipse fitted to the skull. Coordinates are `(y, x)`, in
pixels or, if the points were scaled, in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.errors import DataError

FEWEST_POINTS = 6  # five numbers make a conic; with five points any conic fits, and nothing tells whether it was one


@dataclass(frozen=True)
class Ellipse:
    """`semi_axes` are (major, minor); `angle_rad` turns from the x axis towards the y axis to the major axis, in [0, pi)."""

    centre_yx: tuple[float, float]
    semi_axes: tuple[float, float]
    angle_rad: float

    def perimeter(self) -> float:
        """Length of the outline, in the unit of the axes.

        Ramanujan's second approximation (1914): relative error below 1e-8 up to an eccentricity of 0.9.
        """
        a, b = self.semi_axes
        h = ((a - b) / (a + b)) ** 2
        return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def fit_ellipse(points_yx: np.ndarray) -> Ellipse:
    """The ellipse of least algebraic distance to points `(n, 2)`, in their unit.

    Halir and Flusser, "Numerically stable direct least squares fitting of ellipses", WSCG 1998; the points are centred and
    scaled first, so that the scatter matrix stays well conditioned for coordinates of hundreds of pixels.

    Raises:
        DataError: fewer than 6 points, points on a line, or no ellipse fits them.
    """
    points = np.asarray(points_yx, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < FEWEST_POINTS:
        raise DataError(f"an ellipse needs at least {FEWEST_POINTS} outline points, found {len(points)}; draw the outline again")
    centre = points.mean(axis=0)
    scale = float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))
    if not math.isfinite(scale) or scale == 0:
        raise DataError("all outline points are the same; draw the outline again")
    y, x = ((points - centre) / scale).T
    return _rescaled(_from_conic(_fit_conic(x, y)), centre, scale)


def fill_ellipse(shape: tuple[int, ...], ellipse: Ellipse, spacing: Sequence[float] = (1.0, 1.0)) -> np.ndarray:
    """The pixels whose centres lie inside the ellipse or on it, as booleans; what leaves the image is cut off.

    Args:
        shape: of the image, `(y, x)`.
        ellipse: in the unit of `spacing`, from the centre of pixel (0, 0).
        spacing: size of a pixel, `(y, x)`; without it the ellipse is in pixels.
    """
    filled = np.zeros(shape, dtype=bool)
    (cy, cx), (a, b), angle = ellipse.centre_yx, ellipse.semi_axes, ellipse.angle_rad
    half_y = math.hypot(a * math.sin(angle), b * math.cos(angle))
    half_x = math.hypot(a * math.cos(angle), b * math.sin(angle))
    high, wide = spacing
    top, left = max(0, math.floor((cy - half_y) / high)), max(0, math.floor((cx - half_x) / wide))
    bottom, right = min(shape[0], math.ceil((cy + half_y) / high) + 1), min(shape[1], math.ceil((cx + half_x) / wide) + 1)
    if top >= bottom or left >= right:
        return filled
    y = np.arange(top, bottom)[:, None] * high - cy
    x = np.arange(left, right)[None, :] * wide - cx
    along = (x * math.cos(angle) + y * math.sin(angle)) / a
    across = (y * math.cos(angle) - x * math.sin(angle)) / b
    filled[top:bottom, left:right] = along**2 + across**2 <= 1
    return filled


def _fit_conic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients of `A x2 + B xy + C y2 + D x + E y + F = 0` under `4AC - B2 = 1` (equations of Halir and Flusser)."""
    quadratic = np.stack([x * x, x * y, y * y], axis=1)
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    s1, s2, s3 = quadratic.T @ quadratic, quadratic.T @ linear, linear.T @ linear
    if np.linalg.cond(s3) > 1e12:
        raise DataError("the outline points lie on a line; draw the outline again")
    to_linear = -np.linalg.solve(s3, s2.T)
    reduced = s1 + s2 @ to_linear
    reduced = np.stack([reduced[2] / 2, -reduced[1], reduced[0] / 2])
    _, vectors = np.linalg.eig(reduced)
    vectors = np.real(vectors)
    constraint = 4 * vectors[0] * vectors[2] - vectors[1] ** 2
    if not (constraint > 0).any():
        raise DataError("no ellipse fits the outline points; draw the outline again")
    coefficients = vectors[:, int(np.argmax(constraint))]  # one vector alone fulfils the constraint, by theory
    return np.concatenate([coefficients, to_linear @ coefficients])


def _from_conic(conic: np.ndarray) -> Ellipse:
    a, b, c, d, e, f = (float(value) for value in conic)
    determinant = 4 * a * c - b * b
    x, y = (b * e - 2 * c * d) / determinant, (b * d - 2 * a * e) / determinant
    at_centre = f + (d * x + e * y) / 2
    curvature, axes = np.linalg.eigh(np.array([[a, b / 2], [b / 2, c]]))
    squares = -at_centre / curvature
    if not np.isfinite(squares).all() or (squares <= 0).any():
        raise DataError("no ellipse fits the outline points; draw the outline again")
    major = int(np.argmax(squares))
    direction_x, direction_y = axes[:, major]
    lengths = np.sqrt(squares)
    angle = math.atan2(direction_y, direction_x) % math.pi
    return Ellipse((y, x), (float(lengths[major]), float(lengths[1 - major])), angle)


def _rescaled(ellipse: Ellipse, centre: np.ndarray, scale: float) -> Ellipse:
    (y, x), (major, minor) = ellipse.centre_yx, ellipse.semi_axes
    return Ellipse(
        (y * scale + float(centre[0]), x * scale + float(centre[1])), (major * scale, minor * scale), ellipse.angle_rad
    )
