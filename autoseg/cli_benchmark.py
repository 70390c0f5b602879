"""The verb `benchmark`: how fast this machine is for a plan, as tables or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show
from autoseg.cli_options import DeviceOption, RunArgument, WorkersOption

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoseg.pipeline.benchmarking import BenchmarkOutcome

GIB = 2**30
BUSY = 0.5  # load per core beyond which figures of a machine are marked


def benchmark(
    context: typer.Context,
    run: RunArgument,
    configuration: Annotated[str | None, typer.Option(metavar="NAME", help="Of the plan. [default: the plan's]")] = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=1.0, help="How long to measure, about.")] = 30.0,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that was measured as JSON.")] = False,
) -> None:
    """Measure how fast this machine trains and predicts with a plan.

    It trains a fresh network on prepared cases of the run (a few are prepared if there are none) and keeps nothing of it.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        outcome = pipeline.benchmark(
            run, configuration=configuration, seconds=seconds, device=device, workers=workers, progress=progress
        )
        if as_json:
            typer.echo(benchmark_json(outcome))
        else:
            show(console, benchmark_report(outcome))


def benchmark_json(outcome: BenchmarkOutcome) -> str:
    """All of it; `figures` can stand in plans/benchmarks.json as they are."""
    known = [{**asdict(machine), "figures": machine.figures.model_dump(mode="json")} for machine in outcome.known]
    content = asdict(outcome) | {"figures": outcome.figures.model_dump(mode="json"), "known": known}
    return json.dumps(content, indent=1)


def benchmark_report(outcome: BenchmarkOutcome) -> list[RenderableType]:
    """What was measured, where a step goes, what the plan foresaw, and known machines beside it."""
    from autoseg.cli_tables import add_columns, new_table

    figures, training = outcome.figures, outcome.training
    patch = "x".join(map(str, figures.patch_size))
    table = new_table(
        f"{figures.machine}, {figures.cores} cores, {figures.device}, {figures.precision}: {figures.configuration}, "
        f"patch {patch}, batch {figures.batch_size}, width {figures.width}",
        header=False,
    )
    add_columns(table, ["what"], ["measured"])
    table.add_row("training samples per second", f"{figures.samples_per_second:.2f}")
    table.add_row("training steps per second", f"{training.steps_per_second:.2f} (over {training.steps} steps)")
    table.add_row("forward pass of a batch, as in prediction", f"{training.forward_seconds:.3f} s")
    cases = len(outcome.predicted_seconds)
    per_case = "-" if figures.seconds_per_case is None else f"{figures.seconds_per_case:.2f} s"
    table.add_row(f"prediction of a case ({cases} cases, weights: {outcome.weights})", per_case)
    table.add_row("writing a checkpoint", f"{training.checkpoint_seconds:.2f} s")
    table.add_row("memory of training at its peak", "-" if figures.peak_bytes is None else f"{figures.peak_bytes / GIB:.2f} GiB")
    parts: list[RenderableType] = ["", table, _step_table(outcome)]
    if outcome.prepared:
        parts.append(f"note: no case was prepared yet, so these were: {', '.join(outcome.prepared)}")
    if outcome.foreseen_step_seconds is not None:
        step = 1 / training.steps_per_second
        parts.append(f"Planned with {outcome.foreseen_step_seconds:.3f} s a step; measured now: {step:.3f} s")
    parts += [f"hint: {hint}" for hint in outcome.hints]
    if outcome.known:
        parts.append(_known_table(outcome))
    return parts


def _step_table(outcome: BenchmarkOutcome) -> RenderableType:
    from autoseg.cli_tables import add_columns, new_table

    training = outcome.training
    where = f" (reading and augmenting in {training.loaders} processes beside it)" if training.loaders else ""
    table = new_table(f"Where a step goes{where}")
    add_columns(table, ["part"], ["seconds", "share"])
    for name, seconds in asdict(training.parts).items():
        table.add_row(name, f"{seconds:.4f}", f"{seconds / training.parts.total:.0%}")
    return table


def _known_table(outcome: BenchmarkOutcome) -> RenderableType:
    from autoseg.cli_tables import add_columns, new_table

    table = new_table("Known machines (where the plan is another, speeds are compared by the arithmetic they do)")
    add_columns(table, ["machine", "data set", "plan"], ["samples/s", "s a case", "this machine is"])
    for machine in outcome.known:
        known = machine.figures
        plan = f"{'x'.join(map(str, known.patch_size))}, batch {known.batch_size}, width {known.width}"
        plan += ", the same" if machine.same_work else ""
        per_case = "-" if known.seconds_per_case is None else f"{known.seconds_per_case:.2f}"
        name = f"{known.machine}, {known.cores} cores, {known.device}"
        name += f", busy (load {known.load:.1f})" if known.load is not None and known.load > BUSY * known.cores else ""
        ratio = f"{machine.times_as_fast:.2f} times as fast"
        table.add_row(name, known.dataset, plan, f"{known.samples_per_second:.2f}", per_case, ratio)
    return table
