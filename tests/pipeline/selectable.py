"""A run whose folds were never trained, with cases, labels and folds, so that all that follows training can be tried in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from autoseg.engines.weights import file_sha256
from autoseg.networks.unet import build_network
from autoseg.records import Case, CaseFacts, Configuration, Dataset, Fingerprint, Fold, Model, Splits, TrainedFold, ValueEncoding
from autoseg.run_folder import RunFolder
from tests.stages.predicting import plan_of

FOLDS = 3
PER_FOLD = 4
HELD_OUT = 3


def with_grid(configuration: Configuration, name: str, mm: float) -> Configuration:
    """The same network on another grid, with another window."""
    preparation = configuration.preparation.model_copy(update={"spacing_mm": (mm, mm)})
    training = configuration.training.model_copy(update={"patch_size": (24, 16)})
    return configuration.model_copy(update={"name": name, "preparation": preparation, "training": training})


def selectable_run(
    root: Path, *, configurations: tuple[str, ...] = ("2d",), trained: int = FOLDS, held_out: int = HELD_OUT
) -> Path:
    """Noisy pictures with a bright disc; the last `held_out` are in no fold. Every network finds about half of the pixels."""
    data, run = root / "data", root / "run"
    data.mkdir(parents=True)
    ids = [f"case{number:02d}" for number in range(FOLDS * PER_FOLD + held_out)]
    for number, id in enumerate(ids):
        save_disc(data, id, number)
    plan = plan_of(2, (0.5, 0.5))
    (first,) = plan.configurations.values()
    grids = {name: with_grid(first, name, 0.5 + 0.3 * place) for place, name in enumerate(configurations)}  # all differ
    plan = plan.model_copy(update={"configurations": grids, "default": configurations[0]})
    dataset = Dataset(
        name="discs",
        root=str(data),
        layout="folders",
        rank=2,
        channels=plan.channels,
        targets=plan.targets,
        derived=plan.derived,
        regions=False,
        encodings={"default": ValueEncoding(values={0: 0, 1: 1})},
        cases=tuple(
            Case(id=id, subject=f"s{number // 2}", images=(f"{id}.png",), label=f"{id}_label.png", spacing_mm=(0.5, 0.5))
            for number, id in enumerate(ids)
        ),
    )
    parts = [tuple(ids[PER_FOLD * fold : PER_FOLD * (fold + 1)]) for fold in range(FOLDS)]
    folds = tuple(
        Fold(train=tuple(id for other in parts if other is not part for id in other), validation=part) for part in parts
    )
    splits = Splits(rule="by hand", seed=None, folds=folds, held_out=tuple(ids[FOLDS * PER_FOLD :]))
    plan = plan.model_copy(update={"dataset_digest": dataset.digest()})
    folder = RunFolder(run)
    folds_of = {
        name: _networks(folder, plan.configurations[name], trained, 10 * place) for place, name in enumerate(configurations)
    }
    facts = tuple(
        CaseFacts(
            id=case.id,
            shape=(36, 40),
            spacing_mm=case.spacing_mm,
            orientation=None,
            shape_after_crop=(36, 40),
            structures={},
            intensities=None,
            content_hash=case.id,
        )
        for case in dataset.cases
    )
    fingerprint = Fingerprint(cases=facts, intensities=(), median_relative_size_after_crop=1.0)
    folder.save(dataset, fingerprint, splits, plan, Model.of(plan, folds_of))
    return run


def save_disc(folder: Path, id: str, number: int) -> None:
    y, x = np.ogrid[:36, :40]
    label = ((y - 18) ** 2 + (x - 14 - number % 6) ** 2 <= 81).astype(np.uint8)
    noise = np.random.default_rng(number).normal(0, 10, label.shape)
    Image.fromarray(np.clip(60 + 120 * label + noise, 0, 255).astype(np.uint8)).save(folder / f"{id}.png")
    Image.fromarray(label).save(folder / f"{id}_label.png")


def _networks(folder: RunFolder, configuration: Configuration, count: int, seed: int) -> tuple[TrainedFold, ...]:
    trained = []
    for fold in range(count):
        torch.manual_seed(seed + fold)
        path = folder.fold(configuration.name, str(fold)) / "weights-final.safetensors"
        path.parent.mkdir(parents=True)
        save_file(build_network(configuration.network).state_dict(), path)
        trained.append(TrainedFold(fold=str(fold), weights=path.relative_to(folder.root).as_posix(), sha256=file_sha256(path)))
    return tuple(trained)
