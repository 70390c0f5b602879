"""What a run has trained, and whether it still belongs to its plan."""

from __future__ import annotations

from autoseg.errors import RecordError, RunFolderError
from autoseg.records import FULL, PREDICTIONS_FILE, Configuration, Dataset, FoldCheckpoint, Model, Plan, Predictions, Splits
from autoseg.run_folder import RunFolder


def trained_default(model: Model) -> str:
    """What `select` found best (of several that vote, the first), else the plan's default, else the first that is trained."""
    if model.selection is not None:
        return model.selection.configurations[0]
    names = [trained.name for trained in model.configurations]
    return names[0] if names and model.default not in names else model.default


def trained_configuration(folder: RunFolder, plan: Plan, model: Model, name: str) -> Configuration:
    """A trained configuration as the plan has it. Weights must not meet a grid or a network that they were not trained for.

    Raises:
        RunFolderError: `plan.json` was changed since the configuration's folds were trained.
    """
    cure = "restore plan.json, or delete the trained folds and train again"
    if name not in plan.configurations:
        raise RunFolderError(
            f"{folder.root}: folds of {name} are trained, but plan.json has no such configuration any more; {cure}"
        )
    configuration = plan.configurations[name]
    digests = configuration.digests()
    for trained in model.configurations:
        changed = [concern for concern in ("preparation", "network") if getattr(trained, concern) != digests[concern]]
        if trained.name == name and changed:
            raise RunFolderError(
                f"{folder.root}: {' and '.join(changed)} of {name} changed in plan.json since its folds were trained; {cure}"
            )
    return configuration


def refuse_foreign_plan(folder: RunFolder, plan: Plan, dataset: Dataset) -> None:
    """The plan and the data set of a run must tell of the same channels and structures.

    Raises:
        RunFolderError: they do not: a file was copied from another run, or edited.
    """
    names = ("rank", "channels", "targets", "derived", "regions", "ignore_value")
    differing = [name for name in names if getattr(plan, name) != getattr(dataset, name)]
    if differing:
        raise RunFolderError(
            f"{folder.root}: plan.json and dataset.json differ in {', '.join(differing)}, so they are not of one planning; "
            "restore the file that was changed, or plan the data set again"
        )


def refuse_moved(dataset: Dataset) -> None:
    """Images and labels must lie where they were planned, or every case would fail one after another. Single ones may be missing.

    Raises:
        RunFolderError: none does.
    """
    files = [file for case in dataset.cases for file in (*case.images, case.label) if file is not None]
    if files and not any(dataset.path(file).exists() for file in files):
        raise RunFolderError(
            f"none of the {len(files)} files of the data set is in {dataset.root} any more; move it back there, or plan it anew where it is now"
        )


def is_validated(folder: RunFolder, configuration: str, fold: str, record: FoldCheckpoint) -> bool:
    """Whether the fold's scores are of the weights that its checkpoint names; one without validation cases counts, too."""
    if fold == FULL:
        return True
    file = folder.validation(configuration, fold) / PREDICTIONS_FILE
    try:
        weights = Predictions.load(file).weights
    except (OSError, RecordError):
        return False
    return weights == (record.weights_sha256,) and folder.fold_scores(configuration, fold).is_file()


def folds_to_train(fold: str, splits: Splits) -> list[str]:
    """Names of the folds that `--fold` means.

    Raises:
        RunFolderError: there is none of this name, or none that could be validated.
    """
    n_folds = len(splits.folds)
    if fold != FULL and not splits.can_validate:
        raise RunFolderError(f"no fold leaves a case to validate on; give --fold {FULL}. The splits: {splits.rule}")
    if fold == "all":
        return [str(index) for index in range(n_folds)]
    if fold == FULL:
        return [fold]
    if fold.isdecimal() and int(fold) < n_folds:
        return [str(int(fold))]
    raise RunFolderError(f"there is no fold {fold}; this run has folds 0 to {n_folds - 1}, `all` and `{FULL}`")
