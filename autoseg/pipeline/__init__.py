"""The public Python API: each function opens a run folder, calls stages, and saves records.

All paths may be `str` or `Path`. Nothing is printed; hand in a `Progress` to watch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.errors import DataError, PlanError, RunFolderError
from autoseg.parallel import available_cores
from autoseg.pipeline.planning import PlanOutcome, bill, plan, plan_files, planned
from autoseg.pipeline.trained import refuse_foreign_plan
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Configuration, Plan, Predictions, Scores
from autoseg.run_folder import RunFolder

if TYPE_CHECKING:
    from autoseg.pipeline.fold import FoldOutcome

FULL = "full"
ALL = "all"
HELD_OUT = "held-out"
NAMED_CASES = 3  # in a message
DEMO_SUBJECTS = 24
DEMO_SECONDS = 150.0

__all__ = [
    "ALL",
    "DEMO_SECONDS",
    "FULL",
    "HELD_OUT",
    "PlanOutcome",
    "augment",
    "bill",
    "demo",
    "evaluate",
    "plan",
    "plan_files",
    "planned",
    "predict",
    "preprocess",
    "train",
]


def preprocess(
    run: str | Path, *, configuration: str | None = None, workers: int | None = None, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Prepare the cases of a configuration (None: of all); training does this by itself when needed. Returns the folders."""
    folder = RunFolder.open(Path(run))
    decided = folder.plan()
    refuse_foreign_plan(folder, decided, folder.dataset())
    names = [configuration] if configuration else list(decided.configurations)
    return tuple(_prepare(folder, _configuration(decided, name), workers, progress or SilentProgress()) for name in names)


def train(
    run: str | Path,
    *,
    fold: str | int = "0",
    configuration: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[FoldOutcome, ...]:
    """Train a fold and validate it on whole images; goes on where it was interrupted.

    Args:
        run: folder made by `plan`.
        fold: a number, `all` for one after another, or `full` for one network on every case that is not held out. (nnU-Net's
            `all` is this `full`, except that it also validates on what it was trained on; here there is no score then.)
        configuration: of the plan; None takes its default.
        device: `auto` takes the one that was planned for, if it is here.
        workers: processes that prepare cases; None takes the cores at hand.
        progress: listener.
    """
    from autoseg.pipeline.fold import refuse_changed, train_one
    from autoseg.stages.split import refuse_unsound

    folder = RunFolder.open(Path(run))
    decided, splits = folder.plan(), folder.splits()
    chosen = _configuration(decided, configuration or decided.default)
    _refuse_second_stage(chosen, decided)
    refuse_foreign_plan(folder, decided, folder.dataset())
    refuse_unsound(splits, folder.dataset(), folder.splits_file)
    folds = _folds_to_train(str(fold), len(splits.folds))
    for name in folds:
        refuse_changed(folder, decided, chosen, splits, name)
    progress = progress or SilentProgress()
    prepared = _prepare(folder, chosen, workers, progress)
    outcomes = []
    for name in folds:
        if len(folds) > 1:
            progress.message(f"fold {name} of {len(splits.folds)}")
        outcomes.append(train_one(folder, decided, chosen, splits, name, prepared, device=device, progress=progress))
    return tuple(outcomes)


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
    refuse_foreign_plan(folder, decided, folder.dataset())
    refuse_unsound(splits, folder.dataset(), folder.splits_file)
    members = training_cases(splits, str(fold), folder.root)
    progress = progress or SilentProgress()
    path = folder.augmentation_picture if out is None else Path(out)
    prepared = _prepare(folder, chosen, workers, progress)
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
    overlay: bool = False,
    probabilities: bool = False,
    overwrite: bool = False,
    mirroring: bool = True,
    progress: Progress | None = None,
) -> Predictions:
    """Predict a folder of images, or one file; `images="held-out"` takes the cases that the run kept out of every fold.

    Args:
        run: folder with trained folds.
        images: folder or file.
        out: folder for masks and `predictions.json`; a prediction that was interrupted goes on.
        folds: to ensemble; None takes all numbered ones that are trained (else `full`).
        configuration: None takes the plan's default.
        device: `auto` takes the best one here.
        spacing: CSV of pixel sizes, or one number, in mm.
        assume_spacing: pixel size in mm for images whose own is unknown.
        overlay: also save a picture of each result.
        probabilities: also save class probabilities.
        overwrite: predict again what is there already.
        mirroring: average over flipped images, where the plan wants it.
        progress: listener.

    Returns:
        What became of every file; failures are in it and do not stop the others.
    """
    from autoseg.pipeline.ensemble import predict_images

    return predict_images(
        RunFolder.open(Path(run)),
        HELD_OUT if str(images) == HELD_OUT else Path(images),
        Path(out),
        folds=folds,
        configuration=configuration,
        device=device,
        spacing=spacing,
        assume_spacing=assume_spacing,
        overlay=overlay,
        probabilities=probabilities,
        overwrite=overwrite,
        mirroring=mirroring,
        progress=progress or SilentProgress(),
    )


