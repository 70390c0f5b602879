"""The verb `export-masks`: predicted masks as DICOM-SEG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli_console import reported, show
from autoseg.errors import EXIT_SOME_FAILED

SHOWN_FAILURES = 20


def export_masks(
    context: typer.Context,
    masks: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder that `predict` wrote.", show_default=False)],
    out: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="Folder for the files. [default: MASKS/dicom-seg]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write the masks of DICOM images as DICOM-SEG, for the archive that the images come from.

    A DICOM-SEG names the patient and the study, as its images do. For learning and research; not a medical device.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        done = pipeline.export_masks(masks, out, overwrite=overwrite, progress=progress)
        written = [one.file for one in done if one.file is not None]
        failed = [one for one in done if one.file is None]
        if written:
            show(console, [f"{len(written)} DICOM-SEG in {written[0].parent}; they name the patient, as their images do"])
        show(console, [f"failed: {one.id}: {one.error}" for one in failed[:SHOWN_FAILURES]])
        if len(failed) > SHOWN_FAILURES:
            show(console, [f"... and {len(failed) - SHOWN_FAILURES} more"])
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)
