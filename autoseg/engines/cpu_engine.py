"""What the engines beside torch have in common: they run on the CPU, one fold after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial

import torch

from autoseg.engines.fitting_batch import FittingBatch


class CpuEngine(ABC):
    """See `autoseg.engines.Engine`; a subclass runs one fold's network."""

    device = torch.device("cpu")
    name: str

    def __init__(self, weights: tuple[str, ...]):
        self.weights = weights
        self.fitting = FittingBatch(self.device)

    @property
    @abstractmethod
    def n_folds(self) -> int:
        """How many networks vote."""

    @abstractmethod
    def _logits(self, fold: int, tiles: torch.Tensor) -> torch.Tensor:
        """Logits of tiles by one fold, in memory of their own."""

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        """For tiles (B, C, *patch), yield each fold's logits (B, K, *patch) as float32, one fold after another.

        The logits belong to the caller: a later call writes elsewhere. A batch that does not fit is halved, and later batches
        start at the size that did.

        Raises:
            OutOfMemory: a single tile does not fit.
        """
        tiles = tiles.to(self.device, torch.float32).contiguous()
        for fold in range(self.n_folds):
            yield self.fitting(partial(self._logits, fold), tiles)

    def buffer_device(self, n_bytes: int) -> torch.device:
        """The CPU."""
        return self.device
