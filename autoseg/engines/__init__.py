"""Where a trained network runs. `Engine` is all that the sliding window asks of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Engine(Protocol):
    """The networks of one or more folds on one device."""

    @property
    def name(self) -> str:
        """As in `candidates`, for records."""

    @property
    def device(self) -> torch.device:
        """Where tiles are wanted and logits come back."""

    @property
    def n_folds(self) -> int:
        """How many networks vote."""

    @property
    def weights(self) -> tuple[str, ...]:
        """What tells these networks from others: the SHA-256 of each fold's weights; empty where unknown."""

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        """For tiles (B, C, *patch), yield each fold's logits (B, K, *patch) as float32, one fold after another.

        Raises:
            OutOfMemory: a single tile does not fit.
        """

    def buffer_device(self, n_bytes: int) -> torch.device:
        """Where a score buffer of `n_bytes` is best kept: on the engine's device if it has room, else in RAM."""
