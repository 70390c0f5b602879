"""Curves of a training in TensorBoard or MLflow, beside the fold's own journal.

Trackers work in a thread of their own: a server that is slow or gone holds up no training. One that fails is left out from then
on, after one message. What was tracked before an interruption is kept, and no epoch is written twice.
"""

from __future__ import annotations

import importlib.util
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from autoseg.errors import PlanError
from autoseg.learning.journal import EpochLine, EventLine
from autoseg.progress import Progress
from autoseg.records import Configuration, Part, write_text

Parameter = str | int | float | bool
Parameters = Mapping[str, Parameter]

PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}  # what is imported, by the tracker's name
CLOSING_SECONDS = 30.0  # that a training waits at its end for what is not written yet
CLOSING_SECONDS_INTERRUPTED = 5.0
LONGEST_NOTE = 5000  # characters of MLflow's description of a run
PARAMETERS_AT_ONCE = 100  # MLflow takes no more in one request
LONGEST_PARAMETER = 500
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a run's description
TRAIN_LOSS = "loss/training"


class Tracker(Protocol):
    """Keeps curves. Any method may raise; the training goes on without it then."""

    def epoch(self, line: EpochLine) -> None:
        """Losses, Dice, learning rate and speed of an epoch."""

    def event(self, line: EventLine) -> None:
        """Something happened."""

    def close(self, *, finished: bool) -> None:
        """Nothing more comes in this sitting; `finished`: the fold is trained, rather than interrupted."""


@dataclass(frozen=True)
class Tracked:
    """What is tracked: one fold.

    Attributes:
        name: of the fold among others, such as `heads-run/2d/fold_0`.
        tensorboard: folder for TensorBoard's files of this fold.
        mlflow: folder for MLflow's data base and artifacts, unless a server is set (`MLFLOW_TRACKING_URI`).
        mlflow_run: file that keeps MLflow's id of the fold's run.
        experiment: MLflow's name for the folds of one run.
        parameters: the plan's values, see `parameters_of`.
        lines: epochs that are done already, after the journal was cut back to the checkpoint.
    """

    name: str
    tensorboard: Path
    mlflow: Path
    mlflow_run: Path
    experiment: str
    parameters: Parameters
    lines: Sequence[EpochLine] = ()


def refuse_unknown_trackers(names: Iterable[str]) -> None:
    """Said before any case is prepared.

    Raises:
        PlanError: there is no tracker of this name, or its package is not installed.
    """
    for name in names:
        if name not in PACKAGES:
            raise PlanError(f"there is no tracker {name!r}; choose {' or '.join(PACKAGES)}")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise PlanError(
                f"--track {name} needs the package {PACKAGES[name]}, which is not installed: pip install {PACKAGES[name]}"
            )


def open_trackers(names: Sequence[str], tracked: Tracked, progress: Progress) -> Trackers:
    """Begin to track a fold, or go on; returns at once, whatever the trackers do.

    Args:
        names: `tensorboard`, `mlflow`; none: nothing is tracked.
        tracked: the fold.
        progress: told when a tracker fails.

    Raises:
        PlanError: as `refuse_unknown_trackers`.
    """
    refuse_unknown_trackers(names)
    openers: dict[str, Callable[[Tracked], Tracker]] = {"tensorboard": TensorBoardTracker, "mlflow": MlflowTracker}
    return Trackers([_Lane(name, openers[name], tracked) for name in dict.fromkeys(names)], progress)


