"""Deciding block by block equals resampling all logits and deciding then."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import ndimage

from autoseg.inference.decision import Decision
from autoseg.processing.prepare import Placement, prepare_image
from autoseg.processing.resample import resample
from autoseg.records import Normalization, Preparation
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
GRIDS = [
    ((20, 25, 30), (1.0, 1.0, 1.0), (1.7, 1.4, 1.3)),
    ((20, 25, 30), (1.0, 1.0, 1.0), (0.8, 0.9, 0.7)),
    ((12, 30, 30), (5.0, 1.0, 1.0), (2.0, 1.5, 1.5)),  # the coarse axis apart
    ((40, 50), (1.0, 1.0), (2.6, 2.2)),
    ((40, 50), (1.0, 1.0), (1.0, 1.0)),
]


def placed(shape: tuple[int, ...], spacing: tuple[float, ...], new: tuple[float, ...], turned: bool = False) -> Placement:
    """Of an image that is cropped by one pixel on every side; turned: axes reversed by orientation and transposition."""
    rank = len(shape)
    array = np.zeros((1, *shape), dtype=np.float32)
    array[(0, *(slice(1, size - 1) for size in shape))] = 1
    preparation = Preparation(
        canonical_orientation=turned,
        transpose=tuple(range(rank))[::-1] if turned else tuple(range(rank)),
        crop_to_nonzero=True,
        spacing_mm=new[::-1] if turned else new,
        normalization=(Normalization(scheme="none"),),
    )
    geometry = Geometry(3, spacing, (0.0, 0.0, 0.0), RAS) if turned else Geometry.plain(rank, spacing)
    return prepare_image(Volume(array, geometry), preparation)[1]


def smooth(placement: Placement, n_outputs: int, seed: int = 3) -> np.ndarray:
    """Logits (K, *prepared) that vary over a few pixels."""
    noise = np.random.default_rng(seed).normal(size=(n_outputs, *placement.prepared_shape)).astype(np.float32)
    rank = len(placement.prepared_shape)
    return 12 * rank * ndimage.gaussian_filter(noise, (0, *[2] * rank))


def all_at_once(logits: np.ndarray, placement: Placement, regions: bool) -> np.ndarray:
    """As nnU-Net: every output resampled, then decided."""
    every = resample(logits, placement.cropped_shape, 1, separate_axis=placement.axis_back())
    decided = every.argmax(axis=0)
    if regions:
        decided[:] = 0
        for index, channel in enumerate(every):
            decided[channel > 0] = index + 1
    whole = np.zeros(placement.turned_shape, np.int64)
    whole[placement.box] = decided
    return placement.turn_back(whole)


def decide(logits: np.ndarray, placement: Placement, axis: int, thickness: int, **options: object) -> np.ndarray:
    """Fed with blocks of planes, whose memory is used again by the next one."""
    decision = Decision(placement, axis, options.pop("n_outputs", len(logits)), **options)
    shared = torch.empty(0)
    for block in torch.from_numpy(logits).split(thickness, dim=1 + axis):
        shared.fill_(float("nan"))
        shared = block.clone()
        decision.add(shared)
    return decision.winners()


@pytest.mark.parametrize(("shape", "spacing", "new"), GRIDS)
@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("thickness", [1, 5, 1000])
def test_block_by_block_equals_all_at_once(
    shape: tuple[int, ...], spacing: tuple[float, ...], new: tuple[float, ...], regions: bool, thickness: int
) -> None:
    placement = placed(shape, spacing, new)
    logits = smooth(placement, 12)
    expected = all_at_once(logits, placement, regions)
    assert len(np.unique(expected)) > 5
    for axis in range(len(shape)):
        found = decide(logits, placement, axis, thickness, regions=regions)
        assert found.shape == shape
        assert (found != expected).mean() < 1e-4  # pixels where two outputs tie to the last bit
        assert not found[0].any() and not found[-1].any()


def test_it_turns_back() -> None:
    placement = placed((9, 14, 11), (1.0, 2.0, 1.5), (1.3, 1.3, 1.3), turned=True)
    logits = smooth(placement, 4)
    expected = all_at_once(logits, placement, False)
    for axis in range(3):
        assert (decide(logits, placement, axis, 3, regions=False) == expected).all()


def test_float16_decides_as_float32_but_for_near_ties() -> None:
    placement = placed((20, 25, 30), (1.0, 1.0, 1.0), (1.7, 1.4, 1.3))
    logits = smooth(placement, 6)
    found = decide(logits.astype(np.float16), placement, 0, 4, regions=False)
    assert 0 < (found != all_at_once(logits, placement, False)).mean() < 2e-3


def test_ties_go_to_the_smallest_index_and_regions_paint_over() -> None:
    preparation = Preparation(
        canonical_orientation=False,
        transpose=(0, 1),
        crop_to_nonzero=False,
        spacing_mm=None,
        normalization=(Normalization(scheme="none"),),
    )
    placement = prepare_image(Volume(np.ones((1, 1, 3), np.float32), Geometry.plain(2, None)), preparation)[1]
    logits = np.array([[[-1.0, 0.0, 1.0]], [[0.0, 0.0, 2.0]], [[0.0, -1.0, 0.5]]], dtype=np.float32)
    assert decide(logits, placement, 1, 2, regions=False).tolist() == [[1, 0, 1]]
    assert decide(logits, placement, 1, 2, regions=True).tolist() == [[0, 0, 3]]


@pytest.mark.parametrize("regions", [False, True])
def test_probabilities_and_disagreement_come_along(regions: bool) -> None:
    placement = placed((12, 14, 16), (1.0, 1.0, 2.0), (1.4, 1.4, 1.4))
    channels = smooth(placement, 4)
    probabilities, disagreement = np.full((3, 12, 14, 16), 9, np.float16), np.full((12, 14, 16), 9, np.float32)
    options = {"regions": regions, "probabilities": probabilities, "disagreement": disagreement, "n_outputs": 3}
    found = decide(channels, placement, 2, 3, **options)
    assert (found == all_at_once(channels[:3], placement, regions)).all()
    every = torch.from_numpy(resample(channels, placement.cropped_shape, 1))
    expected = every[:3].sigmoid() if regions else every[:3].softmax(0)
    inside = (slice(1, -1),) * 3
    np.testing.assert_allclose(probabilities[(slice(None), *inside)], expected, atol=1e-3)
    np.testing.assert_allclose(disagreement[inside], every[3], atol=1e-5)
    assert probabilities[:, 0, 0, 0].tolist() == ([0, 0, 0] if regions else [1, 0, 0])
    assert disagreement[0].max() == 0


@pytest.mark.parametrize("regions", [False, True])
def test_a_temperature_changes_probabilities_and_no_label(regions: bool) -> None:
    placement = placed((12, 14, 16), (1.0, 1.0, 2.0), (1.4, 1.4, 1.4))
    logits = smooth(placement, 3)
    probabilities = np.zeros((3, 12, 14, 16), np.float16)
    options = {"regions": regions, "probabilities": probabilities, "temperature": 2.5, "n_outputs": 3}
    found = decide(logits, placement, 2, 3, **options)
    assert (found == all_at_once(logits, placement, regions)).all()
    every = torch.from_numpy(resample(logits, placement.cropped_shape, 1)) / 2.5
    expected = every.sigmoid() if regions else every.softmax(0)
    np.testing.assert_allclose(probabilities[(slice(None), *(slice(1, -1),) * 3)], expected, atol=1e-3)
    with pytest.raises(ValueError, match="above 0"):
        Decision(placement, 2, 3, regions=regions, temperature=0)


def test_missing_planes_are_noticed() -> None:
    placement = placed((20, 25, 30), (1.0, 1.0, 1.0), (1.7, 1.4, 1.3))
    decision = Decision(placement, 0, 3, regions=False)
    decision.add(torch.zeros((3, 2, *placement.prepared_shape[1:])))
    with pytest.raises(ValueError, match="2 of 11 planes"):
        decision.winners()


def test_memory_does_not_grow_with_the_outputs() -> None:
    placement = placed((62, 82, 82), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    noise = np.random.default_rng(5).normal(size=(50, *placement.prepared_shape)).astype(np.float32)
    decision = Decision(placement, 0, 50, regions=False)  # noise: every output wins everywhere, the worst case
    tracemalloc.start()
    for block in torch.from_numpy(noise).split(8, dim=1):
        decision.add(block)
    decision.winners()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 62 * 82 * 82  # all outputs at once would take 200 bytes a pixel
