"""Predict images with the trained folds of a run."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from autoseg.engines.device import pick_device
from autoseg.errors import AutosegError, DataError, RunFolderError
from autoseg.inference.case import Job, prepare_case
from autoseg.inference.ledger import save_pixel_sizes
from autoseg.inference.networks import Networks
from autoseg.layouts.mm_table import read_spacings
from autoseg.pipeline.engines import AUTO, EngineWish, networks_for
from autoseg.pipeline.ensemble import Ensemble, ensemble_of
from autoseg.pipeline.recipe import recipe_for, with_recipe
from autoseg.pipeline.together import predict_together
from autoseg.pipeline.trained import refuse_foreign_plan
from autoseg.pipeline.validation import prediction_inputs
from autoseg.progress import Progress
from autoseg.records import Extra, InferenceProfile, PredictedCase, Predictions, Spacing
from autoseg.run_folder import RunFolder
from autoseg.stages.predict import FirstStage, PredictionInput, Settings, find_inputs, predict_cases
from autoseg.stages.split import refuse_unsound

HELD_OUT = "held-out"
FIRST_STAGE_FOLDER = ".previous_stage"  # inside the output folder, while a cascade is at work
CALIBRATION_CASES = 4


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
    profile: InferenceProfile | None,
    postprocessing: bool,
    engine: EngineWish,
    memory_bytes: int | None,
    progress: Progress,
) -> Predictions:
    """See `autoseg.predict`; `origin` is what the record names as the model."""
    plan, model, dataset = folder.plan(), folder.model(), folder.dataset()
    refuse_foreign_plan(folder, plan, dataset)
    use = recipe_for(model, configuration, profile, postprocessing=postprocessing)
    ensembles = [ensemble_of(folder, plan, model, name, folds, use.profile) for name in use.configurations]
    where = pick_device(device)
    if images == HELD_OUT:
        if spacing is not None:
            raise DataError("--spacing is for images from elsewhere; the cases held out have that of their data set")
        inputs = prediction_inputs(dataset, _held_out(folder))
        spacings: Mapping[str, Spacing] = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None}
    else:
        inputs = find_inputs(Path(images), plan.channels)
        spacings = spacings_for(inputs, spacing, plan.rank)
    job = Job(
        plan,
        ensembles[0].configuration,
        spacings,
        assume_spacing,
        dataset.trust_file_spacing,
        "keep" if images == HELD_OUT else "fail",
        frozenset(save),
    )
    job = with_recipe(job, use)
    settings = Settings(
        origin,
        tell=progress.message,
        profile=use.profile,
        overwrite=overwrite,
        memory_bytes=memory_bytes,
        engine=None if engine.name == AUTO else engine.name,
    )
    apply = _Application(job, settings, inputs, where, engine, progress)

    def one(ensemble: Ensemble, waiting: Sequence[PredictionInput], place: Path, its: Job) -> Predictions:
        before = ensemble.configuration.previous_stage
        first = None if before is None else ensemble_of(folder, plan, model, before, None, use.profile)
        stage = None if first is None else _first_stage(first, place / FIRST_STAGE_FOLDER, apply)
        progress.message(f"{ensemble.told}{f', after {first.told}' if first else ''}, on {where.type}, profile {use.profile}")
        progress.stage("predicting", len(waiting))
        predictions = apply(ensemble, waiting, place, replace(its, configuration=ensemble.configuration), stage)
        if first is not None:
            shutil.rmtree(
                place / FIRST_STAGE_FOLDER, ignore_errors=True
            )  # what is done is kept; only what is not would need a mask
        return predictions

    if use.postprocessing:
        progress.message(f"after the networks, as selected: {'; '.join(step.told for step in use.postprocessing)}")
    if len(ensembles) == 1:
        predictions = one(ensembles[0], inputs, out, job)
    else:
        predictions = predict_together(ensembles, inputs, out, job, settings, str(where), one, progress)
    save_pixel_sizes(out, inputs, predictions)
    return predictions


@dataclass(frozen=True)
class _Application:
    """What holds for both stages of a cascade, and for a single network."""

    job: Job
    settings: Settings
    inputs: Sequence[PredictionInput]  # all that were asked for
    device: torch.device
    engine: EngineWish
    progress: Progress

    def __call__(
        self, ensemble: Ensemble, inputs: Sequence[PredictionInput], out: Path, job: Job, first_stage: FirstStage | None = None
    ) -> Predictions:
        done = 0

        def count(case: PredictedCase) -> None:
            nonlocal done
            done += 1
            self.progress.advance(done, case.id)

        return predict_cases(
            inputs,
            out,
            job,
            self._networks(ensemble, job),
            folds=ensemble.names,
            settings=self.settings,
            first_stage=first_stage,
            on_case=count,
        )

    def _networks(self, ensemble: Ensemble, job: Job) -> Networks:
        """Calibration cases are the first of all inputs, so that a prediction that goes on later has the same ones."""

        def calibration() -> Iterator[torch.Tensor]:
            used = 0
            for item in self.inputs:
                try:
                    prepared = prepare_case(item, job)
                except AutosegError:  # it will be told when its turn comes
                    continue
                yield from job.sliding.tiles(prepared.array)
                used += 1
                if used == CALIBRATION_CASES:
                    return

        if ensemble.configuration.previous_stage is not None and self.engine.name.endswith("int8"):
            raise DataError(
                "integers of eight bits cannot be calibrated for the second stage of a cascade; take another --engine"
            )
        return networks_for(ensemble.configuration, ensemble.weights, self.device, self.engine, calibration, self.progress)


def _first_stage(ensemble: Ensemble, out: Path, apply: _Application) -> FirstStage:
    """The first stage of a cascade, which predicts into `out` once the second knows what it has to do."""
    name, progress = ensemble.configuration.name, apply.progress
    if ensemble.configuration.previous_stage is not None:
        raise RunFolderError(f"{name} is a second stage itself; images can be predicted with cascades of two stages")

    def masks(inputs: Sequence[PredictionInput]) -> Mapping[str, Path | PredictedCase]:
        progress.stage(f"predicting with {name}", len(inputs))
        job = replace(
            apply.job, configuration=ensemble.configuration, save=frozenset(), postprocessing=(), evidence=False, trust=None
        )
        predictions = apply(ensemble, inputs, out, job)
        progress.stage("predicting", len(apply.inputs))
        return {case.id: case if case.mask is None else out / case.mask for case in predictions.cases}

    return FirstStage(name, ensemble.identity, masks)


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
