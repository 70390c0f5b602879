"""A network slides over an image; overlapping tiles, mirrors and folds are averaged into logits, which are handed on in blocks of planes.

Memory beside the image is that of a band of planes (see `sweep`) and of one batch of tiles, however large the image is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from autoseg.engines import Engine
from autoseg.inference.disagreement import mean_and_disagreement
from autoseg.inference.evidence import EvidenceSums
from autoseg.inference.mirroring import mean_logits, mirror_subsets
from autoseg.inference.sweep import Band, band_dtype, band_shape
from autoseg.inference.tiling import Grid, centred_padding
from autoseg.records import InferenceSpec

KEPT_BYTES = 64 * 2**20  # logits of a constant tile are kept for the next one up to this size
FLAT = 8 * float(np.finfo(np.float32).eps)  # resampling returns a constant with rounding errors of this share of it


@dataclass(frozen=True)
class Sliding:
    """How networks slide over images of one kind.

    Args:
        patch_size: of a tile, at the networks' rank.
        inference: step, mirror axes (of the patch) and tiles per forward pass.
        n_outputs: K, the networks' output channels.
        regions: whether outputs overlap (sigmoid), for the disagreement.
        slice_axis: spatial axis of a 3D image over which 2D networks run slice by slice; None otherwise.
        disagreement: whether one more channel tells how far folds and mirrors disagree, see `disagreement`.
    """

    patch_size: tuple[int, ...]
    inference: InferenceSpec
    n_outputs: int
    regions: bool = False
    slice_axis: int | None = None
    disagreement: bool = False

    @property
    def n_channels(self) -> int:
        """Of a block: the outputs, and the disagreement where it is wanted."""
        return self.n_outputs + self.disagreement

    def grid(self, shape: Sequence[int]) -> Grid:
        """The tiles of an image `(*spatial)`, padded where it is smaller than a patch.

        Raises:
            ValueError: the ranks of image and patch do not fit together.
        """
        patch = list(self.patch_size)
        if self.slice_axis is not None:
            patch.insert(self.slice_axis, 1)
        if len(patch) != len(shape):
            along = "" if self.slice_axis is None else f" sliced along axis {self.slice_axis}"
            raise ValueError(f"an image of shape {tuple(shape)}{along} does not fit a patch of {self.patch_size}")
        padded = [max(size, length) for size, length in zip(patch, shape, strict=True)]
        return Grid.over(padded, patch, self.inference.step_fraction)

    def band_bytes(self, shape: Sequence[int]) -> int:
        """Memory of the sums for an image `(*spatial)`; 0 where tiles do not overlap."""
        grid = self.grid(shape)
        return band_dtype(self.n_channels, grid).itemsize * prod(band_shape(self.n_channels, grid)) if grid.overlaps else 0

    def sums_for(self, shape: Sequence[int]) -> EvidenceSums:
        """Empty sums of evidence for an image `(*spatial)`, to be handed to `blocks`."""
        return EvidenceSums(shape, self.grid(shape), self.n_outputs, regions=self.regions)

    @torch.inference_mode()
    def blocks(
        self,
        array: np.ndarray,
        engine: Engine,
        on_tile: Callable[[int, int], None] | None = None,
        evidence: EvidenceSums | None = None,
    ) -> Iterator[torch.Tensor]:
        """Logits of every output at every pixel of a prepared image, swept along `grid(...).axis`.

        What is smaller than the patch is padded with zeros about its centre. A tile that is constant in every channel (air, the
        black around a picture) gets the logits of an equal one before: the same input has the same output, so this costs nothing.

        Args:
            array: (C, *spatial).
            engine: the folds' networks.
            on_tile: called with the number of tiles done and their total.
            evidence: is shown what every fold and mirrored copy says, where it is wanted; see `sums_for`.

        Yields:
            (K, *spatial) on the CPU, float32 or float16, all but the swept axis complete; one after another they make up the
            image. A block is valid until the next is asked for.

        Raises:
            ValueError: the ranks of image and patch do not fit together, or the network has another number of outputs.
            OutOfMemory: a single tile does not fit.
            FloatingPointError: the network returned NaN or infinity.
        """
        grid = self.grid(array.shape[1:])
        image, padding = _padded(array, grid)
        inside = tuple(slice(before, before + length) for (before, _), length in zip(padding, array.shape[1:], strict=True))
        first = 0
        for planes in self._planes(image, engine, grid, on_tile, evidence):
            n = planes.shape[1 + grid.axis]
            keep = slice(max(0, inside[grid.axis].start - first), min(n, inside[grid.axis].stop - first))
            first += n
            if keep.start < keep.stop:
                part = [keep if axis == grid.axis else where for axis, where in enumerate(inside)]
                yield planes[(slice(None), *part)].cpu()

    def tiles(self, array: np.ndarray) -> Iterator[torch.Tensor]:
        """What a network sees of a prepared image `(C, *spatial)`, one tile (1, C, *patch) at a time; constant ones are left out."""
        grid = self.grid(array.shape[1:])
        image, _ = _padded(array, grid)
        for corner in grid:
            tile = self._tile(image, grid, corner)
            if _constant(tile) is None:
                yield tile[None].contiguous()

    def _tile(self, image: torch.Tensor, grid: Grid, corner: tuple[int, ...]) -> torch.Tensor:
        """(C, *patch), a view."""
        tile = image[(slice(None), *grid.tile(corner))]
        return tile if self.slice_axis is None else tile.squeeze(1 + self.slice_axis)

    def _planes(
        self,
        image: torch.Tensor,
        engine: Engine,
        grid: Grid,
        on_tile: Callable[[int, int], None] | None,
        evidence: EvidenceSums | None,
    ) -> Iterator[torch.Tensor]:
        """Finished planes of the padded image."""
        shape = band_shape(self.n_channels, grid)
        band = None
        if grid.overlaps:
            band = Band(self.n_channels, grid, engine.buffer_device(band_dtype(self.n_channels, grid).itemsize * prod(shape)))
        for corner, logits in self._tiles(image, engine, grid, on_tile, evidence):
            if band is None:
                yield logits if logits.dtype in (torch.float32, torch.float16) else logits.float()
                continue
            yield from band.finish(corner[grid.axis])
            band.add(corner, logits)
            del logits  # it would outlive the network's next pass
        if band is not None:
            yield from band.finish(grid.shape[grid.axis])

    def _tiles(
        self,
        image: torch.Tensor,
        engine: Engine,
        grid: Grid,
        on_tile: Callable[[int, int], None] | None,
        evidence: EvidenceSums | None,
    ) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
        """Every tile's first indices and its logits (K, *patch of the image's rank), in the order of the sweep."""
        size, done = max(1, self.inference.tile_batch_size), 0
        n_mirrors = len(mirror_subsets(self.inference.mirror_axes))
        constants = _Constants()
        places = iter(grid)
        while corners := tuple(islice(places, max(1, size // n_mirrors))):
            tiles = [self._tile(image, grid, corner) for corner in corners]
            values = [_constant(tile) for tile in tiles]
            known = {index: logits for index, value in enumerate(values) if (logits := constants.get(value)) is not None}
            new = [index for index in range(len(tiles)) if index not in known]
            computed = {}
            if new:
                stacked = torch.stack([tiles[index] for index in new])
                computed = dict(zip(new, self._logits(stacked, engine, size, evidence), strict=True))
                if evidence:
                    evidence.end_batch([corners[index] if values[index] is None else None for index in new])
            for index, corner in enumerate(corners):
                if index in computed:
                    constants.keep(values[index], computed[index])
                logits = computed[index] if index in computed else known[index]
                yield corner, logits if self.slice_axis is None else logits.unsqueeze(1 + self.slice_axis)
            del logits
            computed.clear()  # before the next batch, which may be as large
            done += len(corners)
            if on_tile:
                on_tile(done, len(grid))

    def _logits(self, tiles: torch.Tensor, engine: Engine, size: int, evidence: EvidenceSums | None = None) -> torch.Tensor:
        """Logits (B, K, *patch) of tiles (B, C, *patch), and the disagreement behind them where it is wanted."""
        tiles, mirrors = tiles.to(engine.device), self.inference.mirror_axes
        on_member = evidence.member if evidence else None
        if self.disagreement:
            logits = mean_and_disagreement(engine, tiles, mirrors, size, regions=self.regions, on_member=on_member)
        else:
            logits = mean_logits(engine, tiles, mirrors, size, on_member)
        if logits.shape[1] != self.n_channels:
            extra = int(self.disagreement)
            raise ValueError(f"the network has {logits.shape[1] - extra} outputs, {self.n_outputs} were expected")
        if not torch.isfinite(torch.stack(torch.aminmax(logits))).all():  # the extremes tell, and cost less than all
            raise FloatingPointError("the network returned NaN or infinity for this image")
        return logits


def _padded(array: np.ndarray, grid: Grid) -> tuple[torch.Tensor, tuple[tuple[int, int], ...]]:
    """(C, *spatial) as a tensor, zeros about its centre where it is smaller than the patch, and their number before and behind."""
    padding = centred_padding(array.shape[1:], grid.patch)
    image = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    if any(map(any, padding)):
        image = F.pad(image, [pixels for pair in reversed(padding) for pixels in pair])
    return image, padding


class _Constants:
    """The logits of the constant tile that came last."""

    def __init__(self) -> None:
        self._value: torch.Tensor | None = None
        self._logits: torch.Tensor | None = None

    def get(self, value: torch.Tensor | None) -> torch.Tensor | None:
        """The logits of a tile of this value, None where they are not known."""
        if value is None or self._value is None or not torch.allclose(value, self._value, rtol=FLAT, atol=0):
            return None
        return self._logits

    def keep(self, value: torch.Tensor | None, logits: torch.Tensor) -> None:
        """Note the logits of a constant tile, unless they are large."""
        if value is not None and logits.nbytes <= KEPT_BYTES:
            self._value, self._logits = value, logits.clone()


def _constant(tile: torch.Tensor) -> torch.Tensor | None:
    """The value of every channel (C,) of a tile (C, *patch), None where one is not constant to rounding."""
    low, high = torch.aminmax(tile.flatten(1), dim=1)
    return low if bool((high - low <= FLAT * torch.maximum(low.abs(), high.abs())).all()) else None
