"""The sliding window against answers known beforehand, and against MONAI's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from autoseg.engines import Engine
from autoseg.inference import sliding as sliding_module
from autoseg.inference import sweep
from autoseg.inference.sliding import Sliding
from autoseg.inference.tiling import gaussian_window
from autoseg.records import InferenceSpec

EngineOf = Callable[..., Engine]

PLAIN = InferenceSpec(mirror_axes=(), tile_batch_size=3)
MIRRORED = InferenceSpec(mirror_axes=(0, 1), tile_batch_size=3)


def identity(x: torch.Tensor) -> torch.Tensor:
    return x


def slide(array: np.ndarray, engine: Engine, sliding: Sliding, **options: object) -> np.ndarray:
    """All blocks put together, each copied before the next is asked for."""
    blocks = [block.numpy().copy() for block in sliding.blocks(array, engine, **options)]
    return np.concatenate(blocks, axis=1 + sliding.grid(array.shape[1:]).axis)


@pytest.mark.parametrize("shape", [(50, 41), (10, 90), (16, 16), (7, 5)])
def test_identity_network_reproduces_the_image(engine_of: EngineOf, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    logits = slide(image, engine_of(identity), Sliding((16, 24), MIRRORED, n_outputs=2))
    assert logits.shape == image.shape and logits.dtype == np.float32
    np.testing.assert_allclose(logits, image, atol=1e-5)


def test_constant_network_gives_constant_logits(engine_of: EngineOf) -> None:
    def constant(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, np.log(3.0)], dtype=torch.float32).reshape(1, 2, 1, 1, 1).expand(len(x), 2, *x.shape[2:])

    spec = InferenceSpec(mirror_axes=(0, 1, 2), tile_batch_size=2)
    image = np.zeros((1, 20, 9, 30), np.float32)
    logits = slide(image, engine_of(constant), Sliding((8, 8, 16), spec, n_outputs=2))
    assert logits.shape == (2, 20, 9, 30)
    np.testing.assert_allclose(logits[0], 0, atol=1e-6)
    np.testing.assert_allclose(logits[1], np.log(3), atol=1e-6)


def test_folds_are_averaged_as_logits(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: x + 1, lambda x: x + 5)
    logits = slide(np.zeros((1, 8, 8), np.float32), engine, Sliding((8, 8), PLAIN, n_outputs=1))
    np.testing.assert_allclose(logits, 3, atol=1e-6)


def test_mirrored_copies_of_one_patch_are_batched(engine_of: EngineOf) -> None:
    engine = engine_of(identity)
    slide(np.zeros((1, 8, 8), np.float32), engine, Sliding((8, 8), MIRRORED, n_outputs=1))
    assert engine.batches == [3, 1]


def test_tiles_are_batched_and_reported(engine_of: EngineOf) -> None:
    engine, told = engine_of(identity), []
    image = np.random.default_rng(0).normal(size=(1, 16, 8)).astype(np.float32)
    slide(image, engine, Sliding((4, 8), PLAIN, n_outputs=1), on_tile=lambda done, total: told.append((done, total)))
    # (16 - 4) / 2 + 1 = 7 tiles, in batches of 3
    assert engine.batches == [3, 3, 1]
    assert told == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_network_over_slices_equals_slice_by_slice(engine_of: EngineOf, axis: int) -> None:
    network = nn.Conv2d(1, 2, 3, padding=1).eval()
    image = np.random.default_rng(1).normal(size=(1, 6, 7, 9)).astype(np.float32)
    engine, plane = engine_of(network), Sliding((4, 4), MIRRORED, n_outputs=2)
    volume = slide(image, engine, replace(plane, slice_axis=axis))
    assert volume.shape == (2, 6, 7, 9)
    slices = [slide(np.take(image, i, axis + 1), engine, plane) for i in range(image.shape[axis + 1])]
    np.testing.assert_allclose(volume, np.stack(slices, axis + 1), atol=1e-6)


def test_agrees_with_monai_where_positions_coincide(engine_of: EngineOf) -> None:
    """96 pixels, patch 64, half steps: both put tiles at 0 and 32; MONAI is given our weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2)).eval()
    image = np.random.default_rng(2).normal(size=(1, 96, 96)).astype(np.float32)
    weight = torch.from_numpy(np.multiply.outer(gaussian_window(64), gaussian_window(64)))
    with torch.no_grad():
        expected = sliding_window_inference(
            torch.from_numpy(image)[None], (64, 64), 2, network, overlap=0.5, roi_weight_map=weight
        )
        logits = slide(image, engine_of(network), Sliding((64, 64), PLAIN, n_outputs=3))
    np.testing.assert_allclose(logits, expected[0].numpy(), atol=1e-5)


