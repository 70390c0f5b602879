"""Weights of nnU-Net's checkpoints for our networks. A checkpoint is a pickle, but none of its code is ever run.

Torch's own restricted reader (`weights_only`) rebuilds tensors, containers and numbers, and refuses everything else before it is called. Beyond what
torch allows by itself, nnU-Net's records of a training need numpy's scalars and number types, under the names of numpy 1 and 2.

Our networks have no bias in front of an instance normalisation, which takes it out again; these biases are left away, and no others.
Nor do they have the head of the coarsest resolution, which nnU-Net weighs with zero in training and does not use in prediction.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoseg.errors import RecordError
from autoseg.layouts.nnunet_folders import CheckpointFacts
from autoseg.networks.unet import build_for_weights
from autoseg.records import NetworkSpec

SCALAR_NAMES = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # numpy 1 and 2
NUMBER_TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
WRAPPERS = ("module.", "_orig_mod.")  # of networks that were distributed or compiled
TWINS = re.compile(r"\.all_modules\.(\d+)\.")  # every layer stands in a checkpoint a second time, as part of a sequence
SHOWN = 4  # names in a message
LONGEST = 150  # characters of a reason that a message repeats


def read_checkpoint_facts(path: Path) -> CheckpointFacts:
    """What a checkpoint says beside its weights.

    Raises:
        RecordError: it cannot be read without running code, or is no checkpoint of nnU-Net.
    """
    content = _load(path)
    arguments = content.get("init_args")
    configuration = arguments.get("configuration") if isinstance(arguments, dict) else None
    trainer = content.get("trainer_name")
    found = content.get("inference_allowed_mirroring_axes") or ()
    axes = [axis for axis in found if isinstance(axis, int)] if isinstance(found, tuple | list) else None
    faults = []
    if not isinstance(configuration, str):
        faults.append("init_args.configuration is no text")
    if not isinstance(trainer, str):
        faults.append("trainer_name is no text")
    if axes is None or not isinstance(found, tuple | list) or len(axes) < len(found):
        faults.append("inference_allowed_mirroring_axes are no axes")
    if faults:
        raise RecordError(f"{path} is no checkpoint of nnU-Net v2: {'; '.join(faults)}")
    return CheckpointFacts(str(configuration), str(trainer), tuple(axes or ()))


def read_nnunet_weights(path: Path, spec: NetworkSpec, *, conv_bias: bool) -> dict[str, Tensor]:
    """The weights of a checkpoint by the names of our network's `state_dict`, float32 in main memory.

    Args:
        path: `checkpoint_final.pth` of a fold.
        spec: the network that its plans describe.
        conv_bias: whether its convolutions have a bias.

    Raises:
        RecordError: it cannot be read without running code, or does not hold exactly the weights of this network.
    """
    found = _load(path).get("network_weights")
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise RecordError(f"{path} is no checkpoint of nnU-Net v2: network_weights are no tensors by name")
    try:
        return convert_weights(found, spec, conv_bias=conv_bias)
    except ValueError as error:
        raise RecordError(f"{path} does not hold the weights of the network in plans.json: {error}") from error


def convert_weights(state: dict[str, Tensor], spec: NetworkSpec, *, conv_bias: bool) -> dict[str, Tensor]:
    """Rename the weights of a network of dynamic_network_architectures, nnU-Net's library; see the module.

    Args:
        state: its `state_dict`.
        spec: the same network as one of ours.
        conv_bias: whether its convolutions have a bias; without, ours get zeros where they have one.

    Raises:
        ValueError: weights are missing, left over, of another shape, or not finite; the sentence names them.
    """
    theirs = _without_twins({_without_wrappers(name): value for name, value in state.items()})
    ours = build_for_weights(spec).state_dict()  # not on the meta device, for which torch loads its compiler
    used: set[str] = set()
    result: dict[str, Tensor] = {}
    missing, misshapen, infinite = [], [], []
    for name, wanted in ours.items():
        source = their_name(name, spec)
        if source not in theirs and not conv_bias and name.endswith(".up.bias"):
            result[name] = torch.zeros(wanted.shape)
            continue
        if source not in theirs:
            missing.append(source)
            continue
        used.add(source)
        value = theirs[source]
        if value.shape != wanted.shape:
            misshapen.append(f"{source} is {tuple(value.shape)}, not {tuple(wanted.shape)}")
            continue
        result[name] = value.to("cpu", torch.float32, copy=True).contiguous()
        if not torch.isfinite(result[name]).all():
            infinite.append(source)
    unknown = sorted(theirs.keys() - used - _unused(theirs, spec, conv_bias=conv_bias))
    problems = {"missing": missing, "not known": unknown, "of another shape": misshapen, "not finite": infinite}
    if told := "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names):
        raise ValueError(told)
    return result


def their_name(name: str, spec: NetworkSpec) -> str:
    """The name of one of our weights in nnU-Net's network."""
    name = name.replace(".adn.N.", ".norm.")
    if match := re.fullmatch(r"heads\.(\d+)\.(.+)", name):
        return f"decoder.seg_layers.{spec.n_stages - 2 - int(match[1])}.{match[2]}"  # theirs begin at the coarsest
    if match := re.fullmatch(r"decoder\.(\d+)\.up\.(.+)", name):
        return f"decoder.transpconvs.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"decoder\.(\d+)\.stack\.(.+)", name):
        return f"decoder.stages.{match[1]}.convs.{match[2]}"
    if match := re.fullmatch(r"stem\.(.+)", name):
        return f"encoder.stem.convs.0.{match[1]}"
    match = re.fullmatch(r"encoder\.(\d+)\.(.+)", name)
    if match is None:
        raise KeyError(f"{name} is no weight of a plain or residual network")
    inside = "blocks" if spec.family == "residual_unet" else "0.convs"
    return f"encoder.stages.{match[1]}.{inside}.{match[2]}"


