"""Why a training is as long as it is, how its network is applied, and what the plan was made for."""

from __future__ import annotations

from collections.abc import Mapping

from autoseg.records import Configuration, Decision, MachineProfile
from autoseg.records.plan import Number
from autoseg.stages.plan.budget import Candidate, Task, onsets
from autoseg.stages.plan.decisions.words import SOURCE, set_to
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import Clause, decide

IN_TIME = "ours: the steps that fit the wall time of one fold, with its start and its validation"
BY_RULE = "nnU-Net's length: 1000 epochs of 250 steps, whatever the data" + SOURCE
AS_ASKED = "the user's: --epochs fixes the length"
MIRRORED = "nnU-Net's inference: windows overlap by half, and all mirrored copies of an image are averaged" + SOURCE
IN_SHARE = "; ours: without mirrored copies where validating a fold would take more than its share of the time planned for"
DEVICE = "ours: a plan is fitted to the machine that trains it"
NO_DEVICE = "nnU-Net's planner looks at no machine: networks are sized for a reference of 8 GB" + SOURCE
DEFAULT = (
    "nnU-Net's order of configurations: 3D at full resolution first for volumes; cross-validation tells which is best" + SOURCE
)
LENGTH = "{total:#step} in {epochs:#epoch}"
OTHER_LENGTH = "another --epochs N, or --time-budget 20m."
BY_MEASURE, BY_GUESS = "by the speed that was measured.", "at a typical speed, not measured."


def length_in_time(task: Task, chosen: Candidate, epochs: int, steps_per_epoch: int) -> Decision:
    """Length by the time budget."""
    rule = task.rule
    numbers: dict[str, Number] = {
        **_length(epochs, steps_per_epoch),
        "budget": task.seconds,
        "slack": rule.slack,
        "startup": rule.startup_seconds,
        "validation": chosen.validation_seconds,
        "cases": task.inputs.n_validation,
        "steps": chosen.steps,
        "step": chosen.step_seconds,
        "minimum": rule.steps_minimum,
    }
    if chosen.steps == rule.steps_enough:
        reason = "{steps:#step} are as many as are of any use; at {step:time} each they fit well into {budget:time}."
    else:
        reason = (
            "{budget:time}, less {slack:%} in reserve, {startup:time} to start and {validation:time} to validate {cases:#case}, "
            "leave room for {steps:#step} of {step:time}"
        ) + (" as measured." if task.speed.measured else ", a typical speed, not measured.")
    if chosen.steps < rule.steps_minimum:
        reason += " A training begins to converge after some {minimum:#step}: expect poor masks."
    else:
        last = _found_last(task, chosen, epochs * steps_per_epoch)
        reason, numbers = reason + last.text, {**numbers, **last.numbers}
    return decide(
        "length", LENGTH, rule=IN_TIME, reason=reason, numbers=numbers, alternative="another --time-budget, or --epochs N."
    )


def length_asked(task: Task, chosen: Candidate, epochs: int, steps_per_epoch: int) -> Decision:
    """Length as asked for, of a network that is sized for a time."""
    steps = epochs * steps_per_epoch * chosen.step_seconds
    last = _found_last(task, chosen, epochs * steps_per_epoch)
    return decide(
        "length",
        LENGTH,
        rule=AS_ASKED,
        reason="You asked for {epochs:#epoch}; a fold takes about {seconds:time} with its start and its validation, "
        + (BY_MEASURE if task.speed.measured else BY_GUESS)
        + last.text,
        numbers={
            **last.numbers,
            **_length(epochs, steps_per_epoch),
            "seconds": task.rule.startup_seconds + steps + chosen.validation_seconds,
        },
        alternative=OTHER_LENGTH,
    )


def _found_last(task: Task, chosen: Candidate, steps: int) -> Clause:
    """The structure that takes the most steps to be found, or those that will not be."""
    found = onsets(task, chosen)
    if not found:
        return Clause("")
    name, onset = max(found, key=lambda entry: entry[1])
    late = ", ".join(target for target, needed in found if needed >= steps)
    numbers: dict[str, Number] = {"last": name, "share": dict(task.inputs.shares)[name], "onset": round(onset), "late": late}
    text = "{last}, which takes {share:%} of an image on average, begins to be found after some {onset:#step}."
    return Clause((" Expect to miss {late}: " if late else " ") + text, numbers)


def length_by_rule(epochs: int, steps_per_epoch: int, asked: bool, hours: float | None, *, by_time: bool = True) -> Decision:
    """Length as asked for, or nnU-Net's.

    Args:
        epochs: of a fold.
        steps_per_epoch: of the optimiser.
        asked: by the user.
        hours: that the steps take; None where no speed was measured.
        by_time: whether the preset could fit the length to a time.
    """
    numbers: dict[str, Number] = _length(epochs, steps_per_epoch)
    reason = "You asked for {epochs:#epoch}" if asked else "nnU-Net trains {epochs:#epoch} whatever the data"
    if hours is None:
        reason += "; how long that takes was not measured."
    else:
        reason += f"; the steps of a fold take about {{seconds:time}}, {BY_MEASURE}"
        numbers["seconds"] = hours * 3600
    return decide(
        "length",
        LENGTH,
        rule=AS_ASKED if asked else BY_RULE,
        reason=reason,
        numbers=numbers,
        alternative=OTHER_LENGTH if by_time else "another --epochs N; a time to fit needs --preset default.",
    )


