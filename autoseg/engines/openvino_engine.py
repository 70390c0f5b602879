"""Trained networks run by OpenVINO on the CPU, in float32, bfloat16 or with integers of eight bits.

A network is converted straight from torch by tracing, which keeps instance normalisation as one operation (by way of
`torch.export` it falls apart into ten). The batch stays open: compiled for one size it is no quicker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from autoseg.engines.cpu_engine import CpuEngine
from autoseg.engines.device import pick_precision
from autoseg.engines.graph_files import openvino_model
from autoseg.engines.quantisation import calibration_tiles, quantised
from autoseg.engines.silent_imports import import_openvino
from autoseg.interrupts import signal_stack_kept
from autoseg.parallel import available_cores
from autoseg.records import Shape

OpenVinoPrecision = Literal["float32", "bfloat16", "int8"]

ELEMENT_TYPES = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine(CpuEngine):
    """The networks of one or more folds on the CPU, each compiled for tiles of one size; see `autoseg.engines.Engine`."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        patch_size: Shape,
        precision: OpenVinoPrecision = "float32",
        *,
        in_channels: int,
        threads: int | None = None,
        calibration: Iterable[torch.Tensor] | None = None,
        weights: tuple[str, ...] = (),
    ):
        """Convert and compile.

        Args:
            networks: one per fold; they are copied, and may be let go of.
            patch_size: spatial shape of the tiles.
            precision: arithmetic of the forward pass. With `int8` convolutions compute with integers, the last one excepted,
                and what lies between them as is quickest here, in bfloat16 or float32.
            in_channels: C of the tiles.
            threads: of a forward pass; None takes the cores that this process may use.
            calibration: for `int8` only: batches (B, C, *patch) of prepared images.
            weights: SHA-256 of each fold's weights.

        Raises:
            PlanError: `int8` without calibration tiles.
            ImportError: OpenVINO, or NNCF for `int8`, is not installed.
        """
        if not networks:
            raise ValueError("an engine needs at least one network")
        self.precision, self.name = precision, f"openvino-{precision}"
        super().__init__(weights)
        self._openvino = import_openvino()
        shape = (in_channels, *patch_size)
        tiles = calibration_tiles(calibration, shape) if precision == "int8" else []
        settings = _settings(pick_precision(self.device) if precision == "int8" else precision, threads or available_cores())
        self._compiled = []
        with signal_stack_kept():
            core = self._openvino.Core()
            for network in networks:
                model = openvino_model(network, shape)
                if precision == "int8":
                    model = quantised(model, tiles)
                self._compiled.append(core.compile_model(model, "CPU", settings))
        self._requests: list[Any] = [compiled.create_infer_request() for compiled in self._compiled]

    @property
    def n_folds(self) -> int:
        """How many networks vote."""
        return len(self._compiled)

    def _logits(self, fold: int, tiles: torch.Tensor) -> torch.Tensor:
        """OpenVINO reads the tiles where they lie, and writes into a tensor made for this call."""
        outputs = self._compiled[fold].output(0).partial_shape
        logits = torch.empty(len(tiles), *(length.get_length() for length in list(outputs)[1:]))
        request, tensor = self._requests[fold], self._openvino.Tensor
        request.set_input_tensor(tensor(tiles.numpy(), shared_memory=True))
        request.set_output_tensor(tensor(logits.numpy(), shared_memory=True))
        try:
            request.start_async()  # `infer` of OpenVINO 2026.4 returns as if all were well when memory does not suffice
            request.wait()
        except RuntimeError:
            self._requests[fold] = self._compiled[fold].create_infer_request()  # the old one does not recover
            self._compiled[fold].release_memory()
            raise
        return logits


def _settings(precision: str, threads: int) -> dict[str, str | int]:
    return {
        "PERFORMANCE_HINT": "LATENCY",  # all threads at one batch
        "INFERENCE_PRECISION_HINT": ELEMENT_TYPES[precision],
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # two programs beside each other would be tied to the same cores
    }
