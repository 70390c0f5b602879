"""Options that several verbs take."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

Layout = Literal["auto", "nnunet", "msd", "hc18", "fetal-head", "folders"]
DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class Profile(StrEnum):
    """What a prediction may cost."""

    best = "best"
    balanced = "balanced"
    fast = "fast"


def _known_device(name: str) -> str:
    if not DEVICES.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is none of auto, cpu, cuda, cuda:N and mps")
    return name


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `autoseg plan`.", show_default=False)]
LayoutOption = Annotated[Layout, typer.Option(help="How the data set lies on disk.")]
DeviceOption = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", callback=_known_device, help="Where the network runs.")
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="auto|NAME",
        help="What runs the networks: torch-float32, torch-bfloat16, torch-float16, openvino-float32, openvino-bfloat16, openvino-int8, "
        "onnxruntime-float32; auto: the quickest here that agrees with torch-float32.",
    ),
]
SpacingOption = Annotated[
    str | None, typer.Option(metavar="CSV|MM", help="Pixel sizes in mm: a table, or one number for all images.")
]
SubjectsOption = Annotated[
    str | None, typer.Option(metavar="REGEX|CSV", help="Which cases belong to one person: a pattern on case names, or a table.")
]
WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Processes that prepare data. [default: one per core]")
]
