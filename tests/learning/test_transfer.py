"""Starting from another run's weights: what is taken is taken bit by bit, the rest is named with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from autoseg.engines.weights import file_sha256
from autoseg.errors import RecordError, RunFolderError
from autoseg.learning.journal import EpochLine
from autoseg.learning.transfer import account, refuse_other_start, start_from
from autoseg.networks.unet import UNet, build_network
from autoseg.progress import SilentProgress
from autoseg.records import FoldCheckpoint, InitialWeights, StartingWeights, Transfer
from autoseg.stages.train import Setting, train_fold
from tests.learning.cases import small_configuration, small_plan, square_case

CASES = [square_case(seed) for seed in range(6)]


def network(seed: int, **changes: object) -> UNet:
    torch.manual_seed(seed)
    return build_network(small_configuration().network.model_copy(update=changes))


def written(path: Path, source: UNet | dict[str, Tensor], *, same_structures: bool = True) -> Transfer:
    """Weights on disk, and the plan's record of them, for fold 0."""
    save_file(source if isinstance(source, dict) else source.state_dict(), path)
    weights = StartingWeights(fold="0", source_fold="full", file=str(path), sha256=file_sha256(path))
    return Transfer(mode="init", run="/runs/other", configuration="2d", same_structures=same_structures, weights=(weights,))


def test_the_same_network_is_taken_whole(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    initial = start_from(target, written(tmp_path / "w.safetensors", source), "0")
    assert initial is not None
    assert initial.fresh == {}
    assert (initial.fold, initial.run) == ("full", "/runs/other")
    theirs = source.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in target.state_dict().items())
    assert account(initial) == f"{initial.taken} of {initial.taken} layers start from /runs/other (2d, fold full)"


def test_other_classes_and_channels_leave_their_layers_fresh(tmp_path: Path) -> None:
    deep = {"features": (4, 8, 8, 8), "strides": ((1, 1), (2, 2), (2, 2), (2, 2)), "kernel_sizes": ((3, 3),) * 4}
    deep |= {"encoder_blocks": (2,) * 4, "decoder_convs": (2,) * 3}
    source, target = network(0, **deep), network(1, out_channels=5, in_channels=3, **deep)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    initial = start_from(target, written(tmp_path / "w.safetensors", source), "0")
    assert initial is not None
    first = next(name for name in initial.fresh if not name.startswith("heads."))
    assert sorted(initial.fresh) == sorted([first, "heads.0", "heads.1"]), "heads of both resolutions"
    assert initial.fresh["heads.1"] == "2x8x1x1 there, 5x8x1x1 here"
    assert initial.fresh[first] == "4x1x3x3 there, 4x3x3x3 here"
    theirs = source.state_dict()
    for name, value in target.state_dict().items():
        fresh = name.rpartition(".")[0] in initial.fresh
        assert torch.equal(value, before[name] if fresh else theirs[name]), name
    assert "from random numbers: " in account(initial)
    assert "heads.0 (2x4x1x1 there, 5x4x1x1 here)" in account(initial)


def test_other_structures_leave_the_heads_fresh_though_their_number_agrees(tmp_path: Path) -> None:
    target = network(1)
    before = target.state_dict()["heads.0.weight"].clone()
    initial = start_from(target, written(tmp_path / "w.safetensors", network(0), same_structures=False), "0")
    assert initial is not None
    assert initial.fresh == {"heads.0": "other structures"}
    assert torch.equal(target.state_dict()["heads.0.weight"], before)


def test_a_layer_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    tensors = dict(network(0).state_dict())
    del tensors["heads.0.bias"]
    initial = start_from(network(1), written(tmp_path / "w.safetensors", tensors), "0")
    assert initial is not None
    assert initial.fresh == {"heads.0": "bias only here"}
    del tensors["heads.0.weight"]
    initial = start_from(network(1), written(tmp_path / "w.safetensors", tensors), "0")
    assert initial is not None
    assert initial.fresh == {"heads.0": "there is none of that name"}