def _unused(theirs: dict[str, Tensor], spec: NetworkSpec, *, conv_bias: bool) -> set[str]:
    """Weights that have no counterpart: biases in front of a normalisation, and heads of resolutions that ours do not put out."""
    biases = {name for name in theirs if name.endswith(".conv.bias") and name.removesuffix("conv.bias") + "norm.weight" in theirs}
    n_heads = max(1, spec.n_stages - 2)
    coarse = {f"decoder.seg_layers.{index}.{kind}" for index in range(spec.n_stages - 1 - n_heads) for kind in ("weight", "bias")}
    return (biases if conv_bias else set()) | coarse


def _without_wrappers(name: str) -> str:
    while wrapper := next((one for one in WRAPPERS if name.startswith(one)), None):
        name = name.removeprefix(wrapper)
    return name


def _without_twins(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each weight once. nnU-Net's decoder also holds the encoder, and every block its layers as a sequence.

    Raises:
        ValueError: a weight and its twin differ, so nobody knows which is meant.
    """
    result: dict[str, Tensor] = {}
    differing = []
    for name, value in state.items():
        # in the sequence the convolution comes first, and the normalisation next, or behind a dropout that has no weights
        plain = TWINS.sub(lambda match: ".conv." if match[1] == "0" else ".norm.", name)
        plain = plain.removeprefix("decoder.") if plain.startswith("decoder.encoder.") else plain
        if plain in result and not _equal(result[plain], value):
            differing.append(plain)
        result.setdefault(plain, value)
    if differing:
        raise ValueError(f"given twice, and not the same: {_listed(sorted(set(differing)))}")
    return result


def _equal(one: Tensor, other: Tensor) -> bool:
    same_place = one.shape == other.shape and one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return same_place or torch.equal(one, other)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _load(path: Path) -> dict[str, object]:
    """The content of a checkpoint; tensors are mapped from the file, so that facts can be read without all of them."""
    try:
        with torch.serialization.safe_globals(_safe_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except MemoryError:
        raise
    except Exception as error:  # damaged pickles fail in every way there is
        raise RecordError(_refusal(path, error)) from error
    if not isinstance(content, dict):
        raise RecordError(f"{path} is no checkpoint of nnU-Net v2: it holds a {type(content).__name__}")
    return content


def _safe_globals() -> list[Any]:
    """What may be called beside what torch allows: it makes numbers, and can do nothing else."""
    scalar = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(name)) for name in NUMBER_TYPES]
    return [*((scalar, name) for name in SCALAR_NAMES), np.dtype, *dtypes]


def _refusal(path: Path, error: Exception) -> str:
    named = re.search(
        r"(?:Unsupported global: GLOBAL|Unsupported class|Trying to instantiate unsupported|GLOBAL) ([\w.]+)", str(error)
    )
    if named:
        return (
            f"{path} is refused: to open it, {named[1]} would have to be called, which is not needed for weights and could do anything; "
            "get the model from its authors again, or save it with nnU-Net's own trainer"
        )
    # torch's own sentence recommends to open the file without care, so no more than its last line is told
    told = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().partition("WeightsUnpickler error:")
    detail = (told[2] or told[0]).strip().partition("\n")[0]
    return f"{path} is damaged, or no checkpoint ({type(error).__name__}{f': {detail}' if told[2] or len(detail) < LONGEST else ''}); copy it again"
