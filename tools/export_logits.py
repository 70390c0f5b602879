"""Made-up logits of a large volume with many classes, for tools/bench_export.py and tools/bench_export_nnunet.py.

Needs nothing but numpy, so that an environment without autoseg can read it.
"""

from __future__ import annotations

import numpy as np

SHAPE = (300, 512, 512)
COARSER = 1.5
FAR = -24  # logit of a class far from its ball, two radii from the centre and beyond


def coarse(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The grid of the network."""
    return tuple(round(size / COARSER) for size in shape)


def logits_of(corner: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...], n_classes: int) -> np.ndarray:
    """(K, *size) float16: class k > 0 is a ball around a centre of its own, 0 the rest."""
    centres = np.random.default_rng(0).uniform(0.1, 0.9, (n_classes, 3)) * shape
    radius = 0.5 * min(shape) / max(2.0, n_classes ** (1 / 3))
    logits = np.full((n_classes, *size), FAR, np.float16)
    logits[0] = 0
    for index in range(1, n_classes):
        squares, box = [], []
        for start, length, centre in zip(corner, size, centres[index], strict=True):
            first, behind = max(start, int(centre - 2 * radius)), min(start + length, int(centre + 2 * radius) + 1)
            box.append(slice(first - start, max(first, behind) - start))
            squares.append(((np.arange(first, max(first, behind), dtype=np.float32) - centre) / radius) ** 2)
        distance = squares[0][:, None, None] + squares[1][:, None] + squares[2]
        logits[(index, *box)] = np.maximum(8 * (1 - distance), FAR)
    return logits
