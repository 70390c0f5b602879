"""The label doctor: out-of-fold predictions of a run, and what they say of its labels. Nothing of the data set is changed."""

from __future__ import annotations

from pathlib import Path

from autoseg.engines.device import pick_device
from autoseg.errors import RunFolderError
from autoseg.parallel import available_cores
from autoseg.pipeline.cross_validation import CrossValidation
from autoseg.pipeline.engines import EngineWish
from autoseg.pipeline.recipe import recipe_for
from autoseg.pipeline.trained import refuse_foreign_plan, refuse_moved
from autoseg.progress import Progress
from autoseg.records import CaseDiagnosis, Diagnosis, NotJudged, Predictions, Splits, write_text
from autoseg.run_folder import RunFolder
from autoseg.stages.doctor import PAGE, draw, examine, page_of, ranked, reservations, save_csv
from autoseg.stages.split import refuse_unsound
from autoseg.writing import clear_parts, part_of, remove_folder, replace_folder


def examined(
    folder: RunFolder,
    *,
    show: int,
    configuration: str | None,
    device: str,
    engine: EngineWish,
    workers: int | None,
    progress: Progress,
) -> Diagnosis:
    """See `autoseg.doctor`."""
    plan, model, dataset, splits = folder.plan(), folder.model(), folder.dataset(), folder.splits()
    refuse_foreign_plan(folder, plan, dataset)
    refuse_unsound(splits, dataset, folder.splits_file)
    refuse_moved(dataset)
    recipe = recipe_for(model, configuration, None)
    name = recipe.configurations[0]
    if name not in plan.configurations:
        raise RunFolderError(f"the plan has no configuration {name}; it has {', '.join(plan.configurations)}")
    workers = available_cores() if workers is None else workers
    folds = CrossValidation(folder, plan, model, splits, dataset, pick_device(device), engine, progress)
    predictions, out = folds.predict(name, recipe.profile, ["probabilities"])
    progress.stage("examining labels", len(predictions.cases))
    examinations = examine(dataset, predictions, out, workers=workers, on_done=progress.advance)
    if not examinations.cases:
        reasons = "; ".join(f"{one.id}: {one.reason}" for one in examinations.not_judged[:3])
        raise RunFolderError(f"{folder.root}: no label could be judged ({reasons})")
    cases = ranked(dataset, examinations, out.relative_to(folder.root).as_posix())
    progress.stage("drawing pictures", min(show, len(cases)))
    part = part_of(folder.doctor)  # what was there stays until all is drawn
    clear_parts(folder.doctor)
    try:
        cases = draw(dataset, predictions, cases, show, folder.root, part, workers=workers, on_done=progress.advance)
        cases = tuple(_in(folder.doctor.name, case) for case in cases)
        diagnosis = Diagnosis(
            configuration=name,
            profile=recipe.profile,
            folds=predictions.folds,
            weights=predictions.weights,
            notes=reservations(examinations),
            cases=cases,
            not_judged=tuple(_held_out(splits, one) for one in examinations.not_judged),
        )
        write_text(part / PAGE, page_of(diagnosis, dataset, folder.root, folder.doctor))
        replace_folder(part, folder.doctor)
    finally:
        remove_folder(part)
    save_csv(diagnosis, folder.doctor_table)
    diagnosis.save(folder.doctor_file)
    _tidy(predictions, out)
    return diagnosis


def _in(folder: str, case: CaseDiagnosis) -> CaseDiagnosis:
    """With its picture in the folder that the pictures will lie in."""
    return case if case.picture is None else case.model_copy(update={"picture": f"{folder}/{Path(case.picture).name}"})


def _held_out(splits: Splits, one: NotJudged) -> NotJudged:
    """A case that no fold is to see is told apart from one whose fold is not trained."""
    return one.model_copy(update={"reason": "it is held out of every fold"}) if one.id in splits.held_out else one


def _tidy(predictions: Predictions, out: Path) -> None:
    """Probabilities have served, and take much room."""
    for case in predictions.cases:
        if case.probabilities is not None:
            (out / case.probabilities).unlink(missing_ok=True)
