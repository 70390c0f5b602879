"""Weights are loaded only as recorded; batches shrink when memory does; precision reaches the forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from autoseg.engines.device import is_out_of_memory
from autoseg.engines.torch_engine import TorchEngine, load_engine
from autoseg.engines.weights import file_sha256
from autoseg.errors import OutOfMemory, RecordError, RunFolderError
from autoseg.networks.unet import build_network
from autoseg.records import NetworkSpec

SPEC = NetworkSpec(
    rank=2,
    in_channels=1,
    out_channels=3,
    features=(4, 8),
    strides=((1, 1), (2, 2)),
    kernel_sizes=((3, 3), (3, 3)),
    encoder_blocks=(2, 2),
    decoder_convs=(2,),
)


class Scale(nn.Module):
    """Multiplies its input."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Hungry(nn.Module):
    """Runs out of memory with more than `limit` tiles."""

    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return x


def saved(tmp_path: Path, seed: int) -> tuple[Path, str, nn.Module]:
    torch.manual_seed(seed)
    network = build_network(SPEC)
    path = tmp_path / f"fold_{seed}.safetensors"
    save_file(network.state_dict(), path)
    return path, file_sha256(path), network


def test_each_fold_answers_for_itself() -> None:
    engine = TorchEngine([Scale(1.0), Scale(3.0)])
    first, second = engine(torch.full((2, 1, 4, 4), 2.0))
    assert engine.n_folds == 2
    assert first.unique().tolist() == [2.0] and second.unique().tolist() == [6.0]


def test_loaded_folds_answer_as_the_networks_that_were_saved(tmp_path: Path) -> None:
    folds = [saved(tmp_path, 0), saved(tmp_path, 1)]
    engine = load_engine(SPEC, [(path, sha) for path, sha, _ in folds])
    tiles = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        expected = [network.eval()(tiles) for _, _, network in folds]
    for logits, reference in zip(engine(tiles), expected, strict=True):
        torch.testing.assert_close(logits, reference)
    assert not torch.equal(expected[0], expected[1])
    assert engine.weights == (folds[0][1], folds[1][1])


def test_bfloat16_is_close_but_not_equal_and_comes_back_as_float32(tmp_path: Path) -> None:
    path, sha, network = saved(tmp_path, 0)
    tiles = torch.randn(1, 1, 16, 16)
    (low,) = load_engine(SPEC, [(path, sha)], precision="bfloat16")(tiles)
    with torch.no_grad():
        full = network.eval()(tiles)
    assert low.dtype == torch.float32
    assert 0 < (low - full).abs().max() < 0.1 * full.abs().max()


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    path, sha, _ = saved(tmp_path, 0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RecordError, match="changed or damaged"):
        load_engine(SPEC, [(path, sha)])


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"gone\.safetensors"):
        load_engine(SPEC, [(tmp_path / "gone.safetensors", "0" * 64)])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path, sha, _ = saved(tmp_path, 0)
    with pytest.raises(RecordError, match="not the weights of the plan's network"):
        load_engine(SPEC.model_copy(update={"features": (4, 16)}), [(path, sha)])


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    network = Hungry(limit=2)
    engine = TorchEngine([network])
    tiles = torch.arange(7.0).reshape(7, 1, 1, 1)
    (logits,) = engine(tiles)
    assert torch.equal(logits, tiles)
    assert network.seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]  # 7 fails, 3 fails, then ones
    network.seen.clear()
    list(engine(tiles[:2]))
    assert network.seen == [1, 1]


def test_one_tile_that_does_not_fit_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="one tile of 4x6"):
        list(TorchEngine([Hungry(limit=0)])(torch.zeros(4, 1, 4, 6)))


def test_other_failures_are_not_taken_for_memory() -> None:
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(RuntimeError("Given groups=1, weight of size [4, 1, 3, 3], expected input to have 1 channels"))
    with pytest.raises(RuntimeError, match="channels"):
        list(TorchEngine([build_network(SPEC)])(torch.zeros(1, 2, 8, 8)))
