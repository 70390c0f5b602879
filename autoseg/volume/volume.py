"""An image in memory: values and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoseg.volume.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Volume:
    """`array` is `(channel, *spatial)`, see `geometry` for the axis order; `notes` are worth knowing about its place."""

    array: np.ndarray
    geometry: Geometry
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return tuple(self.array.shape[1:])
