"""How many tiles fit into memory at once: a batch that does not fit is halved, and the size that did is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from autoseg.engines.device import is_out_of_memory
from autoseg.errors import OutOfMemory

log = logging.getLogger(__name__)


class FittingBatch:
    """Runs batches of tiles in parts that fit into memory; `largest` is None until a batch did not fit."""

    def __init__(self, device: torch.device):
        self.device = device
        self.largest: int | None = None

    def __call__(self, forward: Callable[[torch.Tensor], torch.Tensor], tiles: torch.Tensor) -> torch.Tensor:
        """`forward` of tiles (B, C, *patch), which must return one value of any shape per tile.

        Raises:
            OutOfMemory: a single tile does not fit.
        """
        while True:
            size = min(len(tiles), self.largest or len(tiles))
            try:
                parts = [forward(part) for part in tiles.split(size)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    shape = "x".join(map(str, tiles.shape[2:]))
                    raise OutOfMemory(
                        f"one tile of {shape} does not fit into the memory of {self.device}; "
                        "predict on another device, or plan with less --memory"
                    ) from error
            self.largest = size // 2  # outside the handler: the error holds the failed attempt's tensors
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            log.warning("a batch of %d tiles did not fit into the memory of %s; going on with %d", size, self.device, size // 2)
