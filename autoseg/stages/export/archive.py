"""The file that is handed over: packed so that it is whole or not there, and unpacked with mistrust.

Two exports of one model are the same byte for byte: members are sorted and bear no date.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from autoseg.engines.weights import file_sha256, read_tensors
from autoseg.errors import AutosegError, DataError, Fault, RunFolderError
from autoseg.layouts.archives import DAMAGED, extract, members_of, most_bytes_of_model
from autoseg.records import Model
from autoseg.run_folder import HANDED_OVER, RECORDS_THAT_PREDICT, WEIGHTS, RunFolder
from autoseg.stages.export.contents import Contents
from autoseg.writing import whole_file

DENSE = (".safetensors", ".onnx", ".bin", ".pt", ".ts")  # weights hardly shrink, and packing them takes long
NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip knows
READABLE = 0o644
MOST_RECORD_BYTES = 64 * 2**20  # of a JSON file; real ones have some thousand lines


def copy_weights(contents: Contents, folder: Path, on_fold: Callable[[int, str], None]) -> None:
    """Copy the weights of all folds to where the model's record names them, checked against it.

    Args:
        contents: says which.
        folder: to copy into.
        on_fold: called with the number of folds done and the last one's name.

    Raises:
        RunFolderError: weights are missing.
        RecordError: they are not those of the record.
    """
    folds = [fold for trained in contents.model.configurations for fold in trained.folds]
    for done, fold in enumerate(folds, start=1):
        read_tensors(contents.root / fold.weights, fold.sha256)
        target = folder / fold.weights
        target.parent.mkdir(parents=True)
        shutil.copyfile(contents.root / fold.weights, target)
        on_fold(done, fold.fold)


def pack(folder: Path, out: Path) -> None:
    """Write all files of a folder into a zip; an old one is replaced when the new one is whole."""
    with whole_file(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), NO_DATE)
            member.external_attr = (stat.S_IFREG | READABLE) << 16
            member.compress_type = zipfile.ZIP_STORED if path.suffix in DENSE else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(member, "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink)


def is_handed_over(path: Path) -> bool:
    """Whether this is a zip that holds the records of a model of ours."""
    return path.is_file() and set(RECORDS_THAT_PREDICT) <= set(members_of(path))


def unpack(archive: Path, destination: Path) -> RunFolder:
    """A model that was handed over, as a run that can predict.

    Args:
        archive: a zip for which `is_handed_over` holds.
        destination: a folder that does not exist, or is empty.

    Raises:
        DataError: it is damaged, holds links or paths that lead out of the folder, or unpacks to more than such a file can sensibly hold.
        RecordError: a record in it cannot be read.
        RunFolderError: weights are missing, or its record names files elsewhere.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as place:
        folder = Path(place) / "run"
        _extract(archive, folder)
        run = RunFolder(folder)
        for read in (run.plan, run.dataset, run.card):  # faults are told now, and not in the middle of the work
            read()
        _refuse_weights_elsewhere(run.model(), folder, archive)
        if destination.is_dir():
            destination.rmdir()
        os.replace(folder, destination)
    return RunFolder(destination)


def _extract(archive: Path, folder: Path) -> None:
    try:
        _refuse_links_and_long_records(archive)
        most = most_bytes_of_model(archive)
        extract(archive, folder, lambda member: HANDED_OVER.fullmatch(member) is not None, most_bytes=most)
    except AutosegError:
        raise
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the disk is full, or the like
            raise
        raise DataError([Fault(archive.name, f"cannot be unpacked ({error}); copy it again")]) from error


def _refuse_links_and_long_records(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError([Fault(archive.name, f"holds the link {member.filename}, which no model needs; not unpacked")])
            if member.filename.endswith((".json", ".md")) and member.file_size > MOST_RECORD_BYTES:
                told = f"{member.filename} has more than {MOST_RECORD_BYTES // 2**20} MB, which no such file has"
                raise DataError([Fault(archive.name, f"{told}; not unpacked")])


def _refuse_weights_elsewhere(model: Model, folder: Path, archive: Path) -> None:
    folds = [fold for trained in model.configurations for fold in trained.folds]
    if len({fold.weights for fold in folds}) < len(folds):
        raise RunFolderError(f"{archive}: its record names the same weights for two folds")
    for fold in folds:
        place = WEIGHTS.fullmatch(fold.weights)
        if place is None or place["fold"] != fold.fold:
            raise RunFolderError(f"{archive}: its record names weights at {fold.weights}, which is no place inside a model")
        if not (folder / fold.weights).is_file():
            raise RunFolderError(f"{archive}: {fold.weights}, the weights of fold {fold.fold}, are missing in it; copy it again")
        if file_sha256(folder / fold.weights) != fold.sha256:
            told = f"the weights of fold {fold.fold} are not those of its record: they were changed or damaged; copy it again"
            raise DataError([Fault(archive.name, told)])
