"""How fast this machine is for a run's plan: training on its prepared cases, prediction of some, against plan and known machines."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from autoseg.engines.device import describe_machine, pick_device
from autoseg.engines.torch_engine import TorchEngine, load_engine
from autoseg.inference.networks import OneEngine
from autoseg.learning.benchmark import TrainingSpeed, measure_training
from autoseg.learning.checkpoint import read_record
from autoseg.networks.cost import multiply_adds
from autoseg.networks.unet import build_network
from autoseg.pipeline.fold import hold_in_memory
from autoseg.pipeline.fold_task import FoldTask
from autoseg.pipeline.validation import predict_of_training_set, prediction_inputs
from autoseg.processing.store import is_complete, open_case
from autoseg.progress import Progress
from autoseg.records import FULL, Configuration, Dataset, Plan
from autoseg.records.benchmark import Benchmarks, SpeedFigures
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.presets import shipped
from autoseg.stages.plan.timing import speed_of
from autoseg.stages.predict import Settings
from autoseg.stages.preprocess import case_digest

TRAINED_ON = 16  # cases at most; more say nothing more about speed
PREPARED_HERE = 4  # where none is prepared yet
PREDICTED = 3  # cases at most
SHARE_OF_TRAINING = 0.7  # of the seconds given; the rest is for predicting
TELLING = 1.3  # a step that takes this much longer (or shorter) than planned is remarked upon


@dataclass(frozen=True)
class KnownMachine:
    """A machine from `plans/benchmarks.json`; `times_as_fast`: the machine at hand against it, in training."""

    figures: SpeedFigures
    same_work: bool
    times_as_fast: float


@dataclass(frozen=True)
class BenchmarkOutcome:
    """What was measured.

    Attributes:
        figures: in the form of the known machines'.
        training: pace, parts of a step, memory.
        trained_on: cases.
        prepared: those of them that had to be prepared first.
        weights: what predicted: `random`, or the fold.
        predicted_seconds: by case.
        foreseen_step_seconds: what the plan counts on, from machine.json; None where it measured nothing or another device.
        known: machines to compare with, those with the same work first.
        hints: sentences.
    """

    figures: SpeedFigures
    training: TrainingSpeed
    trained_on: tuple[str, ...]
    prepared: tuple[str, ...]
    weights: str
    predicted_seconds: dict[str, float]
    foreseen_step_seconds: float | None
    known: tuple[KnownMachine, ...]
    hints: tuple[str, ...]


def measure_run(
    folder: RunFolder,
    plan: Plan,
    configuration: Configuration,
    prepare: Callable[[Sequence[str]], Path],
    *,
    seconds: float,
    device: str,
    progress: Progress,
) -> BenchmarkOutcome:
    """Measure for about `seconds`, and at least a few steps and one case. The run stays as it is, but for cases prepared.

    Args:
        folder: of the run.
        plan: of the run.
        configuration: of the plan.
        prepare: brings cases onto the grid where they are not yet, and returns the folder they are in.
        seconds: of wall time.
        device: its name, or `auto`.
        progress: listener.
    """
    chosen, dataset = pick_device(device), folder.dataset()
    foreseen = _foreseen(folder, configuration, chosen)  # before any work: a damaged machine.json is told at once
    load = load_before()
    cases, missing = _cases(folder, dataset, configuration)
    prepared = prepare(cases)
    opened = [open_case(prepared, case) for case in cases]
    if chosen.type == "cpu":
        hold_in_memory(opened, progress)
    progress.stage("measuring a training step")
    training = measure_training(plan, configuration, opened, chosen, SHARE_OF_TRAINING * seconds)
    progress.stage("measuring prediction")
    weights, predicted = _predicted(folder, dataset, plan, configuration, cases, chosen, (1 - SHARE_OF_TRAINING) * seconds)
    figures = _figures(dataset, configuration, chosen, training, predicted).model_copy(update={"load": load})
    return BenchmarkOutcome(
        figures=figures,
        training=training,
        trained_on=cases,
        prepared=missing,
        weights=weights,
        predicted_seconds=predicted,
        foreseen_step_seconds=foreseen,
        known=known_machines(figures),
        hints=hints(folder.machine().name, 1 / training.steps_per_second, foreseen, load),
    )


def known_machines(figures: SpeedFigures) -> tuple[KnownMachine, ...]:
    """Those measured at the same rank, compared by samples per second on the same work, else by multiply-adds per second."""
    references = Benchmarks.load(shipped("benchmarks.json")).figures
    known = [
        KnownMachine(reference, reference.is_same_work(figures), figures.rate / reference.rate)
        for reference in references
        if len(reference.patch_size) == len(figures.patch_size)
    ]
    return tuple(sorted(known, key=lambda machine: not machine.same_work))


def load_before() -> float | None:
    """The system's load over the last minute, before anything is measured; None where it does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def hints(planned_on: str, measured: float, foreseen: float | None, load: float | None = None) -> tuple[str, ...]:
    """What to think of a step that takes `measured` seconds where the plan counts on `foreseen`."""
    if foreseen is None or 1 / TELLING <= measured / foreseen <= TELLING:
        return ()
    busy = "" if load is None else f" (load before measuring: {load:.1f} on {os.cpu_count()} cores)"
    if measured > foreseen:
        return (
            f"a step takes {measured / foreseen:.1f} times as long as planned: something else runs on this machine{busy}, or it is "
            f"another one than the plan was made for ({planned_on}); if it stays so, plan again here",
        )
    return (
        f"a step takes {measured / foreseen:.2f} of the time planned: this machine is faster than the one the plan was made for "
        f"({planned_on}), or that one was busy; a plan made here could do more in its time",
    )


