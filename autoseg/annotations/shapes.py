"""Shapes from the numbers that annotation files hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autoseg.annotations.base import Polygon

ELLIPSE_POINTS = 180
LEAST_POINTS = 3


def polygon(numbers: object) -> Polygon:
    """One ring from pairs `[[x, y], ...]`, or from x and y by turns.

    Raises:
        ValueError: neither, fewer than three points, or numbers that are not finite.
    """
    try:
        points = np.asarray(numbers, float)
    except (TypeError, ValueError) as error:
        raise ValueError("its points are no pairs of numbers") from error
    if points.size % 2 or (points.ndim == 2 and points.shape[1] != 2) or points.ndim > 2:
        raise ValueError("its points are no pairs of x and y")
    points = points.reshape(-1, 2)
    if len(points) < LEAST_POINTS:
        raise ValueError(f"it has {len(points)} points, and an area takes three")
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is not finite")
    return Polygon((points,))


def rectangle(corners: Sequence[Sequence[float]]) -> Polygon:
    """From two opposite corners."""
    (x0, y0), (x1, y1) = corners
    return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def turned_box(x0: float, y0: float, x1: float, y1: float, degrees: float = 0.0) -> Polygon:
    """A rectangle from two opposite corners, turned about its centre by so much, clockwise, as y points down."""
    turn, centre = math.radians(degrees), np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    (points,) = rectangle([(x0, y0), (x1, y1)]).rings
    across, down = (points - centre).T
    return polygon(
        centre + np.stack([across * math.cos(turn) - down * math.sin(turn), across * math.sin(turn) + down * math.cos(turn)], 1)
    )


def ellipse(x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Polygon:
    """As a polygon of 180 corners: centre, half axes, and by how much it is turned clockwise, as y points down."""
    turn, angles = math.radians(degrees), np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    across, down = a * np.cos(angles), b * np.sin(angles)
    return polygon(
        np.stack([x + across * np.cos(turn) - down * np.sin(turn), y + across * np.sin(turn) + down * np.cos(turn)], axis=1)
    )
