"""Saving and loading a fold's training: immutable state files, and a record that names the valid ones and is replaced last.

Weights and what training needs to go on (momentum, loss scale) lie in separate safetensors files; no pickle anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from autoseg.engines.weights import file_sha256, read_tensors
from autoseg.errors import RecordError
from autoseg.records import FoldCheckpoint

RECORD = "checkpoint.json"
FINAL_WEIGHTS = "weights.safetensors"
SCALE = "loss_scale"


def save_checkpoint(
    folder: Path,
    record: FoldCheckpoint,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None = None,
) -> FoldCheckpoint:
    """Write weights and state, then the record that names them; older state is removed afterwards.

    `record` tells how far training has come; its file names are filled in here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    weights_file, weights_hash = _write(folder, "weights", weights, FINAL_WEIGHTS if record.finished else None)
    state_file = None
    if not record.finished:
        state_file, _ = _write(folder, "state", _training_state(network, optimizer, scaler), None)
    record = record.model_copy(update={"weights": weights_file, "weights_sha256": weights_hash, "state": state_file})
    record.save(folder / RECORD)
    _remove_others(folder, keep={weights_file, state_file})
    return record


def read_record(folder: Path) -> FoldCheckpoint | None:
    """How far a fold has come; None before its first checkpoint."""
    return FoldCheckpoint.load(folder / RECORD) if (folder / RECORD).exists() else None


def load_checkpoint(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    digests: dict[str, str],
) -> FoldCheckpoint | None:
    """Bring network and optimiser to where the record says; None when there is no checkpoint.

    Raises:
        RecordError: it belongs to other settings (`digests`, by concern), or a file that it names is damaged.
        RunFolderError: a file that it names is missing.
    """
    record = read_record(folder)
    if record is None:
        return None
    refuse_other_settings(folder, record, digests)
    network.load_state_dict(read_tensors(folder / record.weights, record.weights_sha256))
    if record.state is not None:
        _restore_training_state(read_tensors(folder / record.state), network, optimizer, scaler)
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


def _training_state(
    network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None
) -> dict[str, Tensor]:
    state = {
        f"{name}/{key}": value.detach().cpu().contiguous()
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }
    if scaler is not None:
        held = scaler.state_dict()
        state[SCALE] = torch.tensor([held["scale"], held["_growth_tracker"]], dtype=torch.float64)
    return state


def _restore_training_state(
    state: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None
) -> None:
    parameters = dict(network.named_parameters())
    for key, value in state.items():
        if key == SCALE:
            if scaler is not None:
                scale, tracker = value.tolist()
                scaler.load_state_dict({**scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)})
            continue
        name, entry = key.rsplit("/", 1)
        parameter = parameters[name]
        # a copy in the parameter's own layout, or the fused arithmetic would differ in its last bits
        optimizer.state[parameter][entry] = torch.empty_like(parameter).copy_(value)


def _remove_others(folder: Path, keep: set[str | None]) -> None:
    for pattern in ("weights*.safetensors", "state-*.safetensors", ".*.part"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                path.unlink(missing_ok=True)
