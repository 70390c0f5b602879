"""Augmentation keeps image and label together, leaves the outside of the body at zero, and treats each sample by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from autoseg.learning.augmentation import Augmentation, Batch, Drawn, SampleDraw
from autoseg.records import AugmentationSpec, Normalization
from autoseg.stages.plan.augmentation import augmentation_for
from tests.learning.augmentation.specs import only
from tests.learning.cases import small_configuration

CPU = torch.device("cpu")
PATCHES = [(64, 64), (24, 32, 32), (8, 40, 40)]


def augmentation(spec: AugmentationSpec, patch: tuple[int, ...], **options: object) -> Augmentation:
    return Augmentation(spec, patch, tuple(range(len(patch))), **({"channels": 1} | options))


def blob(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright box of label 1, off the centre."""
    labels = torch.zeros((1, *shape), dtype=torch.int8)
    labels[(0, *(slice(n // 2, n // 2 + n // 4 + 1) for n in shape))] = 1
    return labels.half() * 10, labels


def batch_of(transform: Augmentation, draws: list[SampleDraw], device: torch.device = CPU) -> Batch:
    images, labels = zip(*(blob(draw.read_size) for draw in draws), strict=True)
    return transform.apply(Drawn(images, labels, tuple(draws), ("",) * len(draws)), device)


@pytest.mark.parametrize("backend", ["torch", "batchgeneratorsv2"])
@pytest.mark.parametrize("preset", ["default", "heavy"])
@pytest.mark.parametrize("patch", PATCHES)
def test_label_follows_the_image(patch: tuple[int, ...], preset: str, backend: str, device: str) -> None:
    spec = augmentation_for(preset, patch).model_copy(update={"backend": backend})
    transform = augmentation(spec, patch)
    rng = np.random.default_rng(0)
    draws = [transform.draw(rng) for _ in range(20)]
    assert any(draw.read_size != patch for draw in draws)
    batch = batch_of(transform, draws, torch.device(device))
    assert batch.images.shape == batch.labels.shape == (20, 1, *patch)
    assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int16)
    for image, labels in zip(batch.images, batch.labels, strict=True):
        assert image[labels == 1].mean() > image[labels == 0].mean() + 3, "the bright box is where its label is"


@pytest.mark.parametrize("backend", ["torch", "batchgeneratorsv2"])
def test_further_planes_follow_too(backend: str) -> None:
    """Plane 1 repeats the labels with values of its own."""
    patch = (24, 32, 32)
    transform = augmentation(augmentation_for("heavy", patch).model_copy(update={"backend": backend}), patch)
    rng = np.random.default_rng(1)
    for _ in range(10):
        draw = transform.draw(rng)
        image, labels = blob(draw.read_size)
        batch = transform.apply(Drawn((image,), (torch.cat([labels, labels * 7]),), (draw,), ("",)), CPU)
        assert torch.equal(batch.labels[0, 1], batch.labels[0, 0] * 7)


@pytest.mark.parametrize("patch", PATCHES)
def test_unvaried_patches_stay_as_they_are(patch: tuple[int, ...]) -> None:
    for spec, draw in (
        (augmentation_for("default", patch), lambda transform: SampleDraw(patch)),
        (augmentation_for("none", patch), lambda transform: transform.draw(np.random.default_rng(0))),
    ):
        transform = augmentation(spec, patch)
        batch = batch_of(transform, [draw(transform)] * 2)
        image, labels = blob(patch)
        assert torch.equal(batch.images[1], image.float()) and torch.equal(batch.labels[0], labels.short())


@pytest.mark.parametrize("patch", PATCHES)
def test_mirroring(patch: tuple[int, ...]) -> None:
    transform = augmentation(only("mirroring", patch_size=patch), patch)
    draw = transform.draw(np.random.default_rng(0))
    assert draw.mirrored == tuple(range(len(patch))) and draw.read_size == patch
    batch = batch_of(transform, [draw])
    axes = [axis + 1 for axis in draw.mirrored]
    image, labels = blob(patch)
    assert torch.equal(batch.images[0], image.float().flip(axes)) and torch.equal(batch.labels[0], labels.short().flip(axes))


def test_a_sample_does_not_depend_on_its_batch(device: str) -> None:
    patch = (24, 32, 32)
    transform = augmentation(augmentation_for("heavy", patch), patch)
    draws = [transform.draw(np.random.default_rng(seed)) for seed in range(6)]
    whole = batch_of(transform, draws, torch.device(device))
    for index, draw in enumerate(draws):
        alone = batch_of(transform, [draw], torch.device(device))
        torch.testing.assert_close(alone.images[0], whole.images[index], atol=1e-5, rtol=1e-5)
        assert torch.equal(alone.labels[0], whole.labels[index])
        if device == "cpu":
            assert torch.equal(alone.images[0], whole.images[index])


def test_what_was_read_is_not_written_into() -> None:
    patch = (32, 32)
    transform = augmentation(only("noise", "blur", "gamma", "brightness"), patch)
    image = torch.rand(1, *patch)
    before = image.clone()
    transform.apply(
        Drawn((image,), (torch.zeros(1, *patch, dtype=torch.int8),), (transform.draw(np.random.default_rng(0)),), ("",)), CPU
    )
    assert torch.equal(image, before)


@pytest.mark.parametrize("backend", ["torch", "batchgeneratorsv2"])
@pytest.mark.parametrize("parts", [("noise", "gamma", "brightness"), ("rotation", "noise", "gamma")])
def test_the_outside_of_the_body_stays_zero(backend: str, parts: tuple[str, ...]) -> None:
    spec = only(*parts, patch_size=(32, 32)).model_copy(update={"backend": backend})
    transform = augmentation(spec, (32, 32), masked_channels=(1,), channels=2)
    for seed in range(10):
        draw = transform.draw(np.random.default_rng(seed))
        image = torch.randn(2, *draw.read_size, generator=torch.Generator().manual_seed(seed)) + 5
        body = tuple(slice(n // 2 - 8, n // 2 + 8) for n in draw.read_size)
        masked = torch.zeros(draw.read_size)
        masked[body] = image[1][body]
        image[1] = masked
        labels = (masked != 0).to(torch.int8)[None]
        batch = transform.apply(Drawn((image,), (labels,), (draw,), ("",)), CPU)
        assert batch.labels.shape == (1, 1, 32, 32)
        assert batch.images[0, 1][batch.labels[0, 0] == 0].abs().max() == 0
        assert batch.images[0, 1][batch.labels[0, 0] == 1].abs().min() > 0
        assert batch.images[0, 0][batch.labels[0, 0] == 0].abs().max() > 0, "other channels keep their values"


def test_random_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    for backend in ("torch", "batchgeneratorsv2"):
        transform = augmentation(augmentation_for("heavy", (32, 32)).model_copy(update={"backend": backend}), (32, 32))
        rng = np.random.default_rng(0)
        batch_of(transform, [transform.draw(rng) for _ in range(5)])
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.random.get_rng_state())


def test_of_a_configuration() -> None:
    configuration = small_configuration()
    masked = configuration.preparation.model_copy(
        update={"normalization": (Normalization(scheme="zscore"), Normalization(scheme="zscore", use_mask=True))}
    )
    transform = Augmentation.of(configuration.model_copy(update={"preparation": masked}))
    assert (transform.channels, transform.masked_channels, transform.mirror_axes) == (2, (1,), (0, 1))
    assert transform.spec == configuration.augmentation and transform.patch_size == (32, 32)


def test_samples_in_one_piece_of_memory() -> None:
    draw = SampleDraw((2, 2))
    images = (torch.ones(1, 2, 2).half(), torch.full((1, 3, 3), 2.0))
    labels = tuple(torch.zeros(image.shape, dtype=torch.int8) for image in images)
    packed = Drawn(images, labels, (draw, draw), ("a", "b")).packed()
    assert [image.shape for image in packed.images] == [(1, 2, 2), (1, 3, 3)]
    assert packed.images[0].dtype == torch.float32, "one of them needs it"
    assert torch.equal(packed.images[1], images[1]) and torch.equal(packed.images[0], images[0].float())
    assert packed.labels[0].untyped_storage().data_ptr() == packed.labels[1].untyped_storage().data_ptr()
    assert replace(packed).cases == ("a", "b")
