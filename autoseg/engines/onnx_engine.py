"""Trained networks run by ONNX Runtime on the CPU, in float32."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autoseg.engines.cpu_engine import CpuEngine
from autoseg.engines.device import MEMORY_MESSAGES
from autoseg.engines.onnx_graph import IMAGE, LOGITS, write_onnx
from autoseg.parallel import available_cores
from autoseg.records import Shape

FATAL = 4  # ONNX Runtime's own log level; what goes wrong comes as an exception, too


class OnnxEngine(CpuEngine):
    """The networks of one or more folds on the CPU, each made for tiles of one size; see `autoseg.engines.Engine`."""

    name = "onnxruntime-float32"

    def __init__(
        self,
        networks: Sequence[nn.Module],
        patch_size: Shape,
        *,
        in_channels: int,
        threads: int | None = None,
        weights: tuple[str, ...] = (),
    ):
        """Export and open.

        Args:
            networks: one per fold; they are copied, and may be let go of.
            patch_size: spatial shape of the tiles.
            in_channels: C of the tiles.
            threads: of a forward pass; None takes the cores that this process may use.
            weights: SHA-256 of each fold's weights.

        Raises:
            ImportError: onnxruntime, onnx or onnxscript is not installed.
        """
        if not networks:
            raise ValueError("an engine needs at least one network")
        super().__init__(weights)
        self.threads = threads or available_cores()
        self._files = [_exported(network, patch_size, in_channels) for network in networks]
        self._sessions = [_session(file, self.threads) for file in self._files]

    @property
    def n_folds(self) -> int:
        """How many networks vote."""
        return len(self._sessions)

    def _logits(self, fold: int, tiles: torch.Tensor) -> torch.Tensor:
        try:
            (logits,) = self._sessions[fold].run([LOGITS], {IMAGE: tiles.numpy()})
        except Exception as error:  # its own classes are no RuntimeErrors
            if any(words in str(error).lower() for words in MEMORY_MESSAGES):
                self._sessions[fold] = _session(self._files[fold], self.threads)  # the old one keeps what it took
                raise MemoryError(str(error)) from error
            raise
        return torch.from_numpy(logits)


def _exported(network: nn.Module, patch_size: Shape, in_channels: int) -> bytes:
    """The ONNX file of a network."""
    with tempfile.TemporaryDirectory(prefix="autoseg-") as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(network, path, patch_size, in_channels=in_channels)
        return path.read_bytes()


def _session(file: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
