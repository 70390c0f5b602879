"""A trained nnU-Net v2 model on disk as a plan of ours: `plans.json`, `dataset.json` and `fold_*/checkpoint_final.pth`.

A model's folder is `DatasetXXX_Name/Trainer__Plans__configuration`, of which exports hold several. Which configuration a checkpoint
belongs to and along which axes it mirrors stands in the checkpoint alone; whoever can open one hands in a function that tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoseg.errors import DataError, Fault
from autoseg.layouts.json_part import JsonPart
from autoseg.layouts.nnunet_folders import (
    DATASET,
    PLANS,
    CheckpointFacts,
    CheckpointKind,
    ModelFolder,
    opened_folders,
    previous_stage,
    read_object,
    refuse_differing,
)
from autoseg.layouts.nnunet_labels import ModelLabels, read_channels, read_labels
from autoseg.layouts.nnunet_plans import ModelFrame, ReadConfiguration, read_configuration, read_rank, read_transpose
from autoseg.records import AugmentationSpec, Configuration, Dataset, Decision, Plan, Shape
from autoseg.records.plan_faults import plan_faults

PRESETS = {f"nnUNetResEncUNet{size}Plans": f"nnunet-resenc-{size.lower()}" for size in ("M", "L", "XL")}


@dataclass(frozen=True)
class TrainedFolder:
    """The folds of a configuration: name (`0`, `1`, ..., `full`) to checkpoint, and whether their convolutions have a bias."""

    folds: Mapping[str, Path]
    conv_bias: bool


@dataclass(frozen=True)
class NnunetModel:
    """A trained model: its plan, the data set that it was made for (without cases), and its checkpoints by configuration."""

    plan: Plan
    dataset: Dataset
    trained: Mapping[str, TrainedFolder]


def read_nnunet_model(
    source: Path,
    facts_of: Callable[[Path], CheckpointFacts],
    augmentation: Callable[[Shape], AugmentationSpec],
    *,
    checkpoint: CheckpointKind = "final",
) -> NnunetModel:
    """Read a model, without its weights.

    Args:
        source: a folder `Trainer__Plans__configuration`, or one that holds some of one trainer and plans; for a cascade its first
            stage is looked for inside `source`, and beside it.
        facts_of: reads a checkpoint.
        augmentation: what the plan is to say of augmentation, for a patch; nnU-Net's files do not tell.
        checkpoint: which of a fold's checkpoints to take.

    Returns:
        The configurations that are trained, the default one first: full resolution before the cascade before low resolution before 2D.

    Raises:
        DataError: there is no model, several that do not belong together, or a file with faults or with what we do not compute as
            nnU-Net does; all faults are listed, each with file and key.
        RecordError: a checkpoint cannot be read.
    """
    folders = opened_folders(source, facts_of, checkpoint)
    faults: list[Fault] = []
    first = folders[0]
    dataset = JsonPart(read_object(first.path / DATASET), DATASET, faults=faults)
    plans = JsonPart(read_object(first.path / PLANS), PLANS, faults=faults)
    refuse_differing(folders)
    plans.must_be("label_manager", plans.content.get("label_manager", "LabelManager"), ["LabelManager"],
                  "other ways to read labels are not supported here")  # fmt: skip
    rank, pictures = read_rank(plans)
    channels, labels = read_channels(dataset), read_labels(dataset)
    frame = ModelFrame(
        rank=rank,
        pictures=pictures,
        transpose=read_transpose(plans, rank),
        n_channels=len(channels),
        n_targets=len(labels.targets) if labels else 0,
        regions=labels is not None and labels.regions,
        plans=plans,
        augmentation=augmentation,
    )
    found = _configurations(folders, frame) if channels and labels else {}
    if faults or labels is None:
        raise DataError(dict.fromkeys(faults))
    record = _dataset(source, str(plans.content.get("dataset_name", source.name)), rank, channels, labels)
    plan = _plan(plans, record, {name: one.configuration for name, one in found.items()}, folders)
    trained = {
        folder.facts.configuration: TrainedFolder(folder.folds, found[folder.facts.configuration].conv_bias) for folder in folders
    }
    return NnunetModel(plan, record, trained)


def _configurations(folders: list[ModelFolder], frame: ModelFrame) -> dict[str, ReadConfiguration]:
    """All trained configurations; the faults of those that cannot be read are in the frame's plans."""
    takers = {previous: folder.facts.configuration for folder in folders if (previous := previous_stage(folder))}
    read = {
        name: read_configuration(name, frame, folder.facts.mirror_axes, takers.get(name))
        for folder in folders
        if (name := folder.facts.configuration)
    }
    return {name: one for name, one in read.items() if one is not None}


def _dataset(source: Path, name: str, rank: Literal[2, 3], channels: tuple[str, ...], labels: ModelLabels) -> Dataset:
    return Dataset(
        name=name,
        layout="nnunet",
        root=str(source),
        rank=rank,
        channels=channels,
        targets=labels.targets,
        regions=labels.regions,
        ignore_value=labels.ignore_value,
        encodings={"default": labels.encoding},
        cases=(),
        notes=("the cases stayed with nnU-Net, which trained the model", *labels.notes),
    )


def _plan(plans: JsonPart, dataset: Dataset, configurations: dict[str, Configuration], folders: list[ModelFolder]) -> Plan:
    """The plan's record.

    Raises:
        DataError: with all that does not go together in it.
    """
    name = str(plans.content.get("plans_name", "nnUNetPlans"))
    plan = Plan(
        preset=PRESETS.get(name, "nnunet"),
        device="cuda",
        rank=dataset.rank,
        channels=dataset.channels,
        targets=dataset.targets,
        derived=(),
        regions=dataset.regions,
        ignore_value=dataset.ignore_value,
        dataset_digest=dataset.digest(),
        default=next(iter(configurations)),
        configurations=configurations,
        decisions=(_origin(name, dataset.name, folders),),
    )
    if faults := plan_faults(plan):
        raise DataError([Fault(PLANS, fault) for fault in faults])
    return plan


def _origin(name: str, dataset: str, folders: list[ModelFolder]) -> Decision:
    trainers = ", ".join(dict.fromkeys(folder.facts.trainer for folder in folders))
    return Decision(
        name="origin",
        choice=f"{name} of nnU-Net",
        rule="A trained nnU-Net model is applied as nnU-Net applies it.",
        reason=f"Grid, networks and tiles are those of {name} for {dataset}, and the weights those that {trainers} trained.",
        numbers={"plans": name, "trainer": trainers},
        alternative="plan the data set anew with `autoseg plan DATASET RUN`",
    )
