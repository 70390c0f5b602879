"""Test-time mirroring: the same tile seen in every combination of flips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch

from autoseg.engines import Engine


def mirror_subsets(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """All subsets of the spatial axes, the empty one first: 2**n of them."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(sorted(axes), size))


def member_logits(
    engine: Engine, tiles: torch.Tensor, mirror_axes: Sequence[int], batch_size: int | None = None
) -> Iterator[torch.Tensor]:
    """Logits (B, K, *patch) of tiles (B, C, *patch) by every fold in every mirror (`mirror_axes` are spatial axes), turned back.

    Mirrored copies go through the networks together, at most `batch_size` tiles at a time (None: all copies of a tile apart).
    """
    copies = 1 if batch_size is None else max(1, batch_size // len(tiles))
    every = mirror_subsets(mirror_axes)
    for first in range(0, len(every), copies):
        subsets = every[first : first + copies]
        stacked = torch.cat([_flipped(tiles, subset) for subset in subsets]) if len(subsets) > 1 else _flipped(tiles, subsets[0])
        for logits in engine(stacked):
            for subset, part in zip(subsets, logits.split(len(tiles)), strict=True):
                yield _flipped(part, subset)


def mean_logits(engine: Engine, tiles: torch.Tensor, mirror_axes: Sequence[int], batch_size: int | None = None) -> torch.Tensor:
    """The mean of `member_logits`, in float32; of a single member its logits as they are."""
    members = len(mirror_subsets(mirror_axes)) * engine.n_folds
    total: torch.Tensor | None = None
    for logits in member_logits(engine, tiles, mirror_axes, batch_size):
        if members == 1:
            return logits
        total = logits.to(torch.float32, copy=True) if total is None else total.add_(logits)
    if total is None:
        raise ValueError("the engine holds no network")
    return total.div_(members)


def _flipped(tiles: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    return tiles.flip([axis + 2 for axis in axes]) if axes else tiles
