"""Which tiles are taken to calibrate with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from autoseg.engines.quantisation import MOST_CALIBRATION_TILES, calibration_tiles
from autoseg.errors import PlanError


def test_the_first_tiles_one_by_one_and_no_more_than_needed() -> None:
    asked: list[int] = []

    def batches() -> Iterator[torch.Tensor]:
        for index in range(1000):
            asked.append(index)
            yield torch.full((5, 1, 2, 3), float(index))

    tiles = calibration_tiles(batches(), (1, 2, 3))
    assert len(tiles) == MOST_CALIBRATION_TILES == 64 and len(asked) == 13
    assert [float(tile.mean()) for tile in tiles[:6]] == [0, 0, 0, 0, 0, 1]
    assert tiles[0].shape == (1, 1, 2, 3)


def test_tiles_of_another_shape_are_refused() -> None:
    with pytest.raises(PlanError, match=r"shape \(1, 2, 3\).*not \(1, 2, 4\)"):
        calibration_tiles([torch.zeros(5, 1, 2, 4)], (1, 2, 3))
