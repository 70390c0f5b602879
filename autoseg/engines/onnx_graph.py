"""A network as an ONNX file, for ONNX Runtime and for programs that know nothing of torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from autoseg.networks.plain import plain
from autoseg.records import Shape

IMAGE, LOGITS = "image", "logits"


def write_onnx(network: nn.Module, path: Path, patch_size: Shape, *, in_channels: int) -> None:
    """Write a network with its weights: input "image" (B, C, *patch), output "logits" (B, K, *patch), both float32; B is free.

    Args:
        network: it is not changed.
        path: of the file; protobuf allows 2 GB.
        patch_size: spatial shape of the input.
        in_channels: C.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    example = torch.zeros(2, in_channels, *patch_size)  # of a batch of one torch would take the length for a constant
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            plain(network),
            (example,),
            path,
            input_names=[IMAGE],
            output_names=[LOGITS],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on libraries that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
