"""Put a plan together: facts, rules and the machine in, one complete configuration per network out. No torch."""

from __future__ import annotations

from dataclasses import replace

from autoseg.errors import PlanError
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Plan, Splits
from autoseg.records.plan import Optimizer
from autoseg.stages.plan import decisions
from autoseg.stages.plan.augmentation import refuse_unknown_augmentation
from autoseg.stages.plan.by_rule import configurations_by_rule
from autoseg.stages.plan.frame import Frame, PlanOptions
from autoseg.stages.plan.in_time import configurations_in_time
from autoseg.stages.plan.inputs import PlanInputs, inputs_from
from autoseg.stages.plan.normalization import normalization
from autoseg.stages.plan.overrides import apply_overrides, asked_optimizers, taken_family
from autoseg.stages.plan.presets import Preset, ShortTraining, load_preset
from autoseg.stages.plan.recipe import Recipe, asked_for, optimizer_for, with_optimizer
from autoseg.stages.plan.spacing import median_shape, target_spacing, transposition
from autoseg.stages.plan.timing import speed_of
from autoseg.stages.plan.transfer import Source, fitted_source, told_of_source, with_axes_of


def make_plan(
    dataset: Dataset,
    fingerprint: Fingerprint,
    splits: Splits,
    machine: MachineProfile,
    options: PlanOptions,
    source: Source | None = None,
) -> Plan:
    """Decide everything that training and prediction need to know.

    Args:
        dataset: channels and structures.
        fingerprint: shapes, spacings and intensities of its cases.
        splits: the folds; cases held out of all of them are not looked at.
        machine: device, memory and measured speed. Presets that plan as nnU-Net does disregard it.
        options: preset, limits, and changes by the user.
        source: another run whose network, patch and grid are taken over.

    Raises:
        PlanError: options that contradict each other or do not exist, or facts and limits for which no plan exists.
    """
    options, preset = checked_options(options)
    if source is not None:
        preset = with_axes_of(source.configuration, preset)
    inputs = inputs_from(dataset, fingerprint, splits, preset)
    if source is not None and source.transfer.mode == "init" and source.transfer.same_structures:
        inputs = replace(inputs, shares=())  # the weights that it starts from know them: none is found late
    if source is not None:
        options = replace(options, source=fitted_source(source, inputs, options))
    configurations = plan_configurations(inputs, machine, options, preset)
    if source is not None and options.source is not None:
        configurations = told_of_source(configurations, options.source, source, inputs)
    plan = Plan(
        preset=preset.name,
        device=machine.device,
        rank=dataset.rank,
        channels=dataset.channels,
        targets=dataset.targets,
        derived=dataset.derived,
        regions=dataset.regions,
        ignore_value=dataset.ignore_value,
        dataset_digest=dataset.digest(),
        default=next(iter(configurations)),
        configurations=configurations,
        decisions=(decisions.device(machine, preset), decisions.default(configurations)),
        transfer=None if source is None else source.transfer,
    )
    return _with_recipes_by_length(apply_overrides(plan, options.overrides), options, preset)


def _with_recipes_by_length(plan: Plan, options: PlanOptions, preset: Preset) -> Plan:
    """A length that was set in overrides decides on the optimiser, as any other length does."""
    if not any(field in text for text in options.overrides for field in ("training.epochs", "training.steps_per_epoch")):
        return plan
    short = preset.budget.short if preset.budget else None
    followed = {
        name: _following_length(configuration, short, asked_for(options.optimizers, name))
        for name, configuration in plan.configurations.items()
    }
    return plan.model_copy(update={"configurations": followed})


def _following_length(configuration: Configuration, short: ShortTraining | None, asked: Optimizer | None) -> Configuration:
    """The configuration, whose length the user has set, with the optimiser that this length calls for.

    A rate, momentum or weight decay that the user set keeps the optimiser that it was set for.
    """
    training = configuration.training
    chosen = optimizer_for(short, training.epochs * training.steps_per_epoch, asked)
    by_hand = {f"training.{field}" for field in Recipe.model_fields}
    if chosen != training.optimizer and not by_hand & {decision.name for decision in configuration.decisions}:
        configuration = configuration.model_copy(update={"training": with_optimizer(training, chosen)})
    told = decisions.recipe(configuration, short, asked)
    reasons = tuple(told if decision.name == told.name else decision for decision in configuration.decisions)
    return configuration.model_copy(update={"decisions": reasons})