def _cases(folder: RunFolder, dataset: Dataset, configuration: Configuration) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cases to measure on, prepared ones if there are any, and which of them are not prepared yet."""
    members = sorted({case for fold in folder.splits().folds for case in (*fold.train, *fold.validation)})
    by_id = {case.id: case for case in dataset.cases}
    place, preparation = folder.prepared(configuration), configuration.preparation
    ready = [case for case in members if is_complete(place, case, case_digest(dataset, by_id[case], preparation))]
    if ready:
        return tuple(ready[:: max(1, len(ready) // TRAINED_ON)][:TRAINED_ON]), ()
    chosen = tuple(members[:: max(1, len(members) // PREPARED_HERE)][:PREPARED_HERE])
    return chosen, chosen


def _predicted(
    folder: RunFolder,
    dataset: Dataset,
    plan: Plan,
    configuration: Configuration,
    cases: tuple[str, ...],
    device: torch.device,
    seconds: float,
) -> tuple[str, dict[str, float]]:
    """What predicted, and seconds by case; the first case is predicted twice, for its first time warms up."""
    weights, engine = _engine(folder, configuration, device)
    task = FoldTask(folder, plan, configuration, folder.splits(), FULL, folder.prepared(configuration))
    with tempfile.TemporaryDirectory(prefix="autoseg-") as out:

        def predict(ids: tuple[str, ...], part: str) -> dict[str, float]:
            inputs = prediction_inputs(dataset, ids)
            done = predict_of_training_set(task, dataset, inputs, Path(out) / part, OneEngine(engine), settings=Settings(""))
            return {case.id: case.seconds for case in done.cases if case.seconds is not None}

        begin = time.monotonic()
        predict(cases[:1], "warm-up")
        affordable = int(seconds / max(time.monotonic() - begin, 1e-6))
        return weights, predict(cases[: min(PREDICTED, max(1, affordable))], "timed")


def _engine(folder: RunFolder, configuration: Configuration, device: torch.device) -> tuple[str, TorchEngine]:
    precision = describe_machine(device).precision
    for fold in folder.folds(configuration.name):
        place = folder.fold(configuration.name, fold)
        record = read_record(place)
        if record is not None and record.finished and record.network == configuration.network.digest():
            weights = [(place / record.weights, record.weights_sha256)]
            return f"fold {fold}", load_engine(configuration.network, weights, device=device, precision=precision)
    return "random", TorchEngine([build_network(configuration.network)], device, precision)


def _figures(
    dataset: Dataset, configuration: Configuration, device: torch.device, training: TrainingSpeed, predicted: dict[str, float]
) -> SpeedFigures:
    machine, spec = describe_machine(device), configuration.training
    return SpeedFigures(
        machine=machine.name if device.type == "cuda" else processor_name() or machine.name,
        cores=max(1, machine.cores),
        device=machine.device,
        precision=machine.precision,
        dataset=dataset.name,
        configuration=configuration.name,
        patch_size=spec.patch_size,
        batch_size=spec.batch_size,
        width=configuration.network.features[0],
        multiply_adds=multiply_adds(configuration.network, spec.patch_size, 1),
        steps_per_second=training.steps_per_second,
        samples_per_second=training.steps_per_second * spec.batch_size,
        seconds_per_case=sum(predicted.values()) / len(predicted) if predicted else None,
        peak_bytes=training.peak_bytes,
    )


def processor_name() -> str:
    """As the system tells it (Linux); empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _foreseen(folder: RunFolder, configuration: Configuration, device: torch.device) -> float | None:
    """Seconds of a step that the plan counts on, its augmentation included where the training process does it."""
    machine, spec = folder.machine(), configuration.training
    if machine.device != device.type or not machine.throughput:
        return None
    speed, network = speed_of(machine, configuration.network.rank), configuration.network
    of_data = speed.data_seconds(network, spec.patch_size, spec.batch_size)
    return speed.step_seconds(network, spec.patch_size, spec.batch_size) + of_data
