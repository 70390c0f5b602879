"""Trackers: what they are told once, what a resumed training does not tell again, and that their failures stop nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import PlanError
from autoseg.learning import tracking
from autoseg.learning.journal import EpochLine, EventLine
from autoseg.learning.tracking import Tracked, metrics_of, open_trackers, parameters_of, refuse_unknown_trackers
from autoseg.progress import SilentProgress
from tests.learning.cases import small_configuration


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


class Kept:
    """A tracker that keeps what it is told; `fails` names the method that raises."""

    def __init__(self, fails: str = ""):
        self.fails, self.told = fails, []

    def epoch(self, line: EpochLine) -> None:
        self._tell("epoch", line.epoch)

    def event(self, line: EventLine) -> None:
        self._tell("event", line.text)

    def close(self, *, finished: bool) -> None:
        self._tell("close", finished)

    def _tell(self, what: str, value: object) -> None:
        if what == self.fails:
            raise ConnectionError("the server is gone")
        self.told.append((what, value))


def line(epoch: int, loss: float = 0.5) -> EpochLine:
    return EpochLine(
        epoch=epoch,
        steps=10 * (epoch + 1),
        learning_rate=0.01,
        train_loss=loss,
        validation_loss=None,
        dice={"head (outer)": 0.25, "csp": 0.75, "lv": None},
        seconds=1.0,
        steps_per_second=10.0,
    )


def tracked(folder: Path, *lines: EpochLine) -> Tracked:
    return Tracked(
        name="run/2d/fold_0",
        tensorboard=folder / "tensorboard",
        mlflow=folder / "mlflow",
        mlflow_run=folder / "mlflow_run.json",
        experiment="run",
        parameters=parameters_of(small_configuration()),
        lines=lines,
    )


def trackers_of(*kept: Kept, progress: SilentProgress) -> tracking.Trackers:
    return tracking.Trackers([tracking._Lane(f"kept {i}", lambda _, k=k: k, None) for i, k in enumerate(kept)], progress)  # type: ignore[misc,arg-type]


def test_metrics_and_parameters_are_flat() -> None:
    assert metrics_of(line(0)) == {
        "loss/training": 0.5,
        "dice/head (outer)": 0.25,
        "dice/csp": 0.75,
        "dice/mean": 0.5,
        "learning_rate": 0.01,
        "steps_per_second": 10.0,
    }
    found = parameters_of(small_configuration())
    assert found["training.batch_size"] == 3
    assert found["training.patch_size"] == "[32, 32]"
    assert found["preparation.crop_to_nonzero"] is True
    assert found["augmentation.rotation.probability"] == 0.2
    assert not any(name.startswith("decisions") for name in found)


def test_everything_is_told_in_order() -> None:
    kept = Kept()
    with trackers_of(kept, progress=SilentProgress()) as trackers:
        trackers.epoch(line(0))
        trackers.event(EventLine(event="warning", epoch=1, text="no structure is found"))
        trackers.epoch(line(1))
    assert kept.told == [("epoch", 0), ("event", "no structure is found"), ("epoch", 1), ("close", True)]


def test_an_interrupted_training_is_no_finished_one() -> None:
    kept = Kept()
    with pytest.raises(KeyboardInterrupt), trackers_of(kept, progress=SilentProgress()):
        raise KeyboardInterrupt
    assert kept.told == [("close", False)]


@pytest.mark.parametrize("fails", ["epoch", "event", "close"])
def test_one_that_fails_is_left_out_with_one_message_and_the_other_goes_on(fails: str) -> None:
    heard, bad, good = Heard(), Kept(fails), Kept()
    with trackers_of(bad, good, progress=heard) as trackers:
        for epoch in range(5):
            trackers.epoch(line(epoch))
            trackers.event(EventLine(event="amended", epoch=epoch, text="x"))
    assert [m for m in heard.messages if "the server is gone" in m] == heard.messages
    assert len(heard.messages) == 1
    assert len(good.told) == 11


def test_one_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "CLOSING_SECONDS", 0.2)
    heard, released = Heard(), threading.Event()
    kept = Kept()
    kept.epoch = lambda _: released.wait(20)  # type: ignore[method-assign,assignment,return-value]
    with trackers_of(kept, progress=heard) as trackers:
        for epoch in range(3):
            trackers.epoch(line(epoch))
    released.set()
    assert heard.messages == ["kept 0 is left out from here on: it does not take what is left in time"]


def test_a_missing_package_is_said_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PlanError, match="pip install mlflow"):
        refuse_unknown_trackers(["mlflow"])
    with pytest.raises(PlanError, match="choose tensorboard or mlflow"):
        refuse_unknown_trackers(["wandb"])
    refuse_unknown_trackers([])


def _scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    held.Reload()
    return {tag: [(e.step, round(e.value, 6)) for e in held.Scalars(tag)] for tag in held.Tags()["scalars"]}


def test_tensorboard_goes_on_without_writing_an_epoch_twice(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with open_trackers(["tensorboard"], tracked(tmp_path), SilentProgress()) as trackers:
        for epoch in range(4):
            trackers.epoch(line(epoch, loss=epoch))
    # the checkpoint was of two epochs: the others are trained again
    with open_trackers(["tensorboard"], tracked(tmp_path, line(0, 0.0), line(1, 1.0)), SilentProgress()) as trackers:
        for epoch in (2, 3, 4):
            trackers.epoch(line(epoch, loss=epoch + 0.5))
    found = _scalars(tmp_path / "tensorboard")
    assert found["loss/training"] == [(1, 0.0), (2, 1.0), (3, 2.5), (4, 3.5), (5, 4.5)]
    assert set(found) == {*metrics_of(line(0))}


def test_tensorboard_is_given_what_was_trained_before(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with open_trackers(["tensorboard"], tracked(tmp_path, line(0), line(1)), SilentProgress()) as trackers:
        trackers.epoch(line(2))
    assert [step for step, _ in _scalars(tmp_path / "tensorboard")["dice/mean"]] == [1, 2, 3]


def _mlflow_runs(folder: Path) -> tuple[Any, list[Any]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("run")
    return client, client.search_runs([experiment.experiment_id])


def test_mlflow_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setattr(tracking, "CLOSING_SECONDS", 120.0)  # its data base is made on first use
    with open_trackers(["mlflow"], tracked(tmp_path), SilentProgress()) as trackers:
        for epoch in range(4):
            trackers.epoch(line(epoch, loss=epoch))
        trackers.event(EventLine(event="amended", epoch=4, text="20 -> 10 epochs"))
    with open_trackers(["mlflow"], tracked(tmp_path, line(0, 0.0), line(1, 1.0)), SilentProgress()) as trackers:
        for epoch in (2, 3, 4):
            trackers.epoch(line(epoch, loss=epoch))
        trackers.event(EventLine(event="end", epoch=5, text="trained"))
    client, (run,) = _mlflow_runs(tmp_path)
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss/training")] == [1, 2, 3, 4, 5]
    assert run.data.metrics["dice/head _outer_"] == 0.25
    assert run.data.params["training.batch_size"] == "3"
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((tmp_path / "mlflow" / "artifacts").as_uri())
    assert run.data.tags["mlflow.note.content"].splitlines() == [
        "- after 4 epochs, amended: 20 -> 10 epochs",
        "- after 5 epochs, end: trained",
    ]
