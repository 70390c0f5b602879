"""A trained nnU-Net v2 model becomes a run: plan, data set without cases, weights and the model's record."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from safetensors.torch import save_file

from autoseg.engines.nnunet_weights import read_checkpoint_facts, read_nnunet_weights
from autoseg.engines.weights import file_sha256
from autoseg.errors import DataError, Fault, RunFolderError
from autoseg.layouts.archives import DAMAGED, extract, most_bytes_of_model
from autoseg.layouts.nnunet_folders import DATASET, PLANS, CheckpointKind
from autoseg.layouts.nnunet_model import NnunetModel, TrainedFolder, read_nnunet_model
from autoseg.learning.checkpoint import FINAL_WEIGHTS
from autoseg.progress import Progress, SilentProgress
from autoseg.records import AugmentationSpec, Configuration, Model, Shape, TrainedFold
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.augmentation import DEFAULT_AUGMENTATION, augmentation_for
from autoseg.stages.plan.frame import tile_batch


def import_nnunet_model(
    source: Path, destination: Path, *, checkpoint: CheckpointKind = "final", progress: Progress | None = None
) -> RunFolder:
    """Convert a trained nnU-Net v2 model into a run that predicts the same masks; `source` is left as it is.

    Args:
        source: a folder `Trainer__Plans__configuration`, one that holds several of these, or an export of such as a zip.
        destination: a folder that does not exist, or is empty.
        checkpoint: which of a fold's checkpoints to take.
        progress: told of every fold.

    Returns:
        The run; its folds can predict, but not be trained further, as the training cases are not known.

    Raises:
        RunFolderError: the destination holds something.
        DataError: the source is no such model, has faults, or needs what we do not compute as nnU-Net does; all are listed.
        RecordError: a checkpoint cannot be read without running code, or does not fit its plans.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise RunFolderError(f"{destination} holds something already; give a new folder for the imported model")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _unpacked(source, destination.parent) as folder:
        model = read_nnunet_model(folder, read_checkpoint_facts, _augmentation, checkpoint=checkpoint)
        model = _in_batches(model if folder == source else _said_to_come_from(model, source))
        temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent))
        try:
            _write(model, RunFolder(temporary), progress or SilentProgress())
            temporary.chmod(0o755)  # mkdtemp makes folders that only their owner may enter
            if destination.is_dir():
                destination.rmdir()
            os.replace(temporary, destination)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return RunFolder.open(destination)


def _augmentation(patch: Shape) -> AugmentationSpec:
    return augmentation_for(DEFAULT_AUGMENTATION, patch)


@contextmanager
def _unpacked(source: Path, beside: Path) -> Iterator[Path]:
    """The source, or where its zip is unpacked for a while."""
    if source.is_dir():
        yield source
        return
    if not source.is_file() or not zipfile.is_zipfile(source):
        raise DataError(f"{source} is neither a folder nor a zip; give a trained nnU-Net model")
    with tempfile.TemporaryDirectory(prefix=f".{source.stem}.", dir=beside) as place:
        target = Path(place) / "unpacked"
        try:
            extract(source, target, _is_of_use, most_bytes=most_bytes_of_model(source))
        except DataError:
            raise
        except DAMAGED as error:
            raise DataError([Fault(source.name, f"cannot be unpacked ({error}); copy it again")]) from error
        yield target


def _is_of_use(member: str) -> bool:
    name = PurePosixPath(member).name
    return name in (PLANS, DATASET) or (name.startswith("checkpoint_") and name.endswith(".pth"))


def _said_to_come_from(model: NnunetModel, source: Path) -> NnunetModel:
    """The records must not name a folder that is gone."""
    dataset = model.dataset.model_copy(update={"root": str(source)})
    plan = model.plan.model_copy(update={"dataset_digest": dataset.digest()})
    return NnunetModel(plan, dataset, model.trained)


def _in_batches(model: NnunetModel) -> NnunetModel:
    """As many windows at a time as in plans of ours; nnU-Net takes one after another."""
    configurations = {}
    for name, configuration in model.plan.configurations.items():
        tiles = {"tile_batch_size": tile_batch(configuration.training.patch_size)}
        inference = configuration.inference.model_copy(update=tiles)
        configurations[name] = configuration.model_copy(update={"inference": inference})
    return NnunetModel(model.plan.model_copy(update={"configurations": configurations}), model.dataset, model.trained)


def _write(model: NnunetModel, folder: RunFolder, progress: Progress) -> None:
    """Weights first; the record of the model comes last and vouches for the rest."""
    progress.stage("converting", sum(len(one.folds) for one in model.trained.values()))
    done = 0
    trained: dict[str, tuple[TrainedFold, ...]] = {}
    for name, configuration in model.plan.configurations.items():
        for fold in model.trained[name].folds:
            trained[name] = (*trained.get(name, ()), _convert(folder, configuration, model.trained[name], fold))
            done += 1
            progress.advance(done, f"{name}, fold {fold}")
    for note in model.dataset.notes[1:]:  # the first holds for every such model
        progress.message(note)
    folder.save(model.dataset, model.plan, Model.of(model.plan, trained))


def _convert(folder: RunFolder, configuration: Configuration, trained: TrainedFolder, fold: str) -> TrainedFold:
    tensors = read_nnunet_weights(trained.folds[fold], configuration.network, conv_bias=trained.conv_bias)
    path = folder.fold(configuration.name, fold) / FINAL_WEIGHTS
    path.parent.mkdir(parents=True)
    save_file(tensors, path)
    return TrainedFold(fold=fold, weights=path.relative_to(folder.root).as_posix(), sha256=file_sha256(path))