class Trackers:
    """All trackers of a fold, each fed by a thread; a context manager that closes them."""

    def __init__(self, lanes: Sequence[_Lane], progress: Progress):
        self._lanes, self._progress = list(lanes), progress
        for lane in self._lanes:
            lane.begin()

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.close(finished=kind is None)

    def epoch(self, line: EpochLine) -> None:
        """Hand an epoch on."""
        self._send(lambda tracker: tracker.epoch(line))

    def event(self, line: EventLine) -> None:
        """Hand an event on."""
        self._send(lambda tracker: tracker.event(line))

    def close(self, *, finished: bool) -> None:
        """Wait for what is not written yet, for half a minute at most; whoever interrupts a training waits less."""
        self._send(lambda tracker: tracker.close(finished=finished))
        deadline = time.monotonic() + (CLOSING_SECONDS if finished else CLOSING_SECONDS_INTERRUPTED)
        for lane in self._lanes:
            lane.end(max(0.0, deadline - time.monotonic()))
        self._leave_out_failed()
        self._lanes = []

    def _send(self, work: Callable[[Tracker], None]) -> None:
        self._leave_out_failed()
        for lane in self._lanes:
            lane.work.put(work)

    def _leave_out_failed(self) -> None:
        for lane in [lane for lane in self._lanes if lane.failure]:
            self._progress.message(f"{lane.name} is left out from here on: {lane.failure}")
            self._lanes.remove(lane)


@dataclass(eq=False)
class _Lane:
    """One tracker and the thread that feeds it; `failure` is set once it fails, and nothing is fed to it afterwards."""

    name: str
    opener: Callable[[Tracked], Tracker]
    tracked: Tracked
    work: queue.SimpleQueue[Callable[[Tracker], None] | None] = field(default_factory=queue.SimpleQueue)
    failure: str = ""
    thread: threading.Thread = field(init=False)

    def begin(self) -> None:
        self.thread = threading.Thread(target=self._feed, name=f"tracker {self.name}", daemon=True)
        self.thread.start()

    def end(self, seconds: float) -> None:
        self.work.put(None)
        self.thread.join(seconds)
        if self.thread.is_alive() and not self.failure:
            self.failure = "it does not take what is left in time"

    def _feed(self) -> None:
        try:
            tracker = self.opener(self.tracked)
            while (work := self.work.get()) is not None:
                work(tracker)
        except Exception as error:  # whatever a tracker's package raises
            self.failure = f"{type(error).__name__}: {error}".splitlines()[0][:300]


class TensorBoardTracker:
    """Event files in the fold's folder. Steps count epochs, from 1."""

    def __init__(self, tracked: Tracked):
        from torch.utils.tensorboard import SummaryWriter

        written = _steps_in_tensorboard(tracked.tensorboard)
        ahead = len(tracked.lines) + 1  # steps from here on are of epochs that will be trained again
        self._writer = SummaryWriter(str(tracked.tensorboard), purge_step=ahead if written else None)
        if not written:
            rows = "\n".join(f"| {name} | {value} |" for name, value in tracked.parameters.items())
            self._writer.add_text("plan", f"| value | |\n|---|---|\n{rows}", 0)
        for line in tracked.lines:
            if line.epoch + 1 not in written:  # trained before tracking began
                self.epoch(line)

    def epoch(self, line: EpochLine) -> None:
        """Scalars of an epoch."""
        for name, value in metrics_of(line).items():
            self._writer.add_scalar(name, value, line.epoch + 1)
        self._writer.flush()

    def event(self, line: EventLine) -> None:
        """A text."""
        self._writer.add_text("events", f"{line.event}: {line.text}", line.epoch)
        self._writer.flush()

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        self._writer.close()


class MlflowRun(Part):
    """`mlflow_run.json` in a fold's folder: which run of MLflow goes on when the fold does."""

    tracking_uri: str
    run_id: str


