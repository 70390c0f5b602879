"""Hand predicted masks over as DICOM-SEG."""

from __future__ import annotations

from pathlib import Path

from autoseg import __version__
from autoseg.errors import RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.records import PREDICTIONS_FILE, Predictions
from autoseg.stages.dicom_masks import ExportedMask, write_segmentations

FOLDER = "dicom-seg"


def export_masks(
    masks: str | Path, out: str | Path | None = None, *, overwrite: bool = False, progress: Progress | None = None
) -> tuple[ExportedMask, ...]:
    """Write the masks of a prediction as DICOM-SEG, one file for each case, all structures as segments.

    Args:
        masks: folder that `predict` wrote, of DICOM images, which must still be where they were.
        out: folder for the files; None: `dicom-seg` in that of the masks.
        overwrite: replace files that are there.
        progress: listener.

    Returns:
        What became of every case; those that failed do not stop the others.

    Raises:
        RunFolderError: `predict` did not write that folder.
        DataError: none of the images is DICOM, or highdicom is not installed.
    """
    masks, progress = Path(masks), progress or SilentProgress()
    if not (masks / PREDICTIONS_FILE).is_file():
        raise RunFolderError(f"{masks} has no {PREDICTIONS_FILE}; give the folder that `autoseg predict` wrote")
    predictions = Predictions.load(masks / PREDICTIONS_FILE)
    place = masks / FOLDER if out is None else Path(out)
    progress.stage("writing DICOM-SEG", len(predictions.cases))
    return write_segmentations(predictions, masks, place, version=__version__, overwrite=overwrite, on_done=progress.advance)
