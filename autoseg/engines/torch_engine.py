"""Trained networks run by PyTorch on CPU, CUDA or MPS.

How a network lies on a device, and which arithmetic it uses there, is decided in `device`, as for training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from autoseg.engines.device import MemoryFormat, Precision, autocast, place
from autoseg.engines.fitting_batch import FittingBatch
from autoseg.engines.weights import read_tensors
from autoseg.errors import RecordError
from autoseg.networks.unet import build_for_weights
from autoseg.records import NetworkSpec

BUFFER_SHARE = 0.4  # of the free device memory a score buffer may take; the rest is the network's


class TorchEngine:
    """The networks of one or more folds on one device, in eval mode."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        weights: tuple[str, ...] = (),
        memory_format: MemoryFormat | None = None,
    ):
        """Lay the networks on the device.

        Args:
            networks: one per fold; they are moved there.
            device: where to run.
            precision: arithmetic of the forward pass; weights stay float32.
            weights: SHA-256 of each fold's weights.
            memory_format: None takes channels-last on a CPU, where it took 0.5 to 1.05 of the time (see
                `autoseg.networks.normalise`), and what `device.place` prefers elsewhere.
        """
        if not networks:
            raise ValueError("an engine needs at least one network")
        self.device = torch.device(device)
        self.precision, self.name = precision, f"torch-{precision}"
        self.weights = weights
        if memory_format is None and self.device.type == "cpu":
            memory_format = "channels_last"
        self.networks = [place(network, self.device, memory_format).eval() for network in networks]
        self.fitting = FittingBatch(self.device)

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
            yield self.fitting(partial(self._logits, network), tiles)

    def buffer_device(self, n_bytes: int) -> torch.device:
        """CUDA when `n_bytes` take a modest share of its free memory (saves moving every tile's logits), else CPU."""
        if self.device.type == "cuda" and n_bytes < BUFFER_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return self.device
        return torch.device("cpu")

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
    build: Callable[[NetworkSpec], nn.Module] = build_for_weights,
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
    networks = load_networks(spec, weights, build)
    return TorchEngine(networks, device, precision, tuple(sha256 for _, sha256 in weights))


def load_networks(
    spec: NetworkSpec, weights: Sequence[tuple[Path, str]], build: Callable[[NetworkSpec], nn.Module] = build_for_weights
) -> list[nn.Module]:
    """One network per fold, in main memory; arguments and errors are those of `load_engine`."""
    networks = []
    for path, sha256 in weights:
        network = build(spec)
        _load_weights(network, path, sha256)
        networks.append(network)
    return networks


def _load_weights(network: nn.Module, path: Path, sha256: str) -> None:
    weights = read_tensors(path, sha256)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RecordError(
            f"{path}: these are not the weights of the plan's network; was plan.json edited after training?\n{error}"
        ) from error
