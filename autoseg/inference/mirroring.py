"""Test-time mirroring: the same tile seen in every combination of flips."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch

from autoseg.engines import Engine


def mirror_subsets(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """All subsets of the spatial axes, the empty one first: 2**n of them."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(sorted(axes), size))


def mean_logits(engine: Engine, tiles: torch.Tensor, mirror_axes: Sequence[int]) -> torch.Tensor:
    """Logits (B, K, *patch) of tiles (B, C, *patch), averaged over folds and mirrors (`mirror_axes` are spatial axes)."""
    subsets = mirror_subsets(mirror_axes)
    total: torch.Tensor | None = None
    for subset in subsets:
        dims = [axis + 2 for axis in subset]
        for logits in engine(tiles.flip(dims) if dims else tiles):
            turned_back = logits.flip(dims) if dims else logits
            total = turned_back.clone() if total is None else total.add_(turned_back)
    if total is None:
        raise ValueError("the engine holds no network")
    return total.div_(len(subsets) * engine.n_folds)
