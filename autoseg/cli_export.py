"""The verb `export`: a trained model as one file for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoseg.cli_console import reported, show

Format = Literal["zip", "onnx", "openvino", "monai-bundle", "torchscript"]
NEXT = {
    "zip": "Whoever receives it: autoseg predict {file} IMAGES OUT",
    "monai-bundle": "docs/README.md in it says how MONAI runs it, and where that differs.",
}
NEXT_OF_GRAPHS = "inference.json in it says what is done before and after the network."


def export(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, a zip of `export`, or a trained nnU-Net v2 model.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="File to write. [default: <RUN>-<configuration>.<to>.zip, here]")
    ] = None,
    to: Annotated[Format, typer.Option(help="zip is what `autoseg predict` takes; the others are for other programs.")] = "zip",
    configuration: Annotated[str | None, typer.Option(metavar="NAME", help="Of the plan. [default: the plan's]")] = None,
    fold: Annotated[
        list[str] | None,
        typer.Option(metavar="K|full", help="Repeatable. [default: all trained folds; as the profile says for graphs]"),
    ] = None,
    profile: Annotated[
        Literal["best", "balanced", "fast"] | None,
        typer.Option(help="How a network for other programs is to be applied. [default: balanced]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a trained model into one file for others, with a model card and without names of cases."""
    with reported(context) as (console, progress):
        from autoseg import pipeline

        file = pipeline.export_model(
            run,
            out,
            to=to,
            configuration=configuration,
            folds=tuple(fold) if fold else None,
            profile=profile,
            overwrite=overwrite,
            progress=progress,
        )
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        show(console, [f"The model is in {file} ({size})", NEXT.get(to, NEXT_OF_GRAPHS).format(file=file)])
