"""One fold: train, predict its validation cases as whole images, score them, and record the model."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from autoseg.engines.device import available_memory, pick_device, pick_precision
from autoseg.engines.torch_engine import TorchEngine, load_engine
from autoseg.learning.checkpoint import read_record
from autoseg.networks.unet import build_network
from autoseg.parallel import available_cores
from autoseg.pipeline.cascade import OutOfFold
from autoseg.pipeline.fold_checks import FULL, cases_of, material_digest
from autoseg.processing.previous import open_previous
from autoseg.processing.store import PreparedCase, open_case
from autoseg.progress import Progress
from autoseg.records import (
    Configuration,
    Dataset,
    Fold,
    FoldCheckpoint,
    Model,
    Plan,
    Scores,
    Splits,
    TrainedConfiguration,
    TrainedFold,
)
from autoseg.run_folder import RunFolder
from autoseg.stages.evaluate import evaluate
from autoseg.stages.predict import FirstStage, PredictionInput, predict_cases
from autoseg.stages.train import train_fold

SHARE_OF_MEMORY = 0.3  # of the free main memory, for holding prepared cases
TIMED_CASES = 3
LEAST_SHARE = 0.2  # of the budget is trained, whatever the validation takes
VALIDATION_MARGIN = 1.15  # cases differ in size
START_UP_SECONDS = 10.0  # importing torch and MONAI, before any clock here runs


@dataclass(frozen=True)
class FoldOutcome:
    """A trained fold and its whole-image validation; `scores` is None when there was nothing to validate on."""

    fold: str
    configuration: str
    scores: Scores | None
    seconds: float
    epochs: int
    folder: Path


def train_one(
    folder: RunFolder,
    plan: Plan,
    configuration: Configuration,
    splits: Splits,
    fold: str,
    prepared: Path,
    *,
    previous: OutOfFold | None = None,
    device: str,
    progress: Progress,
) -> FoldOutcome:
    """Train a fold to its end, validate it, and write `model.json`.

    `prepared` holds the cases of all folds; `previous` the first stage's masks of them, prepared too, where this is a second stage.
    """
    start = time.monotonic()
    dataset = folder.dataset()
    members = cases_of(splits, fold)
    chosen = _device(device, plan, progress)
    place = folder.fold(configuration.name, fold)
    masks = folder.previous_masks(configuration) if previous is not None else None
    train = [_opened(prepared, case, masks) for case in members.train]
    validation = [_opened(prepared, case, masks) for case in members.validation]
    if chosen.type == "cpu":  # elsewhere loader processes read for themselves; each would get a copy
        hold_in_memory([*train, *validation], progress)
    limit = _training_limit(dataset, plan, configuration, members, previous, place, chosen, start, progress)
    checkpoint = train_fold(
        plan,
        configuration,
        train,
        validation,
        place,
        fold=-1 if fold == FULL else int(fold),
        device=chosen,
        members=material_digest(splits, fold, previous.digest if previous is not None else ""),
        limit_seconds=limit,
        progress=progress,
    )
    for amendment in checkpoint.amendments[-1:]:
        progress.message(f"length amended: {amendment.before} -> {amendment.after} epochs, since {amendment.reason}")
    record_model(folder, plan, progress)
    scores = _validate(folder, dataset, plan, configuration, fold, members, previous, checkpoint, chosen, progress)
    return FoldOutcome(fold, configuration.name, scores, time.monotonic() - start, checkpoint.epochs, place)


def _opened(prepared: Path, id: str, masks: Path | None) -> PreparedCase:
    case = open_case(prepared, id)
    case.previous = None if masks is None else open_previous(masks, id)
    return case


def hold_in_memory(cases: list[PreparedCase], progress: Progress) -> None:
    """Hold prepared cases in main memory when all of them take a modest share of it; else patches come from disk."""
    needed, free = sum(case.nbytes for case in cases), available_memory()
    if needed > SHARE_OF_MEMORY * free:
        progress.message(f"patches are read from disk: the cases take {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
        return
    for case in cases:
        case.load_into_memory()


def record_model(folder: RunFolder, plan: Plan, progress: Progress | None = None) -> Model:
    """Write down which folds are trained to their end; those of another grid or network than the plan's are left out, and named."""
    trained = []
    for name in plan.configurations:
        folds = []
        for fold in folder.folds(name):
            place = folder.fold(name, fold)
            checkpoint = read_record(place)
            if checkpoint is None or not checkpoint.finished:
                continue
            if not _fits(checkpoint, plan.configurations[name]):
                if progress is not None:
                    progress.message(
                        f"{place} was trained before plan.json changed (grid or network), so predictions leave it out; "
                        "delete it to train the fold anew"
                    )
            else:
                weights = (place / checkpoint.weights).relative_to(folder.root)
                folds.append(TrainedFold(fold=fold, weights=weights.as_posix(), sha256=checkpoint.weights_sha256))
        if folds:
            digests = plan.configurations[name].digests()
            trained.append(
                TrainedConfiguration(
                    name=name, preparation=digests["preparation"], network=digests["network"], folds=tuple(folds)
                )
            )
    model = Model(
        targets=plan.targets,
        derived=plan.derived,
        channels=plan.channels,
        spacing="unused" if plan.configurations[plan.default].preparation.spacing_mm is None else "required",
        default=plan.default,
        configurations=tuple(trained),
    )
    folder.save(model)
    return model


