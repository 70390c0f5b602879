"""Mirrors are averaged, and turned back before."""

from __future__ import annotations

from collections.abc import Callable

import torch

from autoseg.engines import Engine
from autoseg.inference.mirroring import mean_logits, member_logits, mirror_subsets

EngineOf = Callable[..., Engine]


def test_all_subsets() -> None:
    assert mirror_subsets(()) == ((),)
    assert mirror_subsets((1, 0)) == ((), (0,), (1,), (0, 1))
    assert len(mirror_subsets((0, 1, 2))) == 8


def test_a_pixelwise_network_is_not_changed_by_mirroring(engine_of: EngineOf) -> None:
    tiles = torch.randn(2, 1, 5, 6)
    torch.testing.assert_close(mean_logits(engine_of(lambda x: 2 * x), tiles, (0, 1)), 2 * tiles)


def test_a_network_that_prefers_a_side_is_balanced(engine_of: EngineOf) -> None:
    # The network adds the column number 0..3 to zeros: mirrored along x and back it adds 3..0; the mean is 1.5 everywhere.
    engine = engine_of(lambda x: x + torch.arange(4.0))
    assert mean_logits(engine, torch.zeros(1, 1, 2, 4), (1,)).unique().tolist() == [1.5]
    assert mean_logits(engine, torch.zeros(1, 1, 2, 4), (0,))[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_folds_are_averaged_and_left_as_they_are(engine_of: EngineOf) -> None:
    answer = torch.full((1, 1, 2, 2), 6.0)
    engine = engine_of(lambda x: answer, lambda x: x)
    assert mean_logits(engine, torch.zeros(1, 1, 2, 2), ()).unique().tolist() == [3.0]
    assert answer.unique().tolist() == [6.0]


def test_copies_go_together_as_far_as_the_batch_allows(engine_of: EngineOf) -> None:
    engine, tiles = engine_of(lambda x: x + torch.arange(4.0)), torch.randn(2, 1, 3, 4)
    expected = mean_logits(engine, tiles, (0, 1))
    assert engine.batches == [2, 2, 2, 2]
    for batch_size, batches in ((1, [2, 2, 2, 2]), (6, [6, 2]), (8, [8])):
        engine.batches.clear()
        torch.testing.assert_close(mean_logits(engine, tiles, (0, 1), batch_size), expected)
        assert engine.batches == batches


def test_members_come_fold_by_fold_and_turned_back(engine_of: EngineOf) -> None:
    engine, tiles = engine_of(lambda x: x + torch.arange(2.0), lambda x: x - 1), torch.zeros(1, 1, 1, 2)
    members = [logits.flatten().tolist() for logits in member_logits(engine, tiles, (1,))]
    assert members == [[0, 1], [-1, -1], [1, 0], [-1, -1]]


def test_the_only_member_is_handed_on_as_it_is(engine_of: EngineOf) -> None:
    answer = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
    found = mean_logits(engine_of(lambda x: answer), answer, ())
    assert found.dtype == torch.bfloat16 and found.data_ptr() == answer.data_ptr()
    assert mean_logits(engine_of(lambda x: answer, lambda x: answer), answer, ()).dtype == torch.float32
