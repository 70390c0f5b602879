"""Test-time mirroring: the same tile seen in every combination of flips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import torch

from autoseg.engines import Engine

OnMember = Callable[[int, torch.Tensor], None]  # takes the number of a fold and its logits of one mirrored copy


def mirror_subsets(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """All subsets of the spatial axes, the empty one first: 2**n of them."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(sorted(axes), size))


def member_logits(
    engine: Engine,
    tiles: torch.Tensor,
    mirror_axes: Sequence[int],
    batch_size: int | None = None,
    on_member: OnMember | None = None,
) -> Iterator[torch.Tensor]:
    """Logits (B, K, *patch) of tiles (B, C, *patch) by every fold in every mirror (`mirror_axes` are spatial axes), turned back.

    Mirrored copies go through the networks together, at most `batch_size` tiles at a time (None: all copies of a tile apart).
    `on_member` is told of each.
    """
    copies = 1 if batch_size is None else max(1, batch_size // len(tiles))
    every = mirror_subsets(mirror_axes)
    for first in range(0, len(every), copies):
        subsets = every[first : first + copies]
        stacked = torch.cat([_flipped(tiles, subset) for subset in subsets]) if len(subsets) > 1 else _flipped(tiles, subsets[0])
        for fold, logits in enumerate(engine(stacked)):
            for subset, part in zip(subsets, logits.split(len(tiles)), strict=True):
                turned = _flipped(part, subset)
                if on_member:
                    on_member(fold, turned)
                yield turned


def mean_logits(
    engine: Engine,
    tiles: torch.Tensor,
    mirror_axes: Sequence[int],
    batch_size: int | None = None,
    on_member: OnMember | None = None,
) -> torch.Tensor:
    """The mean of `member_logits`, in float32; of a single member its logits as they are."""
    members = len(mirror_subsets(mirror_axes)) * engine.n_folds
    total: torch.Tensor | None = None
    for logits in member_logits(engine, tiles, mirror_axes, batch_size, on_member):
        if members == 1:
            return logits
        total = logits.to(torch.float32, copy=True) if total is None else total.add_(logits)
    if total is None:
        raise ValueError("the engine holds no network")
    return total.div_(members)


def _flipped(tiles: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    return tiles.flip([axis + 2 for axis in axes]) if axes else tiles
