"""Cases brought onto a configuration's grid, and the masks that a cascade's second stage sees; what is done is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.errors import RunFolderError
from autoseg.parallel import available_cores
from autoseg.progress import Progress
from autoseg.records import Configuration, Plan
from autoseg.run_folder import RunFolder

if TYPE_CHECKING:
    from autoseg.pipeline.cascade import OutOfFold  # which loads torch

NAMED_CASES = 3  # in a message


def worker_count(workers: int | None) -> int:
    """As many as asked for; None: the cores at hand."""
    return available_cores() if workers is None else workers


def prepare_cases(
    folder: RunFolder, chosen: Configuration, workers: int | None, progress: Progress, cases: Sequence[str] | None = None
) -> Path:
    """Bring cases (None: all of all folds) onto the network's grid; done ones are skipped."""
    from autoseg.stages.preprocess import preprocess

    dataset, splits = folder.dataset(), folder.splits()
    if not Path(dataset.root).exists() and not any(dataset.path(file).exists() for file in dataset.cases[0].images):
        raise RunFolderError(
            f"{dataset.root}, the data set of {folder.root}, is gone; bring it back, or write where it is now into dataset.json (root)"
        )
    if cases is None:
        cases = sorted({case for fold in splits.folds for case in (*fold.train, *fold.validation)})
    target = folder.prepared(chosen)
    progress.stage(f"preparing cases ({chosen.name})", len(cases))
    stale = preprocess(dataset, cases, chosen, target, workers=worker_count(workers), on_done=progress.advance)
    if stale:
        named = ", ".join(stale[:NAMED_CASES]) + (f" and {len(stale) - NAMED_CASES} more" if len(stale) > NAMED_CASES else "")
        progress.message(
            f"prepared anew, since their files changed after they were planned for: {named}; plan again if much changed"
        )
    return target


def prepare_masks(
    folder: RunFolder,
    plan: Plan,
    chosen: Configuration,
    previous: OutOfFold,
    prepared: Path,
    workers: int | None,
    progress: Progress,
) -> None:
    """Bring the first stage's masks of all cases onto the second stage's grid; done ones are skipped."""
    from autoseg.stages.preprocess import preprocess_previous

    progress.stage(f"preparing masks of {previous.stage}", len(previous.masks))
    target = folder.previous_masks(chosen)
    preprocess_previous(previous.masks, plan, chosen, prepared, target, workers=worker_count(workers), on_done=progress.advance)
