"""The verb `export-masks`: predicted masks for archives, and for the programs in which people correct them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoseg.cli_console import reported, show
from autoseg.errors import EXIT_SOME_FAILED

SHOWN_FAILURES = 20


def export_masks(
    context: typer.Context,
    masks: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder that `predict` wrote.", show_default=False)],
    out: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="Folder for the files. [default: MASKS/FORMAT]")] = None,
    to: Annotated[
        Literal["dicom-seg", "coco", "cvat", "colours", "labels"],
        typer.Option(
            help="dicom-seg: of DICOM images; coco, cvat: run lengths in one file; colours: SegmentationClass and labelmap.txt; labels: a data "
            "set that `plan` reads."
        ),
    ] = "dicom-seg",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DICOM-SEG files that are there.")] = False,
) -> None:
    """Write predicted masks as DICOM-SEG for an archive, or for a person to correct them; `import` takes them back.

    A DICOM-SEG names the patient and the study, as its images do. For learning and research; not a medical device.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        if to != "dicom-seg":
            files = pipeline.hand_on_masks(masks, masks / to if out is None else out, to, progress=progress)
            show(console, [f"The masks are in {', '.join(map(str, files))}"])
            return
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
