"""Find out, on predictions of cases that the networks had not seen, how a trained model is best applied; `model.json` keeps it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from autoseg.engines.device import pick_device
from autoseg.errors import RunFolderError
from autoseg.parallel import available_cores
from autoseg.pipeline.cross_validation import CrossValidation, seconds_per_case
from autoseg.pipeline.engines import EngineWish
from autoseg.pipeline.predicting import HELD_OUT, predict_images
from autoseg.pipeline.recipe import DEFAULT_PROFILE
from autoseg.pipeline.trained import refuse_foreign_plan
from autoseg.pipeline.trusting import learn_trust
from autoseg.progress import Progress
from autoseg.records import (
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
    def subjects(self) -> dict[str, str]:
        """By case."""
        return {case.id: case.subject for case in self.folds.dataset.cases}

    def way(self, configurations: Sequence[str], profile: InferenceProfile) -> Way:
        """Predict out of fold, and score."""
        folds, together = self.folds, len(configurations) > 1
        made = [Member(*folds.predict(name, profile, ["probabilities"] if together else [])) for name in configurations]
        member = made[0]
        if together:
            out = folds.folder.selected(JOINED.join(configurations), profile)
            folds.progress.stage(f"averaging {' and '.join(configurations)}", len(made[0].predictions.cases))
            merged = merge(made, out, workers=self.workers, on_done=folds.progress.advance)
            member = Member(merged, out)
        scores = folds.score(member.predictions, member.folder)
        names = [target.name for target in folds.plan.targets]
        way = Way(tuple(configurations), profile, member, agreements(scores.cases, names))
        self.seconds[way.name] = round(seconds_per_case(member.predictions), 3)
        return way

    def configuration(self) -> Way:
        """The one that is best, or two that vote, if they are better than chance explains."""
        names = [one.name for one in self.folds.model.configurations if self.folds.folds(one.name)]
        if not names:
            raise RunFolderError(
                f"{self.folds.folder.root}: no fold with validation cases is trained to its end; train folds 0 to 4 first"
            )
        first = self.folds.model.default if self.folds.model.default in names else names[0]
        ways = {name: self.way([name], DEFAULT_PROFILE) for name in (first, *(name for name in names if name != first))}
        chosen = ways[first]
        for name, way in ways.items():
            if name != first and self._better("configuration", chosen, way):
                chosen = way
        for pair in combinations(ways, 2):
            if self.folds.common_folds(pair):
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
        question, folds = "all folds or one, on held-out subjects", self.folds
        trained = {name: folds.trained(name) for name in selection.configurations}
        if any(len(names) < 2 for names in trained.values()):
            self.not_established.append("what an ensemble of folds brings: one fold alone is trained")
            return
        if not folds.splits.held_out:
            self.not_established.append(
                "what an ensemble of folds brings: each of these cases was seen by all folds but one; plan with --hold-out 0.2 to tell"
            )
            return
        single = tuple(names[0] for names in trained.values())
        ways = []
        for name, chosen in ((f"fold {single[0]}", single[:1]), (f"{len(trained[selection.configurations[0]])} folds", None)):
            out = folds.folder.held_out_predictions / name.replace(" ", "_")
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
            scores = folds.score(predictions, out)
            scores.save(out / "scores.json")
            save_csv(scores, out / "scores.csv")
            ways.append((name, agreements(scores.cases, [target.name for target in folds.plan.targets])))
        self.judgements.append(judge(question, ways[0], ways[1], self.subjects))

    def finished(self, chosen: Way, steps: Sequence[PostprocessingStep]) -> tuple[Predictions, Scores]:
        """Write the masks of the selected way, and their scores."""
        folder, progress = self.folds.folder, self.folds.progress
        shutil.rmtree(folder.out_of_fold, ignore_errors=True)
        progress.stage("writing out-of-fold masks", len(chosen.member.predictions.cases))
        merged = merge([chosen.member], folder.out_of_fold, steps, workers=self.workers, on_done=progress.advance)
        scores = self.folds.score(merged, folder.out_of_fold)
        for place in (folder.out_of_fold, folder.root):
            scores.save(place / "scores.json")
            save_csv(scores, place / "scores.csv")
        return merged, scores

    def _better(self, question: str, before: Way, after: Way) -> bool:
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
    model = model.model_copy(update={"selection": None})
    folds = CrossValidation(folder, plan, model, splits, dataset, pick_device(device), engine, progress)
    work = Selecting(folds, available_cores() if workers is None else workers)
    chosen = work.profile(work.configuration(), profiles)
    steps = work.postprocessing(chosen)
    predictions, scores = work.finished(chosen, steps)
    trust, trust_report = learn_trust(folds, predictions, scores, chosen.configurations, chosen.profile, workers=work.workers)
    selection = _selection(work, chosen, steps).model_copy(update={"trust": trust})
    folder.save(model.model_copy(update={"selection": selection}))
    work.ensemble(selection)
    report = SelectionReport(
        selection=selection,
        folds_planned=len(splits.folds),
        cases=len(scores.cases),
        subjects=len({case.subject for case in scores.cases}),
        seconds_per_case=work.seconds,
        judgements=tuple(work.judgements),
        not_established=tuple(work.not_established),
        trust=trust_report,
    )
    report.save(folder.selection_file)
    _tidy(folder, model)
    return report, scores


def _selection(work: Selecting, chosen: Way, steps: Sequence[PostprocessingStep]) -> Selection:
    judged = {name: work.folds.folds(name) for name in chosen.configurations}
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
