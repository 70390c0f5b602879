"""Steps that are no numbers, memory that does not suffice, folds that do not learn, and folds that go on after their end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autoseg.engines.weights import file_sha256
from autoseg.errors import OutOfMemory, RunFolderError, TrainingDiverged
from autoseg.learning.journal import EpochLine, Journal, read_journal
from autoseg.learning.step import Step, StepResult
from autoseg.progress import SilentProgress
from autoseg.records import Configuration, FoldCheckpoint
from autoseg.stages.train import Setting, train_fold
from tests.learning.cases import MemoryCase, small_configuration, small_plan, square_case
from tests.stages.train.test_fold import TRAIN, VALIDATION, run


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def train_on(cases: list[MemoryCase], configuration: Configuration, folder: Path, **options: object) -> FoldCheckpoint:
    setting = Setting(device=torch.device("cpu"), **options)
    return train_fold(small_plan(configuration), configuration, cases, VALIDATION, folder, fold=0, setting=setting)


def test_a_step_that_is_no_number_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad batch changes nothing: the weights stay numbers, the step is counted, the cases are named."""
    original, calls = Step.__call__, []

    def once_bad(self: Step, images: torch.Tensor, labels: torch.Tensor) -> StepResult:
        calls.append(1)
        return original(self, images * float("nan") if len(calls) == 3 else images, labels)

    monkeypatch.setattr(Step, "__call__", once_bad)
    checkpoint = run(tmp_path, small_configuration(epochs=2, steps=4), "cpu")
    assert checkpoint.skipped == 1
    lines, events = read_journal(tmp_path / "journal.jsonl")
    assert all(line.train_loss == line.train_loss for line in lines)
    (skipped,) = [event for event in events if event.event == "skipped"]
    assert "the batch holds case" in skipped.text


def test_the_third_one_stops_training_and_names_the_cases(tmp_path: Path) -> None:
    good, bad = square_case(0), square_case(1)
    bad.image[:] = float("nan")
    bad.id = "broken_scan"
    configuration = small_configuration(epochs=50, steps=3)
    with pytest.raises(TrainingDiverged, match="3 steps had a loss that is no number") as caught:
        train_on([good, good, bad], configuration, tmp_path)
    assert "broken_scan" in str(caught.value)
    assert f"--set training.initial_lr={configuration.training.initial_lr / 3:.1g}" in str(caught.value), (
        "a gentler rate than its own"
    )
    assert sum(event.event == "skipped" for event in read_journal(tmp_path / "journal.jsonl")[1]) == 3


