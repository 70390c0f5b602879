"""What networks say of their own masks, against sums over whole images by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from autoseg.engines import Engine
from autoseg.inference.evidence import evidence_bytes, output_groups
from autoseg.inference.sliding import Sliding
from autoseg.records import Evidence, InferenceSpec, Structure

EngineOf = Callable[..., Engine]
PLAIN = InferenceSpec(mirror_axes=(), tile_batch_size=3)
MIRRORED = InferenceSpec(mirror_axes=(0, 1), tile_batch_size=3)


def logit(probability: Sequence[float]) -> np.ndarray:
    p = np.asarray(probability)
    return np.log(p / (1 - p)).astype(np.float32)


def against_zero(x: torch.Tensor) -> torch.Tensor:
    """Two outputs: the background says 0, so the image itself is the log odds of the foreground."""
    return torch.cat([torch.zeros_like(x), x], 1)


def evidence_of(
    array: np.ndarray, engine: Engine, sliding: Sliding, groups: dict[str, tuple[int, ...]] | None = None
) -> Evidence:
    sums = sliding.sums_for(array.shape[1:])
    for _ in sliding.blocks(array, engine, evidence=sums):
        pass
    return sums.evidence({"head": (1,)} if groups is None else groups)


def test_four_pixels_by_hand(engine_of: EngineOf) -> None:
    image = logit([0.9, 0.6, 0.2, 0.1]).reshape(1, 2, 2)
    found = evidence_of(image, engine_of(against_zero), Sliding((2, 2), PLAIN, n_outputs=2))
    head = found.structures["head"]
    assert head.soft_dice == pytest.approx(2 * 1.5 / (1.8 + 2), abs=1e-6)  # p is 0.9 and 0.6 where the mask is
    assert head.pixels == 2
    assert head.mirror_dice is None  # nothing is mirrored
    assert found.foreground == head


def test_pixels_below_odds_of_a_thousand_are_certain_background(engine_of: EngineOf) -> None:
    image = logit([0.8, 0.0005, 0.0005, 0.002]).reshape(1, 2, 2)
    found = evidence_of(image, engine_of(against_zero), Sliding((2, 2), PLAIN, n_outputs=2))
    assert found.foreground.soft_dice == pytest.approx(2 * 0.8 / (0.802 + 1), abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "patch"), [((40, 33), (16, 12)), ((7, 30), (16, 16)), ((9, 5), (12, 12)), ((9, 14, 11), (6, 8, 8))]
)
def test_shares_of_overlapping_tiles_add_up_and_padding_does_not_count(
    engine_of: EngineOf, shape: tuple[int, ...], patch: tuple[int, ...]
) -> None:
    """A network that sees single pixels says the same in every tile, so the sums are those over the image."""
    image = np.random.default_rng(0).normal(0, 3, (1, *shape)).astype(np.float32)
    spec = InferenceSpec(mirror_axes=tuple(range(len(shape))), tile_batch_size=2)
    found = evidence_of(image + 1, engine_of(against_zero), Sliding(patch, spec, n_outputs=2)).foreground
    values = (image + 1).astype(float)
    p, mask = np.where(values > np.log(1e-3), 1 / (1 + np.exp(-values)), 0), values > 0
    assert found.pixels == pytest.approx(mask.sum(), abs=0.06)
    assert found.soft_dice == pytest.approx(2 * p[mask].sum() / (p.sum() + mask.sum()), abs=1e-5)
    assert found.mirror_dice == 1


def test_slices_of_a_volume_count_like_the_volume(engine_of: EngineOf) -> None:
    image = np.random.default_rng(1).normal(size=(1, 5, 9, 7)).astype(np.float32)
    found = evidence_of(image, engine_of(against_zero), Sliding((6, 6), MIRRORED, n_outputs=2, slice_axis=1)).foreground
    p, mask = 1 / (1 + np.exp(-image)), image > 0
    assert found.pixels == pytest.approx(mask.sum(), abs=0.06)
    assert found.soft_dice == pytest.approx(2 * p[mask].sum() / (p.sum() + mask.sum()), abs=1e-5)


def test_mirror_dice_by_hand(engine_of: EngineOf) -> None:
    """The network adds 4 to the left column, so the mirrored copy, turned back, has it on the right."""
    image = np.array([[[1.0, -1.0]]], np.float32)  # copies say (5, -1) and (1, 3); the mean is (3, 1)
    push = torch.tensor([4.0, 0.0])
    engine = engine_of(lambda x: against_zero(x + push))
    found = evidence_of(image, engine, Sliding((1, 2), InferenceSpec(mirror_axes=(1,), tile_batch_size=1), n_outputs=2))
    assert found.foreground.pixels == 2
    assert found.foreground.mirror_dice == pytest.approx((2 * 1 / 3 + 1) / 2, abs=1e-6)


def test_what_one_copy_finds_counts_where_the_mean_is_sure_of_background(engine_of: EngineOf) -> None:
    image = np.array([[[5.0, -30.0]]], np.float32)
    push = torch.tensor([40.0, 0.0])  # copies say (45, -30) and (5, 10); the mean is (25, -10)
    engine = engine_of(lambda x: against_zero(x + push))
    found = evidence_of(image, engine, Sliding((1, 2), InferenceSpec(mirror_axes=(1,), tile_batch_size=2), n_outputs=2))
    assert found.foreground.pixels == 1
    assert found.foreground.mirror_dice == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)


def test_three_outputs_and_their_union(engine_of: EngineOf) -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.1, 0.5, 0.4], [0.1, 0.2, 0.7], [0.2, 0.35, 0.45]])  # per pixel
    image = np.log(p).T.reshape(3, 2, 2).astype(np.float32)
    groups = {"a": (1,), "b": (2,), "both": (1, 2)}
    found = evidence_of(image, engine_of(lambda x: x), Sliding((2, 2), PLAIN, n_outputs=3), groups)
    a, b, both = (found.structures[name] for name in groups)
    assert a.soft_dice == pytest.approx(2 * 0.5 / (0.3 + 0.5 + 0.2 + 0.35 + 1), abs=1e-6)
    assert b.soft_dice == pytest.approx(2 * (0.7 + 0.45) / (0.1 + 0.4 + 0.7 + 0.45 + 2), abs=1e-6)
    assert both.soft_dice == pytest.approx(2 * (0.9 + 0.9 + 0.8) / (0.4 + 0.9 + 0.9 + 0.8 + 3), abs=1e-6)
    assert found.foreground == both
    assert (a.pixels, b.pixels, both.pixels) == (1, 2, 3)


def test_three_outputs_in_mirrors_match_sums_over_the_image(engine_of: EngineOf) -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 3, 3, padding=1).eval()
    image = np.random.default_rng(2).normal(0, 2, (1, 8, 10)).astype(np.float32)
    groups = {"a": (1,), "b": (2,)}
    found = evidence_of(image, engine_of(network), Sliding((8, 10), MIRRORED, n_outputs=3), groups)
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        copies = [network(x.flip(axes)).flip(axes)[0] for axes in ((), (2,), (3,), (2, 3))]
    mean = torch.stack(copies).mean(0)
    for name, (output,) in groups.items():
        mask, p = mean.argmax(0) == output, mean.softmax(0)[output]
        dices = [2 * ((c.argmax(0) == output) & mask).sum() / ((c.argmax(0) == output).sum() + mask.sum()) for c in copies]
        assert found.structures[name].mirror_dice == pytest.approx(float(np.mean(dices)), abs=1e-5)
        assert found.structures[name].soft_dice == pytest.approx(float(2 * p[mask].sum() / (p.sum() + mask.sum())), abs=1e-4)


def test_regions_overlap_and_their_union_is_the_foreground(engine_of: EngineOf) -> None:
    whole, core = logit([0.9, 0.8, 0.3, 0.1]), logit([0.7, 0.2, 0.1, 0.6])
    image = np.stack([whole, core]).reshape(2, 2, 2)
    found = evidence_of(
        image, engine_of(lambda x: x), Sliding((2, 2), MIRRORED, n_outputs=2, regions=True), {"whole": (0,), "core": (1,)}
    )
    assert found.structures["whole"].soft_dice == pytest.approx(2 * 1.7 / (2.1 + 2), abs=1e-6)
    assert found.structures["core"].soft_dice == pytest.approx(2 * 1.3 / (1.6 + 2), abs=1e-6)
    # the union has the larger of the two: 0.9, 0.8, 0.3, 0.6
    assert found.foreground.soft_dice == pytest.approx(2 * 2.3 / (2.6 + 3), abs=1e-6)
    assert found.foreground.pixels == 3 and found.structures["core"].pixels == 2
    assert found.foreground.mirror_dice == found.structures["whole"].mirror_dice == 1


def test_folds_are_averaged_and_not_mixed(engine_of: EngineOf) -> None:
    image = logit([0.9, 0.9, 0.1, 0.1]).reshape(1, 2, 2)
    sure = engine_of(against_zero, lambda x: against_zero(-x))  # the mean of the two says nothing at all
    found = evidence_of(image, sure, Sliding((2, 2), MIRRORED, n_outputs=2)).foreground
    assert found.soft_dice == pytest.approx(2 * 1.8 / (2 + 2), abs=1e-6)
    assert (found.mirror_dice, found.pixels) == (1, 2)


def test_a_fold_that_finds_nothing_counts_as_zero_where_others_find_something(engine_of: EngineOf) -> None:
    image = logit([0.9, 0.9, 0.1, 0.1]).reshape(1, 2, 2)
    blind = engine_of(against_zero, lambda x: against_zero(torch.full_like(x, -20)))
    found = evidence_of(image, blind, Sliding((2, 2), MIRRORED, n_outputs=2)).foreground
    assert found.soft_dice == pytest.approx(0.9 / 2, abs=1e-6)
    assert (found.mirror_dice, found.pixels) == (0.5, 1)


def test_nothing_found_tells_nothing(engine_of: EngineOf) -> None:
    image = np.random.default_rng(3).normal(-20, 1, (1, 9, 9)).astype(np.float32)
    found = evidence_of(image, engine_of(against_zero), Sliding((6, 6), MIRRORED, n_outputs=2)).foreground
    assert (found.soft_dice, found.mirror_dice, found.pixels) == (None, None, 0)


def test_constant_tiles_do_not_count(engine_of: EngineOf) -> None:
    image = np.zeros((1, 4, 12), np.float32)
    image[..., 8:] = np.arange(16).reshape(4, 4) + 1
    found = evidence_of(image, engine_of(lambda x: against_zero(x + 3)), Sliding((4, 4), PLAIN, n_outputs=2)).foreground
    # tiles start at 0, 2, 4, 6 and 8; those before 6 are constant, so what the network finds there is not seen
    assert 16 < found.pixels < 24


def test_asking_does_not_change_the_logits(engine_of: EngineOf) -> None:
    network = torch.nn.Conv2d(1, 2, 3, padding=1).eval()
    image = np.random.default_rng(4).normal(size=(1, 20, 17)).astype(np.float32)
    for disagreement in (False, True):
        sliding = Sliding((8, 8), MIRRORED, n_outputs=2, disagreement=disagreement)
        plain = [block.clone() for block in sliding.blocks(image, engine_of(network, network))]
        asked = [
            block.clone() for block in sliding.blocks(image, engine_of(network, network), evidence=sliding.sums_for((20, 17)))
        ]
        for one, other in zip(plain, asked, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_groups_of_outputs() -> None:
    brain, csp = (Structure(name=name, values=(value,), output_value=value) for name, value in (("Brain", 1), ("CSP", 2)))
    head = Structure(name="head", values=(1, 2), output_value=1)
    assert output_groups((brain, csp), (head,), regions=False) == {"Brain": (1,), "CSP": (2,), "head": (1, 2)}
    assert output_groups((head, csp), (brain,), regions=True) == {"head": (0,), "CSP": (1,)}


def test_memory_of_a_tile_by_hand() -> None:
    # 5 folds: 3 float32 sums and 4 copies' winners a pixel; and 6 float64 for the tile that is being counted
    assert evidence_bytes(3, (10, 10), n_folds=5, n_copies=4, regions=False) == 100 * (5 * (12 + 4) + 48)
    assert evidence_bytes(2, (10, 10), n_folds=1, n_copies=2, regions=True) == 100 * (8 + 2 * 3 + 40)


def test_labels_beyond_a_byte(engine_of: EngineOf) -> None:
    logits = torch.zeros(1, 300, 1, 2)
    logits[0, 299, 0, 0], logits[0, 0, 0, 1] = 50, 50
    found = evidence_of(
        np.random.default_rng(5).random((1, 1, 2)),
        engine_of(lambda x: logits),
        Sliding((1, 2), PLAIN, n_outputs=300),
        {"last": (299,), "other": (43,)},
    )
    assert found.structures["last"].pixels == 1 and found.structures["other"].pixels == 0
