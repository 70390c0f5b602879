"""Find out, on predictions of cases that the networks had not seen, how a trained model is best applied; `model.json` keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from autoseg.engines.device import pick_device
from autoseg.errors import RunFolderError
from autoseg.inference.profiles import folds_for
from autoseg.parallel import available_cores
from autoseg.pipeline.cross_validation import CrossValidation, seconds_per_case
from autoseg.pipeline.engines import EngineWish
from autoseg.pipeline.predicting import HELD_OUT, predict_images
from autoseg.pipeline.recipe import DEFAULT_PROFILE
from autoseg.pipeline.trained import refuse_foreign_plan, refuse_moved
from autoseg.pipeline.trusting import learn_trust
from autoseg.progress import Progress
from autoseg.records import (
    Extra,
    InferenceProfile,
    Judgement,
    Model,
    PostprocessingStep,
    Predictions,
    Scores,
    Selection,
    SelectionReport,
)
from autoseg.run_folder import RunFolder
from autoseg.stages.evaluate import save_csv
from autoseg.stages.merge import JOINED, Member, merge
from autoseg.stages.select.postprocessing import Trial
from autoseg.stages.select.rule import Agreement, agreements, judge
from autoseg.stages.split import refuse_unsound
from autoseg.writing import clear_parts, part_of, remove_folder, replace_folder


@dataclass(frozen=True)
class Way:
    """A way of predicting, with what it made of the cases that its folds had not seen."""

    configurations: tuple[str, ...]
    profile: InferenceProfile
    member: Member
    agreements: dict[str, Agreement]

    @property
    def name(self) -> str:
        """For tables."""
        return f"{JOINED.join(self.configurations)}, {self.profile}"


@dataclass
class Selecting:
    """The work on one run; what was compared is noted as it goes."""

    folds: CrossValidation
    workers: int
    judgements: list[Judgement] = field(default_factory=list)
    not_established: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def candidates(self) -> list[str]:
        """Configurations of which a fold is trained and has validation cases."""
        return [one.name for one in self.folds.model.configurations if self.folds.folds(one.name)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Of configurations that have a fold in common."""
        return [pair for pair in combinations(self.candidates, 2) if self.folds.common_folds(pair)]

    @property
    def subjects(self) -> dict[str, str]:
        """By case."""
        return {case.id: case.subject for case in self.folds.dataset.cases}

    def way(self, configurations: Sequence[str], profile: InferenceProfile) -> Way:
        """Predict out of fold, and score."""
        folds, together = self.folds, len(configurations) > 1
        vote = together or (self.pairs and profile == DEFAULT_PROFILE)  # pairs come after, with the same files
        save: tuple[Extra, ...] = ("probabilities",) if vote else ()
        made = [Member(*folds.predict(name, profile, save)) for name in configurations]
        member = made[0]
        if together:
            out = folds.folder.selected(JOINED.join(configurations), profile)
            folds.progress.stage(f"averaging {' and '.join(configurations)}", len(made[0].predictions.cases))
            merged = merge(made, out, workers=self.workers, on_done=folds.progress.advance)
            member = Member(merged, out)
        scores = folds.score(member.predictions, member.folder, workers=self.workers)
        names = [target.name for target in folds.plan.targets]
        way = Way(tuple(configurations), profile, member, agreements(scores.cases, names))
        self.seconds[way.name] = round(seconds_per_case(member.predictions), 3)
        return way

    def configuration(self) -> Way:
        """The one that is best, or two that vote, if they are better than chance explains."""
        names = self.candidates
        if not names:
            raise RunFolderError(
                f"{self.folds.folder.root}: no fold with validation cases is trained to its end; train one with "
                f"`autoseg train {self.folds.folder.root} --fold 0`, or all with `--fold all`"
            )
        first = self.folds.model.default if self.folds.model.default in names else names[0]
        ways = {name: self.way([name], DEFAULT_PROFILE) for name in (first, *(name for name in names if name != first))}
        chosen = ways[first]
        for name, way in ways.items():
            if name != first and self._better("configuration", chosen, way):
                chosen = way
        for pair in self.pairs:
            together = self.way(pair, DEFAULT_PROFILE)
            if self._better("ensemble of configurations", chosen, together):
                chosen = together
        return chosen

    def profile(self, chosen: Way, profiles: Sequence[InferenceProfile]) -> Way:
        """The default one, unless another gives better masks."""
        best = chosen
        for profile in profiles:
            if profile != chosen.profile:
                other = self.way(chosen.configurations, profile)
                if self._better("inference profile, with one fold", best, other):
                    best = other
        return best

    def postprocessing(self, chosen: Way) -> tuple[PostprocessingStep, ...]:
        """Steps that help."""
        self.folds.progress.stage("trying postprocessing", len(chosen.member.predictions.cases))
        trial = Trial(
            self.folds.dataset,
            chosen.member.predictions,
            chosen.member.folder,
            workers=self.workers,
            on_done=self.folds.progress.advance,
        )
        steps, judgements = trial.steps()
        self.judgements += judgements
        return steps

    def ensemble(self, selection: Selection) -> None:
        """All folds against one, which only subjects that none of them has seen can tell."""
        question, folds = SelectionReport.ENSEMBLE, self.folds
        trained = {name: folds.trained(name) for name in selection.configurations}
        if any(len(names) < 2 for names in trained.values()):
            self.not_established.append("what an ensemble of folds brings: one fold alone is trained")
            return
        if not folds.splits.held_out:
            self.not_established.append(
                "what an ensemble of folds brings: each of these cases was seen by all folds but one; plan with --hold-out 0.2 to tell"
            )
            return
        common = folds.common_folds(selection.configurations)
        if (
            folds_for(trained[selection.configurations[0]], selection.profile) == trained[selection.configurations[0]][:1]
            or not common
        ):
            why = "the profile takes one fold" if common else "the configurations have no fold in common"
            self.not_established.append(f"what an ensemble of folds brings: {why}")
            return
        place = folds.folder.held_out_predictions / JOINED.join(selection.configurations) / selection.profile
        ways = []
        number = len(trained[selection.configurations[0]])
        for name, chosen in ((f"fold {common[0]}", common[:1]), (f"{number} folds", None)):
            out = place / f"folds_{'_'.join(chosen or trained[selection.configurations[0]])}"
            predictions = predict_images(
                folds.folder,
                HELD_OUT,
                out,
                origin=str(folds.folder.root),
                folds=chosen,
                configuration=None,
                device=str(folds.device),
                spacing=None,
                assume_spacing=None,
                save=(),
                overwrite=False,
                profile=None,
                postprocessing=True,
                engine=folds.engine,
                memory_bytes=None,
                progress=folds.progress,
            )
            scores = folds.score(predictions, out, workers=self.workers)
            scores.save(out / "scores.json")
            save_csv(scores, out / "scores.csv")
            ways.append((name, agreements(scores.cases, [target.name for target in folds.plan.targets])))
        self.judgements.append(judge(question, ways[0], ways[1], self.subjects))

    def finished(self, chosen: Way, steps: Sequence[PostprocessingStep], out: Path) -> tuple[Predictions, Scores]:
        """Write the masks of the selected way into `out`, with their scores."""
        progress = self.folds.progress
        progress.stage("writing out-of-fold masks", len(chosen.member.predictions.cases))
        merged = merge([chosen.member], out, steps, workers=self.workers, on_done=progress.advance)
        scores = self.folds.score(merged, out, workers=self.workers, named=self.folds.folder.out_of_fold)
        scores.save(out / "scores.json")
        save_csv(scores, out / "scores.csv")
        return merged, scores

    def noted(self, report: SelectionReport) -> SelectionReport:
        """The report with all comparisons so far, written."""
        report = report.model_copy(update={"judgements": tuple(self.judgements), "not_established": tuple(self.not_established)})
        report.save(self.folds.folder.selection_file)
        return report

    def _better(self, question: str, before: Way, after: Way) -> bool:
        if not before.agreements.keys() & after.agreements.keys():
            self.not_established.append(
                f"{question}: {before.name} and {after.name} have no case in common; train the same folds of both"
            )
            return False
        judgement = judge(question, (before.name, before.agreements), (after.name, after.agreements), self.subjects)
        self.judgements.append(judgement)
        return judgement.adopted


