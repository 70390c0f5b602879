"""What predicts, in whatever shape it comes: a run, a zip that `autoseg export` wrote, or a trained nnU-Net v2 model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from autoseg.errors import DataError, RunFolderError
from autoseg.layouts.archives import members_of
from autoseg.layouts.nnunet_folders import PLANS, is_nnunet_model
from autoseg.pipeline.nnunet_model import import_nnunet_model
from autoseg.progress import Progress
from autoseg.run_folder import RunFolder
from autoseg.stages.export.archive import is_handed_over, unpack
from autoseg.stages.export.graphs import DESCRIPTION

ZIP_BEGINS = b"PK"


@contextmanager
def opened_model(source: Path) -> Iterator[RunFolder]:
    """A run as it is; anything else as a run in a temporary folder, which is gone afterwards.

    Raises:
        RunFolderError: it is a folder without a run or a model.
        DataError, RecordError: a file that is no model, or a damaged one.
    """
    if not source.exists():
        raise RunFolderError(f"{source} does not exist; give a run, a zip of `autoseg export`, or a trained nnU-Net v2 model")
    if not source.is_file() and not is_nnunet_model(source):
        yield RunFolder.open(source)
        return
    with tempfile.TemporaryDirectory(prefix="autoseg-model-") as place:
        yield import_model(source, Path(place) / "run")


def import_model(source: Path, destination: Path, *, progress: Progress | None = None) -> RunFolder:
    """Make a run of a model that was handed over; `source` is left as it is.

    Args:
        source: a zip that `autoseg export` wrote, or a trained nnU-Net v2 model (folder or zip).
        destination: a folder that does not exist, or is empty.
        progress: told of every fold that is converted.

    Returns:
        The run; it can predict, but not be trained further.

    Raises:
        RunFolderError: the destination holds something, or files are missing in the model.
        DataError: the source is no model, is damaged or unsafe, or needs what we do not compute as nnU-Net does.
        RecordError: something in it cannot be read.
    """
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise RunFolderError(f"{destination} holds something already; give a new folder for the imported model")
    if is_handed_over(source):
        return unpack(source, destination)
    if source.is_file():
        _refuse_other_file(source)
    return import_nnunet_model(source, destination, progress=progress)


def _refuse_other_file(source: Path) -> None:
    """A zip with nnU-Net's plans is left to whoever reads these."""
    members = members_of(source)
    if not members:
        with source.open("rb") as file:
            cut = file.read(len(ZIP_BEGINS)) == ZIP_BEGINS
        told = (
            "is damaged or was cut short; copy it again"
            if cut
            else "is a file, but no zip; give a run folder or an exported model"
        )
        raise DataError(f"{source} {told}")
    names = {PurePosixPath(member).name for member in members}
    if PLANS in names:
        return
    if DESCRIPTION in names:
        raise DataError(
            f"{source} holds networks for other programs; autoseg predicts with the run itself, or with what `autoseg export RUN --to zip` writes"
        )
    raise DataError(f"{source} is a zip, but holds no model: neither that of `autoseg export --to zip` nor an nnU-Net export")
