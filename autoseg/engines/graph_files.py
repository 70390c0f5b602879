"""Networks as files for other programs: TorchScript and OpenVINO (for ONNX see `onnx_graph`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autoseg.engines.onnx_graph import IMAGE, LOGITS
from autoseg.engines.silent_imports import import_openvino
from autoseg.networks.plain import plain
from autoseg.records import Shape


class MeanOfCopies(nn.Module):
    """Several networks, and every tile mirrored along some axes, as one network: the mean of all logits.

    Args:
        networks: of one shape of input and output.
        mirrors: subsets of the spatial axes, the empty one included.
    """

    def __init__(self, networks: Sequence[nn.Module], mirrors: Sequence[Sequence[int]]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.mirrors = [[axis + 2 for axis in subset] for subset in mirrors]

    def forward(self, tiles: Tensor) -> Tensor:
        """(B, C, *patch) -> (B, K, *patch)."""
        total: Tensor | None = None
        for network in self.networks:
            for axes in self.mirrors:
                logits = network(tiles.flip(axes)).flip(axes) if axes else network(tiles)
                total = logits if total is None else total + logits
        if total is None:
            raise ValueError("a mean needs at least one network")
        return total / (len(self.networks) * len(self.mirrors))


def traced(network: nn.Module, shape: Shape) -> Any:
    """TorchScript of a network in torch's own layers, for tiles (any number, *shape)."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is an old way, and fixes what depends on the example; nothing does
        return torch.jit.trace(plain(network), torch.zeros(1, *shape), check_trace=False)


def write_torchscript(network: nn.Module, path: Path, patch_size: Shape, *, in_channels: int) -> None:
    """Write a network with its weights for `torch.jit.load`: (B, C, *patch) to logits (B, K, *patch), float32; B is free."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced(network, (in_channels, *patch_size)).save(str(path))


def openvino_model(network: nn.Module, shape: Shape) -> Any:
    """OpenVINO's model of a network for tiles (any number, *shape).

    Raises:
        ImportError: OpenVINO is not installed.
    """
    openvino = import_openvino()
    script = traced(network, shape)  # OpenVINO would trace twice
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example, any_batch = torch.zeros(1, *shape), openvino.PartialShape([-1, *shape])
        return openvino.convert_model(script, example_input=example, input=[any_batch])


def write_openvino(network: nn.Module, path: Path, patch_size: Shape, *, in_channels: int) -> None:
    """Write a network in OpenVINO's form, float32: `path` (.xml) and the weights beside it (.bin); input "image", output "logits".

    Raises:
        ImportError: OpenVINO is not installed.
    """
    model = openvino_model(network, (in_channels, *patch_size))
    model.input(0).get_tensor().set_names({IMAGE})
    model.output(0).get_tensor().set_names({LOGITS})
    import_openvino().save_model(model, str(path), compress_to_fp16=False)
