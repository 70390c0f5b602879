"""All steps on a small synthetic data set, to see them work."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from autoseg.errors import RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Scores

DEMO_SUBJECTS = 24
DEMO_SECONDS = 150.0


def demo(
    folder: str | Path, *, rank: int = 2, time_budget_seconds: float = DEMO_SECONDS, progress: Progress | None = None
) -> Scores:
    """Plan, train, predict and evaluate on a small synthetic data set in `folder`; the scores are of subjects kept out of training."""
    from autoseg import pipeline
    from autoseg.phantom import write_fetal_head, write_volumes

    folder, progress = Path(folder), progress or SilentProgress()
    data, run, out = folder / "data", folder / "run", folder / "predictions"
    if data.exists():
        raise RunFolderError(f"{data} exists already; give a new folder")
    progress.message(f"writing a synthetic data set to {data}")
    write = partial(write_fetal_head, subjects=DEMO_SUBJECTS) if rank == 2 else partial(write_volumes, cases=DEMO_SUBJECTS)
    write(data)
    pipeline.plan(data, run, hold_out=0.25, time_budget_seconds=time_budget_seconds, progress=progress)
    pipeline.train(run, fold="0", progress=progress)
    pipeline.predict(run, pipeline.HELD_OUT, out, save=["overlay"], progress=progress)
    return pipeline.evaluate(data, out, progress=progress)
