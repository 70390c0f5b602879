"""Starting a fold from the weights of another run, layer by layer, with an account of what was taken.

A layer is a module that holds weights. It is taken as a whole, where all its tensors have the same names and shapes there and
here; else it keeps its random numbers. Output layers are taken only where they mean the same structures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from autoseg.engines.weights import read_tensors
from autoseg.errors import RecordError, RunFolderError
from autoseg.records import InitialWeights, StartingWeights, Transfer

HEADS = "heads."  # of `networks.unet`: the output layers, at every resolution that has one
MOST_NAMED = 8  # layers that a message names; the checkpoint names all


def start_from(network: nn.Module, transfer: Transfer, fold: str) -> InitialWeights | None:
    """Bring the other run's weights into a network; None where the plan takes none.

    Args:
        network: freshly initialised, on the device that it trains on.
        transfer: of the plan.
        fold: that is about to start, "0".."4" or "full".

    Raises:
        RunFolderError: the weights are not where the plan says.
        RecordError: they are other weights than those that were planned with, or none of their layers fits.
    """
    if transfer.mode == "plan":
        return None
    weights = next((entry for entry in transfer.weights if entry.fold == fold), None)
    if weights is None:
        raise RecordError(
            f"plan.json names no weights that fold {fold} starts from (transfer.weights); plan again with --init-from"
        )
    given = _layers(_read(weights, transfer))
    parameters = network.state_dict()
    fresh: dict[str, str] = {}
    with torch.no_grad():
        for name, layer in _layers(parameters).items():
            reason = _misfit(name, layer, given, transfer)
            if reason is not None:
                fresh[name] = reason
                continue
            for key, tensor in layer.items():
                tensor.copy_(given[name][key])  # in place: the parameter keeps its device and layout
    taken = len(_layers(parameters)) - len(fresh)
    if taken == 0:
        raise RecordError(
            f"{weights.file}: none of its layers fits this network, so there is nothing to start from; "
            "plan again, without changes to the network (--set network...), or without --init-from"
        )
    return InitialWeights(
        run=transfer.run,
        configuration=transfer.configuration,
        fold=weights.source_fold,
        sha256=weights.sha256,
        seen=weights.seen,
        taken=taken,
        fresh=fresh,
    )


def refuse_other_start(folder: Path, began: InitialWeights | None, transfer: Transfer | None, fold: str) -> None:
    """A fold goes on from where it started, so the plan must still say what its checkpoint says; where the files lie may change.

    Raises:
        RecordError: it says something else.
    """
    planned = next((entry for entry in transfer.weights if entry.fold == fold), None) if transfer is not None else None
    if (planned and planned.sha256) == (began and began.sha256):
        return
    start = "random numbers" if began is None else f"fold {began.fold} of {began.run}"
    now = "random numbers" if planned is None else planned.file
    raise RecordError(
        f"{folder} started from {start}, but plan.json (transfer) says {now}; restore plan.json, or delete this folder to train the fold anew"
    )


def account(initial: InitialWeights) -> str:
    """What was taken, and what not and why, in sentences."""
    total = initial.taken + len(initial.fresh)
    text = f"{initial.taken} of {total} layers start from {initial.run} ({initial.configuration}, fold {initial.fold})"
    if initial.fresh:
        named = [f"{name} ({why})" for name, why in list(initial.fresh.items())[:MOST_NAMED]]
        more = len(initial.fresh) - len(named)
        text += f"; from random numbers: {', '.join(named)}" + (f" and {more} more, see checkpoint.json" if more else "")
    if initial.seen:
        text += (
            f". Beware: they were trained on {initial.seen} of the images kept out of this fold, whose scores will be too good"
        )
    return text


def _read(weights: StartingWeights, transfer: Transfer) -> dict[str, Tensor]:
    cure = (
        f"a fold that has not begun needs them. Bring {transfer.run} back as it was, or plan again with --init-from, "
        "or write null for `transfer` in plan.json to start from random numbers"
    )
    try:
        return read_tensors(Path(weights.file), weights.sha256)
    except RunFolderError as error:
        raise RunFolderError(f"{weights.file}: the weights to start from are missing; {cure}") from error
    except RecordError as error:
        raise RecordError(
            f"{weights.file}: these are not the weights that were planned with, or they are damaged; {cure}"
        ) from error


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by the module that holds them."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        layer, _, key = name.rpartition(".")
        layers.setdefault(layer, {})[key] = tensor
    return layers


def _misfit(name: str, layer: Mapping[str, Tensor], given: Mapping[str, Mapping[str, Tensor]], transfer: Transfer) -> str | None:
    """Why a layer cannot be taken; None if it can."""
    if name not in given:
        return "there is none of that name"
    if missing := sorted(layer.keys() ^ given[name].keys()):
        return f"{', '.join(missing)} only {'there' if missing[0] in given[name] else 'here'}"
    for key, tensor in layer.items():
        if given[name][key].shape != tensor.shape:
            return f"{_said(given[name][key])} there, {_said(tensor)} here"
    return "other structures" if name.startswith(HEADS) and not transfer.same_structures else None


def _said(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
