"""Overlapping tiles are summed in a band of planes that moves through the image, so that memory is that of the band.

Tiles come in the order of a sweep (see `tiling.Grid`). What no later tile reaches is finished and handed on; its planes are then
used again. Memory: outputs x planes of a patch along the swept axis x all of the other axes, in float32 while that is little,
else in float16 (as nnU-Net sums its logits). Every tile is weighted with its share of the Gaussian windows' sum beforehand, so
that sums are logits and stay within float16's range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch

from autoseg.inference.tiling import Grid, shares

FLOAT32_BYTES = 256 * 2**20  # a band of float32 up to this size is kept in float32


class Band:
    """Weighted sums of the tiles of a grid, (K, *shape) but for the swept axis, which holds the planes of one patch as a ring."""

    def __init__(self, n_outputs: int, grid: Grid, device: torch.device):
        self.grid = grid
        self.axis = grid.axis
        self.depth = grid.patch[grid.axis]
        self.finished = 0  # planes of the swept axis
        self.sums = torch.zeros(band_shape(n_outputs, grid), dtype=band_dtype(n_outputs, grid), device=device)
        self._shares = [
            {start: torch.from_numpy(share).to(device) for start, share in shares(size, starts).items()}
            for size, starts in zip(grid.patch, grid.starts, strict=True)
        ]

    def add(self, corner: Sequence[int], logits: torch.Tensor) -> None:
        """Add a tile's logits (K, *patch). It must start at or behind the first unfinished plane."""
        weight = self._weight(corner)
        where = [slice(None), *self.grid.tile(corner)]
        for ring, part in self._segments(corner[self.axis], corner[self.axis] + self.depth):
            where[1 + self.axis] = ring
            band, tile = self.sums[tuple(where)], logits.narrow(1 + self.axis, part.start, part.stop - part.start)
            portion = weight.narrow(self.axis, part.start, part.stop - part.start)
            for sums, values in zip(band, tile, strict=True):  # one output at a time, in case its type has to change
                sums.addcmul_(values.to(sums.device, sums.dtype), portion)

    def finish(self, stop: int) -> Iterator[torch.Tensor]:
        """Hand on the planes before `stop` that are not finished yet, (K, ...) each valid until the next is asked for."""
        for ring, _ in self._segments(self.finished, stop):
            planes = self.sums.narrow(1 + self.axis, ring.start, ring.stop - ring.start)
            yield planes
            planes.zero_()
        self.finished = max(self.finished, stop)

    def _weight(self, corner: Sequence[int]) -> torch.Tensor:
        """The tile's share of every pixel, (*patch). In float16 it is rounded, but alike for all outputs, so none gains by that."""
        weight = torch.ones((), device=self.sums.device)
        for start, by_start in zip(corner, self._shares, strict=True):
            weight = weight[..., None] * by_start[start]
        return weight.to(self.sums.dtype)

    def _segments(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """Planes `start` to `stop` in the ring, and where they lie between the two; two parts where the ring begins anew."""
        plane = start
        while plane < stop:
            first = plane % self.depth
            n = min(stop - plane, self.depth - first)
            yield slice(first, first + n), slice(plane - start, plane - start + n)
            plane += n


def band_shape(n_outputs: int, grid: Grid) -> tuple[int, ...]:
    """Of the sums: (K, *shape), the swept axis with the planes of a patch alone."""
    return (n_outputs, *(grid.patch[axis] if axis == grid.axis else size for axis, size in enumerate(grid.shape)))


def band_dtype(n_outputs: int, grid: Grid) -> torch.dtype:
    """float32 while that is little memory, else float16."""
    return torch.float32 if 4 * prod(band_shape(n_outputs, grid)) <= FLOAT32_BYTES else torch.float16
