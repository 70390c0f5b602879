"""Writing down which folds of a run are trained: `model.json`, which prediction reads."""

from __future__ import annotations

from autoseg.learning.checkpoint import read_record
from autoseg.progress import Progress
from autoseg.records import Configuration, FoldCheckpoint, Model, Plan, TrainedFold
from autoseg.run_folder import RunFolder


def record_model(folder: RunFolder, plan: Plan, progress: Progress | None = None) -> Model:
    """Write down which folds are trained to their end; those of another grid or network than the plan's are left out, and named."""
    trained: dict[str, tuple[TrainedFold, ...]] = {}
    for name in plan.configurations:
        folds = []
        for fold in folder.folds(name):
            place = folder.fold(name, fold)
            checkpoint = read_record(place)
            if checkpoint is None or not (checkpoint.finished or checkpoint.handed_over):
                continue
            if not _fits(checkpoint, plan.configurations[name]):
                if progress is not None:
                    progress.message(
                        f"{place} was trained before plan.json changed (grid or network), so predictions leave it out; "
                        "delete it to train the fold anew"
                    )
            else:
                file, sha256 = checkpoint.weights, checkpoint.weights_sha256
                if not checkpoint.finished and checkpoint.handed_over:  # it is being extended
                    file, sha256 = checkpoint.handed_over, checkpoint.handed_over_sha256
                folds.append(TrainedFold(fold=fold, weights=(place / file).relative_to(folder.root).as_posix(), sha256=sha256))
        trained[name] = tuple(folds)
    model = Model.of(plan, trained)
    selection = folder.model().selection if folder.has_model_record else None
    if selection is not None and model.weights.issuperset(selection.weights):
        model = model.model_copy(update={"selection": selection})
    elif selection is not None and progress is not None:
        progress.message(
            f"what `autoseg select` found was found with folds that are no longer there; run `autoseg select {folder.root}` again"
        )
    folder.save(model)
    return model


def _fits(checkpoint: FoldCheckpoint, configuration: Configuration) -> bool:
    """Whether the fold was trained on the plan's present grid and network; training settings may have changed since."""
    digests = configuration.digests()
    return (checkpoint.preparation, checkpoint.network) == (digests["preparation"], digests["network"])