def test_memory_that_does_not_suffice_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 3 do not fit, 2 and 1 do: said once, written down, and kept on resuming."""
    original = Step.__call__

    def tight(self: Step, images: torch.Tensor, labels: torch.Tensor) -> StepResult:
        if len(images.chunk(self.parts)[0]) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")
        return original(self, images, labels)

    monkeypatch.setattr(Step, "__call__", tight)
    heard = Heard()
    checkpoint = run(tmp_path, small_configuration(epochs=3, steps=4), "cpu", progress=heard)
    assert checkpoint.parts == 2
    assert [(a.name, a.before, a.after) for a in checkpoint.amendments] == [("parts", "1", "2")]
    assert sum("memory did not suffice" in message for message in heard.messages) == 1
    assert [event.event for event in read_journal(tmp_path / "journal.jsonl")[1]] == ["memory", "end"]


def test_one_sample_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Step, images: torch.Tensor, labels: torch.Tensor) -> StepResult:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Step, "__call__", never)
    with pytest.raises(OutOfMemory, match=r"one sample .CUDA out of memory"):
        run(tmp_path, small_configuration(epochs=1, steps=1), "cpu")


def test_parts_add_up_to_the_batch() -> None:
    """Cross-entropy alone is a mean over pixels, so two parts of two samples have the gradients of one batch of four."""
    from autoseg.learning.learner import build_learner, build_step

    configuration = small_configuration()
    training = configuration.training.model_copy(update={"dice_weight": 0.0, "gradient_clip": 1e9})
    configuration = configuration.model_copy(update={"training": training})
    images = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = (images > 0).to(torch.int16)
    gradients = []
    for parts in (1, 2):
        learner = build_learner(configuration, torch.device("cpu"), seed=0)
        step = build_step(small_plan(configuration), configuration, learner, torch.device("cpu"))
        step.parts, step.precision = parts, "float32"
        step(images, labels)
        gradients.append([parameter.grad for parameter in learner.network.parameters()])
    for whole, added in zip(*gradients, strict=True):
        assert torch.allclose(whole, added, atol=1e-6)


def test_a_fold_far_below_its_siblings_is_told(tmp_path: Path) -> None:
    siblings = []
    for index, dice in enumerate((0.8, 0.7)):
        journal = Journal(tmp_path / f"{index}.jsonl")
        siblings.append(journal.path)
        for epoch in range(20):
            journal.append(
                EpochLine(
                    epoch=epoch,
                    steps=epoch + 1,
                    learning_rate=0.1,
                    train_loss=1.0,
                    validation_loss=None,
                    dice={"square": dice},
                    seconds=1.0,
                    steps_per_second=1.0,
                )
            )
    empty = [square_case(seed) for seed in range(3)]
    for case in empty:
        case.labels[:] = 0  # as where masks were lost
    heard = Heard()
    train_on(empty, small_configuration(epochs=20, steps=1), tmp_path / "fold", siblings=siblings, progress=heard)
    (warning,) = [event for event in read_journal(tmp_path / "fold" / "journal.jsonl")[1] if event.event == "warning"]
    assert warning.epoch == 2
    assert "the other folds had 0.750" in warning.text
    assert "Likely causes" in warning.text
    assert any(message.startswith("warning: at a tenth") for message in heard.messages)


def test_a_finished_fold_is_extended(tmp_path: Path) -> None:
    """The rate rises to that of a schedule of the whole new length, and falls to zero again; the weights go on from where they were."""
    configuration = small_configuration(epochs=4, steps=10)
    first = run(tmp_path, configuration, "cpu")
    final = (tmp_path / "weights.safetensors").read_bytes()
    extended = run(tmp_path, configuration, "cpu", extend_seconds=first.seconds * 2)
    assert extended.finished and extended.epochs > first.epochs
    assert extended.extended_at == 4
    assert any(a.name == "epochs" and a.before == "4" and "extended" in a.reason for a in extended.amendments)
    lines, events = read_journal(tmp_path / "journal.jsonl")
    assert [line.epoch for line in lines] == list(range(extended.epochs))
    assert [event.event for event in events].count("extended") == 1
    assert lines[3].learning_rate < 0.15 * lines[0].learning_rate < lines[4].learning_rate
    assert lines[-1].learning_rate < lines[4].learning_rate
    assert lines[4].train_loss < lines[0].train_loss
    assert extended.handed_over is None and extended.weights != "weights.safetensors"
    assert (tmp_path / extended.weights).read_bytes() != final
    assert (tmp_path / "weights.safetensors").read_bytes() == final, "until model.json names the new ones"
    assert run(tmp_path, configuration, "cpu") == extended, "without --extend nothing more is trained"


def test_an_extension_that_was_interrupted_goes_on_and_is_not_extended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autoseg.stages.train import epochs
    from tests.stages.train.test_fold import Interrupter

    monkeypatch.setattr(epochs, "SHARE_OF_SAVING", 10.0)
    training = small_configuration(epochs=3, steps=10)
    configuration = training.model_copy(update={"training": training.training.model_copy(update={"deterministic": True})})
    first = run(tmp_path, configuration, "cpu")
    more = first.seconds  # as long again: three epochs
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, configuration, "cpu", extend_seconds=more, progress=Interrupter(50))
    record = FoldCheckpoint.load(tmp_path / "checkpoint.json")
    assert (record.epoch, record.epochs, record.finished) == (4, 6, False)
    assert record.handed_over == "weights.safetensors" and record.handed_over_sha256 == first.weights_sha256
    assert file_sha256(tmp_path / "weights.safetensors") == first.weights_sha256, (
        "predictions use these until the extension is done"
    )
    done = run(tmp_path, configuration, "cpu", extend_seconds=more)
    assert (done.epochs, done.finished) == (6, True)


def test_nothing_to_extend(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="not begun"):
        run(tmp_path, small_configuration(), "cpu", extend_seconds=60.0)


def test_compiling_that_fails_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object, **__: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler found")

    monkeypatch.setattr(torch, "compile", no_compiler)
    small = small_configuration(epochs=1, steps=2)
    configuration = small.model_copy(update={"training": small.training.model_copy(update={"compile": True})})
    heard = Heard()
    checkpoint = run(tmp_path, configuration, "cpu", progress=heard)
    assert [(a.name, a.after) for a in checkpoint.amendments] == [("compile", "false")]
    assert [m for m in heard.messages if "not compiled" in m] == [
        "the network is not compiled: the compiler failed (RuntimeError: InvalidCxxCompiler: no working C++ compiler found)"
    ]


def test_the_quicker_memory_format_is_kept(tmp_path: Path) -> None:
    configuration = small_configuration(epochs=2, steps=2, memory_format="auto")
    Journal(tmp_path / "journal.jsonl").note(
        "amended", 0, "memory_format: auto -> of a training that was killed before its checkpoint"
    )
    checkpoint = run(tmp_path, configuration, "cpu")
    (amendment,) = checkpoint.amendments
    assert amendment.name == "memory_format" and amendment.after in ("contiguous", "channels_last")
    assert "contiguous and" in amendment.reason
    (event,) = [event for event in read_journal(tmp_path / "journal.jsonl")[1] if event.event == "amended"]
    assert event.text.startswith(f"memory_format: auto -> {amendment.after}")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_other_recipes_learn(tmp_path: Path, optimizer: str, schedule: str) -> None:
    small = small_configuration(epochs=6, steps=25, memory_format="channels_last")
    changes = {"optimizer": optimizer, "schedule": schedule, "ema_decay": 0.9, "warmup_share": 0.1}
    changes |= {"momentum": 0.9, "initial_lr": 3e-3} if optimizer == "adamw" else {"momentum": 0.95}
    configuration = small.model_copy(update={"training": small.training.model_copy(update=changes)})
    run(tmp_path, configuration, "cpu")
    lines = read_journal(tmp_path / "journal.jsonl")[0]
    assert lines[-1].dice["square"] > 0.7


assert TRAIN and VALIDATION
