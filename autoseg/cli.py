"""The command line: each verb reads its arguments, calls one function, prints what came back, and returns an exit code.

Exit codes: 0 done; 1 some cases failed, each named; 2 input that cannot be used; 70 a fault in autoseg itself; 75 out of
memory, for one case or for all; 130 interrupted. Nothing heavy is imported until a verb runs, so that `autoseg --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg import __version__
from autoseg.cli_benchmark import benchmark
from autoseg.cli_check import check
from autoseg.cli_compare import compare
from autoseg.cli_console import reported, show
from autoseg.cli_doctor import doctor
from autoseg.cli_export import export
from autoseg.cli_export_masks import export_masks
from autoseg.cli_fetch import fetch
from autoseg.cli_import import import_set
from autoseg.cli_measure import measure, show_measures
from autoseg.cli_options import (
    DeviceOption,
    EngineOption,
    LayoutOption,
    Profile,
    RunArgument,
    SpacingOption,
    SubjectsOption,
    WorkersOption,
)
from autoseg.cli_plan import plan
from autoseg.cli_select import select
from autoseg.cli_status import status
from autoseg.cli_values import parse_choices, parse_memory, parse_number_or_file, parse_seconds, parse_subjects
from autoseg.errors import EXIT_OUT_OF_MEMORY, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from autoseg.records import Extra

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


EXTRAS: tuple[Extra, ...] = ("overlay", "probabilities", "uncertainty")


class Tracking(StrEnum):
    """Where `train` also shows its curves."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autoseg {__version__}")
        raise typer.Exit


