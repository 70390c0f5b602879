"""Masks of a prediction in the formats of other programs, for a person to correct them."""

from __future__ import annotations

from pathlib import Path

from autoseg.errors import RecordError, RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.records import PREDICTIONS_FILE, Predictions
from autoseg.stages.hand_on import MaskFormat, hand_on
from autoseg.writing import holds_something, part_folder, refuse_unwritable, replace_folder


def hand_on_masks(masks: str | Path, out: str | Path, to: MaskFormat, *, progress: Progress | None = None) -> list[Path]:
    """Write masks that `predict` made as colours, for COCO, for CVAT, or as a data set.

    Args:
        masks: folder written by `predict`.
        out: a new folder.
        to: the format.
        progress: listener.

    Returns:
        The files to go on with.

    Raises:
        RunFolderError: the folder was not written by `predict`, or `out` is not empty.
    """
    folder, place, progress = Path(masks), Path(out), progress or SilentProgress()
    try:
        predictions = Predictions.load(folder / PREDICTIONS_FILE)
    except RecordError as error:
        raise RunFolderError(f"{folder} was not written by `autoseg predict` ({error})") from error
    if holds_something(place):
        raise RunFolderError(f"{place} is not empty; give a new folder")
    refuse_unwritable(place)
    progress.stage(f"writing masks as {to}", sum(case.status == "done" for case in predictions.cases))
    with part_folder(place) as part:
        files = hand_on(predictions, folder, part, to, progress.advance)
        replace_folder(part, place)
    return [place / file.relative_to(part) for file in files]
