"""The public Python API: each function opens a run folder, calls stages, and saves records.

All paths may be `str` or `Path`. Nothing is printed; hand in a `Progress` to watch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.errors import DataError, PlanError, RunFolderError
from autoseg.pipeline.demonstrating import DEMO_SECONDS, demo
from autoseg.pipeline.doctoring import doctor
from autoseg.pipeline.handing_over import export_model, import_model
from autoseg.pipeline.planning import PlanOutcome, bill, plan, plan_files, planned
from autoseg.pipeline.preparing import prepare_cases, prepare_masks, worker_count
from autoseg.pipeline.selecting import select
from autoseg.pipeline.status import status
from autoseg.pipeline.trained import folds_to_train, refuse_foreign_plan
from autoseg.progress import Progress, SilentProgress
from autoseg.records import FULL, PREDICTIONS_FILE, Configuration, Extra, InferenceProfile, Plan, Predictions, Scores
from autoseg.run_folder import RunFolder

if TYPE_CHECKING:
    from autoseg.pipeline.benchmarking import BenchmarkOutcome
    from autoseg.pipeline.checking import CheckOutcome, check
    from autoseg.pipeline.comparing import compare
    from autoseg.pipeline.dicom_masks import export_masks
    from autoseg.pipeline.fetching import fetch
    from autoseg.pipeline.fold import FoldOutcome
    from autoseg.pipeline.handing_on import hand_on_masks
    from autoseg.pipeline.importing import import_dataset
    from autoseg.pipeline.measuring import MeasureOutcome, measure

ALL = "all"
HELD_OUT = "held-out"

__all__ = [
    "ALL",
    "DEMO_SECONDS",
    "FULL",
    "HELD_OUT",
    "CheckOutcome",
    "MeasureOutcome",
    "PlanOutcome",
    "augment",
    "benchmark",
    "bill",
    "check",
    "compare",
    "demo",
    "doctor",
    "evaluate",
    "export_masks",
    "export_model",
    "fetch",
    "hand_on_masks",
    "import_dataset",
    "import_model",
    "measure",
    "plan",
    "plan_files",
    "planned",
    "predict",
    "preprocess",
    "select",
    "status",
    "train",
]


# what measuring and statistics need takes most of a second to import
ON_FIRST_USE = {
    "CheckOutcome": "checking",
    "MeasureOutcome": "measuring",
    "check": "checking",
    "compare": "comparing",
    "export_masks": "dicom_masks",
    "fetch": "fetching",
    "hand_on_masks": "handing_on",
    "import_dataset": "importing",
    "measure": "measuring",
}


def __getattr__(name: str) -> object:
    if name in ON_FIRST_USE:
        return getattr(import_module(f"autoseg.pipeline.{ON_FIRST_USE[name]}"), name)
    raise AttributeError(f"module 'autoseg.pipeline' has no attribute {name!r}")


def preprocess(
    run: str | Path, *, configuration: str | None = None, workers: int | None = None, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Prepare the cases of a configuration (None: of all); training does this by itself when needed. Returns the folders.

    The masks that the second stage of a cascade sees are prepared when it is trained, as they come from the trained first stage.
    """
    folder = RunFolder.open(Path(run))
    decided = folder.plan()
    refuse_foreign_plan(folder, decided, folder.dataset())
    names = [configuration] if configuration else list(decided.configurations)
    return tuple(prepare_cases(folder, _configuration(decided, name), workers, progress or SilentProgress()) for name in names)