class MlflowTracker:
    """A run of MLflow per fold; parameters are written once, as MLflow wants it. Steps count epochs, from 1."""

    def __init__(self, tracked: Tracked):
        import mlflow
        from mlflow import MlflowClient

        self._offline = not mlflow.tracking.is_tracking_uri_set()
        if not self._offline:
            uri = mlflow.get_tracking_uri()
        else:
            tracked.mlflow.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{(tracked.mlflow / 'mlflow.db').absolute()}"
        self._client: Any = MlflowClient(tracking_uri=uri)
        self._written = 0  # epochs
        self._notes: list[str] = []
        before = _mlflow_run(tracked.mlflow_run)
        if before is not None and before.tracking_uri == uri:
            self._run = before.run_id
            self._go_on()
        else:
            self._run = self._begin(tracked)
            write_text(tracked.mlflow_run, MlflowRun(tracking_uri=uri, run_id=self._run).model_dump_json())
        for line in tracked.lines:  # those that were trained before tracking began
            self.epoch(line)

    def epoch(self, line: EpochLine) -> None:
        """Metrics of an epoch; one that was written before an interruption is not written again."""
        from mlflow.entities import Metric

        step, now = line.epoch + 1, int(time.time() * 1000)
        if step > self._written:
            metrics = [Metric(_allowed(name), value, now, step) for name, value in metrics_of(line).items()]
            self._client.log_batch(self._run, metrics=metrics)
            self._written = step

    def event(self, line: EventLine) -> None:
        """A line of the run's description."""
        self._notes.append(f"- after {line.epoch} epochs, {line.event}: {line.text}")
        self._client.set_tag(self._run, NOTE, "\n".join(self._notes)[-LONGEST_NOTE:])

    def close(self, *, finished: bool) -> None:
        """Say how it ended."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _go_on(self) -> None:
        self._client.update_run(self._run, status="RUNNING")
        self._written = max((metric.step for metric in self._client.get_metric_history(self._run, TRAIN_LOSS)), default=0)
        self._notes = self._client.get_run(self._run).data.tags.get(NOTE, "").splitlines()

    def _begin(self, tracked: Tracked) -> str:
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name(tracked.experiment)
        # a data base of our own: MLflow would put artifacts into the folder that one happens to be in
        artifacts = (tracked.mlflow / "artifacts").absolute().as_uri() if self._offline else None
        number = experiment.experiment_id if experiment else self._client.create_experiment(tracked.experiment, artifacts)
        run: str = self._client.create_run(number, run_name=tracked.name).info.run_id
        values = [Param(_allowed(name), str(value)[:LONGEST_PARAMETER]) for name, value in tracked.parameters.items()]
        for start in range(0, len(values), PARAMETERS_AT_ONCE):
            self._client.log_batch(run, params=values[start : start + PARAMETERS_AT_ONCE])
        return run


def metrics_of(line: EpochLine) -> dict[str, float]:
    """What is tracked of an epoch; figures that it does not have are left out."""
    found: dict[str, float | None] = {TRAIN_LOSS: line.train_loss, "loss/validation": line.validation_loss}
    found |= {f"dice/{name}": value for name, value in line.dice.items()} | {"dice/mean": line.mean_dice}
    found |= {"learning_rate": line.learning_rate, "steps_per_second": line.steps_per_second}
    return {name: value for name, value in found.items() if value is not None}


def parameters_of(configuration: Configuration) -> dict[str, Parameter]:
    """Every value of a configuration by its path in the plan, such as `training.batch_size`; lists as JSON."""
    content = configuration.model_dump(mode="json", exclude={"decisions"})
    return dict(_leaves("", content))


def _leaves(path: str, value: object) -> Iterator[tuple[str, Parameter]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), part)
    elif isinstance(value, str | int | float | bool):
        yield path, value
    else:
        yield path, json.dumps(value)


def _steps_in_tensorboard(folder: Path) -> set[int]:
    """Steps that a folder's event files hold; those that were superseded are not counted."""
    if not any(folder.glob("events.out.tfevents.*")):
        return set()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0: all of them
    held.Reload()
    return {event.step for event in held.Scalars(TRAIN_LOSS)} if TRAIN_LOSS in held.Tags()["scalars"] else set()


def _mlflow_run(file: Path) -> MlflowRun | None:
    try:
        return MlflowRun.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _allowed(name: str) -> str:
    """MLflow allows letters, digits, and some other characters."""
    return re.sub(r"[^\w\-. /]", "_", name)
