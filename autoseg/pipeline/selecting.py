"""The door to `select`: how a trained model is best applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.progress import Progress, SilentProgress
from autoseg.records import InferenceProfile, Scores, SelectionReport
from autoseg.run_folder import RunFolder


def select(
    run: str | Path,
    *,
    profiles: Sequence[InferenceProfile] = ("best", "fast"),
    device: str = "auto",
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[SelectionReport, Scores]:
    """Find out how a trained model is best applied, on predictions of cases that its folds had not seen.

    Compared are the trained configurations, pairs of them that vote, inference profiles, and steps after the networks. What is better
    than chance explains is written into `model.json`, which `predict` follows; all comparisons are in `selection.json`, the masks and
    their scores in `out_of_fold/`, and the scores in `scores.json`, too.

    Args:
        run: folder with trained folds; not all need to be.
        profiles: to compare with `balanced`.
        device: `auto` takes the best one here.
        engine: what runs the networks, see `predict`.
        workers: processes that score; None takes the cores at hand.
        progress: listener.

    Returns:
        What was found, and the scores of the out-of-fold masks.
    """
    from autoseg.pipeline.engines import EngineWish
    from autoseg.pipeline.judging import select as select_best

    folder = RunFolder.open(Path(run))
    with folder.alone():
        return select_best(
            folder,
            profiles=profiles,
            device=device,
            engine=EngineWish(engine),
            workers=workers,
            progress=progress or SilentProgress(),
        )
