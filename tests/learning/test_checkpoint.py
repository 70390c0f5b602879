"""Checkpoints: what is written is what is read, older state goes, and damage is named."""

from __future__ import annotations

from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

import pytest
import torch
from safetensors.torch import load_file

from autoseg.errors import AutosegError, DiskFull, RecordError
from autoseg.learning.checkpoint import load_checkpoint, save_checkpoint
from autoseg.learning.learner import Learner
from autoseg.learning.optimiser import WeightAverage, build_optimiser
from autoseg.networks.unet import build_network
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


def trained(seed: int, **changes: object) -> Learner:
    """A network after two steps."""
    torch.manual_seed(seed)
    configuration = small_configuration()
    spec = configuration.training.model_copy(update=changes)
    network = build_network(configuration.network)
    learner = Learner(network, build_optimiser(network, spec), None, WeightAverage(network, 0.9) if spec.ema_decay else None)
    step(learner)
    step(learner)
    return learner


def step(learner: Learner) -> None:
    learner.optimizer.zero_grad()
    sum(output.square().mean() for output in learner.network(torch.randn(1, 1, 32, 32))).backward()
    learner.optimizer.step()
    if learner.average is not None:
        learner.average.update()


def test_round_trip_and_clean_up(tmp_path: Path) -> None:
    learner = trained(0)
    save_checkpoint(tmp_path, record(epoch=0), learner)
    for parameter in learner.network.parameters():
        parameter.data += 1
    saved = save_checkpoint(tmp_path, record(), learner)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["checkpoint.json", saved.weights, saved.state])
    other = trained(1)
    assert load_checkpoint(tmp_path, other, DIGESTS) == saved
    assert_equal(learner, other)


@pytest.mark.parametrize("changes", [{"optimizer": "adamw", "momentum": 0.9, "initial_lr": 1e-3}, {"ema_decay": 0.9}])
def test_goes_on_as_if_never_interrupted(tmp_path: Path, changes: dict[str, object]) -> None:
    """Adam's two moments and count of steps, or the averaged weights beside those that are trained."""
    learner, other = trained(0, **changes), trained(1, **changes)
    saved = save_checkpoint(tmp_path, record(), learner)
    load_checkpoint(tmp_path, other, DIGESTS)
    assert_equal(learner, other)
    torch.manual_seed(5)
    step(learner)
    torch.manual_seed(5)
    step(other)
    assert_equal(learner, other)
    if learner.average is not None:
        handed_over = load_file(tmp_path / saved.weights)
        trained_weights = learner.network.state_dict()
        assert any(not torch.equal(handed_over[name], trained_weights[name]) for name in handed_over)


@pytest.mark.skipif(resource is None, reason="no limit for the size of files can be set on this system")
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """A limit for the size of files stands in for the end of the disk: writing fails half-way through the weights."""
    learner = trained(0)
    first = save_checkpoint(tmp_path, record(epoch=1), learner)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(DiskFull, match="the disk is full; the checkpoint after epoch 1 is intact"):
            save_checkpoint(tmp_path, record(epoch=2), learner)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert load_checkpoint(tmp_path, trained(1), DIGESTS) == first


def assert_equal(mine: Learner, theirs: Learner) -> None:
    for here, there in zip(mine.network.parameters(), theirs.network.parameters(), strict=True):
        assert torch.equal(here, there)
        for key, value in mine.optimizer.state[here].items():
            assert value is None or torch.equal(value, theirs.optimizer.state[there][key])
    if mine.average is not None and theirs.average is not None:
        assert mine.average.steps == theirs.average.steps
        assert all(torch.equal(value, theirs.average.values[name]) for name, value in mine.average.values.items())


def test_finished_keeps_weights_only(tmp_path: Path) -> None:
    saved = save_checkpoint(tmp_path, record(finished=True), trained(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "weights.safetensors"]
    assert saved.state is None


def test_nothing_there(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, trained(0), DIGESTS) is None


def test_other_settings_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, record(), trained(0))
    with pytest.raises(RecordError, match=r"other settings .training changed"):
        load_checkpoint(tmp_path, trained(0), DIGESTS | {"training": "x"})


@pytest.mark.parametrize("damage", ["cut", "exchange", "remove"])
def test_damaged_weights_are_named(tmp_path: Path, damage: str) -> None:
    saved = save_checkpoint(tmp_path, record(), trained(0))
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
        load_checkpoint(tmp_path, trained(0), DIGESTS)
