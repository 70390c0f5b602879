"""Whole-image validation of a fold: its validation cases are predicted as new images would be, and scored."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import torch

from autoseg.engines.device import pick_precision
from autoseg.engines.torch_engine import TorchEngine, load_engine
from autoseg.inference.case import Job
from autoseg.inference.networks import Networks, OneEngine
from autoseg.networks.unet import build_network
from autoseg.parallel import available_cores
from autoseg.pipeline.cascade import OutOfFold
from autoseg.pipeline.fold_task import FoldTask
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Dataset, Extra, FoldCheckpoint, Predictions, Scores
from autoseg.stages.evaluate import evaluate, save_nnunet_summary
from autoseg.stages.predict import FirstStage, PredictionInput, Settings, predict_cases

TIMED_CASES = 3
VALIDATION_MARGIN = 1.15  # cases differ in size


def validate(task: FoldTask, checkpoint: FoldCheckpoint, device: torch.device, progress: Progress) -> Scores | None:
    """Predict and score the fold's validation cases; None where it has none."""
    folder, name, members = task.folder, task.configuration.name, task.members.validation
    if not members:
        return None
    out, dataset = folder.validation(name, task.fold), folder.dataset()
    weights = (task.place / checkpoint.weights, checkpoint.weights_sha256)
    engine = load_engine(task.configuration.network, [weights], device=device, precision=pick_precision(device))
    progress.stage("validating on whole images", len(members))
    inputs = prediction_inputs(dataset, members)
    predictions = predict_of_training_set(
        task, dataset, inputs, out, OneEngine(engine), settings=Settings(str(folder.root)), progress=progress
    )
    for case in predictions.cases:
        if case.status == "failed":
            progress.message(f"{case.id}: {case.error}")
    validated = dataset.model_copy(update={"cases": tuple(case for case in dataset.cases if case.id in set(members))})
    progress.stage("scoring", len(members))
    scores = evaluate(validated, predictions, out, labels_name=dataset.root, workers=available_cores(), on_done=progress.advance)
    scores.save(folder.fold_scores(name, task.fold))
    save_nnunet_summary(scores, validated, predictions, out, folder.nnunet_summary(name, task.fold))
    return scores


def foreseen_seconds(task: FoldTask, device: torch.device, progress: Progress) -> float:
    """How long the validation will take: a few of its cases are predicted with a network that knows nothing."""
    members = task.members.validation
    if not members:
        return 0.0
    progress.stage("timing the validation", TIMED_CASES)
    engine = TorchEngine([build_network(task.configuration.network)], device, pick_precision(device))
    timed = members[:: max(1, len(members) // TIMED_CASES)][:TIMED_CASES]
    dataset = task.folder.dataset()
    inputs = prediction_inputs(dataset, timed)
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="autoseg-") as out:
        for part in ("warm-up", "timed"):
            begin = time.monotonic()
            predict_of_training_set(task, dataset, inputs, Path(out) / part, OneEngine(engine), settings=Settings(""))
            seconds = time.monotonic() - begin
    return VALIDATION_MARGIN * seconds / len(timed) * len(members)


def prediction_inputs(dataset: Dataset, cases: tuple[str, ...]) -> tuple[PredictionInput, ...]:
    """Cases of a data set as inputs of a prediction, under their own ids."""
    by_id = {case.id: case for case in dataset.cases}
    return tuple(PredictionInput.of(id, [dataset.path(file).absolute() for file in by_id[id].images]) for id in cases)


def predict_of_training_set(
    task: FoldTask,
    dataset: Dataset,
    inputs: tuple[PredictionInput, ...],
    out: Path,
    networks: Networks,
    *,
    settings: Settings,
    save: Collection[Extra] = (),
    evidence: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict cases of the training set, with the spacings they were trained with, and with masks of networks that had not seen them."""
    listener, done = progress or SilentProgress(), 0

    def count(_: object) -> None:
        nonlocal done
        done += 1
        listener.advance(done)

    job = Job(
        task.plan,
        task.configuration,
        spacings={case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None},
        trust_file_spacing=dataset.trust_file_spacing,
        unknown_spacing="keep",
        save=frozenset(save),
        evidence=evidence,
    )
    return predict_cases(
        inputs,
        out,
        job,
        networks,
        folds=(task.fold,),
        settings=settings,
        first_stage=None if task.previous is None else _first_stage(task.previous),
        on_case=count,
    )


def _first_stage(previous: OutOfFold) -> FirstStage:
    files = {case: mask.file for case, mask in previous.masks.items()}
    return FirstStage(previous.stage, previous.digest, lambda inputs: {item.id: files[item.id] for item in inputs})
