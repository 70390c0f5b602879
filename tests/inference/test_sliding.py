"""The sliding window against answers known beforehand, and against MONAI's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from autoseg.engines import Engine
from autoseg.inference.sliding import predict_scores
from autoseg.inference.tiling import gaussian_window
from autoseg.records import InferenceSpec

EngineOf = Callable[..., Engine]

PLAIN = InferenceSpec(mirror_axes=(), tile_batch_size=3)
MIRRORED = InferenceSpec(mirror_axes=(0, 1), tile_batch_size=3)


def identity(x: torch.Tensor) -> torch.Tensor:
    return x


def logit(probability: np.ndarray) -> np.ndarray:
    return np.log(probability / (1 - probability))


@pytest.mark.parametrize("shape", [(50, 41), (10, 90), (16, 16), (7, 5)])
def test_identity_network_reproduces_the_image(engine_of: EngineOf, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    scores = predict_scores(image, engine_of(identity), patch_size=(16, 24), inference=MIRRORED, n_outputs=2, regions=True)
    assert scores.shape == image.shape and scores.dtype == np.float32
    np.testing.assert_allclose(logit(scores.astype(float)), image, atol=1e-4)


def test_constant_network_gives_constant_softmax(engine_of: EngineOf) -> None:
    def constant(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, np.log(3.0)], dtype=torch.float32).reshape(1, 2, 1, 1, 1).expand(len(x), 2, *x.shape[2:])

    spec = InferenceSpec(mirror_axes=(0, 1, 2), tile_batch_size=2)
    image = np.zeros((1, 20, 9, 30), np.float32)
    scores = predict_scores(image, engine_of(constant), patch_size=(8, 8, 16), inference=spec, n_outputs=2, regions=False)
    np.testing.assert_allclose(scores[0], 0.25, atol=1e-6)
    np.testing.assert_allclose(scores[1], 0.75, atol=1e-6)


def test_folds_are_averaged_as_logits(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: x + 1, lambda x: x + 5)
    image = np.zeros((1, 8, 8), np.float32)
    scores = predict_scores(image, engine, patch_size=(8, 8), inference=PLAIN, n_outputs=1, regions=True)
    np.testing.assert_allclose(logit(scores.astype(float)), 3, atol=1e-5)


def test_image_in_one_patch_is_one_forward_pass_per_mirror(engine_of: EngineOf) -> None:
    engine = engine_of(identity)
    predict_scores(np.zeros((1, 8, 8), np.float32), engine, patch_size=(8, 8), inference=MIRRORED, n_outputs=1, regions=True)
    assert engine.batches == [1, 1, 1, 1]


def test_tiles_are_batched_and_reported(engine_of: EngineOf) -> None:
    engine, told = engine_of(identity), []
    predict_scores(
        np.zeros((1, 16, 8), np.float32),
        engine,
        patch_size=(4, 8),
        inference=PLAIN,
        n_outputs=1,
        regions=True,
        on_tile=lambda done, total: told.append((done, total)),
    )  # (16 - 4) / 2 + 1 = 7 tiles, in batches of 3
    assert engine.batches == [3, 3, 1]
    assert told == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_network_over_slices_equals_slice_by_slice(engine_of: EngineOf, axis: int) -> None:
    network = nn.Conv2d(1, 2, 3, padding=1).eval()
    image = np.random.default_rng(1).normal(size=(1, 6, 7, 9)).astype(np.float32)
    arguments = {"patch_size": (4, 4), "inference": MIRRORED, "n_outputs": 2, "regions": False}
    engine = engine_of(network)
    volume = predict_scores(image, engine, slice_axis=axis, **arguments)
    assert volume.shape == (2, 6, 7, 9)
    slices = [predict_scores(np.take(image, i, axis + 1), engine, **arguments) for i in range(image.shape[axis + 1])]
    np.testing.assert_allclose(volume, np.stack(slices, axis + 1), atol=1e-6)


def test_agrees_with_monai_where_positions_coincide(engine_of: EngineOf) -> None:
    """96 pixels, patch 64, half steps: both put tiles at 0 and 32; MONAI is given our weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2)).eval()
    image = np.random.default_rng(2).normal(size=(1, 96, 96)).astype(np.float32)
    weight = torch.from_numpy(np.multiply.outer(gaussian_window(64), gaussian_window(64)))
    with torch.no_grad():
        logits = sliding_window_inference(torch.from_numpy(image)[None], (64, 64), 2, network, overlap=0.5, roi_weight_map=weight)
    scores = predict_scores(image, engine_of(network), patch_size=(64, 64), inference=PLAIN, n_outputs=3, regions=False)
    np.testing.assert_allclose(scores, torch.softmax(logits, 1)[0].numpy(), atol=1e-5)


def test_not_a_number_is_refused(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: x * float("nan"))
    with pytest.raises(FloatingPointError, match="NaN"):
        predict_scores(np.zeros((1, 8, 8), np.float32), engine, patch_size=(8, 8), inference=PLAIN, n_outputs=1, regions=True)


def test_rank_and_outputs_must_fit(engine_of: EngineOf) -> None:
    image = np.zeros((1, 8, 8, 8), np.float32)
    with pytest.raises(ValueError, match="does not fit a patch"):
        predict_scores(image, engine_of(identity), patch_size=(8, 8), inference=PLAIN, n_outputs=1, regions=True)
    with pytest.raises(ValueError, match="1 outputs, 2 were expected"):
        predict_scores(image[:, 0], engine_of(identity), patch_size=(8, 8), inference=PLAIN, n_outputs=2, regions=False)