def select(
    folder: RunFolder,
    *,
    profiles: Sequence[InferenceProfile],
    device: str,
    engine: EngineWish,
    workers: int | None,
    progress: Progress,
) -> tuple[SelectionReport, Scores]:
    """See `autoseg.select`."""
    plan, model, dataset, splits = folder.plan(), folder.model(), folder.dataset(), folder.splits()
    refuse_foreign_plan(folder, plan, dataset)
    refuse_unsound(splits, dataset, folder.splits_file)
    refuse_moved(dataset)
    model = model.model_copy(update={"selection": None})
    folds = CrossValidation(folder, plan, model, splits, dataset, pick_device(device), engine, progress)
    work = Selecting(folds, available_cores() if workers is None else workers)
    chosen = work.profile(work.configuration(), profiles)
    steps = work.postprocessing(chosen)
    part = part_of(folder.out_of_fold)  # what was there stays until all is done
    clear_parts(folder.out_of_fold)
    try:
        predictions, scores = work.finished(chosen, steps, part)
        trust, trust_report = learn_trust(
            folds, predictions, scores, part, chosen.configurations, chosen.profile, workers=work.workers
        )
        selection = _selection(work, chosen, steps).model_copy(update={"trust": trust})
        _keep(folder, selection, scores, part)
    finally:
        remove_folder(part)
    report = SelectionReport(
        selection=selection,
        folds_planned=len(splits.folds),
        cases=len(scores.cases),
        subjects=len({case.subject for case in scores.cases}),
        seconds_per_case=work.seconds,
        judgements=(),
        trust=trust_report,
    )
    work.noted(report)
    work.ensemble(selection)
    _tidy(folder, model)
    return work.noted(report), scores


def _keep(folder: RunFolder, selection: Selection, scores: Scores, part: Path) -> None:
    """Masks, scores and selection take the places of what was there; folds that were trained meanwhile stay.

    Raises:
        RunFolderError: those that were judged were trained anew meanwhile.
    """
    if not folder.model().weights.issuperset(selection.weights):
        raise RunFolderError(f"{folder.root}: folds were trained anew while they were judged; select again")
    replace_folder(part, folder.out_of_fold)
    scores.save(folder.root / "scores.json")
    save_csv(scores, folder.root / "scores.csv")
    folder.save(folder.model().model_copy(update={"selection": selection}))  # read at the last moment: a fold may just have ended


def _selection(work: Selecting, chosen: Way, steps: Sequence[PostprocessingStep]) -> Selection:
    common = work.folds.common_folds(chosen.configurations)
    judged = {name: [fold for fold in work.folds.folds(name) if fold.fold in common] for name in chosen.configurations}
    return Selection(
        configurations=chosen.configurations,
        profile=chosen.profile,
        postprocessing=tuple(steps),
        judged={name: tuple(fold.fold for fold in folds) for name, folds in judged.items()},
        weights=tuple(fold.sha256 for folds in judged.values() for fold in folds),
    )


def _tidy(folder: RunFolder, model: Model) -> None:
    """Probabilities have served, and take much room."""
    for trained in model.configurations:
        for file in folder.selected(trained.name, DEFAULT_PROFILE).parent.rglob("*.npz"):
            file.unlink()
