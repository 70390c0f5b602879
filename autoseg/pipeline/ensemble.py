"""Predict images with the trained folds of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autoseg.engines.device import pick_device, pick_precision
from autoseg.engines.torch_engine import load_engine
from autoseg.errors import DataError, RunFolderError
from autoseg.layouts.mm_table import read_spacings
from autoseg.pipeline.fold import FULL, prediction_inputs
from autoseg.pipeline.trained import refuse_foreign_plan, trained_configuration, trained_default
from autoseg.progress import Progress
from autoseg.records import Model, PredictedCase, Predictions, Spacing, TrainedFold
from autoseg.run_folder import RunFolder
from autoseg.stages.predict import PredictionInput, find_inputs, predict_cases
from autoseg.stages.split import refuse_unsound

HELD_OUT = "held-out"


def predict_images(
    folder: RunFolder,
    images: Path | str,
    out: Path,
    *,
    folds: Sequence[str] | None,
    configuration: str | None,
    device: str,
    spacing: str | Path | float | None,
    assume_spacing: float | None,
    overlay: bool,
    probabilities: bool,
    overwrite: bool,
    mirroring: bool,
    progress: Progress,
) -> Predictions:
    """See `autoseg.predict`."""
    plan, model, dataset = folder.plan(), folder.model(), folder.dataset()
    refuse_foreign_plan(folder, plan, dataset)
    name = configuration or trained_default(model)
    trained = choose_folds(model, name, folds)
    chosen = trained_configuration(folder, plan, model, name)
    if not mirroring:
        chosen = chosen.model_copy(update={"inference": chosen.inference.model_copy(update={"mirror_axes": ()})})
    where = pick_device(device)
    if images == HELD_OUT:
        if spacing is not None:
            raise DataError("--spacing is for images from elsewhere; the cases held out have that of their data set")
        inputs = prediction_inputs(dataset, _held_out(folder))
        spacings: Mapping[str, Spacing] = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None}
    else:
        inputs = find_inputs(Path(images), plan.channels)
        spacings = spacings_for(inputs, spacing, plan.rank)
    engine = load_engine(
        chosen.network,
        [(folder.root / fold.weights, fold.sha256) for fold in trained],
        device=where,
        precision=pick_precision(where),
    )
    names = tuple(fold.fold for fold in trained)
    ensemble = f"folds {', '.join(names)} ensembled" if len(names) > 1 else f"fold {names[0]}"
    progress.message(f"{name}: {ensemble}, on {where.type}")
    progress.stage("predicting", len(inputs))
    done = 0

    def count(case: PredictedCase) -> None:
        nonlocal done
        done += 1
        progress.advance(done, case.id)

    return predict_cases(
        inputs,
        out,
        plan,
        chosen,
        engine,
        run=str(folder.root),
        folds=names,
        spacings=spacings,
        assume_spacing=assume_spacing,
        trust_file_spacing=dataset.trust_file_spacing,
        unknown_spacing="keep" if images == HELD_OUT else "fail",
        overlay=overlay,
        probabilities=probabilities,
        overwrite=overwrite,
        on_case=count,
    )


def choose_folds(model: Model, configuration: str, wanted: Sequence[str] | None) -> tuple[TrainedFold, ...]:
    """The folds to ensemble: those asked for, else all numbered ones, else `full`.

    Raises:
        RunFolderError: one that is asked for is not trained.
    """
    trained = next((c.folds for c in model.configurations if c.name == configuration), ())
    by_name = {fold.fold: fold for fold in trained}
    if not by_name:
        there = ", ".join(c.name for c in model.configurations) or "none"
        raise RunFolderError(f"no fold of configuration {configuration} is trained to its end; trained configurations: {there}")
    if wanted is None:
        wanted = [name for name in by_name if name != FULL] or list(by_name)
    if missing := [name for name in wanted if name not in by_name]:
        raise RunFolderError(f"fold {', '.join(missing)} is not trained to its end; trained: {', '.join(by_name)}")
    return tuple(by_name[name] for name in wanted)


def spacings_for(inputs: Sequence[PredictionInput], spacing: str | Path | float | None, rank: int) -> dict[str, Spacing]:
    """Pixel sizes by case id, from one number or a CSV by image name. Volumes carry their own, so none is taken for them.

    Raises:
        DataError: given for volumes, or every fault of the CSV.
    """
    if spacing is None:
        return {}
    if rank == 3:
        raise DataError("--spacing is for pictures; volumes carry their own spacing")
    if isinstance(spacing, (int, float)):
        return {item.id: (float(spacing), float(spacing)) for item in inputs}
    table = read_spacings(Path(spacing), {item.id: [item.id, *(file.name for file in item.files)] for item in inputs})
    if table.faults:
        raise DataError(table.faults)
    return {id: value for id, value in table.values.items() if value is not None}


def _held_out(folder: RunFolder) -> tuple[str, ...]:
    splits = folder.splits()
    refuse_unsound(splits, folder.dataset(), folder.splits_file)
    held_out = splits.held_out
    if not held_out:
        raise RunFolderError(
            f"{folder.root} kept no case out of its folds; plan with --hold-out 0.2 for that, or give a folder of images"
        )
    return held_out
