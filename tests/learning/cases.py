"""Prepared cases held in memory, for tests of training: a bright square on noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from autoseg.records import Configuration, InferenceSpec, NetworkSpec, Normalization, Plan, Preparation, Structure, TrainingSpec
from autoseg.stages.plan.augmentation import augmentation_for


@dataclass(eq=False)
class MemoryCase:
    """What the sampler reads of a prepared case."""

    image: np.ndarray
    labels: np.ndarray
    id: str = "case"
    locations: dict[int, np.ndarray] = field(init=False)
    previous: np.ndarray | None = None  # a first stage's mask

    def __post_init__(self) -> None:
        self.locations = {int(v): np.argwhere(self.labels == v).astype(np.int32) for v in np.unique(self.labels) if v}

    @property
    def shape(self) -> tuple[int, ...]:
        return self.labels.shape

    @property
    def channels(self) -> int:
        return len(self.image)

    def read(self, slices: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray]:
        labels = self.labels[slices] if self.previous is None else np.stack([self.labels[slices], self.previous[slices]])
        return self.image[(slice(None), *slices)], labels


def square_case(seed: int, shape: tuple[int, ...] = (40, 48), side: int = 12) -> MemoryCase:
    """A square (cube) of ones in noise of sigma 0.3, somewhere."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 0.3, (1, *shape)).astype(np.float32)
    labels = np.zeros(shape, np.int16)
    place = tuple(slice(start, start + side) for start in (int(rng.integers(0, n - side)) for n in shape))
    labels[place] = 1
    image[0][place] += 1
    return MemoryCase(image, labels)


def small_configuration(
    *,
    epochs: int = 3,
    steps: int = 4,
    patch: tuple[int, ...] = (32, 32),
    out_channels: int = 2,
    augmentation: str = "default",
    memory_format: str = "contiguous",  # to find out which one is quicker takes time, and may come out either way
    slice_axis: int | None = None,
) -> Configuration:
    """A two-stage network on small patches."""
    rank = len(patch)
    return Configuration(
        name="2d" if rank == 2 else "3d_fullres",
        slice_axis=slice_axis,
        preparation=Preparation(
            canonical_orientation=False,
            transpose=tuple(range(rank)),
            crop_to_nonzero=True,
            spacing_mm=None,
            normalization=(Normalization(scheme="zscore"),),
        ),
        network=NetworkSpec(
            rank=rank,
            in_channels=1,
            out_channels=out_channels,
            features=(4, 8, 8),
            strides=((1,) * rank, (2,) * rank, (2,) * rank),
            kernel_sizes=((3,) * rank,) * 3,
            encoder_blocks=(2,) * 3,
            decoder_convs=(2,) * 2,
        ),
        training=TrainingSpec(
            patch_size=patch,
            batch_size=3,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_steps=2,
            batch_dice=True,
            mirror_axes=tuple(range(rank)),
            memory_format=memory_format,
            seed=7,
        ),
        augmentation=augmentation_for(augmentation, patch),
        inference=InferenceSpec(mirror_axes=()),
        median_shape=patch,
    )


def small_plan(configuration: Configuration, *, regions: bool = False, ignore_value: int | None = None) -> Plan:
    """A plan around one configuration, with one target (or two nested regions)."""
    targets = (Structure(name="square", values=(1,), output_value=1),)
    if regions:
        targets = (Structure(name="whole", values=(1, 2), output_value=1), Structure(name="core", values=(2,), output_value=2))
    return Plan(
        preset="default",
        device="cpu",
        rank=configuration.network.rank,
        channels=("image",),
        targets=targets,
        derived=(),
        regions=regions,
        ignore_value=ignore_value,
        dataset_digest="0",
        default=configuration.name,
        configurations={configuration.name: configuration},
    )
