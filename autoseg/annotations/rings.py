"""Rings that lie inside other rings of their shape: parts by one format's rule, holes by another's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.annotations.base import Polygon
from autoseg.annotations.painting import area_inside

ACROSS = 64  # squares along each side of a ring's box, by whose centres it is looked at: finer than what a person means by inside
SAME = 1e-6  # of the larger area: two copies of one ring, which none of them encloses


def holds_ring_in_ring(rings: Sequence[np.ndarray]) -> bool:
    """Whether one of the rings, each float `(n, 2)`, lies wholly inside another; one that lies beside it along an edge, or equals it, does not."""
    if len(rings) < 2:
        return False
    low, high = (np.array([limit(ring, axis=0) for ring in rings]) for limit in (np.min, np.max))
    areas = np.array([_area(ring) for ring in rings])
    for place, ring in enumerate(rings):
        around = (low <= low[place]).all(axis=1) & (high >= high[place]).all(axis=1) & (areas * (1 - SAME) > areas[place])
        if (low[place] < high[place]).all() and any(_encloses(rings[other], ring) for other in np.flatnonzero(around).tolist()):
            return True
    return False


def _encloses(outer: np.ndarray, inner: np.ndarray) -> bool:
    """By the centres of a grid over the inner ring's box, so that rounding of what touches does not count."""
    corner, extent = inner.min(axis=0), np.ptp(inner, axis=0)
    filled, around = (area_inside(Polygon(((ring - corner) / extent * ACROSS,)), (ACROSS, ACROSS)) for ring in (inner, outer))
    return bool(filled.any() and not (filled & ~around).any())


def _area(ring: np.ndarray) -> float:
    x, y = (ring - ring[0]).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
