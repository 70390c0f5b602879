"""Disagreement of members whose probabilities are known."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest
import torch

from autoseg.engines import Engine
from autoseg.inference.disagreement import mean_and_disagreement

EngineOf = Callable[..., Engine]
TILES = torch.zeros(2, 1, 3, 4)


def certain(output: int, n_outputs: int = 2) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network that is sure of one output everywhere."""

    def network(tiles: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(tiles), n_outputs, *tiles.shape[2:]), -50.0)
        logits[:, output] = 50
        return logits

    return network


def test_members_that_agree_and_members_that_could_not_differ_more(engine_of: EngineOf) -> None:
    same = mean_and_disagreement(engine_of(certain(1), certain(1)), TILES, (), None, regions=False)
    assert same.shape == (2, 3, 3, 4)
    assert same[:, 2].max() == 0 and same[:, 1].unique().tolist() == [50]
    apart = mean_and_disagreement(engine_of(certain(0), certain(1)), TILES, (), None, regions=False)
    torch.testing.assert_close(apart[:, 2], torch.ones(2, 3, 4))
    assert apart[:, :2].unique().tolist() == [0]
    regions = mean_and_disagreement(engine_of(certain(0), certain(1)), TILES, (), None, regions=True)
    torch.testing.assert_close(regions[:, 2], torch.ones(2, 3, 4))


def test_three_members_and_four_outputs_by_hand(engine_of: EngineOf) -> None:
    """Two say output 0, one says output 3: entropy of (2/3, 1/3), of at most log 3."""
    engine = engine_of(certain(0, 4), certain(0, 4), certain(3, 4))
    found = mean_and_disagreement(engine, TILES, (), None, regions=False)
    expected = -(2 / 3 * log(2 / 3) + 1 / 3 * log(1 / 3)) / log(3)
    assert found[0, 4, 0, 0].item() == pytest.approx(expected, abs=1e-6)


def test_members_that_doubt_alike_do_not_disagree(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: torch.zeros(len(x), 2, *x.shape[2:]))
    assert mean_and_disagreement(engine, TILES, (0, 1), 4, regions=False)[:, 2].abs().max() < 1e-6


def test_mirrors_are_members(engine_of: EngineOf) -> None:
    """The network is sure of output 1 on the right half alone, so its mirror is of the left."""
    sides = torch.tensor([-50.0, -50.0, 50.0, 50.0])
    engine = engine_of(lambda x: torch.stack([-(x + sides), x + sides], 1)[:, :, 0])
    found = mean_and_disagreement(engine, TILES, (1,), None, regions=False)
    torch.testing.assert_close(found[:, 2], torch.ones(2, 3, 4))


def test_a_single_member_cannot_disagree(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: torch.randn(len(x), 3, *x.shape[2:]))
    assert mean_and_disagreement(engine, TILES, (), None, regions=False)[:, 3].abs().max() < 1e-6
