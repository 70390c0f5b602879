"""Runs with networks that were never trained, made in a moment."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from autoseg.engines.weights import file_sha256
from autoseg.networks.unet import build_network
from autoseg.records import Dataset, Model, TrainedFold, ValueEncoding
from autoseg.run_folder import RunFolder
from tests.stages.predicting import plan_of


def run_of(
    root: Path, *, rank: int, spacing: tuple[float, ...] | None = None, channels: tuple[str, ...] = ("US",), folds: int = 1
) -> Path:
    """A run that can predict: every fold finds about half of the pixels."""
    plan = plan_of(rank, spacing, channels)
    dataset = Dataset(
        name="noise",
        root=str(root),
        layout="folders",
        rank=rank,
        channels=channels,
        targets=plan.targets,
        derived=plan.derived,
        regions=plan.regions,
        ignore_value=None,
        encodings={"values": ValueEncoding(values={0: 0, 7: 1})},
        cases=(),
        notes=(),
    )
    plan = plan.model_copy(update={"dataset_digest": dataset.digest()})
    configuration = plan.configurations[plan.default]
    folder, trained = RunFolder(root), []
    for fold in range(folds):
        torch.manual_seed(fold)
        network = build_network(configuration.network)
        path = folder.fold(configuration.name, str(fold)) / "weights-final.safetensors"
        path.parent.mkdir(parents=True)
        save_file(network.state_dict(), path)
        trained.append(TrainedFold(fold=str(fold), weights=path.relative_to(root).as_posix(), sha256=file_sha256(path)))
    folder.save(dataset, plan, Model.of(plan, {configuration.name: tuple(trained)}))
    return root