@app.callback(help="From a folder of images to masks and scores. In this order: plan, train, select, predict, measure, evaluate.")
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log details, and show the traceback of an error.")] = False,
) -> None:
    """Options of all verbs."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s", force=True)
    if debug:
        for noisy in ("matplotlib", "PIL", "numba", "pydicom", "highdicom"):
            logging.getLogger(noisy).setLevel(logging.INFO)


app.command()(check)
app.command()(plan)


@app.command()
def preprocess(
    run: RunArgument,
    context: typer.Context,
    configuration: Annotated[str | None, typer.Option(metavar="NAME", help="Of the plan. [default: all of them]")] = None,
    workers: WorkersOption = None,
) -> None:
    """Prepare all cases now; `train` does it on first use."""
    with reported(context) as (console, progress):
        from autoseg import pipeline

        folders = pipeline.preprocess(run, configuration=configuration, workers=workers, progress=progress)
        show(console, [f"Prepared cases are in {folder}" for folder in folders])


@app.command()
def train(
    context: typer.Context,
    run: RunArgument,
    fold: Annotated[str, typer.Option(metavar="K|all|full", help="A fold, all of them, or one model on every case.")],
    configuration: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of the plan; 3d_cascade_fullres after all folds of 3d_lowres. [default: the plan's]"),
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    track: Annotated[list[Tracking] | None, typer.Option(help="Repeatable: curves for these, beside the run's own.")] = None,
    extend: Annotated[
        str | None, typer.Option(metavar="20m", help="Train a fold that has come to its end for so much longer.")
    ] = None,
) -> None:
    """Train a fold, or go on where it was interrupted.

    Started by torchrun, the processes share every batch; with several GPUs, `--fold all` trains one fold on each at a time.
    """
    with reported(context) as (console, progress):
        from autoseg import cli_tables, pipeline

        outcomes = pipeline.train(
            run,
            fold=fold,
            configuration=configuration,
            device=device,
            workers=workers,
            track=[str(name) for name in track or ()],
            extend_seconds=None if extend is None else parse_seconds(extend, "--extend"),
            progress=progress,
        )
        if outcomes:  # of several processes, one reports
            show(console, cli_tables.train_report(outcomes, run))
        failed = any(outcome.scores is not None and outcome.scores.missing for outcome in outcomes)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


app.command()(status)


@app.command()
def augment(
    context: typer.Context,
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Picture to write. [default: RUN/augmentation.png]")
    ] = None,
    configuration: Annotated[str | None, typer.Option(metavar="NAME", help="Of the plan. [default: the plan's]")] = None,
    fold: Annotated[str, typer.Option(metavar="K|full", help="Whose training cases to show.")] = "0",
    cases: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="Cases, one in each row.")] = 4,
    variants: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="Variants of each patch.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws others.")] = 0,
    workers: WorkersOption = None,
) -> None:
    """Draw training patches as they are, and as training sees them."""
    with reported(context) as (console, progress):
        from autoseg import pipeline

        path = pipeline.augment(
            run,
            out=out,
            configuration=configuration,
            fold=fold,
            cases=cases,
            variants=variants,
            seed=seed,
            workers=workers,
            progress=progress,
        )
        show(console, [f"The picture is in {path}"])


@app.command()
def predict(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run folder, what `export` wrote, or a trained nnU-Net v2 model (folder or zip).",
            show_default=False,
        ),
    ],
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", help="A folder, one file, or `held-out`: what the plan kept aside.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for masks and predictions.json.", show_default=False)],
    fold: Annotated[list[str] | None, typer.Option(metavar="K|full", help="Repeatable. [default: all trained folds]")] = None,
    configuration: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the plan. [default: what `select` found, or the plan's]")
    ] = None,
    device: DeviceOption = "auto",
    spacing: SpacingOption = None,
    assume_spacing: Annotated[
        float | None, typer.Option(metavar="MM", min=1e-6, help="Pixel size to assume where it is not known.")
    ] = None,
    save: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT", help="Also overlay, probabilities, uncertainty (one, or several with commas)."),
    ] = None,
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="best: all folds, mirrored along all axes (as nnU-Net); balanced: along one; fast: one fold, not mirrored. "
            "[default: what `select` found, or balanced]"
        ),
    ] = None,
    postprocessing: Annotated[
        bool, typer.Option("--postprocessing/--no-postprocessing", help="Do to every mask what `select` found to help.")
    ] = True,
    engine: EngineOption = "auto",
    memory: Annotated[
        str | None, typer.Option(metavar="4GB", help="Memory that the program may take. [default: what the machine has]")
    ] = None,
    measure_too: Annotated[
        bool, typer.Option("--measure", help="Measure the masks, too: `autoseg measure OUT`, with its defaults.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Keep what is done and unchanged, or predict all again.")
    ] = True,
) -> None:
    """Write a mask for every image, with all folds that are trained."""
    with reported(context) as (console, progress):
        from autoseg import cli_tables, pipeline

        predictions = pipeline.predict(
            run,
            images,
            out,
            folds=tuple(fold) if fold else None,
            configuration=configuration,
            device=device,
            spacing=None if spacing is None else parse_number_or_file(spacing, "--spacing"),
            assume_spacing=assume_spacing,
            save=parse_choices(save or (), EXTRAS, "--save"),
            overwrite=not resume,
            profile=None if profile is None else profile.value,
            postprocessing=postprocessing,
            engine=engine,
            memory_bytes=None if memory is None else parse_memory(memory),
            measure=measure_too,
            progress=progress,
        )
        show(console, cli_tables.predict_report(predictions, out))
        if measure_too:
            show_measures(console, out)
        failed = [case for case in predictions.cases if case.status == "failed"]
    if failed:
        raise typer.Exit(EXIT_OUT_OF_MEMORY if any(case.reason == "memory" for case in failed) else EXIT_SOME_FAILED)


app.command()(select)
app.command()(measure)
app.command()(doctor)
app.command()(export)
app.command("import")(import_set)
app.command()(fetch)
app.command("export-masks")(export_masks)


@app.command("import-model")
def import_model(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="What `export` wrote, or a trained nnU-Net v2 model (folder, or zip of an export).",
            show_default=False,
        ),
    ],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A new folder.", show_default=False)],
) -> None:
    """Make a run of a model that was handed over, or of an nnU-Net v2 model; it predicts the same masks."""
    with reported(context) as (console, progress):
        from autoseg import pipeline

        folder = pipeline.import_model(source, run, progress=progress)
        show(
            console,
            [
                f"The model is in {folder}",
                f"Next: autoseg predict {folder} IMAGES OUT        (--profile best predicts as nnU-Net does)",
            ],
        )


@app.command()
def evaluate(
    context: typer.Context,
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Any data set that `plan` reads.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder written by `autoseg predict`.", show_default=False)],
    layout: LayoutOption = "auto",
    spacing: SpacingOption = None,
    subjects: SubjectsOption = None,
    tolerance: Annotated[float, typer.Option(metavar="MM", min=0.0, help="Of the surface Dice.")] = 1.0,
    workers: WorkersOption = None,
) -> None:
    """Compare predicted masks with labels.

    Writes OUT/scores.json, OUT/scores.csv and OUT/summary.json, which is nnU-Net's.
    """
    with reported(context) as (console, progress):
        from autoseg import cli_tables, pipeline

        scores = pipeline.evaluate(
            labels,
            out,
            layout=layout,
            spacing=None if spacing is None else parse_number_or_file(spacing, "--spacing"),
            subjects=parse_subjects(subjects),
            tolerance_mm=tolerance,
            workers=workers,
            progress=progress,
        )
        show(console, cli_tables.scores_report(scores))


app.command()(compare)


app.command()(benchmark)


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Keep everything here.", show_default=False)] = None,
    rank: Annotated[Literal["2", "3"], typer.Option(help="Ultrasound pictures (2) or volumes (3).")] = "2",
    time_budget: Annotated[str | None, typer.Option(metavar="150s", help="Wall time of the training. [default: 150s]")] = None,
) -> None:
    """Plan, train, predict and evaluate on a small synthetic data set."""
    with reported(context) as (console, progress):
        from autoseg import cli_tables, pipeline

        with nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="autoseg-demo-") as place:
            seconds = pipeline.DEMO_SECONDS if time_budget is None else parse_seconds(time_budget)
            scores = pipeline.demo(Path(place), rank=int(rank), time_budget_seconds=seconds, progress=progress)
        show(console, cli_tables.scores_report(scores))
        kept = (
            f"Everything is in {folder}." if folder else "Nothing was kept; `autoseg demo FOLDER` keeps data, run and pictures."
        )
        show(console, [kept])


@app.command()
def phantom(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder for the data set.", show_default=False)],
    rank: Annotated[Literal["2", "3"], typer.Option(help="Ultrasound pictures (2) or volumes (3).")] = "2",
    subjects: Annotated[int, typer.Option(metavar="N", min=1, help="Number of subjects.")] = 12,
    seed: Annotated[int, typer.Option(help="Another seed gives other images.")] = 0,
) -> None:
    """Write a small synthetic data set."""
    with reported(context) as (console, _):
        from autoseg.phantom import write_fetal_head, write_volumes

        if folder.exists() and any(folder.iterdir()):
            raise typer.BadParameter(f"{folder} is not empty; give a new folder")
        if rank == "2":
            write_fetal_head(folder, subjects=subjects, seed=seed)
        else:
            write_volumes(folder, cases=subjects, seed=seed)
        show(console, [f"Wrote {subjects} subjects to {folder}. Next: autoseg plan {folder} RUN"])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; `--debug` may stand anywhere."""
    # Threads that spin for long at every barrier bring training to a crawl as soon as another program wants a core
    # (docs/benchmarks.md). GNU OpenMP reads this once, when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to repeat itself, for deterministic training
    words = list(sys.argv[1:] if arguments is None else arguments)
    rest = [word for word in words if word != "--debug"]
    app(args=["--debug", *rest] if len(rest) < len(words) else rest, prog_name="autoseg")
