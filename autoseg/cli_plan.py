"""The verb `plan`: a new plan, or one that is there, as tables, prose, a bill, JSON, or beside another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show, stopping_in_words
from autoseg.cli_options import DeviceOption, LayoutOption, SpacingOption, SubjectsOption, WorkersOption
from autoseg.cli_values import parse_memory, parse_number_or_file, parse_seconds, parse_subjects

if TYPE_CHECKING:
    from autoseg.pipeline import PlanOutcome
    from autoseg.records import Configuration

# The uses of the verb: what each claims for itself, and what may be said with it. Plain `DATASET RUN` takes all the rest.
CLAIMED = {"--compare": {"compare"}, "--fingerprint": {"fingerprint", "dataset_json"}}
TELLING = {"explain", "dry_run", "as_json"}
OF_FILES = {"as_json", "preset", "device", "memory", "time_budget", "epochs", "throughput", "overrides"}
USES = {
    "--compare": CLAIMED["--compare"],
    "--fingerprint": CLAIMED["--fingerprint"] | OF_FILES,
    "RUN": {"dataset", *TELLING},
}
EXCLUSIVE = (  # pairs that contradict one another, and why
    ("epochs", "time_budget", "one fixes the length and the other derives it"),
    ("plan_from", "init_from", "--init-from takes the network of its run, too"),
    ("splits", "folds", "the file has its own folds"),
    ("as_json", "explain", "JSON stands alone"),
    ("as_json", "dry_run", "JSON stands alone"),
)


def plan(
    context: typer.Context,
    dataset: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATASET", help="Folder (or zip) with images and labels; or a RUN to tell about.", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="New folder that receives everything.", show_default=False)
    ] = None,
    layout: LayoutOption = "auto",
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Rules: `default` fits this machine; `nnunet`, `nnunet-resenc-m`, `nnunet-resenc-l` and `nnunet-resenc-xl` are nnU-Net v2's.",
        ),
    ] = "default",
    device: DeviceOption = "auto",
    memory: Annotated[str | None, typer.Option(metavar="8GB", help="Memory to plan for. [default: what the device has]")] = None,
    time_budget: Annotated[str | None, typer.Option(metavar="20m", help="Wall time of one fold: 90s, 20m, 1h30m.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Fix the length, instead of a time budget.")] = None,
    throughput: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="machine.json of a run on the machine to plan for, if that is another one."),
    ] = None,
    augmentation: Annotated[
        str, typer.Option(metavar="NAME", help="How training patches are varied: none, light, default (nnU-Net's), heavy.")
    ] = "default",
    plan_from: Annotated[Path | None, typer.Option(metavar="RUN", help="Take network, patch and grid of another run.")] = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The same, and begin the training with its weights.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the plan.")] = None,
    subjects: SubjectsOption = None,
    spacing: SpacingOption = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|by-name",
            help="Folds to use: our splits.json or splits_final.json; by-name: the same ones on every machine.",
        ),
    ] = None,
    hold_out: Annotated[str | None, typer.Option(metavar="0.2|FILE", help="Subjects to keep out of every fold.")] = None,
    folds: Annotated[int, typer.Option(min=1, help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the folds.")] = 12345,
    workers: WorkersOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the plan of an existing run.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell the plan as prose; of a run that is there, too.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Write nothing, and print the bill: steps, hours, memory, disk; of a run that is there, too."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, with axes as nnU-Net orders them.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Tell what differs between two plans (plan.json, or runs), and why."),
    ] = None,
    fingerprint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plan from facts alone: nnU-Net's dataset_fingerprint.json, or ours,")
    ] = None,
    dataset_json: Annotated[Path | None, typer.Option(metavar="FILE", help="and the dataset.json that goes with it.")] = None,
) -> None:
    """Look at a data set, measure it, and decide how to train on it.

    DATASET RUN makes a plan. RUN with --explain, --dry-run or --json tells about one that is there.
    """
    use = _use(context)
    if compare is not None:
        _compare(context, *compare)
        return
    if use == "RUN" and dataset is not None:
        _tell(context, dataset, explain=explain, dry_run=dry_run, as_json=as_json)
        return
    memory_bytes = None if memory is None else parse_memory(memory)
    budget = None if time_budget is None else parse_seconds(time_budget)
    held_out = None if hold_out is None else parse_number_or_file(hold_out, "--hold-out")
    spacing_mm = None if spacing is None else parse_number_or_file(spacing, "--spacing")
    persons, changes = parse_subjects(subjects), tuple(overrides or ())
    if fingerprint is not None and dataset_json is not None:
        with stopping_in_words(context):
            from autoseg import pipeline

            found = pipeline.plan_files(
                fingerprint,
                dataset_json,
                preset=preset,
                device=device,
                memory_bytes=memory_bytes,
                time_budget_seconds=budget,
                epochs=epochs,
                throughput=throughput,
                overrides=changes,
            )
            _print_configurations(context, found, preset, as_json=as_json)
    elif dataset is not None and run is not None:
        with reported(context) as (_, progress):
            from autoseg import pipeline

            outcome = pipeline.plan(
                dataset,
                run,
                layout=layout,
                preset=preset,
                device=device,
                memory_bytes=memory_bytes,
                time_budget_seconds=budget,
                epochs=epochs,
                throughput=throughput,
                augmentation=augmentation,
                plan_from=plan_from,
                init_from=init_from,
                subjects=persons,
                spacing=spacing_mm,
                splits=splits,
                hold_out=held_out,
                folds=folds,
                seed=seed,
                overrides=changes,
                workers=workers,
                overwrite=overwrite,
                dry_run=dry_run,
                progress=progress,
            )
        _print_outcome(context, outcome, run, explain=explain, dry_run=dry_run, as_json=as_json)


def _use(context: typer.Context) -> str:
    """Which of its uses the verb is put to.

    Raises:
        BadParameter: options of different uses, contradictions, or something is missing.
    """
    given = {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}
    for first, second, why in EXCLUSIVE:
        if {first, second} <= given:
            raise typer.BadParameter(f"give {_flag(context, first)} or {_flag(context, second)}: {why}")
    alone = {"dataset", "run"} & given == {"dataset"}
    use = next((use for use, claimed in CLAIMED.items() if given & claimed), "RUN" if alone else "DATASET RUN")
    if use == "--fingerprint" and not CLAIMED[use] <= given:
        raise typer.BadParameter("--fingerprint and --dataset-json go together: what the images are like, and their labels")
    if use == "RUN" and not given & TELLING:
        raise typer.BadParameter(
            "RUN is missing: give DATASET RUN to plan, or RUN with --explain, --dry-run or --json to be told of it"
        )
    if use == "DATASET RUN" and not {"dataset", "run"} <= given:
        raise typer.BadParameter("give DATASET RUN to plan; --help tells what else can be done")
    if strange := sorted(_flag(context, name) for name in given - USES.get(use, set(context.params))):
        raise typer.BadParameter(f"{', '.join(strange)}: not possible with {'a RUN that is there' if use == 'RUN' else use}")
    return use


def _flag(context: typer.Context, name: str) -> str:
    """A parameter as it is written on the command line."""
    parameter = next(parameter for parameter in context.command.params if parameter.name == name)
    return parameter.opts[0] if parameter.opts[0].startswith("-") else str(parameter.metavar)


def _compare(context: typer.Context, first: Path, second: Path) -> None:
    with reported(context) as (console, _):
        from autoseg.cli_plan_tables import compare_report
        from autoseg.run_folder import read_plan
        from autoseg.stages.plan.compare import compare

        show(console, compare_report(compare(read_plan(first), read_plan(second)), str(first), str(second)))


def _tell(context: typer.Context, run: Path, *, explain: bool, dry_run: bool, as_json: bool) -> None:
    """About a run that is there."""
    with stopping_in_words(context):
        from autoseg import pipeline

        _print_outcome(context, pipeline.planned(run), run, explain=explain, dry_run=dry_run, as_json=as_json, new=False)


def _print_outcome(
    context: typer.Context,
    outcome: PlanOutcome,
    run: Path,
    *,
    explain: bool,
    dry_run: bool,
    as_json: bool,
    new: bool = True,
) -> None:
    """What was asked for: JSON alone, or prose, or the bill, or both; else the tables."""
    if as_json:
        _print_configurations(context, outcome.plan.configurations, outcome.plan.preset, as_json=True)
        return
    with reported(context) as (console, _):
        from autoseg import cli_plan_tables, cli_tables, pipeline

        if explain:
            show(console, cli_plan_tables.explain_report(outcome.plan, outcome.dataset, outcome.fingerprint, outcome.splits))
        if dry_run:
            show(console, cli_plan_tables.bill_report(pipeline.bill(outcome), outcome.plan, outcome.machine))
        if not (explain or dry_run):
            show(console, cli_tables.plan_report(outcome))
        if new:
            show(console, ["Nothing was written."] if dry_run else cli_tables.next_after_plan(run, outcome.splits))


def _print_configurations(context: typer.Context, found: Mapping[str, Configuration], preset: str, *, as_json: bool) -> None:
    """JSON, for which nothing else is loaded, or tables."""
    if as_json:
        from autoseg.stages.plan.nnunet_files import as_json as written

        typer.echo(written(dict(found), preset))
        return
    with reported(context) as (console, _):
        from autoseg.cli_tables import configuration_report

        show(console, [part for configuration in found.values() for part in configuration_report(configuration)])
