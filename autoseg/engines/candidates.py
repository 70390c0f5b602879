"""The engines by name: which of them can be used here, and how one is opened.

Those of torch come with autoseg. The others are extras of the installation and run on the CPU alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from autoseg.engines import Engine
from autoseg.engines.device import Precision, pick_precision
from autoseg.engines.onnx_engine import OnnxEngine
from autoseg.engines.openvino_engine import OpenVinoEngine, OpenVinoPrecision
from autoseg.engines.torch_engine import TorchEngine, load_networks
from autoseg.errors import PlanError
from autoseg.records import NetworkSpec, Shape

DISTRIBUTION = "autoseg-toolkit"


@dataclass(frozen=True)
class Candidate:
    """What an engine needs: modules beside torch, and the extras of autoseg that bring them."""

    precision: Precision | OpenVinoPrecision
    modules: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


CANDIDATES = {
    "torch-float32": Candidate("float32"),
    "torch-bfloat16": Candidate("bfloat16"),
    "torch-float16": Candidate("float16"),
    "openvino-float32": Candidate("float32", ("openvino",), ("cpu",)),
    "openvino-bfloat16": Candidate("bfloat16", ("openvino",), ("cpu",)),
    "openvino-int8": Candidate("int8", ("openvino", "nncf"), ("cpu", "int8")),
    "onnxruntime-float32": Candidate("float32", ("onnxruntime", "onnx", "onnxscript"), ("onnx",)),
}


def installed_engines(device: torch.device | str = "cpu") -> tuple[str, ...]:
    """Names of the engines that can be used on a device, those of torch first; nothing is imported to find out.

    An engine of lower precision is named only where the device computes in it; integers of eight bits, which change masks
    more than rounding does, are for the caller to leave out.
    """
    device = torch.device(device)
    return tuple(name for name in CANDIDATES if not _fault(name, device))


def refuse_unusable(name: str, device: torch.device) -> None:
    """Say why an engine cannot be used here.

    Raises:
        PlanError: with what to install, or which others there are.
    """
    if fault := _fault(name, device):
        raise PlanError(fault)


def open_engine(
    name: str,
    spec: NetworkSpec,
    folds: Sequence[nn.Module] | Sequence[tuple[Path, str]],
    patch_size: Shape,
    *,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    calibration: Iterable[torch.Tensor] | None = None,
) -> Engine:
    """An engine of one network per fold.

    Args:
        name: one of `CANDIDATES`.
        spec: the network of the plan.
        folds: networks of the spec (an engine of torch lays their weights as it needs them), or for each fold its
            safetensors file and the SHA-256 that the model's record states.
        patch_size: spatial shape of the tiles.
        device: where to run.
        threads: of a forward pass, for the engines other than torch, which has its own number; None takes all cores.
        calibration: for `openvino-int8` only: batches (B, C, *patch) of prepared images.

    Raises:
        PlanError: there is no such engine here (the message says what to install), or no tile to calibrate with.
        RunFolderError: a weights file is missing.
        RecordError: a file is not what the record says, or does not fit the network.
    """
    device = torch.device(device)
    refuse_unusable(name, device)
    networks, weights = _networks(spec, folds)
    precision = CANDIDATES[name].precision
    if name.startswith("openvino-"):
        return OpenVinoEngine(
            networks,
            patch_size,
            precision,  # type: ignore[arg-type]  # the table pairs them
            in_channels=spec.in_channels,
            threads=threads,
            calibration=calibration,
            weights=weights,
        )
    if name.startswith("onnxruntime-"):
        return OnnxEngine(networks, patch_size, in_channels=spec.in_channels, threads=threads, weights=weights)
    return TorchEngine(networks, device, precision, weights)  # type: ignore[arg-type]


def _networks(
    spec: NetworkSpec, folds: Sequence[nn.Module] | Sequence[tuple[Path, str]]
) -> tuple[Sequence[nn.Module], tuple[str, ...]]:
    """Networks, and the hashes of their weights where they come from files."""
    files = [fold for fold in folds if not isinstance(fold, nn.Module)]
    if files:
        return load_networks(spec, files), tuple(sha256 for _, sha256 in files)
    return [fold for fold in folds if isinstance(fold, nn.Module)], ()


def _fault(name: str, device: torch.device) -> str:
    """Why an engine cannot be used here; empty if it can."""
    if name not in CANDIDATES:
        return f"there is no engine {name}; there are {', '.join(CANDIDATES)}"
    candidate = CANDIDATES[name]
    if candidate.modules and device.type != "cpu":
        return f"the engine {name} runs on the CPU, not on {device}; take --device cpu or an engine of torch"
    missing = [module for module in candidate.modules if find_spec(module) is None]
    if missing:
        extras = ",".join(candidate.extras)
        return f'the engine {name} needs {" and ".join(missing)}, not installed here: pip install "{DISTRIBUTION}[{extras}]"'
    if candidate.precision in ("bfloat16", "float16") and candidate.precision != pick_precision(device):
        return f"the engine {name} is of no use on this {device}, which does not compute in {candidate.precision}"
    return ""
