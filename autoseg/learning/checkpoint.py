"""Saving and loading a fold's training: immutable state files, and a record that names the valid ones and is replaced last.

Weights and what training needs to go on (momentum, loss scale) lie in separate safetensors files; no pickle anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from autoseg.engines.weights import file_sha256, read_tensors
from autoseg.errors import DiskFull, RecordError
from autoseg.learning.learner import Learner
from autoseg.records import FoldCheckpoint
from autoseg.writing import NO_SPACE

RECORD = "checkpoint.json"
FINAL_WEIGHTS = "weights.safetensors"
SCALE, AVERAGED_STEPS = "loss_scale", "averaged_steps"
TRAINED = "trained/"  # weights as the optimiser has them, where those handed over are averages of them
FULL_IN_WORDS = (
    "No space left",
    "os error 28",
    "os error 122",
    "os error 27",
    "File too large",
    "quota",
)  # safetensors writes in Rust


def save_checkpoint(folder: Path, record: FoldCheckpoint, learner: Learner) -> FoldCheckpoint:
    """Write weights and state, then the record that names them; older state is removed afterwards.

    `record` tells how far training has come; its file names are filled in here.

    Raises:
        DiskFull: the last checkpoint is as it was.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handed_over = learner.network.state_dict() if learner.average is None else learner.average.values
        weights = {name: value.detach().cpu().contiguous() for name, value in handed_over.items()}
        # the file that predictions of a fold use is never written over: model.json names it until the pipeline writes it anew
        final = FINAL_WEIGHTS if record.finished and record.extended_at is None else None
        weights_file, weights_hash = _write(folder, "weights", weights, final)
        state_file = None
        if not record.finished:
            state_file, _ = _write(folder, "state", _training_state(learner), None)
        record = record.model_copy(update={"weights": weights_file, "weights_sha256": weights_hash, "state": state_file})
        record.save(folder / RECORD)
    except (OSError, SafetensorError) as error:
        remove_parts(folder)
        if isinstance(error, OSError) and not isinstance(error, DiskFull) and error.errno not in NO_SPACE:
            raise
        if isinstance(error, SafetensorError) and not any(words in str(error) for words in FULL_IN_WORDS):
            raise
        kept = read_record(folder)
        intact = f"the checkpoint after epoch {kept.epoch} is intact" if kept else "there is no checkpoint yet"
        raise DiskFull(f"{folder}: the disk is full; {intact}. Free some space and start the same command again") from error
    if not (record.finished and record.extended_at is not None):
        remove_others(folder, record)  # else when model.json names the new weights
    return record


def remove_others(folder: Path, record: FoldCheckpoint) -> None:
    """Delete weights and states that the record does not name."""
    remove_parts(folder)
    keep = {record.weights, record.state, record.handed_over}
    for pattern in ("weights*.safetensors", "state-*.safetensors"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                path.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Delete files that a writer left unfinished."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def read_record(folder: Path) -> FoldCheckpoint | None:
    """How far a fold has come; None before its first checkpoint."""
    return FoldCheckpoint.load(folder / RECORD) if (folder / RECORD).exists() else None


def load_checkpoint(folder: Path, learner: Learner, digests: dict[str, str]) -> FoldCheckpoint | None:
    """Bring the learner to where the record says; None when there is no checkpoint.

    Raises:
        RecordError: it belongs to other settings (`digests`, by concern), or a file that it names is damaged.
        RunFolderError: a file that it names is missing.
    """
    record = read_record(folder)
    if record is None:
        return None
    refuse_other_settings(folder, record, digests)
    weights = read_tensors(folder / record.weights, record.weights_sha256)
    state = {} if record.state is None else read_tensors(folder / record.state)
    trained = {name.removeprefix(TRAINED): value for name, value in state.items() if name.startswith(TRAINED)}
    learner.network.load_state_dict(trained or weights)
    if learner.average is not None:
        learner.average.restore(weights, int(state.get(AVERAGED_STEPS, torch.zeros(()))))
    _restore_training_state(state, learner)
    return record


def refuse_other_settings(folder: Path, record: FoldCheckpoint, digests: dict[str, str]) -> None:
    """A training goes on with the settings that it began with.

    Raises:
        RecordError: `digests`, by concern, are others than those in the record.
    """
    changed = [concern for concern, digest in digests.items() if getattr(record, concern) != digest]
    if changed:
        raise RecordError(
            f"{folder} was trained with other settings ({', '.join(changed)} changed in plan.json since); "
            "restore plan.json, or delete this folder to train the fold anew"
        )


def _write(folder: Path, kind: str, tensors: dict[str, Tensor], name: str | None) -> tuple[str, str]:
    temporary = folder / f".{kind}.{os.getpid()}.part"
    save_file(tensors, temporary)
    digest = file_sha256(temporary)
    name = name or f"{kind}-{digest[:12]}.safetensors"
    os.replace(temporary, folder / name)
    return name, digest


def _training_state(learner: Learner) -> dict[str, Tensor]:
    network, state = learner.network, {}
    for name, parameter in network.named_parameters():
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                state[f"{name}/{key}"] = value.detach().cpu().contiguous()
    if learner.scaler is not None:
        held = learner.scaler.state_dict()
        state[SCALE] = torch.tensor([held["scale"], held["_growth_tracker"]], dtype=torch.float64)
    if learner.average is not None:
        state[AVERAGED_STEPS] = torch.tensor(learner.average.steps)
        state |= {f"{TRAINED}{name}": value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return state


def _restore_training_state(state: dict[str, Tensor], learner: Learner) -> None:
    parameters = dict(learner.network.named_parameters())
    for key, value in state.items():
        if key == SCALE:
            if learner.scaler is not None:
                scale, tracker = value.tolist()
                held = learner.scaler.state_dict()
                learner.scaler.load_state_dict({**held, "scale": scale, "_growth_tracker": int(tracker)})
        elif key != AVERAGED_STEPS and not key.startswith(TRAINED):
            name, entry = key.rsplit("/", 1)
            parameter = parameters[name]
            # in the parameter's own layout, or the fused arithmetic would differ in its last bits; counts of steps are scalars
            alike = value.shape == parameter.shape
            held_value = torch.empty_like(parameter).copy_(value) if alike else value.to(parameter.device)
            learner.optimizer.state[parameter][entry] = held_value
