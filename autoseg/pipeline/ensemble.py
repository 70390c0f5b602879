"""Predict images with the trained folds of a run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from autoseg.engines.device import pick_device, pick_precision
from autoseg.engines.torch_engine import TorchEngine, load_engine
from autoseg.errors import DataError, RunFolderError
from autoseg.inference.profiles import folds_for, with_profile
from autoseg.layouts.mm_table import read_spacings
from autoseg.pipeline.trained import refuse_foreign_plan, trained_configuration, trained_default
from autoseg.pipeline.validation import prediction_inputs
from autoseg.progress import Progress
from autoseg.records import Configuration, Extra, InferenceProfile, Model, Plan, PredictedCase, Predictions, Spacing, TrainedFold
from autoseg.run_folder import RunFolder
from autoseg.stages.predict import FirstStage, PredictionInput, find_inputs, predict_cases
from autoseg.stages.split import refuse_unsound

HELD_OUT = "held-out"
FIRST_STAGE_FOLDER = ".previous_stage"  # inside the output folder, while a cascade is at work
_Apply = Callable[..., Predictions]


def predict_images(
    folder: RunFolder,
    images: Path | str,
    out: Path,
    *,
    origin: str,
    folds: Sequence[str] | None,
    configuration: str | None,
    device: str,
    spacing: str | Path | float | None,
    assume_spacing: float | None,
    save: Collection[Extra],
    overwrite: bool,
    profile: InferenceProfile,
    progress: Progress,
) -> Predictions:
    """See `autoseg.predict`; `origin` is what the record names as the model."""
    plan, model, dataset = folder.plan(), folder.model(), folder.dataset()
    refuse_foreign_plan(folder, plan, dataset)
    ensemble = _ensemble(folder, plan, model, configuration or trained_default(model), folds, profile)
    where = pick_device(device)
    if images == HELD_OUT:
        if spacing is not None:
            raise DataError("--spacing is for images from elsewhere; the cases held out have that of their data set")
        inputs = prediction_inputs(dataset, _held_out(folder))
        spacings: Mapping[str, Spacing] = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None}
    else:
        inputs = find_inputs(Path(images), plan.channels)
        spacings = spacings_for(inputs, spacing, plan.rank)
    apply: _Apply = partial(
        predict_cases,
        plan=plan,
        run=origin,
        profile=profile,
        spacings=spacings,
        assume_spacing=assume_spacing,
        trust_file_spacing=dataset.trust_file_spacing,
        unknown_spacing="keep" if images == HELD_OUT else "fail",
        overwrite=overwrite,
    )
    before = ensemble.configuration.previous_stage
    first = None if before is None else _ensemble(folder, plan, model, before, None, profile)
    stage = None if first is None else _first_stage(first, out / FIRST_STAGE_FOLDER, apply, where, progress, len(inputs))
    progress.message(f"{ensemble.told}{f', after {first.told}' if first else ''}, on {where.type}, profile {profile}")
    progress.stage("predicting", len(inputs))
    done = 0

    def count(case: PredictedCase) -> None:
        nonlocal done
        done += 1
        progress.advance(done, case.id)

    predictions = apply(
        inputs,
        out,
        configuration=ensemble.configuration,
        engine=ensemble.engine(where),
        folds=ensemble.names,
        save=save,
        first_stage=stage,
        on_case=count,
    )
    if first is not None:
        shutil.rmtree(out / FIRST_STAGE_FOLDER, ignore_errors=True)  # what is done is kept; only what is not would need a mask
    return predictions


@dataclass(frozen=True)
class _Ensemble:
    """Trained folds of a configuration, and how they are applied."""

    configuration: Configuration
    root: Path
    folds: tuple[TrainedFold, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the folds."""
        return tuple(fold.fold for fold in self.folds)

    @property
    def told(self) -> str:
        """In words."""
        of = f"folds {', '.join(self.names)} ensembled" if len(self.names) > 1 else f"fold {self.names[0]}"
        return f"{self.configuration.name}: {of}"

    @property
    def identity(self) -> str:
        """Digest of the networks and of how they are applied."""
        parts = [self.configuration.inference.digest(), str(self.configuration.training.patch_size)]
        return hashlib.sha256(" ".join([*parts, *(fold.sha256 for fold in self.folds)]).encode()).hexdigest()[:12]

    def engine(self, device: torch.device) -> TorchEngine:
        """The networks on a device."""
        weights = [(self.root / fold.weights, fold.sha256) for fold in self.folds]
        return load_engine(self.configuration.network, weights, device=device, precision=pick_precision(device))


def _ensemble(
    folder: RunFolder, plan: Plan, model: Model, name: str, wanted: Sequence[str] | None, profile: InferenceProfile
) -> _Ensemble:
    folds = choose_folds(model, name, wanted, profile)
    return _Ensemble(with_profile(trained_configuration(folder, plan, model, name), profile), folder.root, folds)


def _first_stage(
    ensemble: _Ensemble, out: Path, apply: _Apply, device: torch.device, progress: Progress, n_inputs: int
) -> FirstStage:
    """The first stage of a cascade, which predicts into `out` once the second knows what it has to do."""
    name = ensemble.configuration.name
    if ensemble.configuration.previous_stage is not None:
        raise RunFolderError(f"{name} is a second stage itself; images can be predicted with cascades of two stages")

    def masks(inputs: Sequence[PredictionInput]) -> Mapping[str, Path]:
        done = 0

        def count(case: PredictedCase) -> None:
            nonlocal done
            done += 1
            progress.advance(done, case.id)

        progress.stage(f"predicting with {name}", len(inputs))
        engine = ensemble.engine(device)
        predictions = apply(inputs, out, configuration=ensemble.configuration, engine=engine, folds=ensemble.names, on_case=count)
        progress.stage("predicting", n_inputs)
        return {case.id: out / case.mask for case in predictions.cases if case.status == "done" and case.mask}

    return FirstStage(name, ensemble.identity, masks)


def choose_folds(
    model: Model, configuration: str, wanted: Sequence[str] | None, profile: InferenceProfile = "best"
) -> tuple[TrainedFold, ...]:
    """The folds to ensemble: those asked for, else what the profile takes.

    Raises:
        RunFolderError: one that is asked for is not trained.
    """
    trained = next((c.folds for c in model.configurations if c.name == configuration), ())
    by_name = {fold.fold: fold for fold in trained}
    if not by_name:
        there = ", ".join(c.name for c in model.configurations) or "none"
        raise RunFolderError(f"no fold of configuration {configuration} is trained to its end; trained configurations: {there}")
    if wanted is None:
        wanted = folds_for(list(by_name), profile)
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
