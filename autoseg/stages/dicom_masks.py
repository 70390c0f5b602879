"""Predicted masks -> DICOM-SEG: each laid over the DICOM images that it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.errors import AutosegError, DataError, Fault
from autoseg.metrics.structures import painted_structures
from autoseg.processing.cases import differently_placed
from autoseg.records import PredictedCase, Predictions
from autoseg.volume.dicom import is_dicom, planes_of
from autoseg.volume.dicom.segmentation import Origin, write_segmentation
from autoseg.volume.dicom.tags import package
from autoseg.volume.files import read, read_header

SUFFIX = ".dcm"
DIGITS_OF_MODEL = 16
SHOWN = 5


@dataclass(frozen=True)
class ExportedMask:
    """What became of a case: the file, or why there is none."""

    id: str
    file: Path | None
    error: str | None = None


def write_segmentations(
    predictions: Predictions,
    masks: Path,
    out: Path,
    *,
    version: str,
    overwrite: bool = False,
    on_done: Callable[[int, str], None] | None = None,
) -> tuple[ExportedMask, ...]:
    """Write `out/<id>.dcm` for every mask of a prediction; one that fails does not stop the others.

    A mask that was changed since it was predicted is written as one that someone corrected.

    Args:
        predictions: the record in the folder of the masks.
        masks: that folder.
        out: folder for the files.
        version: autoseg's.
        overwrite: replace files that are there.
        on_done: called after every case with their number so far, and its id.

    Raises:
        DataError: none of the images is DICOM, or highdicom is not installed.
        DiskFull: there is no room.
    """
    if predictions.cases and not any(_is_of_dicom(case) for case in predictions.cases):
        raise DataError("none of these masks was made from DICOM images, to which a DICOM-SEG would have to refer")
    package("highdicom")
    model = hashlib.sha256("".join(predictions.weights).encode()).hexdigest()[:DIGITS_OF_MODEL]
    done = []
    for count, case in enumerate(predictions.cases, start=1):
        file = out / f"{case.id}{SUFFIX}"
        try:
            if file.exists() and not overwrite:
                raise DataError([Fault(case.id, f"{file} exists already; give another folder, or --overwrite to replace it")])
            _write(case, predictions, masks, file, version, model)
            done.append(ExportedMask(case.id, file))
        except (DataError, MemoryError) as error:
            told = str(error) if isinstance(error, AutosegError) else "the memory of this machine does not suffice"
            done.append(ExportedMask(case.id, None, told.removeprefix(f"{case.id}: ")))
        if on_done is not None:
            on_done(count, case.id)
    return tuple(done)


def _is_of_dicom(case: PredictedCase) -> bool:
    return bool(case.images) and is_dicom(Path(case.images[0]))


def _write(case: PredictedCase, predictions: Predictions, masks: Path, file: Path, version: str, model: str) -> None:
    if case.status == "failed" or case.mask is None:
        raise DataError(
            [Fault(case.id, f"there is no mask, as its prediction failed: {case.error or 'the reason is not known'}")]
        )
    if not _is_of_dicom(case):
        raise DataError([Fault(case.id, "its image is not DICOM, to which a DICOM-SEG would have to refer, or is gone")])
    image, mask = Path(case.images[0]), masks / case.mask
    header, volume = read_header(image), read(mask, expand_palette=False)
    if volume.shape != header.shape or (len(header.shape) == 3 and differently_placed(header.geometry, volume.geometry)):
        raise DataError([Fault(case.id, "the mask lies on another grid than its images; predict them again")])
    structures = painted_structures(predictions.targets, predictions.derived)
    _refuse_unknown(case.id, volume.array[0], {value for values in structures.values() for value in values})
    corrected = case.mask_sha256 is not None and case.mask_sha256 != hashlib.sha256(mask.read_bytes()).hexdigest()
    files, order = planes_of(image)
    write_segmentation(
        file,
        volume.array[0],
        structures,
        files,
        order,
        origin=Origin(version, model, predictions.configuration, corrected),
        spacing_mm=case.spacing_mm if volume.geometry.rank == 2 and case.spacing_mm is not None else header.spacing_mm,
    )


def _refuse_unknown(id: str, mask: np.ndarray, painted: set[int]) -> None:
    """Raises DataError where somebody has drawn with values of no structure: they would be in no segment."""
    if strange := sorted(set(np.unique(mask).tolist()) - {0, *painted}):
        told = ", ".join(f"{value:g}" for value in strange[:SHOWN]) + (", ..." if len(strange) > SHOWN else "")
        raise DataError([Fault(id, f"its mask holds {told}, which the model does not paint; mend the mask, or predict it again")])
