"""An image in memory: values and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoseg.volume.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Volume:
    """`array` is `(channel, *spatial)`, see `geometry` for the axis order."""

    array: np.ndarray
    geometry: Geometry

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return tuple(self.array.shape[1:])
