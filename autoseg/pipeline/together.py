"""Several configurations predict one after another, and the mean of their probabilities decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.errors import DiskFull, PlanError
from autoseg.inference.case import OVERLAY_FOLDER, Job, listed_spacing
from autoseg.inference.inputs import PredictionInput, readable
from autoseg.inference.ledger import Ledger
from autoseg.inference.overlay import save_overlay
from autoseg.inference.trust import assess
from autoseg.pipeline.ensemble import Ensemble
from autoseg.processing.cases import assemble_image
from autoseg.progress import Progress
from autoseg.records import PredictedCase, Predictions
from autoseg.stages.merge import JOINED, merge_case
from autoseg.stages.predict import Settings, failed_case, waiting_cases
from autoseg.volume.files import read

MEMBERS_FOLDER = ".configurations"  # inside the output folder, until all is done

Predict = Callable[[Ensemble, Sequence[PredictionInput], Path, Job], Predictions]


def predict_together(
    ensembles: Sequence[Ensemble],
    inputs: Sequence[PredictionInput],
    out: Path,
    job: Job,
    settings: Settings,
    device: str,
    predict: Predict,
    progress: Progress,
) -> Predictions:
    """Predict with each, then decide case by case; what is done and unchanged is kept.

    Args:
        ensembles: the folds of each configuration.
        inputs: all that was asked for.
        out: folder for masks and `predictions.json`.
        job: of the prediction; `save` may hold `probabilities` and `overlay`.
        settings: of the prediction.
        device: that the networks run on, for the record.
        predict: predicts inputs with one ensemble into a folder.
        progress: listener.

    Raises:
        PlanError: uncertainty is asked for, which is that of one configuration.
    """
    if "uncertainty" in job.save:
        raise PlanError("uncertainty is that of one configuration's folds and mirrors; choose one with --configuration NAME")
    header = _header(ensembles, job, settings, device)
    ledger = Ledger.open(out, header, inputs, overwrite=settings.overwrite)
    job = replace(job, temperature=1.0)  # one is found for a single configuration's logits, and those that vote are probabilities
    waiting = waiting_cases(inputs, job, ledger, settings)
    if waiting:
        alone = replace(job, save=frozenset({"probabilities"}), postprocessing=(), temperature=1.0, trust=None)
        places = [out / MEMBERS_FOLDER / ensemble.configuration.name for ensemble in ensembles]
        made = [
            {case.id: case for case in predict(ensemble, waiting, place, alone).cases}
            for ensemble, place in zip(ensembles, places, strict=True)
        ]
        progress.stage(f"averaging {len(ensembles)} configurations", len(waiting))
        for number, item in enumerate(waiting, start=1):
            ledger.add(_merged(item, [cases[readable(item.id)] for cases in made], places, header, job, out))
            progress.advance(number, item.id)
    ledger.save()
    shutil.rmtree(out / MEMBERS_FOLDER, ignore_errors=True)
    return ledger.predictions()


def _header(ensembles: Sequence[Ensemble], job: Job, settings: Settings, device: str) -> Predictions:
    steps = [step.digest() for step in job.postprocessing]
    return Predictions(
        run=settings.run,
        configuration=JOINED.join(ensemble.configuration.name for ensemble in ensembles),
        folds=ensembles[0].names,
        weights=tuple(sha256 for ensemble in ensembles for _, sha256 in ensemble.weights),
        inference=" ".join([*(ensemble.identity for ensemble in ensembles), *steps]),
        device=device,
        profile=settings.profile,
        postprocessing=tuple(step.told for step in job.postprocessing),
        trust="" if job.trust is None else job.trust.digest(),
        not_judged=job.not_judged,
        intervals={} if job.trust is None else job.trust.intervals,
        targets=job.plan.targets,
        derived=job.plan.derived,
        regions=job.plan.regions,
        cases=(),
    )


def _merged(
    item: PredictionInput, cases: Sequence[PredictedCase], places: Sequence[Path], header: Predictions, job: Job, out: Path
) -> PredictedCase:
    """The case as all members see it; a fault is noted, and the others go on."""
    trust = job.trust
    try:
        case = merge_case(
            cases,
            folders=places,
            header=header,
            steps=job.postprocessing,
            out=out,
            save_probabilities="probabilities" in job.save,
            assess=None
            if trust is None
            else lambda evidence, winners, spacing: assess(trust, evidence, winners, job.plan, spacing),
        )
        return _with_overlay(item, case, job, out) if "overlay" in job.save and case.status == "done" else case
    except DiskFull:  # so it would be for the others
        raise
    except Exception as error:
        return failed_case(item, error)


def _with_overlay(item: PredictionInput, case: PredictedCase, job: Job, out: Path) -> PredictedCase:
    name = f"{OVERLAY_FOLDER}/{item.id}.png"
    image = assemble_image(item.files, job.plan.channels, listed_spacing(item, job), job.trust_file_spacing)
    names = {target.output_value: target.name for target in job.plan.targets}
    save_overlay(out / name, image.array, read(out / item.mask).array[0], names, case.spacing_mm)
    return case.model_copy(update={"overlay": name})
