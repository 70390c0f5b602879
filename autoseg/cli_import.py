"""The verb `import`: a set that other programs wrote becomes one that `plan` reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg.cli_console import reported, show, typed
from autoseg.cli_options import SpacingOption, SubjectsOption, WorkersOption
from autoseg.cli_values import parse_number_or_file, parse_structures, parse_subjects
from autoseg.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoseg.records import ImportReport

SHOWN = 20
COLOUR = re.compile(r"(?P<name>[^=]+)=\s*(?P<r>\d{1,3})\s*,\s*(?P<g>\d{1,3})\s*,\s*(?P<b>\d{1,3})\s*")
NAMED_PATTERN = re.compile(r"(?P<name>[^=/{}*]+)=(?P<pattern>.+)")


def import_set(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Folder (or file) of the set; it is not changed.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(metavar="DST", help="A new folder for the data set.", show_default=False)],
    format: Annotated[
        str, typer.Option("--from", metavar="auto|NAME", help="Format of the set; a wrong name lists all of them.")
    ] = "auto",
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="[CHANNEL=]PATTERN", help="Repeatable: files of a channel, such as '{case}/t1*.nii.gz'."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATTERN", help="A label map such as '{case}/seg.nii.gz', or, repeatable, the mask of a structure."
        ),
    ] = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE|R,G,B", help="Repeatable: what a value or colour of label maps is; head=1+2+3 joins some."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="[NEW=]NAME,...",
            help="Labels to take, in this order, perhaps under a new name; lesion=benign+malignant joins some. [default: all]",
        ),
    ] = None,
    overlap: Annotated[
        Literal["order", "smaller", "regions"],
        typer.Option(help="Where shapes lie over one another: the upper one counts, the smaller one, or both."),
    ] = "order",
    unknown: Annotated[
        Literal["refuse", "background", "nearest"],
        typer.Option(help="Colours and values that nobody named: refuse the case, take them for background, or for the nearest."),
    ] = "refuse",
    missing: Annotated[
        Literal["refuse", "empty"],
        typer.Option(help="A mask that is not there: refuse the case, or take it that nothing is on the image."),
    ] = "refuse",
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the images lie, if not below SRC.")] = None,
    spacing: SpacingOption = None,
    subjects: SubjectsOption = None,
    folders_are_labels: Annotated[
        bool,
        typer.Option("--folders-are-labels", help="Of binary masks: the label is the folder's name, not the end of the mask's."),
    ] = False,
    every: Annotated[int, typer.Option(metavar="N", min=1, help="Of DICOM recordings over time, take every Nth frame.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier import.")] = False,
    workers: WorkersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print import.json.")] = False,
) -> None:
    """Make a data set of annotations that other programs wrote, or of a set in another layout; pictures of DICOM images.

    Writes DST/images, DST/labels, DST/dataset.json, pixel sizes, import.json, and preview.png to look at.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        values, colours = _structures(structure or ())
        report = pipeline.import_dataset(
            source,
            out,
            format=format,
            structures=values,
            colours=colours,
            only=_chosen(only or ""),
            overlap=overlap,
            unknown=unknown,
            images=_patterns(image or (), "--image"),
            labels=_patterns(label or (), "--label"),
            images_folder=images,
            spacing=None if spacing is None else parse_number_or_file(spacing, "--spacing"),
            subjects=parse_subjects(subjects),
            folders_are_labels=folders_are_labels,
            missing=missing,
            every=every,
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )
        if as_json:
            typer.echo(report.text(), nl=False)
        else:
            show(console, import_report(report, out))
    if report.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def import_report(report: ImportReport, out: Path) -> list[RenderableType]:
    """What was imported, what lies over what, what failed, and what comes next."""
    from autoseg.cli_tables import add_columns, new_table

    if not report.labels:  # of images alone
        parts: list[RenderableType] = ["", f"{report.cases} images, read as {report.kind}"]
        parts += [f"note: {note}" for note in report.notes[:SHOWN]]
        parts += [f"failed: {one.id}: {one.reason}" for one in report.failed[:SHOWN]]
        return [*parts, f"Next: autoseg predict RUN {typed(out / 'images')} OUT --spacing {typed(out / 'pixel_size.csv')}"]
    table = new_table("Structures")
    add_columns(table, ["structure"], ["cases", "pixels"])
    for one in report.labels:
        table.add_row(one.name, str(one.cases), str(one.pixels))
    parts = ["", f"{report.cases} cases of {report.subjects} subjects, read as {report.kind}", table]
    if report.empty:
        parts.append(f"note: {report.empty} cases have no labelled pixel")
    parts += [f"note: {note}" for note in report.notes]
    way = {"order": "the upper one counts", "smaller": "the smaller one counts", "regions": "both count"}[report.overlap]
    parts += [
        f"note: {one.above} lies over {one.below} at {one.pixels} pixels; {way} (--overlap)" for one in report.covered[:SHOWN]
    ]
    parts += [f"failed: {one.id}: {one.reason}" for one in report.failed[:SHOWN]]
    if len(report.failed) > SHOWN:
        parts.append(f"... and {len(report.failed) - SHOWN} more; {out / 'import.json'} names them")
    parts.append(f"Look at {out / 'preview.png'}. Next: autoseg plan {typed(out)} RUN")
    return parts


def _structures(texts: Sequence[str]) -> tuple[dict[str, tuple[int, ...]] | None, dict[str, tuple[int, ...]] | None]:
    """Values by name, or colours by name."""
    found = {text: COLOUR.fullmatch(text) for text in texts}
    if not any(found.values()):
        return parse_structures(texts, least=0), None  # 0 may be a structure, and another value the background
    if not all(found.values()):
        raise typer.BadParameter("--structure names values or colours, not both: NAME=VALUE, or NAME=R,G,B")
    colours = {match["name"].strip(): tuple(int(match[key]) for key in "rgb") for match in found.values() if match}
    if wrong := [name for name, colour in colours.items() if max(colour) > 255]:
        raise typer.BadParameter(f"--structure: the colour of {wrong[0]} has numbers above 255")
    return None, colours


def _chosen(text: str) -> dict[str, tuple[str, ...]]:
    """Labels by the name that they are to have."""
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, text.split(",")):
        new, sign, olds = part.partition("=")
        name, several = new.strip(), tuple(old.strip() for old in olds.split("+")) if sign else (new.strip(),)
        if not name or not all(several) or name in found:
            raise typer.BadParameter(f"--only is NAME,NAME or NEW=NAME or NEW=NAME+NAME, each new name once, not {text!r}")
        found[name] = several
    return found


def _patterns(texts: Sequence[str], flag: str) -> dict[str, str] | None:
    """Patterns by name; a single one may have none."""
    found: dict[str, str] = {}
    for text in texts:
        match = NAMED_PATTERN.fullmatch(text)
        name, pattern = (match["name"].strip(), match["pattern"]) if match else ("", text)
        if name in found or (len(texts) > 1 and not name):
            raise typer.BadParameter(f"{flag}: several patterns need names of their own, NAME=PATTERN")
        found[name] = pattern
    return found or None
