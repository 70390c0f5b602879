"""Predictions with an engine whose answer is known: small pictures, the plan for them, and a network that finds bright pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from autoseg.inference.case import Job
from autoseg.inference.networks import OneEngine
from autoseg.records import (
    Configuration,
    InferenceSpec,
    NetworkSpec,
    Normalization,
    Plan,
    Predictions,
    Preparation,
    Structure,
    TrainingSpec,
)
from autoseg.stages.plan.augmentation import augmentation_for
from autoseg.stages.predict import PredictionInput, Settings, find_inputs, predict_cases

MEASURING = 1  # tile that tells, before the first image, what memory a tile takes


class Threshold:
    """Finds pixels above one half (channel 0): logits (0.5 - x, x - 0.5). Counts its calls."""

    name = "threshold"
    device = torch.device("cpu")
    n_folds = 1

    def __init__(self, weights: str = "a" * 64):
        self.weights = (weights,)
        self.tiles = 0

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        self.tiles += len(tiles)
        yield torch.cat([0.5 - tiles[:, :1], tiles[:, :1] - 0.5], dim=1)

    def buffer_device(self, n_bytes: int) -> torch.device:
        return self.device


def plan_of(rank: int, spacing: tuple[float, ...] | None = None, channels: tuple[str, ...] = ("US",)) -> Plan:
    preparation = Preparation(
        canonical_orientation=rank == 3,
        transpose=tuple(range(rank)),
        crop_to_nonzero=False,
        spacing_mm=spacing,
        normalization=(Normalization(scheme="none"),) * len(channels),
        image_order=1,
    )
    patch = (16,) * rank
    configuration = Configuration(
        name=f"{rank}d",
        preparation=preparation,
        network=NetworkSpec(
            rank=rank,
            in_channels=len(channels),
            out_channels=2,
            features=(4, 8),
            strides=((1,) * rank, (2,) * rank),
            kernel_sizes=((3,) * rank,) * 2,
            encoder_blocks=(2,) * 2,
            decoder_convs=(2,) * 1,
        ),
        training=TrainingSpec(
            patch_size=patch, batch_size=2, epochs=1, steps_per_epoch=1, validation_steps=1, batch_dice=False, mirror_axes=()
        ),
        augmentation=augmentation_for("default", (8, 8)),
        inference=InferenceSpec(mirror_axes=(), tile_batch_size=4),
        median_shape=patch,
    )
    return Plan(
        preset="default",
        device="cpu",
        rank=rank,
        channels=channels,
        targets=(Structure(name="Head", values=(1,), output_value=7),),
        derived=(Structure(name="All", values=(1,), output_value=0),),
        regions=False,
        ignore_value=None,
        dataset_digest="0",
        default=configuration.name,
        configurations={configuration.name: configuration},
    )


def predict(
    source: Path | list[PredictionInput], out: Path, plan: Plan, engine: Threshold | None = None, **options: object
) -> Predictions:
    inputs = find_inputs(source, plan.channels) if isinstance(source, Path) else source
    configuration = plan.configurations[plan.default]
    of_job = {name: options.pop(name) for name in [*options] if name in {field.name for field in fields(Job)}}
    if "save" in of_job:
        of_job["save"] = frozenset(of_job["save"])  # type: ignore[call-overload]
    options = {"engine" if name == "engine_wanted" else name: value for name, value in options.items()}
    of_settings = {name: options.pop(name) for name in [*options] if name in {field.name for field in fields(Settings)}}
    job = Job(plan, configuration, **of_job)  # type: ignore[arg-type]
    settings = Settings(**{"run": "run-1", **of_settings})  # type: ignore[arg-type]
    networks = engine if hasattr(engine, "begin") else OneEngine(engine or Threshold())
    return predict_cases(inputs, out, job, networks, folds=options.pop("folds", ("0",)), settings=settings, **options)  # type: ignore[arg-type]


def save_picture(path: Path, top: int, shape: tuple[int, int] = (40, 30)) -> np.ndarray:
    """A grey picture 0/1 with ones from row `top` to `top + 9` and columns 10 to 19; 100 pixels."""
    array = np.zeros(shape, np.uint8)
    array[top : top + 10, 10:20] = 1
    Image.fromarray(array).save(path)
    return array


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def by_id(predictions: Predictions) -> dict[str, str]:
    return {case.id: case.status for case in predictions.cases}
