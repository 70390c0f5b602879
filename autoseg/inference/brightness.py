"""How bright the predicted foreground is in the image as it was read, from a sample, since the image is given up once it is prepared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POSITIONS = 200_000  # drawn from an image; one that has fewer pixels is taken whole
FEWEST = 30  # foreground pixels that tell a median
SEED = 0


@dataclass(frozen=True, eq=False)
class ImageSample:
    """Values of an image at some pixels: `positions` (n,) into the flattened `(*spatial)`, `values` (C, n)."""

    positions: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> ImageSample:
        """Of an image `(C, *spatial)`, by a seeded draw (with replacement); a copy."""
        flat = array.reshape(len(array), -1)
        n_pixels = flat.shape[1]
        if n_pixels <= POSITIONS:
            return cls(np.arange(n_pixels), flat.copy())
        positions = np.random.default_rng(SEED).integers(0, n_pixels, POSITIONS)
        return cls(positions, flat[:, positions])

    def medians(self, mask: np.ndarray) -> tuple[float, ...] | None:
        """Per channel, over the pixels where a mask `(*spatial)` is not 0; None where these are fewer than 30."""
        inside = mask.reshape(-1)[self.positions] != 0
        if np.count_nonzero(inside) < FEWEST:
            return None
        return tuple(float(np.median(channel[inside])) for channel in self.values)
