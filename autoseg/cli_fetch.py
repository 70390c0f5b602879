"""The verb `fetch`: a public data set by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli_console import reported, show


def fetch(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="fetal-head, hc18, hippocampus ...; a wrong name lists all of them.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder for the set.", show_default=False)],
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Do not remove archives once they are unpacked.")
    ] = False,
) -> None:
    """Download a public data set, checked by its checksum; an interrupted download goes on."""
    with reported(context) as (console, progress):
        from autoseg import pipeline

        source = pipeline.fetch(name, out, keep_archives=keep_archives, progress=progress)
        show(
            console,
            [
                "",
                f"{source.title} is in {out}",
                f"Licence: {source.licence}. Please cite: {source.cite}",
                f"Next: autoseg plan {out} RUN",
            ],
        )
