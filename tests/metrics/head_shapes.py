"""Masks of ellipses in mm with damage of known size, made by code that knows nothing of the fit."""

from __future__ import annotations

import math

import numpy as np

from autoseg.volume.ellipse import Ellipse

Spacing = tuple[float, float]


def polar(shape: tuple[int, int], spacing: Spacing, ellipse: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel centre its radius, 1 on the ellipse, and its turn in rad from the major axis."""
    y, x = np.indices(shape)
    y, x = y * spacing[0] - ellipse.centre_yx[0], x * spacing[1] - ellipse.centre_yx[1]
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    u, v = (x * cosine + y * sine) / ellipse.semi_axes[0], (y * cosine - x * sine) / ellipse.semi_axes[1]
    return np.hypot(u, v), np.arctan2(v, u)


def filled(shape: tuple[int, int], spacing: Spacing, ellipse: Ellipse) -> np.ndarray:
    """Pixels whose centre lies in the ellipse."""
    return polar(shape, spacing, ellipse)[0] <= 1


def damaged(
    shape: tuple[int, int], spacing: Spacing, ellipse: Ellipse, *, share: float, height: float, at: float, kind: str = "hill"
) -> np.ndarray:
    """The same with a part `share` of the turn moved out (or in, negative) by up to `height` radii.

    `hill` rises and falls smoothly, `step` has upright flanks.
    """
    radius, turn = polar(shape, spacing, ellipse)
    away = np.abs((turn - at + math.pi) % (2 * math.pi) - math.pi) / (math.pi * share)
    profile = np.cos(away * math.pi / 2) if kind == "hill" else 1.0
    return radius <= 1 + height * profile * (away < 1)