def _fits(checkpoint: FoldCheckpoint, configuration: Configuration) -> bool:
    """Whether the fold was trained on the plan's present grid and network; training settings may have changed since."""
    digests = configuration.digests()
    return (checkpoint.preparation, checkpoint.network) == (digests["preparation"], digests["network"])


def prediction_inputs(dataset: Dataset, cases: tuple[str, ...]) -> tuple[PredictionInput, ...]:
    """Cases of a data set as inputs of a prediction, under their own ids."""
    by_id = {case.id: case for case in dataset.cases}
    return tuple(PredictionInput.of(id, [dataset.path(file).absolute() for file in by_id[id].images]) for id in cases)


def _device(name: str, plan: Plan, progress: Progress) -> torch.device:
    """The device asked for; `auto` is the planned one, or the best that is here."""
    best = pick_device("auto")
    if name != "auto":
        return pick_device(name)
    if best.type != plan.device:
        progress.message(f"planned for {plan.device}, training on {best.type}, which is what is here")
    return best


def _training_limit(
    dataset: Dataset,
    plan: Plan,
    configuration: Configuration,
    members: Fold,
    previous: OutOfFold | None,
    place: Path,
    device: torch.device,
    start: float,
    progress: Progress,
) -> float | None:
    """Seconds left for training itself: the budget less start-up and the validation, which is timed on a few cases."""
    training, budget = configuration.training, configuration.time_limit_seconds
    if budget is None and training.time_budget_seconds is not None:
        progress.message(
            f"plan.json says {training.epochs} epochs, edited since planning: the length is not amended to meet "
            f"{training.time_budget_seconds:.0f} s"
        )
    trained = read_record(place)
    if budget is None or (trained is not None and trained.finished):
        return None
    reserve = 0.0
    if members.validation:
        progress.stage("timing the validation", TIMED_CASES)
        engine = TorchEngine([build_network(configuration.network)], device, pick_precision(device))
        timed = members.validation[:: max(1, len(members.validation) // TIMED_CASES)][:TIMED_CASES]
        inputs = prediction_inputs(dataset, timed)
        with tempfile.TemporaryDirectory(prefix="autoseg-") as out:
            for part in ("warm-up", "timed"):
                begin = time.monotonic()
                _predict(dataset, plan, configuration, inputs, Path(out) / part, engine, previous, run="", fold="")
                seconds = time.monotonic() - begin
        reserve = VALIDATION_MARGIN * seconds / len(timed) * len(members.validation)
    limit = budget - reserve - (time.monotonic() - start) - START_UP_SECONDS
    if limit < LEAST_SHARE * budget:
        limit = LEAST_SHARE * budget
        progress.message(f"start-up and validation leave little of {budget:.0f} s; training takes {limit:.0f} s all the same")
    return limit


def _validate(
    folder: RunFolder,
    dataset: Dataset,
    plan: Plan,
    configuration: Configuration,
    fold: str,
    members: Fold,
    previous: OutOfFold | None,
    checkpoint: FoldCheckpoint,
    device: torch.device,
    progress: Progress,
) -> Scores | None:
    if not members.validation:
        return None
    out, target = folder.validation(configuration.name, fold), folder.fold_scores(configuration.name, fold)
    weights = folder.fold(configuration.name, fold) / checkpoint.weights
    engine = load_engine(
        configuration.network, [(weights, checkpoint.weights_sha256)], device=device, precision=pick_precision(device)
    )
    progress.stage("validating on whole images", len(members.validation))
    inputs = prediction_inputs(dataset, members.validation)
    predictions = _predict(
        dataset, plan, configuration, inputs, out, engine, previous, run=str(folder.root), fold=fold, progress=progress
    )
    for case in predictions.cases:
        if case.status == "failed":
            progress.message(f"{case.id}: {case.error}")
    validated = dataset.model_copy(update={"cases": tuple(case for case in dataset.cases if case.id in set(members.validation))})
    progress.stage("scoring", len(members.validation))
    scores = evaluate(validated, predictions, out, labels_name=dataset.root, workers=available_cores(), on_done=progress.advance)
    scores.save(target)
    return scores


def _predict(dataset, plan, configuration, inputs, out, engine, previous, *, run, fold, progress=None):  # type: ignore[no-untyped-def]
    """Predict cases of the training set, with the spacings they were trained with, and with masks of networks that had not seen them."""
    done = 0

    def count(_: object) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress.advance(done)

    return predict_cases(
        inputs,
        out,
        plan,
        configuration,
        engine,
        run=run,
        folds=(fold,),
        spacings={case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None},
        trust_file_spacing=dataset.trust_file_spacing,
        unknown_spacing="keep",
        first_stage=None if previous is None else _first_stage(previous),
        on_case=count,
    )


def _first_stage(previous: OutOfFold) -> FirstStage:
    files = {case: mask.file for case, mask in previous.masks.items()}
    return FirstStage(previous.stage, previous.digest, lambda inputs: {item.id: files[item.id] for item in inputs})
