"""Checkpoints: what is written is what is read, older state goes, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autoseg.errors import AutosegError, RecordError
from autoseg.learning.checkpoint import load_checkpoint, save_checkpoint
from autoseg.networks.unet import UNet, build_network
from autoseg.records import FoldCheckpoint
from tests.learning.cases import small_configuration

DIGESTS = {"preparation": "p", "network": "n", "training": "t"}


def record(**changes: object) -> FoldCheckpoint:
    values = {
        "epoch": 1,
        "epochs": 4,
        "progress": 0.25,
        "seconds": 3.0,
        "state": None,
        "weights": "",
        "weights_sha256": "",
        "finished": False,
    }
    return FoldCheckpoint.model_validate(DIGESTS | values | changes)


def trained(seed: int) -> tuple[UNet, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = build_network(small_configuration().network)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    sum(output.square().mean() for output in network(torch.randn(1, 1, 32, 32))).backward()
    optimizer.step()
    return network, optimizer


def test_round_trip_and_clean_up(tmp_path: Path) -> None:
    network, optimizer = trained(0)
    save_checkpoint(tmp_path, record(epoch=0), network, optimizer)
    for parameter in network.parameters():
        parameter.data += 1
    saved = save_checkpoint(tmp_path, record(), network, optimizer)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["checkpoint.json", saved.weights, saved.state])
    other, other_optimizer = trained(1)
    assert load_checkpoint(tmp_path, other, other_optimizer, None, DIGESTS) == saved
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        if mine in optimizer.state:
            assert torch.equal(optimizer.state[mine]["momentum_buffer"], other_optimizer.state[theirs]["momentum_buffer"])


def test_finished_keeps_weights_only(tmp_path: Path) -> None:
    saved = save_checkpoint(tmp_path, record(finished=True), *trained(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "weights.safetensors"]
    assert saved.state is None


def test_nothing_there(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, *trained(0), None, DIGESTS) is None


def test_other_settings_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, record(), *trained(0))
    with pytest.raises(RecordError, match=r"other settings .training changed"):
        load_checkpoint(tmp_path, *trained(0), None, DIGESTS | {"training": "x"})


@pytest.mark.parametrize("damage", ["cut", "exchange", "remove"])
def test_damaged_weights_are_named(tmp_path: Path, damage: str) -> None:
    saved = save_checkpoint(tmp_path, record(), *trained(0))
    path = tmp_path / saved.weights
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "remove":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    with pytest.raises(AutosegError, match=saved.weights):
        load_checkpoint(tmp_path, *trained(0), None, DIGESTS)
