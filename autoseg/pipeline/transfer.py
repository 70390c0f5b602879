"""Another run as the source of a plan: which configuration of it, which trained folds, and what their files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoseg.errors import PlanError, RecordError, RunFolderError
from autoseg.pipeline.trained import trained_configuration, trained_default
from autoseg.records import Configuration, Dataset, Fingerprint, Plan, Splits, StartingWeights, TrainedFold, Transfer
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.transfer import Source, images_of_folds, starting_weights


@dataclass(frozen=True)
class OpenedRun:
    """A run to plan from, as far as it can be judged before the data are known; `folds` is empty without weights."""

    folder: RunFolder
    plan: Plan
    mode: Literal["plan", "init"]
    configuration: Configuration
    folds: tuple[TrainedFold, ...]

    def source_for(self, dataset: Dataset, fingerprint: Fingerprint, splits: Splits) -> Source:
        """What a plan for these data takes from the run: for weights, which fold starts from which."""
        weights: tuple[StartingWeights, ...] = ()
        if self.folds:
            trained_on, _ = images_of_folds(self.folder.splits(), self.folder.fingerprint())
            _, kept_out = images_of_folds(splits, fingerprint)
            trained = {fold.fold: fold for fold in self.folds}
            files = {name: str(self.folder.root / fold.weights) for name, fold in trained.items()}
            weights = starting_weights(trained, files, trained_on, kept_out)
        transfer = Transfer(
            mode=self.mode,
            run=str(self.folder.root),
            configuration=self.configuration.name,
            same_structures=_structures(self.plan.regions, self.plan) == _structures(dataset.regions, dataset),
            weights=weights,
        )
        return Source(self.plan, self.configuration.name, transfer)


def open_source(plan_from: Path | None, init_from: Path | None, run: Path) -> OpenedRun | None:
    """The run given with `--plan-from` (its default configuration) or `--init-from` (that, or the one that is trained).

    Raises:
        PlanError: both are given, or the run is the one that is planned.
        RunFolderError: there is no such run, or none of its folds can be used.
        RecordError: its plan has faults, or its weights are damaged.
    """
    given = init_from or plan_from
    if given is None:
        return None
    if plan_from is not None and init_from is not None:
        raise PlanError("--init-from takes network and grid, too, and weights with them; give one of --plan-from and --init-from")
    root = given.resolve()
    if root == run.resolve():
        raise PlanError(f"{given} is the run that is planned here; choose another folder for the new run")
    folder = RunFolder.open(root)
    plan = folder.plan()
    if init_from is None:
        return OpenedRun(folder, plan, "plan", plan.configurations[plan.default], ())
    model = folder.model()
    name = trained_default(model)
    folds = next((trained.folds for trained in model.configurations if trained.name == name), ())
    if not folds:
        raise RunFolderError(
            f"{given} has no fold that is trained to its end, so there are no weights to start from; "
            f"train one with `autoseg train {given} --fold 0`, or take its network alone with --plan-from"
        )
    configuration = trained_configuration(folder, plan, model, name)
    if missing := [fold.weights for fold in folds if not (root / fold.weights).is_file()]:
        raise RunFolderError(
            f"{given} lacks the weights that its model.json names ({', '.join(missing)}); copy the whole run again"
        )
    from autoseg.engines.weights import file_sha256  # which imports torch

    if damaged := [fold.weights for fold in folds if file_sha256(root / fold.weights) != fold.sha256]:
        raise RecordError(
            f"{given}: these weights are not those that its model.json names, or are damaged: {', '.join(damaged)}; "
            "copy the whole run again"
        )
    return OpenedRun(folder, plan, "init", configuration, folds)


def _structures(regions: bool, labelled: Plan | Dataset) -> tuple[bool, tuple[str, ...]]:
    """What the output layers mean: the same names in the same order, as classes or as regions."""
    return regions, tuple(target.name.casefold() for target in labelled.targets)
