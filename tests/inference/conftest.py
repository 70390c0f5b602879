"""Networks with a known answer, as engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

Network = Callable[[torch.Tensor], torch.Tensor]


class FakeEngine:
    """Runs plain functions; notes the batch sizes it was given."""

    name = "fake"
    device = torch.device("cpu")
    weights: tuple[str, ...] = ()

    def __init__(self, *networks: Network):
        self.networks: Sequence[Network] = networks
        self.batches: list[int] = []

    @property
    def n_folds(self) -> int:
        return len(self.networks)

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        self.batches.append(len(tiles))
        for network in self.networks:
            yield network(tiles)

    def buffer_device(self, n_bytes: int) -> torch.device:
        return self.device


@pytest.fixture
def engine_of() -> type[FakeEngine]:
    """Makes an engine of functions, one per fold."""
    return FakeEngine
