"""Post-training quantisation to integers of eight bits, by NNCF, of a network as OpenVINO has it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import torch

from autoseg.engines.silent_imports import import_nncf
from autoseg.errors import PlanError
from autoseg.records import Shape

MOST_CALIBRATION_TILES = 64  # ranges no longer move: 4 and 16 tiles gave the same masks but for 0.05 % of the pixels
CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")


def calibration_tiles(batches: Iterable[torch.Tensor] | None, shape: Shape) -> list[torch.Tensor]:
    """The first tiles (1, *shape) of batches (B, *shape); no more are asked for than are needed.

    Raises:
        PlanError: there are none, or they have another shape.
    """
    tiles: list[torch.Tensor] = []
    for batch in batches or ():
        if tuple(batch.shape[1:]) != tuple(shape):
            raise PlanError(
                f"calibration tiles must have the shape {tuple(shape)} of the network's tiles, not {tuple(batch.shape[1:])}"
            )
        tiles += batch.to("cpu", torch.float32).contiguous().split(1)
        if len(tiles) >= MOST_CALIBRATION_TILES:
            break
    if not tiles:
        raise PlanError(
            "integers of eight bits need tiles to calibrate with: give some of prepared images, or take another engine"
        )
    return tiles[:MOST_CALIBRATION_TILES]


def quantised(model: Any, tiles: list[torch.Tensor]) -> Any:
    """The OpenVINO model with integer convolutions, the same on every call.

    The preset "mixed" gives activations an offset, as leaky ReLU leaves few values below zero. The output head stays as it is:
    it is a thousandth of the arithmetic, and brought a sixth of the error.
    """
    nncf = import_nncf()
    head = [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() in CONVOLUTIONS][-1]
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        return nncf.quantize(
            model,
            nncf.Dataset([tile.numpy() for tile in tiles]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(tiles),
            ignored_scope=nncf.IgnoredScope(names=[head]),
        )