def plan_configurations(
    inputs: PlanInputs, machine: MachineProfile, options: PlanOptions, preset: Preset
) -> dict[str, Configuration]:
    """All configurations for the facts, the default one first, before any change by the user."""
    target, coarse_axis_rule = target_spacing(inputs)
    order = transposition(target)
    if options.source is not None:
        order = options.source.preparation.transpose
    turned = _transposed(inputs, order)
    spacing = tuple(target[axis] for axis in order)
    frame = Frame(
        inputs=turned,
        preset=preset,
        machine=machine,
        options=options,
        spacing=spacing,
        median=median_shape(turned, spacing),
        order=order,
        target_before=target,
        coarse_axis_rule=coarse_axis_rule,
        schemes=options.source.preparation.normalization if options.source else normalization(inputs),
    )
    return _configurations(frame)


def checked_options(options: PlanOptions) -> tuple[PlanOptions, Preset]:
    """The options with what the overrides ask for before planning (the kind of network, which they are left without, and optimisers); the preset.

    Raises:
        PlanError: options that contradict each other, or do not exist.
    """
    preset = load_preset(options.preset)
    family, overrides = taken_family(options.overrides)
    optimizers = {**options.optimizers, **asked_optimizers(overrides)}
    refuse_unknown_augmentation(options.augmentation)
    _refuse_contradictions(options, preset)
    return replace(options, family=family or options.family, optimizers=optimizers, overrides=overrides), preset


def _refuse_contradictions(options: PlanOptions, preset: Preset) -> None:
    if options.epochs is not None and options.time_budget_seconds is not None:
        raise PlanError("--epochs and --time-budget both fix the length of training; give one of them")
    if options.epochs is not None and options.epochs < 1:
        raise PlanError(f"--epochs {options.epochs}: at least 1 is needed")
    if options.time_budget_seconds is not None and preset.budget is None:
        raise PlanError(f"preset {preset.name} has a fixed length; shorten it with --epochs, or use --preset default")
    for name, value in (("--time-budget", options.time_budget_seconds), ("--memory", options.memory_bytes)):
        if value is not None and value <= 0:
            raise PlanError(f"{name} {value:g}: must be above 0")


def _transposed(inputs: PlanInputs, order: tuple[int, ...]) -> PlanInputs:
    return replace(
        inputs,
        spacings_mm=tuple(None if s is None else tuple(s[axis] for axis in order) for s in inputs.spacings_mm),
        shapes_after_crop=tuple(tuple(shape[axis] for axis in order) for shape in inputs.shapes_after_crop),
    )


def _configurations(frame: Frame) -> dict[str, Configuration]:
    """By the clock on a CPU, or where a time is given; else by nnU-Net's rule.

    On a CPU `--epochs` sets the length of the network that the default time calls for: nnU-Net's would take days.
    """
    options, rule = frame.options, frame.preset.budget
    seconds = None
    if rule is not None:
        seconds = options.time_budget_seconds or (rule.default_seconds if frame.machine.device == "cpu" else None)
    if rule is None or seconds is None:
        found = configurations_by_rule(frame)
    else:
        found = configurations_in_time(frame, rule, seconds)
    found = {name: _laid_out(configuration, frame.machine) for name, configuration in found.items()}
    if options.source is not None:
        return found
    return _told_of_low_resolution(found, frame.preset.size.lowres_threshold, in_time=seconds is not None)


def _laid_out(configuration: Configuration, machine: MachineProfile) -> Configuration:
    """With the memory format that was quicker when the network was measured."""
    training = configuration.training
    speed = speed_of(machine, configuration.network.rank)
    probe = speed.probe_of(configuration.network, training.patch_size, training.batch_size)
    training = training.model_copy(update={"memory_format": "auto" if probe is None else probe.memory_format})
    if configuration.previous_stage is not None:  # its decisions are those of the network that it is a copy of
        return configuration.model_copy(update={"training": training})
    reasons = (*configuration.decisions, decisions.memory_format(configuration, probe))
    return configuration.model_copy(update={"training": training, "decisions": reasons})


def _told_of_low_resolution(found: dict[str, Configuration], threshold: float, *, in_time: bool) -> dict[str, Configuration]:
    """With the reason why a 3D network has one of lower resolution beside it, or has none."""
    fullres, lowres = found.get("3d_fullres"), found.get("3d_lowres")
    if fullres is None:
        return found
    why = decisions.low_resolution(fullres, None if lowres is None else lowres.median_shape, threshold, in_time=in_time)
    return found | {"3d_fullres": fullres.model_copy(update={"decisions": (*fullres.decisions, why)})}