def test_not_a_number_is_refused(engine_of: EngineOf) -> None:
    engine = engine_of(lambda x: x * float("nan"))
    with pytest.raises(FloatingPointError, match="NaN"):
        slide(np.zeros((1, 8, 8), np.float32), engine, Sliding((8, 8), PLAIN, n_outputs=1))


def test_rank_and_outputs_must_fit(engine_of: EngineOf) -> None:
    image = np.zeros((1, 8, 8, 8), np.float32)
    with pytest.raises(ValueError, match="does not fit a patch"):
        slide(image, engine_of(identity), Sliding((8, 8), PLAIN, n_outputs=1))
    with pytest.raises(ValueError, match="1 outputs, 2 were expected"):
        slide(image[:, 0], engine_of(identity), Sliding((8, 8), PLAIN, n_outputs=2))


@pytest.mark.parametrize("patch", [(8, 6, 8), (4, 6, 14), (20, 4, 4)])
def test_a_band_of_float16_sums_what_a_float32_one_does(
    engine_of: EngineOf, patch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(4).normal(size=(1, 20, 15, 13)).astype(np.float32)
    torch.manual_seed(0)
    engine, sliding = engine_of(nn.Conv3d(1, 2, 3, padding=1).eval()), Sliding(patch, PLAIN, n_outputs=2)
    exact = slide(image, engine, sliding)
    assert exact.shape == (2, 20, 15, 13) and exact.dtype == np.float32
    band = sliding.band_bytes(image.shape[1:])
    monkeypatch.setattr(sweep, "FLOAT32_BYTES", 0)
    assert sliding.band_bytes(image.shape[1:]) == band // 2
    rough = slide(image, engine, sliding)
    assert rough.dtype == np.float16
    np.testing.assert_allclose(rough, exact, atol=4e-3)


def test_the_band_holds_one_patch_of_planes_however_long_the_image() -> None:
    sliding = Sliding((8, 8, 8), PLAIN, n_outputs=3)
    assert sliding.band_bytes((10, 12, 100)) == sliding.band_bytes((10, 12, 10000)) == 4 * 3 * 10 * 12 * 8
    assert sliding.band_bytes((8, 8, 8)) == 0


def test_constant_tiles_are_computed_once(engine_of: EngineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((1, 8, 64), -1.5, np.float32)
    image[:, :, 40:44] = np.random.default_rng(0).normal(size=(4,))
    image[0, 3, 2] *= 1 + 1e-7  # what resampling leaves of a constant
    torch.manual_seed(0)
    network = nn.Conv2d(1, 2, 3, padding=1).eval()
    one = InferenceSpec(mirror_axes=(), tile_batch_size=1)
    engine = engine_of(network)
    found = slide(image, engine, Sliding((8, 8), one, n_outputs=2))
    assert len(engine.batches) == 1 + 2  # tiles at 0, 4, 8, ...: those at 36 and 40 show the stripe
    monkeypatch.setattr(sliding_module, "KEPT_BYTES", 0)
    np.testing.assert_allclose(slide(image, engine, Sliding((8, 8), one, n_outputs=2)), found, atol=1e-6)
    assert len(engine.batches) == 3 + 15