def _length(epochs: int, steps_per_epoch: int) -> dict[str, Number]:
    return {"epochs": epochs, "total": epochs * steps_per_epoch}


def mirroring_in_share(task: Task, chosen: Candidate) -> Clause:
    """Whether mirrored copies are worth their time."""
    text = "Validating a fold takes {validation:time} with mirrored copies, and {limit:time} are accepted"
    if not chosen.mirror_axes:
        text = "Validating a fold takes {validation:time} as it is; with mirrored copies it would take more than the {limit:time} that are accepted"
    share = "{share:%} of {seconds:time}" + ("" if task.must_fit else ", for which the network is sized, whatever --epochs says")
    numbers = {
        "validation": chosen.validation_seconds,
        "share": task.rule.mirroring_share,
        "seconds": task.seconds,
        "limit": task.rule.mirroring_share * task.seconds,
    }
    return Clause(f"{text} ({share}).", numbers, IN_SHARE)


def mirroring_as_trained(mirrors: bool) -> Clause:
    """Mirrored copies where time is no concern, or none where training has none."""
    if not mirrors:
        return Clause("Training does not mirror, so the network would not know mirrored images.")
    return Clause("Images are mirrored as in training, which costs time only when predicting.")


def inference(configuration: Configuration, why: Clause) -> Decision:
    """Mirroring and tiles."""
    spec, network = configuration.inference, configuration.network
    axes = tuple(range(network.rank))
    numbers: dict[str, Number] = {
        **why.numbers,
        "overlap": 1 - spec.step_fraction,
        "windows": spec.tile_batch_size,
        "copies": 2 ** len(spec.mirror_axes or axes),
        "axes": axes,
    }
    mirrored = "mean of {copies} mirrored copies" if spec.mirror_axes else "no mirrored copies"
    setting = set_to(configuration, "inference.mirror_axes", "[]" if spec.mirror_axes else "{axes:list}")
    other = (
        f"without mirrored copies, about {{copies}} times as quick: {setting}."
        if spec.mirror_axes
        else f"with {{copies}} mirrored copies, about {{copies}} times as slow: {setting}."
    )
    return decide(
        "inference",
        mirrored,
        rule=MIRRORED + why.rule,
        reason=why.text + " Windows overlap by {overlap:%} and are predicted {windows} at a time.",
        numbers=numbers,
        alternative=other,
    )


def device(machine: MachineProfile, preset: Preset) -> Decision:
    """What the plan was made for."""
    numbers: dict[str, Number] = {
        "device": machine.device,
        "name": machine.name,
        "cores": machine.cores,
        "memory": machine.memory_bytes,
        "precision": machine.precision,
        "probes": len(machine.throughput),
        "preset": preset.name,
    }
    if not preset.fit_machine:
        return decide(
            "device",
            "{device}",
            rule=NO_DEVICE,
            reason="Preset {preset} plans the same for every machine; the length in hours depends on yours.",
            numbers=numbers,
            alternative="a plan for your machine: --preset default.",
        )
    at = "{cores:#core}, " if machine.device == "cpu" and machine.cores else ""
    measured = (
        "{probes:#network was/networks were} trained on it for a moment to measure its speed."
        if machine.throughput
        else "its speed was not measured, typical figures are assumed."
    )
    return decide(
        "device",
        "{device}",
        rule=DEVICE,
        reason=f"The plan is made for {{name}} ({at}{{memory:bytes}}, {{precision}}); {measured}",
        numbers=numbers,
        alternative="another machine: --device and --memory, or its measured speed: --throughput FILE.",
    )


def default(configurations: Mapping[str, Configuration]) -> Decision:
    """Which configuration is trained when none is named; the second stage of a cascade cannot stand alone."""
    first, *others = (name for name, configuration in configurations.items() if configuration.previous_stage is None)
    numbers = {"first": first, "others": ", ".join(others)}
    reason = "The data are single images or slices."
    if configurations[first].network.rank == 3:
        reason = "The data are volumes, and a 3D network sees neighbouring slices."
    elif "3d_fullres" in configurations:
        reason = "The data are volumes, but in the time given a network that goes slice by slice promises more."
    return decide(
        "default",
        "{first}",
        rule=DEFAULT,
        reason=reason,
        numbers=numbers,
        alternative="{others}: --configuration NAME when training." if others else "none: it is the only one.",
    )


def set_by_user(key: str, value: str, before: str) -> Decision:
    """A value that replaces what the rules chose; `before` as JSON."""
    return decide(
        key,
        "{value}",
        rule="the user's: --set replaces what the rules chose, and nothing else is derived anew from it",
        reason="You set {key} to {value}; the rules had chosen {before}.",
        numbers={"key": key, "value": value, "before": before},
        alternative="{before}: plan without this --set.",
    )
