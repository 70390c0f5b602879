"""Trained networks run by PyTorch on CPU, CUDA or MPS.

How a network lies on a device, and which arithmetic it uses there, is decided in `device`, as for training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from autoseg.engines.device import Precision, autocast, is_out_of_memory, place
from autoseg.engines.weights import read_tensors
from autoseg.errors import OutOfMemory, RecordError
from autoseg.networks.unet import build_network
from autoseg.records import NetworkSpec

BUFFER_SHARE = 0.4  # of the free device memory a score buffer may take; the rest is the network's

log = logging.getLogger(__name__)


class TorchEngine:
    """The networks of one or more folds on one device, in eval mode."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        weights: tuple[str, ...] = (),
    ):
        if not networks:
            raise ValueError("an engine needs at least one network")
        self.device = torch.device(device)
        self.precision = precision
        self.weights = weights
        self.networks = [place(network, self.device).eval() for network in networks]
        self.largest_batch: int | None = None  # learnt when a batch did not fit

    @property
    def n_folds(self) -> int:
        """How many networks vote."""
        return len(self.networks)

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        """For tiles (B, C, *patch), yield each fold's logits (B, K, *patch) as float32, one fold after another.

        A batch that does not fit is halved, and later batches start at the size that did.

        Raises:
            OutOfMemory: a single tile does not fit.
        """
        tiles = tiles.to(self.device)
        for network in self.networks:
            yield self._forward(network, tiles)

    def buffer_device(self, n_bytes: int) -> torch.device:
        """CUDA when `n_bytes` take a modest share of its free memory (saves moving every tile's logits), else CPU."""
        if self.device.type == "cuda" and n_bytes < BUFFER_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return self.device
        return torch.device("cpu")

    def _forward(self, network: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
        while True:
            size = min(len(tiles), self.largest_batch or len(tiles))
            try:
                parts = [self._logits(network, part) for part in tiles.split(size)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    shape = "x".join(map(str, tiles.shape[2:]))
                    raise OutOfMemory(
                        f"one tile of {shape} does not fit into the memory of {self.device}; "
                        "predict on another device, or plan with less --memory"
                    ) from error
            self.largest_batch = size // 2  # outside the handler: the error holds the failed attempt's tensors
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            log.warning("a batch of %d tiles did not fit into the memory of %s; going on with %d", size, self.device, size // 2)

    @torch.inference_mode()
    def _logits(self, network: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
        with autocast(self.device, self.precision):
            logits: torch.Tensor = network(tiles)
        logits = logits.float()
        if self.precision == "float16" and not torch.isfinite(logits).all():  # beyond 65504; rare, and worth the second pass
            logits = network(tiles).float()
        return logits


def load_engine(
    spec: NetworkSpec,
    weights: Sequence[tuple[Path, str]],
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
    build: Callable[[NetworkSpec], nn.Module] = build_network,
) -> TorchEngine:
    """An engine of one network per fold.

    Args:
        spec: the network of the plan.
        weights: for each fold its safetensors file and the SHA-256 that the model's record states.
        device: where to run.
        precision: arithmetic of the forward pass; weights stay float32.
        build: makes a network of the spec.

    Raises:
        RunFolderError: a weights file is missing.
        RecordError: a file is not what the record says, or does not fit the network.
    """
    networks = []
    for path, sha256 in weights:
        network = build(spec)
        _load_weights(network, path, sha256)
        networks.append(network)
    return TorchEngine(networks, device, precision, tuple(sha256 for _, sha256 in weights))


def _load_weights(network: nn.Module, path: Path, sha256: str) -> None:
    weights = read_tensors(path, sha256)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RecordError(
            f"{path}: these are not the weights of the plan's network; was plan.json edited after training?\n{error}"
        ) from error
