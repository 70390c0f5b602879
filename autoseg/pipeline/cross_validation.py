"""Out-of-fold predictions: every training case by the fold that had not seen it, on the same way as `predict` goes.

They lie in `selection/<configuration>/<profile>/fold_<k>/` and are continued where they were interrupted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

import torch

from autoseg.errors import PlanError, RunFolderError
from autoseg.inference.profiles import with_profile
from autoseg.pipeline.cascade import out_of_fold
from autoseg.pipeline.engines import EngineWish, networks_for
from autoseg.pipeline.fold_checks import refuse_changed
from autoseg.pipeline.fold_task import FoldTask
from autoseg.pipeline.trained import trained_configuration
from autoseg.pipeline.validation import predict_of_training_set, prediction_inputs
from autoseg.progress import Progress
from autoseg.records import FULL, Dataset, Extra, InferenceProfile, Model, Plan, Predictions, Scores, Splits, TrainedFold
from autoseg.run_folder import RunFolder
from autoseg.stages.evaluate import evaluate
from autoseg.stages.predict import Settings


@dataclass(frozen=True)
class CrossValidation:
    """The trained folds of a run, and what they are validated on.

    Args:
        folder: the run.
        device: where to predict.
        engine: what runs the networks.
        progress: listener.
    """

    folder: RunFolder
    plan: Plan
    model: Model
    splits: Splits
    dataset: Dataset
    device: torch.device
    engine: EngineWish
    progress: Progress
    _known_owners: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def folds(self, configuration: str) -> tuple[TrainedFold, ...]:
        """Those that are trained and have validation cases."""
        trained = next((one.folds for one in self.model.configurations if one.name == configuration), ())
        numbered = [fold for fold in trained if fold.fold != FULL]
        if unknown := [fold.fold for fold in numbered if int(fold.fold) >= len(self.splits.folds)]:
            raise RunFolderError(
                f"{self.folder.root}: fold {', '.join(unknown)} of {configuration} is trained, but splits.json has "
                f"{len(self.splits.folds)} folds only; restore it, or delete that fold"
            )
        return tuple(fold for fold in numbered if self.splits.folds[int(fold.fold)].validation)

    def trained(self, configuration: str) -> tuple[str, ...]:
        """Names of the numbered folds that can vote."""
        folds = next((one.folds for one in self.model.configurations if one.name == configuration), ())
        return tuple(fold.fold for fold in folds if fold.fold != FULL)

    def cases(self, configurations: Collection[str]) -> tuple[str, ...]:
        """Validation cases of the folds that all these configurations have; none twice."""
        return tuple(dict.fromkeys(case for fold in self.common_folds(configurations) for case in self._members(fold)))

    def common_folds(self, configurations: Collection[str]) -> tuple[str, ...]:
        """Trained in each of these configurations, in order."""
        return tuple(
            str(number)
            for number in range(len(self.splits.folds))
            if all(str(number) in [fold.fold for fold in self.folds(name)] for name in configurations)
        )

    def predict(
        self,
        configuration: str,
        profile: InferenceProfile,
        save: Collection[Extra] = (),
        *,
        only: Collection[str] | None = None,
        out: Path | None = None,
    ) -> tuple[Predictions, Path]:
        """Every validation case of the configuration's folds, as one record whose masks lie in folders below the returned one.

        Args:
            configuration: whose folds.
            profile: how they are applied.
            save: what to write beside the masks.
            only: these cases alone; None: all.
            out: the folder; None: the run's own for this configuration and profile.
        """
        out = out or self.folder.selected(configuration, profile)
        parts = [
            (fold, self._fold(configuration, fold, profile, out / f"fold_{fold.fold}", save, only))
            for fold in self.folds(configuration)
        ]
        if not parts:
            raise RunFolderError(f"{self.folder.root}: no fold of {configuration} with validation cases is trained to its end")
        return _pooled(parts), out

    def score(self, predictions: Predictions, masks: Path, *, workers: int, named: Path | None = None) -> Scores:
        """Of these masks, against the labels that the run was trained with; `named` is where they will lie, if elsewhere."""
        wanted = {case.id for case in predictions.cases}  # those that failed are missing then
        validated = self.dataset.model_copy(update={"cases": tuple(case for case in self.dataset.cases if case.id in wanted)})
        self.progress.stage("scoring", len(wanted))
        scores = evaluate(
            validated,
            predictions,
            masks,
            labels_name=self.dataset.root,
            workers=workers,
            on_done=self.progress.advance,
        )
        return scores if named is None else scores.model_copy(update={"predictions": str(named)})

    def _fold(
        self,
        configuration: str,
        fold: TrainedFold,
        profile: InferenceProfile,
        out: Path,
        save: Collection[Extra],
        only: Collection[str] | None,
    ) -> Predictions:
        task = self._task(configuration, fold.fold, profile)
        members = tuple(
            case
            for case in self._members(fold.fold)
            if (only is None or case in only) and self.owner(configuration, case) == fold.fold
        )
        weights = [(self.folder.root / fold.weights, fold.sha256)]
        networks = networks_for(task.configuration, weights, self.device, self.engine, _no_calibration, self.progress)
        self.progress.stage(f"{configuration}, {profile}: fold {fold.fold} predicts what it had not seen", len(members))
        return predict_of_training_set(
            task,
            self.dataset,
            prediction_inputs(self.dataset, members),
            out,
            networks,
            settings=Settings(str(self.folder.root), profile=profile, tell=self.progress.message),
            save=save,
            evidence=True,
            progress=self.progress,
        )

    def _task(self, name: str, fold: str, profile: InferenceProfile) -> FoldTask:
        """Refused where the fold has seen its validation cases, or belongs to another plan."""
        planned = trained_configuration(self.folder, self.plan, self.model, name)
        previous = None if planned.previous_stage is None else out_of_fold(self.folder, self.plan, planned, self.splits)
        refuse_changed(self.folder, self.plan, planned, self.splits, fold, previous.digest if previous is not None else "")
        task = FoldTask(self.folder, self.plan, planned, self.splits, fold, self.folder.prepared(planned), previous)
        return replace(task, configuration=with_profile(planned, profile))

    def owner(self, configuration: str, case: str) -> str:
        """Name of the first fold that validates a case; folds of a file may share some."""
        return self._owners(configuration)[case]

    def _owners(self, configuration: str) -> dict[str, str]:
        if configuration not in self._known_owners:
            owners: dict[str, str] = {}
            for fold in self.folds(configuration):
                for case in self._members(fold.fold):
                    owners.setdefault(case, fold.fold)
            self._known_owners[configuration] = owners
        return self._known_owners[configuration]

    def _members(self, fold: str) -> tuple[str, ...]:
        return self.splits.folds[int(fold)].validation


def seconds_per_case(predictions: Predictions) -> float:
    """Mean over the cases that are done."""
    seconds = [case.seconds for case in predictions.cases if case.seconds is not None]
    return mean(seconds) if seconds else 0.0


def _pooled(parts: list[tuple[TrainedFold, Predictions]]) -> Predictions:
    """One record of all folds' predictions; files are named from the folder above theirs."""
    cases = []
    for fold, predictions in parts:
        for case in predictions.cases:
            moved = {
                name: f"fold_{fold.fold}/{getattr(case, name)}"
                for name in ("mask", "overlay", "probabilities", "uncertainty")
                if getattr(case, name) is not None
            }
            cases.append(case.model_copy(update=moved))
    header = parts[0][1]
    return header.model_copy(
        update={
            "folds": tuple(fold.fold for fold, _ in parts),
            "weights": tuple(fold.sha256 for fold, _ in parts),
            "parity": tuple(parity for _, predictions in parts for parity in predictions.parity),
            "cases": tuple(cases),
        }
    )


def _no_calibration() -> list[torch.Tensor]:
    raise PlanError("integers of eight bits are calibrated with the images to predict; select with another --engine")