def train(
    run: str | Path,
    *,
    fold: str | int = "0",
    configuration: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    track: Sequence[str] = (),
    extend_seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple[FoldOutcome, ...]:
    """Train a fold and validate it on whole images; goes on where it was interrupted.

    Started by `torchrun`, the processes share every batch. With several GPUs, `all` trains one fold on each at a time.

    Args:
        run: folder made by `plan`.
        fold: a number, `all` for one after another, or `full` for one network on every case that is not held out. (nnU-Net's
            `all` is this `full`, except that it also validates on what it was trained on; here there is no score then.)
        configuration: of the plan; None takes its default. The second stage of a cascade (`3d_cascade_fullres`) needs all folds
            of the first: it learns from the masks that they predicted of their validation cases.
        device: `auto` takes the one that was planned for, if it is here.
        workers: processes that prepare cases; None takes the cores at hand.
        track: `tensorboard` (files in RUN/tensorboard), `mlflow` (data base in RUN/mlflow, or the server that
            MLFLOW_TRACKING_URI names), or both.
        extend_seconds: train a fold that has come to its end for so much longer, and validate it again. Of several folds those that
            were extended less often than others, so that the same call goes on where it was interrupted.
        progress: listener.

    Returns:
        What came of each fold; nothing in a process that is not the first of those that `torchrun` started.
    """
    from autoseg.learning.ranks import is_launched, joined_ranks
    from autoseg.learning.tracking import refuse_unknown_trackers
    from autoseg.pipeline.cascade import out_of_fold
    from autoseg.pipeline.fold import TrainOptions, train_one
    from autoseg.pipeline.fold_checks import folds_to_extend, refuse_changed
    from autoseg.pipeline.fold_task import FoldTask
    from autoseg.pipeline.many_devices import train_on_devices, visible_devices
    from autoseg.stages.split import refuse_unsound

    folder = RunFolder.open(Path(run))
    decided, splits = folder.plan(), folder.splits()
    chosen = _configuration(decided, configuration or decided.default)
    refuse_foreign_plan(folder, decided, folder.dataset())
    refuse_unsound(splits, folder.dataset(), folder.splits_file)
    refuse_unknown_trackers(track)
    folds = folds_to_train(str(fold), splits)
    previous = None if chosen.previous_stage is None else out_of_fold(folder, decided, chosen, splits)
    for name in folds:
        refuse_changed(folder, decided, chosen, splits, name, previous.digest if previous is not None else "")
    extended = () if extend_seconds is None else folds_to_extend(folder, chosen, folds)
    with joined_ranks(chosen.training.batch_size, device) as ranks:
        progress = (progress if ranks.first else None) or SilentProgress()
        prepared = folder.prepared(chosen)

        def prepare() -> None:
            prepare_cases(folder, chosen, workers, progress)
            if previous is not None:
                prepare_masks(folder, decided, chosen, previous, prepared, workers, progress)

        ranks.only_first(prepare)
        options = TrainOptions(device, tuple(track), None, ranks, progress)
        devices = () if is_launched() else visible_devices(device, decided.device)
        if len(folds) > 1 and len(devices) > 1:
            train_on_devices(folder, chosen.name, folds, devices, options, dict.fromkeys(extended, extend_seconds))
            extended = ()  # by those processes; what follows reads their results
        outcomes = []
        for name in folds:
            if len(folds) > 1:
                progress.message(f"fold {name} of {len(splits.folds)}")
            mine = replace(options, extend_seconds=extend_seconds if name in extended else None)
            outcomes.append(train_one(FoldTask(folder, decided, chosen, splits, name, prepared, previous), mine))
        return tuple(outcomes) if ranks.first else ()


def augment(
    run: str | Path,
    *,
    out: str | Path | None = None,
    configuration: str | None = None,
    fold: str | int = "0",
    cases: int = 4,
    variants: int = 5,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw a sheet of training patches as they are, and as training sees them; prepares cases where needed.

    Args:
        run: folder made by `plan`.
        out: PNG to write; None writes `augmentation.png` into the run.
        configuration: of the plan; None takes its default.
        fold: whose training cases are taken.
        cases: rows of the sheet.
        variants: of each patch.
        seed: another one draws others.
        workers: processes that prepare cases; None takes the cores at hand.
        progress: listener.

    Returns:
        The file.
    """
    from autoseg.pipeline.patches import draw_sheet, training_cases
    from autoseg.stages.split import refuse_unsound

    folder = RunFolder.open(Path(run))
    decided, splits = folder.plan(), folder.splits()
    chosen = _configuration(decided, configuration or decided.default)
    if chosen.previous_stage is not None:
        raise PlanError(
            f"{chosen.name} is the second stage of a cascade; its images are those of 3d_fullres: --configuration 3d_fullres"
        )
    refuse_foreign_plan(folder, decided, folder.dataset())
    refuse_unsound(splits, folder.dataset(), folder.splits_file)
    members = training_cases(splits, str(fold), folder.root)
    progress = progress or SilentProgress()
    path = folder.augmentation_picture if out is None else Path(out)
    prepared = prepare_cases(folder, chosen, workers, progress)
    draw_sheet(path, decided.targets, chosen, members, prepared, cases=cases, variants=variants, seed=seed, progress=progress)
    return path


def predict(
    run: str | Path,
    images: str | Path,
    out: str | Path,
    *,
    folds: Sequence[str] | None = None,
    configuration: str | None = None,
    device: str = "auto",
    spacing: str | Path | float | None = None,
    assume_spacing: float | None = None,
    save: Collection[Extra] = (),
    profile: InferenceProfile | None = None,
    postprocessing: bool = True,
    engine: str = "auto",
    memory_bytes: int | None = None,
    overwrite: bool = False,
    measure: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict a folder of images, or one file; `images="held-out"` takes the cases that the run kept out of every fold.

    Args:
        run: folder with trained folds, a zip that `export_model` wrote, or a trained nnU-Net v2 model (folder or zip).
        images: folder or file.
        out: folder for masks and `predictions.json`; a prediction that was interrupted goes on.
        folds: to ensemble; None takes all numbered ones that are trained (else `full`).
        configuration: None takes what `select` found best, or the plan's default. Before the second stage of a cascade, the
            first predicts into a hidden folder of `out`, which goes when all is done.
        device: `auto` takes the best one here.
        spacing: CSV of pixel sizes, or one number, in mm.
        assume_spacing: pixel size in mm for images whose own is unknown.
        save: what to write beside the masks: `overlay` (pictures), `probabilities` (of every class), `uncertainty` (how far folds
            and mirrors disagree).
        profile: `best` averages over copies mirrored along all axes, as nnU-Net does; `balanced` mirrors along one; `fast` takes one
            fold, no mirrored copies, and larger steps. None takes what `select` found, or `balanced`.
        postprocessing: do to every mask what `select` found to help.
        engine: what runs the networks: `auto`, or one of `autoseg.engines.candidates.CANDIDATES`. `auto` measures once which one is
            quickest on this machine, and takes it if its masks are those of PyTorch in float32 on three cases.
        memory_bytes: main memory that the program may take; None: what the machine has.
        overwrite: predict again what is there already.
        measure: measure the masks, too, and write the results beside them; see `autoseg.measure`.
        progress: listener.

    Returns:
        What became of every file; failures are in it and do not stop the others.
    """
    from autoseg.pipeline.engines import EngineWish
    from autoseg.pipeline.measuring import measure as measure_masks
    from autoseg.pipeline.models import opened_model
    from autoseg.pipeline.predicting import predict_images

    wish = EngineWish(engine)  # a name that is not known is told before anything is unpacked
    with opened_model(Path(run)) as folder:
        predictions = predict_images(
            folder,
            HELD_OUT if str(images) == HELD_OUT else Path(images),
            Path(out),
            origin=str(run),
            folds=folds,
            configuration=configuration,
            device=device,
            spacing=spacing,
            assume_spacing=assume_spacing,
            save=save,
            overwrite=overwrite,
            profile=profile,
            postprocessing=postprocessing,
            engine=wish,
            memory_bytes=memory_bytes,
            progress=progress or SilentProgress(),
        )
    if measure and any(case.status == "done" for case in predictions.cases):
        measure_masks(out, progress=progress)
    return predictions


def evaluate(
    labels: str | Path,
    out: str | Path,
    *,
    layout: str = "auto",
    spacing: str | Path | float | None = None,
    subjects: str | Path | None = None,
    tolerance_mm: float = 1.0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score predicted masks (`out`, a folder written by `predict`) against a data set's labels.

    Writes scores.json, scores.csv and nnU-Net's summary.json into `out`. `tolerance_mm` is that of the surface Dice.
    """
    from autoseg.stages.evaluate import evaluate as evaluate_masks
    from autoseg.stages.evaluate import save_csv, save_nnunet_summary
    from autoseg.stages.index import index_dataset

    out, progress = Path(out), progress or SilentProgress()
    if not (out / PREDICTIONS_FILE).is_file():
        raise RunFolderError(f"{out} has no predictions.json; give the folder that `autoseg predict` wrote")
    predictions = Predictions.load(out / PREDICTIONS_FILE)
    dataset, faults = index_dataset(Path(labels), layout=layout, subjects=subjects, spacing=spacing)
    if dataset is None:
        raise DataError(faults)
    wanted = {case.id for case in predictions.cases}
    if concerned := [fault for fault in faults if fault.case in wanted or fault.case == "data set"]:
        raise DataError(concerned)
    for fault in faults:
        progress.message(f"not scored, or without mm: {fault}")
    progress.stage("scoring", len(wanted))
    scores = evaluate_masks(
        dataset,
        predictions,
        out,
        labels_name=str(labels),
        tolerance_mm=tolerance_mm,
        workers=worker_count(workers),
        on_done=progress.advance,
    )
    scores.save(out / "scores.json")
    save_csv(scores, out / "scores.csv")
    save_nnunet_summary(scores, dataset, predictions, out, out / "summary.json")
    return scores


def benchmark(
    run: str | Path,
    *,
    configuration: str | None = None,
    seconds: float = 30.0,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> BenchmarkOutcome:
    """Measure how fast this machine trains and predicts with a run's plan; a few cases are prepared where none is yet.

    Args:
        run: folder made by `plan`.
        configuration: of the plan; None takes its default.
        seconds: of measuring, about.
        device: `auto` takes the best one here.
        workers: processes that prepare cases; None takes the cores at hand.
        progress: listener.
    """
    from autoseg.pipeline.benchmarking import measure_run

    folder, progress = RunFolder.open(Path(run)), progress or SilentProgress()
    decided = folder.plan()
    chosen = _configuration(decided, configuration or decided.default)
    if chosen.previous_stage is not None:
        raise PlanError(
            f"{chosen.name} is the second stage of a cascade and sees masks of {chosen.previous_stage}; "
            "measure 3d_fullres, whose network is the same but for those channels"
        )
    refuse_foreign_plan(folder, decided, folder.dataset())
    prepare = partial(prepare_cases, folder, chosen, workers, progress)
    return measure_run(folder, decided, chosen, prepare, seconds=seconds, device=device, progress=progress)


def _configuration(decided: Plan, name: str) -> Configuration:
    if name not in decided.configurations:
        raise RunFolderError(f"the plan has no configuration {name}; it has {', '.join(decided.configurations)}")
    return decided.configurations[name]