def test_weights_that_cannot_be_used_are_refused_with_a_cure(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    transfer = written(path, network(0))
    with pytest.raises(RecordError, match="names no weights that fold 1 starts from"):
        start_from(network(1), transfer, "1")
    assert start_from(network(1), transfer.model_copy(update={"mode": "plan", "weights": ()}), "1") is None
    written(path, network(2))  # the other run was trained anew
    with pytest.raises(RecordError, match=r"not the weights that were planned with.*plan again with --init-from"):
        start_from(network(1), transfer, "0")
    path.unlink()
    with pytest.raises(RunFolderError, match=r"missing.*Bring /runs/other back"):
        start_from(network(1), transfer, "0")
    strangers = {f"other.{name}": value for name, value in network(0).state_dict().items()}
    with pytest.raises(RecordError, match="none of its layers fits"):
        start_from(network(1), written(path, strangers), "0")


def test_seen_images_are_said() -> None:
    initial = InitialWeights(run="/runs/other", configuration="2d", fold="1", sha256="", taken=3, fresh={}, seen=4)
    assert "trained on 4 of the images kept out of this fold" in account(initial)


def test_a_fold_goes_on_from_where_it_started(tmp_path: Path) -> None:
    transfer = written(tmp_path / "w.safetensors", network(0))
    sha256 = transfer.weights[0].sha256
    began = InitialWeights(run="/runs/other", configuration="2d", fold="full", sha256=sha256, taken=1, fresh={})
    moved = transfer.weights[0].model_copy(update={"file": "/elsewhere/w.safetensors"})
    refuse_other_start(tmp_path, began, transfer.model_copy(update={"weights": (moved,)}), "0")
    refuse_other_start(tmp_path, None, None, "0")
    refuse_other_start(tmp_path, None, transfer.model_copy(update={"mode": "plan", "weights": ()}), "0")
    other = transfer.weights[0].model_copy(update={"sha256": "0"})
    for initial, planned in ((began, None), (None, transfer), (began, transfer.model_copy(update={"weights": (other,)}))):
        with pytest.raises(RecordError, match=r"restore plan\.json"):
            refuse_other_start(tmp_path, initial, planned, "0")


class Stopper(SilentProgress):
    """Keeps messages, and stops training at a step."""

    def __init__(self, step: int = 1000):
        self.step, self.messages = step, list[str]()

    def message(self, text: str) -> None:
        self.messages.append(text)

    def advance(self, done: int, text: str = "") -> None:
        if done >= self.step:
            raise KeyboardInterrupt


def test_training_starts_there_and_goes_on_without_the_other_run(
    tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fine-tuning begins where the other run ended; after the first checkpoint that run is no longer needed."""
    monkeypatch.setattr("autoseg.stages.train.epochs.SHARE_OF_SAVING", 10.0)
    short, where = small_configuration(epochs=2, steps=10), torch.device(device)
    longer = small_configuration(epochs=5, steps=30)
    done = train_fold(small_plan(longer), longer, CASES, [], tmp_path / "source", fold=0, setting=Setting(device=where))
    weights = StartingWeights(fold="0", source_fold="0", file=str(tmp_path / "source" / done.weights), sha256=done.weights_sha256)
    transfer = Transfer(mode="init", run=str(tmp_path / "source"), configuration="2d", same_structures=True, weights=(weights,))
    plan, progress = small_plan(short).model_copy(update={"transfer": transfer}), Stopper(20)
    with pytest.raises(KeyboardInterrupt):
        train_fold(plan, short, CASES, [], tmp_path / "tuned", fold=0, setting=Setting(device=where, progress=progress))
    assert any("layers start from" in message for message in progress.messages)
    (tmp_path / "source" / done.weights).unlink()
    train_fold(plan, short, CASES, [], tmp_path / "tuned", fold=0, setting=Setting(device=where))
    record = FoldCheckpoint.load(tmp_path / "tuned" / "checkpoint.json")
    assert record.finished
    assert record.initial is not None
    assert record.initial.sha256 == done.weights_sha256
    with pytest.raises(RunFolderError, match="weights to start from are missing"):
        train_fold(plan, short, CASES, [], tmp_path / "again", fold=0, setting=Setting(device=where))
    fresh = train_fold(small_plan(short), short, CASES, [], tmp_path / "fresh", fold=0, setting=Setting(device=where))
    assert fresh.initial is None
    tuned, anew = (first_loss(tmp_path / name) for name in ("tuned", "fresh"))
    assert tuned < 0.8 * anew, "the loss of the first epoch"


def first_loss(folder: Path) -> float:
    return EpochLine.model_validate_json((folder / "journal.jsonl").read_text().splitlines()[0]).train_loss