def evaluate(
    labels: str | Path,
    out: str | Path,
    *,
    layout: str = "auto",
    spacing: str | Path | float | None = None,
    subjects: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score predicted masks (`out`, a folder written by `predict`) against a data set's labels; writes scores.json and scores.csv."""
    from autoseg.stages.evaluate import evaluate as evaluate_masks
    from autoseg.stages.evaluate import save_csv
    from autoseg.stages.index import index_dataset

    out, progress = Path(out), progress or SilentProgress()
    if not (out / "predictions.json").is_file():
        raise RunFolderError(f"{out} has no predictions.json; give the folder that `autoseg predict` wrote")
    predictions = Predictions.load(out / "predictions.json")
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
        dataset, predictions, out, labels_name=str(labels), workers=_workers(workers), on_done=progress.advance
    )
    scores.save(out / "scores.json")
    save_csv(scores, out / "scores.csv")
    return scores


def demo(
    folder: str | Path, *, rank: int = 2, time_budget_seconds: float = DEMO_SECONDS, progress: Progress | None = None
) -> Scores:
    """Plan, train, predict and evaluate on a small synthetic data set in `folder`; the scores are of subjects kept out of training."""
    from autoseg.phantom import write_fetal_head, write_volumes

    folder, progress = Path(folder), progress or SilentProgress()
    data, run, out = folder / "data", folder / "run", folder / "predictions"
    if data.exists():
        raise RunFolderError(f"{data} exists already; give a new folder")
    progress.message(f"writing a synthetic data set to {data}")
    write = partial(write_fetal_head, subjects=DEMO_SUBJECTS) if rank == 2 else partial(write_volumes, cases=DEMO_SUBJECTS)
    write(data)
    plan(data, run, hold_out=0.25, time_budget_seconds=time_budget_seconds, progress=progress)
    train(run, fold="0", progress=progress)
    predict(run, HELD_OUT, out, overlay=True, progress=progress)
    return evaluate(data, out, progress=progress)


def _workers(workers: int | None) -> int:
    return available_cores() if workers is None else workers


def _configuration(decided: Plan, name: str) -> Configuration:
    if name not in decided.configurations:
        raise RunFolderError(f"the plan has no configuration {name}; it has {', '.join(decided.configurations)}")
    return decided.configurations[name]


def _refuse_second_stage(chosen: Configuration, decided: Plan) -> None:
    """The second network of a cascade also sees masks of the first, which training does not hand on yet."""
    if chosen.previous_stage is not None:
        others = [name for name, other in decided.configurations.items() if other.previous_stage is None]
        raise PlanError(
            f"{chosen.name} is the second stage of a cascade, and autoseg cannot train one yet; its plan shows what it would be. "
            f"Train one of {', '.join(others)} instead (--configuration)"
            if others
            else f"{chosen.name} is the second stage of a cascade, and autoseg cannot train one yet; plan the data set again"
        )


def _folds_to_train(fold: str, n_folds: int) -> list[str]:
    if fold == ALL:
        return [str(index) for index in range(n_folds)]
    if fold == FULL:
        return [fold]
    if fold.isdecimal() and int(fold) < n_folds:
        return [str(int(fold))]
    raise RunFolderError(f"there is no fold {fold}; this run has folds 0 to {n_folds - 1}, `{ALL}` and `{FULL}`")


def _prepare(folder: RunFolder, chosen: Configuration, workers: int | None, progress: Progress) -> Path:
    """Bring all cases of all folds onto the network's grid; done ones are skipped."""
    from autoseg.stages.preprocess import preprocess as prepare_cases

    dataset, splits = folder.dataset(), folder.splits()
    if not Path(dataset.root).exists() and not any(dataset.path(file).exists() for file in dataset.cases[0].images):
        raise RunFolderError(
            f"{dataset.root}, the data set of {folder.root}, is gone; bring it back, or write where it is now into dataset.json (root)"
        )
    cases = sorted({case for fold in splits.folds for case in (*fold.train, *fold.validation)})
    target = folder.prepared(chosen)
    progress.stage(f"preparing cases ({chosen.name})", len(cases))
    stale = prepare_cases(dataset, cases, chosen, target, workers=_workers(workers), on_done=progress.advance)
    if stale:
        named = ", ".join(stale[:NAMED_CASES]) + (f" and {len(stale) - NAMED_CASES} more" if len(stale) > NAMED_CASES else "")
        progress.message(
            f"prepared anew, since their files changed after they were planned for: {named}; plan again if much changed"
        )
    return target
