"""Hand a trained model over as one file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from autoseg.errors import PlanError, RecordError, RunFolderError
from autoseg.inference.profiles import folds_for
from autoseg.layouts.documentary import documentary
from autoseg.pipeline.ensemble import choose_folds
from autoseg.pipeline.models import opened_model
from autoseg.pipeline.nnunet_facts import with_nnunet_facts
from autoseg.pipeline.trained import refuse_foreign_plan, trained_configuration, trained_default
from autoseg.progress import Progress
from autoseg.records import (
    PREDICTIONS_FILE,
    InferenceProfile,
    Model,
    ModelCard,
    Plan,
    Predictions,
    Scores,
    SelectionReport,
    TrainedFold,
    write_text,
)
from autoseg.run_folder import RunFolder
from autoseg.stages.export.archive import copy_weights, pack
from autoseg.stages.export.bundle import write_bundle
from autoseg.stages.export.bundle_config import differences
from autoseg.stages.export.card import card_of_receiver, card_of_run
from autoseg.stages.export.card_text import card_text
from autoseg.stages.export.contents import Contents, gathered
from autoseg.stages.export.graphs import GRAPHS, refuse_missing, refuse_second_stage, write_graphs
from autoseg.stages.export.judged import told_selection
from autoseg.stages.export.usage import usage

ExportFormat = Literal["zip", "onnx", "openvino", "monai-bundle", "torchscript"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


def export(
    run: Path,
    out: Path | None,
    *,
    to: str,
    configuration: str | None,
    folds: Sequence[str] | None,
    profile: InferenceProfile | None,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """See `autoseg.export_model`."""
    form = _known(to)
    with opened_model(run) as folder:
        plan, model = folder.plan(), folder.model()
        name = configuration or trained_default(model)
        target = out if out is not None else Path(_default_name(run, name, form))
        _refuse_target(target, overwrite)
        selection = model.selection
        if configuration is None and selection is not None and len(selection.configurations) > 1:
            progress.message(
                f"{' and '.join(selection.configurations)} were selected to vote together; a file holds one configuration: this is {name}"
            )
        if profile is None and form != "zip" and selection is not None and selection.configurations == (name,):
            profile = selection.profile
        contents = _contents(folder, plan, model, name, form, folds, profile)
        if form != "zip":
            refuse_second_stage(contents, form)
        with tempfile.TemporaryDirectory(prefix=".autoseg-export-", dir=_existing(target.absolute().parent)) as place:
            progress.stage("exporting", sum(len(trained.folds) for trained in contents.model.configurations))
            _write(contents, form, Path(place), target, progress)
            pack(Path(place), target)
    return target


def _known(to: str) -> ExportFormat:
    if to not in FORMATS:
        raise PlanError(f"a model cannot be exported to {to}; there are {', '.join(FORMATS)}")
    if to in GRAPHS:
        refuse_missing(to)
    return to


def _default_name(run: Path, configuration: str, form: ExportFormat) -> str:
    place = run.resolve()
    name = f"{(place.name if place.is_dir() else place.stem).removesuffix(f'-{configuration}')}-{configuration}"
    return f"{name}.zip" if form == "zip" else f"{name}.{form}.zip"


def _refuse_target(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise RunFolderError(f"{target} is a folder; give the name of the file to write")
    if target.exists() and not overwrite:
        raise RunFolderError(f"{target} exists already; give another name, or --overwrite to replace it")


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _contents(
    folder: RunFolder,
    plan: Plan,
    model: Model,
    name: str,
    form: ExportFormat,
    folds: Sequence[str] | None,
    profile: InferenceProfile | None,
) -> Contents:
    """What is handed over: the chosen configuration, and the first stage of a cascade before it.

    A graph stands for one way of predicting, a zip for all of them: whoever receives it chooses the profile, so that all folds
    are in it unless fewer are asked for.
    """
    dataset = folder.dataset()
    refuse_foreign_plan(folder, plan, dataset)
    trained = trained_configuration(folder, plan, model, name) if _is_trained(model, name) else None
    chosen: dict[str, tuple[TrainedFold, ...]] = {name: _chosen(model, name, form, folds, profile)}
    if trained is not None and trained.previous_stage is not None:
        first = trained_configuration(folder, plan, model, trained.previous_stage)
        chosen = {first.name: _chosen(model, first.name, form, None, profile), **chosen}
    return gathered(folder.root, plan, dataset, chosen, _card(folder, plan, name, chosen[name]), profile, model.selection)


def _is_trained(model: Model, name: str) -> bool:
    return any(trained.name == name for trained in model.configurations)


def _chosen(
    model: Model, name: str, form: ExportFormat, folds: Sequence[str] | None, profile: InferenceProfile | None
) -> tuple[TrainedFold, ...]:
    every = next((tuple(fold.fold for fold in one.folds) for one in model.configurations if one.name == name), ())
    if folds is None and every:
        folds = every if form == "zip" and profile is None else folds_for(every, profile or "balanced")
    return choose_folds(model, name, None if folds is None else tuple(dict.fromkeys(folds)))


def _card(folder: RunFolder, plan: Plan, name: str, folds: Sequence[TrainedFold]) -> ModelCard:
    names = [fold.fold for fold in folds]
    held = folder.card()
    if held is not None and not folder.fingerprint_file.is_file() and held.configuration == name:
        return card_of_receiver(held, names)
    dataset = folder.dataset()
    card = card_of_run(
        plan,
        plan.configurations[name],
        names,
        dataset,
        fingerprint=folder.fingerprint() if folder.fingerprint_file.is_file() else None,
        splits=folder.splits() if folder.splits_file.is_file() else None,
        scores=_scores(folder, name, folds),
        source=documentary(Path(dataset.root)) if dataset.root else {},
    ).model_copy(update={"selection": _selection(folder)})
    if folder.fingerprint_file.is_file() or not dataset.root:  # what was handed over has no place that could be read
        return card
    return with_nnunet_facts(card, Path(dataset.root))


def _selection(folder: RunFolder) -> tuple[str, ...]:
    """What `select` found of the folds as they are now."""
    selected = folder.model().selection
    if selected is None or not folder.selection_file.is_file():
        return ()
    report = SelectionReport.load(folder.selection_file)
    return told_selection(report) if report.selection.weights == selected.weights else ()


def _scores(folder: RunFolder, name: str, folds: Sequence[TrainedFold]) -> Mapping[str, Scores]:
    """Of those folds whose validation is of the very weights that are handed over."""
    found = {}
    for fold in folds:
        try:
            weights = Predictions.load(folder.validation(name, fold.fold) / PREDICTIONS_FILE).weights
            scores = Scores.load(folder.fold_scores(name, fold.fold))
        except RecordError:  # there is none, as of the network that was trained on all cases
            continue
        if weights == (fold.sha256,):
            found[fold.fold] = scores
    return found


def _write(contents: Contents, form: ExportFormat, place: Path, target: Path, progress: Progress) -> None:
    def count(done: int, fold: str) -> None:
        progress.advance(done, f"fold {fold}")

    sections = {}
    if form == "monai-bundle":
        sections["Where MONAI computes otherwise than autoseg"] = differences(contents.plan, contents.configuration)
    text = card_text(contents.card, usage(contents, form, target.name), sections)
    if form == "monai-bundle":
        bundle = place / target.name.removesuffix(".zip").removesuffix(f".{form}")
        write_bundle(contents, bundle, text)
        count(len(contents.folds), contents.folds[-1].fold)
        return
    run = RunFolder(place)
    if form == "zip":
        copy_weights(contents, place, count)
        run.save(contents.card, contents.dataset, contents.plan, contents.model)
    else:
        write_graphs(contents, form, place, count)
        run.save(contents.plan)
    write_text(run.card_text, text)
