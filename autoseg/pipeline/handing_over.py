"""The public functions that hand a trained model over, and take one in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.progress import Progress, SilentProgress
from autoseg.records import InferenceProfile


def export_model(
    run: str | Path,
    out: str | Path | None = None,
    *,
    to: str = "zip",
    configuration: str | None = None,
    folds: Sequence[str] | None = None,
    profile: InferenceProfile | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a trained model into one file for others: weights, plan, labels, preprocessing and a model card, but no name of a case.

    Args:
        run: folder with trained folds, a zip that this function wrote, or a trained nnU-Net v2 model (folder or zip).
        out: file to write; None: `<run>-<configuration>.zip` (`.<to>.zip` but for zip) in the current folder.
        to: `zip` (what `predict` takes, masks are the same bit by bit), `onnx`, `openvino`, `torchscript` (a graph per fold, and
            `inference.json`, which tells what is done before and after), or `monai-bundle`.
        configuration: None takes the plan's default. A zip with the second stage of a cascade holds the first, too; the other
            formats refuse it.
        folds: None takes all that are trained; in a graph those that the profile takes.
        profile: how a graph is to be applied, see `predict`; None is `balanced`. For a zip whoever predicts chooses; given, it
            says which folds are taken.
        overwrite: replace a file that is there.
        progress: listener.

    Returns:
        The file.

    Raises:
        RunFolderError: nothing is trained, a file is there already, or a graph cannot stand for the model.
        PlanError: there is no such format, or an extra of the installation is missing (the message says which).
    """
    from autoseg.pipeline.exporting import export

    return export(
        Path(run),
        None if out is None else Path(out),
        to=to,
        configuration=configuration,
        folds=folds,
        profile=profile,
        overwrite=overwrite,
        progress=progress or SilentProgress(),
    )


def import_model(source: str | Path, destination: str | Path, *, progress: Progress | None = None) -> Path:
    """Make a run of a model that was handed over; it predicts the same masks and cannot be trained further.

    Args:
        source: a zip that `export_model` wrote, or a trained nnU-Net v2 model (folder or zip).
        destination: a new folder.
        progress: listener.

    Returns:
        The run's folder.
    """
    from autoseg.pipeline.models import import_model as make_run

    return make_run(Path(source), Path(destination), progress=progress).root
