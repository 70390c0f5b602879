"""From a data set to a plan, and a plan read back from its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.errors import DataError, Fault, PlanError, RunFolderError
from autoseg.parallel import available_cores, other_load
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Plan, Splits, Transfer
from autoseg.run_folder import RunFolder

if TYPE_CHECKING:
    from autoseg.stages.plan.bill import Bill


@dataclass(frozen=True)
class PlanOutcome:
    """What `plan` found and decided."""

    dataset: Dataset
    fingerprint: Fingerprint
    splits: Splits
    plan: Plan
    machine: MachineProfile


def plan(
    dataset: str | Path,
    run: str | Path,
    *,
    layout: str = "auto",
    preset: str = "default",
    device: str = "auto",
    memory_bytes: int | None = None,
    time_budget_seconds: float | None = None,
    epochs: int | None = None,
    throughput: str | Path | None = None,
    augmentation: str = "default",
    plan_from: str | Path | None = None,
    init_from: str | Path | None = None,
    subjects: str | Path | None = None,
    spacing: str | Path | float | None = None,
    splits: str | Path | None = None,
    hold_out: float | str | Path | None = None,
    folds: int = 5,
    seed: int = 12345,
    overrides: tuple[str, ...] = (),
    workers: int | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PlanOutcome:
    """Index a data set, measure it and the machine, and decide how to train.

    Args:
        dataset: folder of the data set.
        run: new folder for everything that follows from the plan.
        layout: how the data set lies on disk; `auto` recognises it.
        preset: `default`, `nnunet` or another that follows nnU-Net v2's own choices, or a file.
        device: to plan for; `auto` takes the best one here.
        memory_bytes: of the device that may be used.
        time_budget_seconds: wall time of training one fold, its validation included.
        epochs: fixes the length instead.
        throughput: `machine.json` of a run, for a machine that is not here.
        augmentation: how training patches are varied: `none`, `light`, `default` (nnU-Net's) or `heavy`.
        plan_from: a run whose network, patch and grid are taken over.
        init_from: a run of which the same is taken, and weights that training starts from.
        subjects: regular expression or CSV that tells the subject of a case.
        spacing: CSV of pixel sizes, or one number, in mm.
        splits: file of folds to use; or `by-name`: folds and held-out subjects that follow from the subjects' names alone.
        hold_out: fraction of subjects, or file of cases, kept out of every fold.
        folds: how many; fewer when there are fewer subjects.
        seed: of the folds.
        overrides: `key=value` settings that replace what was decided.
        workers: processes; None takes the cores at hand.
        overwrite: plan anew in a folder that holds a run.
        dry_run: write nothing.
        progress: listener.

    Raises:
        DataError: every fault of the data set, at once.
        PlanError, RunFolderError: what their names say.
    """
    from autoseg.pipeline.machine import machine_for, plan_and_measure, refuse_absent_device, told_of_others
    from autoseg.pipeline.transfer import open_source
    from autoseg.stages.fingerprint import fingerprint_dataset
    from autoseg.stages.index import index_dataset
    from autoseg.stages.plan import PlanOptions, checked_options, make_plan
    from autoseg.stages.plan.overrides import refuse_unknown_keys
    from autoseg.stages.split import make_splits

    progress = progress or SilentProgress()
    folder = RunFolder.create(Path(run), overwrite=overwrite)
    other = open_source(
        None if plan_from is None else Path(plan_from), None if init_from is None else Path(init_from), folder.root
    )
    options = PlanOptions(
        preset=preset,
        time_budget_seconds=time_budget_seconds,
        epochs=epochs,
        memory_bytes=memory_bytes,
        overrides=overrides,
        augmentation=augmentation,
    )
    # Here and now, so that what is wrong with options is told before the data are read.
    refuse_unknown_keys(checked_options(options)[0].overrides)
    refuse_absent_device(device, options, None if throughput is None else Path(throughput))
    progress.stage("reading the data set")
    found, faults = index_dataset(Path(dataset), layout=layout, subjects=subjects, spacing=spacing)
    if found is None:
        raise DataError(faults)
    progress.stage("measuring cases", len(found.cases))
    cores = available_cores() if workers is None else workers
    facts, more = fingerprint_dataset(found, workers=cores, on_done=progress.advance)
    if faults or more or facts is None:
        raise DataError(_ordered([*faults, *more]) or "no case has a label; there is nothing to learn from")
    chosen = make_splits(
        found,
        facts,
        folds=folds,
        seed=seed,
        hold_out=hold_out,
        splits_file=None if splits is None else Path(splits),
    )
    source = None if other is None else other.source_for(found, facts, chosen)
    with other_load() as load:
        place = machine_for(
            device, options, found, progress, throughput=None if throughput is None else Path(throughput), measure=dry_run
        )
        decided, machine = plan_and_measure(
            place, lambda machine: make_plan(found, facts, chosen, machine, options, source), progress
        )
    if (warning := told_of_others(load, place, decided)) is not None:
        progress.message(warning)
    outcome = PlanOutcome(found, facts, chosen, decided, machine)
    if overwrite:
        _refuse_orphans(folder, decided, chosen)
    # plan.json last: with it the run is whole. The data set after its fingerprint: alone it could be a data set's own file, in
    # which nothing may be planned, and the same command must go through after an interruption.
    if not dry_run:
        folder.save(facts, found, machine, chosen, decided)
    return outcome


def planned(run: str | Path) -> PlanOutcome:
    """What a run was planned as, read back; `plan.json` may have been edited since."""
    folder = RunFolder.open(Path(run))
    return PlanOutcome(folder.dataset(), folder.fingerprint(), folder.splits(), folder.plan(), folder.machine())


def bill(outcome: PlanOutcome) -> dict[str, Bill]:
    """What the plan will cost, by configuration: steps, hours, memory and disk."""
    from autoseg.stages.plan.bill import bills_of

    return bills_of(outcome.plan, outcome.dataset, outcome.fingerprint, outcome.splits, outcome.machine)


def plan_files(
    fingerprint: str | Path,
    dataset_json: str | Path,
    *,
    preset: str = "default",
    device: str = "auto",
    memory_bytes: int | None = None,
    time_budget_seconds: float | None = None,
    epochs: int | None = None,
    throughput: str | Path | None = None,
    overrides: tuple[str, ...] = (),
) -> dict[str, Configuration]:
    """Plan from the facts in two files, without images and without looking at this machine; nothing is written.

    Args:
        fingerprint: nnU-Net's `dataset_fingerprint.json`, or the `fingerprint.json` of a run.
        dataset_json: nnU-Net's `dataset.json`, or that of the same run.
        preset: rules.
        device: to plan for; `auto` is the one of `throughput`, else a GPU.
        memory_bytes: of that device.
        time_budget_seconds: wall time of one fold; typical speeds are assumed where `throughput` is not given.
        epochs: fixes the length instead.
        throughput: `machine.json` of a run.
        overrides: of `key=value` settings only `network.family=NAME`.

    Returns:
        All configurations, the default one first.
    """
    from autoseg.pipeline.machine import unseen_machine
    from autoseg.stages.plan import PlanOptions, checked_options
    from autoseg.stages.plan.nnunet_files import plan_from_files

    options, _ = checked_options(
        PlanOptions(
            preset=preset, time_budget_seconds=time_budget_seconds, epochs=epochs, memory_bytes=memory_bytes, overrides=overrides
        )
    )
    if options.overrides:
        raise PlanError(
            f"--set {options.overrides[0]}: a plan from files alone takes network.family only; give the data set to set more"
        )
    machine = unseen_machine(device, options, None if throughput is None else Path(throughput))
    return plan_from_files(Path(fingerprint), Path(dataset_json), options, machine)


def _ordered(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(set(faults)))


def _refuse_orphans(folder: RunFolder, decided: Plan, chosen: Splits) -> None:
    """Planning anew must not leave trained folds that no longer fit the plan, or that were trained on other cases."""
    if folder.has_models and (_identity(decided), chosen) != (_identity(folder.plan()), folder.splits()):
        raise RunFolderError(
            f"{folder.root} holds trained folds, and the new plan or its folds differ from theirs; choose another folder, or delete its models"
        )


def _identity(decided: Plan) -> tuple[dict[str, dict[str, str]], Transfer | None]:
    """What trained folds belong to: grid, network and training of every configuration, and what they started from."""
    return {name: configuration.digests() for name, configuration in decided.configurations.items()}, decided.transfer
