"""Batches are halved until they fit; other errors are let through."""

from __future__ import annotations

import pytest
import torch

from autoseg.engines.fitting_batch import FittingBatch
from autoseg.errors import OutOfMemory


class Room:
    """Takes at most `limit` tiles, and keeps the sizes that it was asked for."""

    def __init__(self, limit: int, error: Exception):
        self.limit, self.error = limit, error
        self.sizes: list[int] = []

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(tiles))
        if len(tiles) > self.limit:
            raise self.error
        return tiles * 2


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("Failed to allocate 9 bytes of memory"), RuntimeError("can't alloc")]
)
def test_halved_in_order_and_remembered(error: Exception) -> None:
    fitting, room = FittingBatch(torch.device("cpu")), Room(3, error)
    tiles = torch.arange(5.0).reshape(5, 1)
    assert torch.equal(fitting(room, tiles), tiles * 2)
    assert room.sizes == [5, 2, 2, 1] and fitting.largest == 2
    fitting(room, tiles[:4])
    assert room.sizes[4:] == [2, 2]


def test_a_tile_that_does_not_fit() -> None:
    with pytest.raises(OutOfMemory, match="one tile of 4x6 does not fit into the memory of cpu"):
        FittingBatch(torch.device("cpu"))(Room(0, MemoryError()), torch.zeros(2, 1, 4, 6))


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        FittingBatch(torch.device("cpu"))(Room(0, RuntimeError("shapes differ")), torch.zeros(2, 1, 4, 6))
