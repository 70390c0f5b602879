"""A network slides over an image; overlapping tiles, mirrors and folds are averaged into one map of probabilities.

Logits are summed with Gaussian weights and turned into probabilities once, at the end. Memory beside the image is one
float32 buffer (K, *padded image); the sum of the weights is an outer product of axes and is never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import torch
import torch.nn.functional as F

from autoseg.engines import Engine
from autoseg.inference.mirroring import mean_logits
from autoseg.inference.tiling import centred_padding, gaussian_window, summed_window, tile_starts
from autoseg.records import InferenceSpec

SOFTMAX_CHUNK = 2**20  # pixels turned into probabilities at a time, so that the temporary stays small


@dataclass(frozen=True)
class Grid:
    """The tiles of an image, regular along each axis of the network."""

    patch: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]  # per axis

    @property
    def is_single(self) -> bool:
        """Whether one tile covers everything."""
        return all(len(starts) == 1 for starts in self.starts)

    def tiles(self) -> Iterator[tuple[slice, ...]]:
        """Where each tile lies."""
        for corner in product(*self.starts):
            yield tuple(slice(start, start + size) for start, size in zip(corner, self.patch, strict=True))


@torch.inference_mode()
def predict_scores(
    array: np.ndarray,
    engine: Engine,
    *,
    patch_size: Sequence[int],
    inference: InferenceSpec,
    n_outputs: int,
    regions: bool,
    slice_axis: int | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Probabilities of every output at every pixel.

    Args:
        array: prepared image (C, *spatial); what is smaller than the patch is zero-padded about its centre.
        engine: the folds' networks.
        patch_size: tile size, at the network's rank.
        inference: step, mirror axes (of the patch) and tiles per forward pass.
        n_outputs: K, the network's output channels.
        regions: True gives a sigmoid per output, False a softmax over them.
        slice_axis: spatial axis of a 3D array over which a 2D network runs slice by slice; None otherwise.
        on_tile: called with the number of tiles done and their total.

    Returns:
        (K, *spatial) float32.

    Raises:
        ValueError: the ranks of image and patch do not fit together.
        OutOfMemory: a single tile does not fit.
        FloatingPointError: the network returned NaN or infinity.
    """
    patch = tuple(patch_size)
    image = _as_slices(array, patch, slice_axis)
    padding = centred_padding(image.shape[2:], patch)
    padded = F.pad(torch.from_numpy(image), [pixels for pair in reversed(padding) for pixels in pair])
    starts = [tile_starts(length, size, inference.step_fraction) for length, size in zip(padded.shape[2:], patch, strict=True)]
    grid = Grid(patch, tuple(starts))

    shape = (n_outputs, *padded.shape[1:])
    scores = torch.zeros(shape, device=engine.buffer_device(4 * int(np.prod(shape))))
    _accumulate(scores, padded, engine, grid, inference, on_tile)
    _to_probabilities(scores, regions)

    inside = tuple(slice(before, length - after) for (before, after), length in zip(padding, scores.shape[2:], strict=True))
    result = scores.cpu().numpy()[(slice(None), slice(None), *inside)]
    return result[:, 0] if slice_axis is None else np.moveaxis(result, 1, slice_axis + 1)


def _as_slices(array: np.ndarray, patch: tuple[int, ...], slice_axis: int | None) -> np.ndarray:
    """(C, S, *network axes): S slices for a 2D network on a volume, one otherwise."""
    rank = array.ndim - 1 if slice_axis is None else array.ndim - 2
    if rank != len(patch):
        along = "" if slice_axis is None else f" sliced along axis {slice_axis}"
        raise ValueError(f"an image of shape {array.shape} (channel first){along} does not fit a patch of {patch}")
    image = array[:, None] if slice_axis is None else np.moveaxis(array, slice_axis + 1, 1)
    return np.ascontiguousarray(image, np.float32)


def _accumulate(
    scores: torch.Tensor,
    image: torch.Tensor,
    engine: Engine,
    grid: Grid,
    inference: InferenceSpec,
    on_tile: Callable[[int, int], None] | None,
) -> None:
    """Fill `scores` (K, S, *padded) with the weighted mean of the logits."""
    windows = [gaussian_window(size) for size in grid.patch]
    weight = _outer(windows).to(engine.device)
    places = product(range(image.shape[1]), grid.tiles())
    total = image.shape[1] * int(np.prod([len(starts) for starts in grid.starts]))
    done = 0
    while batch := list(islice(places, max(1, inference.tile_batch_size))):
        tiles = torch.stack([image[(slice(None), index, *where)] for index, where in batch])
        logits = mean_logits(engine, tiles.to(engine.device), inference.mirror_axes)
        if logits.shape[:2] != (len(batch), len(scores)):
            raise ValueError(f"the network has {logits.shape[1]} outputs, {len(scores)} were expected")
        if not torch.isfinite(logits).all():
            raise FloatingPointError("the network returned NaN or infinity for this image")
        if not grid.is_single:
            logits *= weight
        for (index, where), tile in zip(batch, logits.to(scores.device), strict=True):
            scores[(slice(None), index, *where)] += tile
        done += len(batch)
        if on_tile:
            on_tile(done, total)
    if grid.is_single:
        return
    for axis, (starts, window) in enumerate(zip(grid.starts, windows, strict=True)):
        summed = torch.from_numpy(summed_window(scores.shape[axis + 2], starts, window)).to(scores.device)
        scores /= summed.reshape([-1 if other == axis else 1 for other in range(len(windows))])


def _outer(windows: Sequence[np.ndarray]) -> torch.Tensor:
    """Product of one window per axis."""
    weight = np.ones((), np.float32)
    for window in windows:
        weight = np.multiply.outer(weight, window)
    return torch.from_numpy(weight)


def _to_probabilities(scores: torch.Tensor, regions: bool) -> None:
    """Turn logits (K, ...) into probabilities, in place."""
    if regions:
        scores.sigmoid_()
        return
    for chunk in scores.flatten(1).split(SOFTMAX_CHUNK, dim=1):
        chunk.copy_(torch.softmax(chunk, dim=0))
