"""The output folder of a prediction: what was done there, by which model, and what may be continued."""

from __future__ import annotations

import csv
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from autoseg.engines.weights import file_sha256
from autoseg.errors import RecordError, RunFolderError
from autoseg.inference.inputs import MASKS_OF_DICOM, PredictionInput, image_names
from autoseg.records import PREDICTIONS_FILE, Extra, Parity, PredictedCase, Predictions, Spacing
from autoseg.volume.files import is_dicom, parts_of
from autoseg.writing import whole_file

TABLE_FILE = "predictions.csv"
PIXEL_SIZE_FILE = "mask_pixel_size.csv"
PIXEL_SIZE_COLUMNS = ("filename", "pixel size y (mm)", "pixel size x (mm)")  # as `--spacing` reads them
TABLE_COLUMNS = ("id", "status", "mask", "review", "engine", "seconds", "network_seconds", "review_reasons", "warnings", "error")
CHANGED_FOLDER = "changed"
SECONDS_BETWEEN_SAVES = 2.0  # a folder of thousands of small images is not slowed by its own record

log = logging.getLogger(__name__)


def save_pixel_sizes(out: Path, inputs: Sequence[PredictionInput], predictions: Predictions) -> None:
    """Write `out/mask_pixel_size.csv` for masks that are pictures of DICOM images: a PNG cannot hold the millimetres that the image told.

    Nothing is written where there is no such mask.
    """
    pictures = {item.mask for item in inputs if item.suffix == MASKS_OF_DICOM[2] and is_dicom(item.files[0])}
    rows = [(case.mask, case.spacing_mm) for case in predictions.cases if case.mask in pictures]
    if not rows:
        return
    with whole_file(out / PIXEL_SIZE_FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(PIXEL_SIZE_COLUMNS)
        table.writerows([mask, *(spacing or ("", ""))] for mask, spacing in rows)


class Ledger:
    """Keeps `predictions.json` true while cases are added, by any thread."""

    def __init__(
        self,
        out: Path,
        header: Predictions,
        kept: Sequence[PredictedCase],
        order: Sequence[str],
        on_case: Callable[[PredictedCase], None] | None = None,
    ):
        self.out = out
        self._header = header
        self._cases = {case.id: case for case in kept}
        self._order = {id: place for place, id in enumerate(order)}
        self._on_case = on_case
        self._lock = threading.Lock()
        self._saved_at = 0.0

    @classmethod
    def open(
        cls,
        out: Path,
        header: Predictions,
        inputs: Sequence[PredictionInput],
        *,
        overwrite: bool,
        on_case: Callable[[PredictedCase], None] | None = None,
    ) -> Ledger:
        """Begin in `out`, or go on there: what the same model finished before is kept.

        Where the same folds were trained further since, everything is made anew.

        Args:
            out: made where it does not exist.
            header: the predictions to be made, without cases.
            inputs: the cases to be predicted.
            overwrite: forget what was there before.
            on_case: called with every case added.

        Raises:
            RunFolderError: the folder holds the predictions of another model or masks of unknown origin (unless `overwrite`),
                or a mask would replace one of the images.
            RecordError: its `predictions.json` cannot be read (unless `overwrite`).
        """
        _refuse_replacing_images(out, inputs)
        kept: tuple[PredictedCase, ...] = ()
        if overwrite:
            _remove_companions(out, _recorded(out / PREDICTIONS_FILE))
        elif (out / PREDICTIONS_FILE).exists():
            before = _loaded(out / PREDICTIONS_FILE)
            _refuse_another_model(out, before, header)
            if (before.weights, before.inference) == (header.weights, header.inference):
                kept = tuple(case for case in before.cases if case.status == "done")
                header = header.model_copy(update={"parity": before.parity})
            else:
                _keep_corrections(out, before.cases)
                _remove_companions(out, before.cases)
                log.info(
                    "%s: the model was trained again since, or is applied in another way, so its predictions are made anew", out
                )
        else:
            _refuse_unknown_masks(out, inputs)
        ledger = cls(out, header, kept, [item.id for item in inputs], on_case)
        ledger.save()  # from here on the folder is known as ours, also if the run is killed before its first case is done
        return ledger

    def finished(
        self,
        item: PredictionInput,
        spacing_mm: Spacing | None,
        save: Collection[Extra] = (),
        *,
        evidence: bool = False,
        temperature: float = 1.0,
    ) -> PredictedCase | None:
        """The record of a case that need not be predicted again.

        Its images are the same and not changed since, its spacing is `spacing_mm` (None: whatever it was), and all that is
        wanted was written: probabilities with this temperature, and `evidence` noted where it is wanted. A mask that is not the one
        that was written (damaged, or corrected by hand) is put aside.
        """
        case = self._cases.get(item.id)
        if case is None or case.status != "done" or case.mask != item.mask or case.images != image_names(item):
            return None
        if spacing_mm is not None and case.spacing_mm != spacing_mm:
            return None
        companions = {"overlay": case.overlay, "uncertainty": case.uncertainty, "probabilities": case.probabilities}
        for wanted in save:
            name = companions[wanted]
            if name is None or not (self.out / name).exists():
                return None
        if evidence and case.evidence is None:
            return None
        if "probabilities" in save and (case.temperature or 1.0) != temperature:
            return None
        mask = self.out / item.mask
        if not mask.exists() or _changed_since(mask, item.files):
            return None
        if case.mask_sha256 not in (None, file_sha256(mask)):
            _put_aside(self.out, mask)
            return None
        return case

    def add(self, case: PredictedCase) -> None:
        """Note a case, and save if the last time was a while ago. What an earlier success left of it, and is not made again, goes."""
        with self._lock:
            before = self._cases.get(case.id)
            if before is not None:
                for name in {before.mask, *_companions(before)} - {case.mask, *_companions(case), None}:
                    (self.out / str(name)).unlink(missing_ok=True)
            self._cases[case.id] = case
            if time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES:
                try:
                    self._save()
                except OSError as error:  # what was predicted is on disk; the record is written again soon, and at the end
                    log.warning("%s cannot be written (%s); it will be tried again", self.out / PREDICTIONS_FILE, error)
            if self._on_case:
                self._on_case(case)

    def kept(self) -> tuple[PredictedCase, ...]:
        """What was done before and still holds."""
        return tuple(self._cases.values())

    def judge(self, case: PredictedCase) -> None:
        """Note what is told of a case that is kept, without counting it."""
        with self._lock:
            self._cases[case.id] = case

    def save(self, parities: tuple[Parity, ...] = ()) -> None:
        """Write `predictions.json`, with comparisons that were made, and the same as a table."""
        with self._lock:
            if parities:
                by_engine = {parity.engine: parity for parity in (*self._header.parity, *parities)}
                self._header = self._header.model_copy(update={"parity": tuple(by_engine.values())})
            self._save()
            self._save_table()

    def predictions(self) -> Predictions:
        """All that is known now, in the order of the inputs; cases of earlier sittings that are not among them come first."""
        cases = sorted(self._cases.values(), key=lambda case: self._order.get(case.id, -1))
        return self._header.model_copy(update={"cases": tuple(cases)})

    def _save_table(self) -> None:
        with whole_file(self.out / TABLE_FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            predictions = self.predictions()
            judged = any(case.predicted_dice for case in predictions.cases)
            targets = [target.name for target in predictions.targets] if judged else []
            table.writerow([*TABLE_COLUMNS, *(f"predicted_dice_{name}" for name in targets)])
            for case in predictions.cases:
                row = case.model_dump() | {name: "; ".join(getattr(case, name)) for name in ("warnings", "review_reasons")}
                dice = [f"{value:.4f}" if (value := case.predicted_dice.get(name)) is not None else "" for name in targets]
                table.writerow([*("" if row[column] is None else row[column] for column in TABLE_COLUMNS), *dice])

    def _save(self) -> None:
        self.predictions().save(self.out / PREDICTIONS_FILE)
        self._saved_at = time.monotonic()


def _changed_since(mask: Path, images: Sequence[Path]) -> bool:
    """Whether a file of an image is newer than its mask; files that are gone do not tell."""
    written = mask.stat().st_mtime
    return any(file.exists() and file.stat().st_mtime > written for image in images for file in parts_of(image))


def _put_aside(out: Path, mask: Path) -> None:
    aside = out / CHANGED_FOLDER / mask.name
    aside.parent.mkdir(exist_ok=True)
    os.replace(mask, aside)
    log.warning("%s was changed since it was predicted; it is kept as %s, and predicted again", mask.name, aside)


def _companions(case: PredictedCase) -> tuple[str | None, ...]:
    """What lies beside the mask, and tells of it."""
    return case.overlay, case.uncertainty, case.probabilities


def _remove_companions(out: Path, cases: Sequence[PredictedCase]) -> None:
    """Of masks that are about to be replaced, so that nothing lies beside a new one that was made for another."""
    for case in cases:
        for name in _companions(case):
            if name is not None:
                (out / name).unlink(missing_ok=True)


def _recorded(path: Path) -> tuple[PredictedCase, ...]:
    """Cases of a record that may be missing, or unreadable."""
    try:
        return Predictions.load(path).cases
    except RecordError:
        return ()


def _keep_corrections(out: Path, cases: Sequence[PredictedCase]) -> None:
    """Masks that someone corrected are not lost where all are predicted anew."""
    for case in cases:
        mask = out / (case.mask or "")
        if case.mask_sha256 is not None and mask.is_file() and file_sha256(mask) != case.mask_sha256:
            _put_aside(out, mask)


def _loaded(path: Path) -> Predictions:
    try:
        return Predictions.load(path)
    except RecordError as error:
        raise RecordError(
            f"{error}\nIt tells what was done there; give another output folder, or --overwrite to predict all again"
        ) from error


def _refuse_replacing_images(out: Path, inputs: Sequence[PredictionInput]) -> None:
    images = {file.resolve() for item in inputs for file in item.files}
    hit = [item.mask for item in inputs if (out / item.mask).resolve() in images]
    if hit:
        raise RunFolderError(f"{out}: {_some(hit)} would replace the image of that name; give another output folder")


def _refuse_another_model(out: Path, before: Predictions, now: Predictions) -> None:
    for field, what in (
        ("configuration", "configuration"),
        ("folds", "choice of folds"),
        ("targets", "set of structures"),
        ("derived", "set of derived structures"),
        ("regions", "kind of labels"),
    ):
        found, expected = getattr(before, field), getattr(now, field)
        if found != expected:
            told = f": {_told(found)}, not {_told(expected)}" if field in ("configuration", "folds") else ""
            message = f"{out} holds predictions made with another {what}{told}"
            raise RunFolderError(f"{message}; give another output folder, or overwrite it")


def _refuse_unknown_masks(out: Path, inputs: Sequence[PredictionInput]) -> None:
    hit = [item.mask for item in inputs if (out / item.mask).exists()]
    if hit:
        message = f"{out} holds {_some(hit)}, but no {PREDICTIONS_FILE} that tells the origin"
        raise RunFolderError(f"{message}; give another output folder, or overwrite it")


def _told(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
