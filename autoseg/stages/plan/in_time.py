"""A configuration sized by the clock: everything is chosen so that training converges in the time given."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from autoseg.errors import PlanError
from autoseg.records import Configuration, InferenceSpec, TrainingSpec
from autoseg.stages.plan import decisions
from autoseg.stages.plan.budget import Candidate, Task, fit_to_time
from autoseg.stages.plan.frame import (
    CASCADE,
    NETWORK_RANK,
    Frame,
    cascade_of,
    preparation_of,
    shared_decisions,
    slice_axis,
    tile_batch,
)
from autoseg.stages.plan.nnunet import LOWRES_WORTHWHILE
from autoseg.stages.plan.presets import BudgetRule
from autoseg.stages.plan.timing import speed_of

FEWEST_EPOCHS = 20  # points of the training curve
MOST_EPOCHS = 1000


def configurations_in_time(frame: Frame, rule: BudgetRule, seconds: float) -> dict[str, Configuration]:
    """Every configuration for `seconds` of wall time per fold, validation included; `--epochs` then replaces its length.

    Where a 3D patch shows less of the image than nnU-Net asks for, a low-resolution network that shows enough is planned, too,
    and the cascade that refines its masks at full resolution.
    """
    if frame.options.source is not None:
        name = frame.options.source.name
        return {name: _configuration(frame, name, rule, seconds)}
    result: dict[str, Configuration] = {}
    for name in ("3d_fullres", "2d") if frame.has_volumes else ("2d",):
        result[name] = _configuration(frame, name, rule, seconds)
    if frame.has_volumes and (lowres := _lowres(frame, result["3d_fullres"], rule, seconds)) is not None:
        result["3d_lowres"] = lowres
        result[CASCADE] = cascade_of(result["3d_fullres"])
    return result


def _configuration(frame: Frame, name: str, rule: BudgetRule, seconds: float) -> Configuration:
    task = _task(frame, name, rule, seconds)
    return _described(frame, name, task, *fit_to_time(task))


def _lowres(frame: Frame, fullres: Configuration, rule: BudgetRule, seconds: float) -> Configuration | None:
    """The best network whose patch shows enough of the image, on a grid that is worth it; None where none is called for."""
    threshold = frame.preset.size.lowres_threshold
    if coverage(fullres) >= threshold:
        return None
    voxels = prod(fullres.median_shape) / LOWRES_WORTHWHILE
    task = replace(_task(frame, "3d_lowres", rule, seconds), least_share=threshold, most_voxels=voxels)
    try:
        chosen, compared = fit_to_time(task)
    except PlanError:  # no grid that may be taken is coarse enough: the full-resolution network stands alone
        return None
    return _described(frame, "3d_lowres", task, chosen, compared)


def _task(frame: Frame, name: str, rule: BudgetRule, seconds: float) -> Task:
    return Task(
        inputs=frame.inputs,
        spacing=frame.spacing,
        rank=NETWORK_RANK[name],
        machine=frame.machine,
        size=frame.preset.size,
        rule=rule,
        seconds=seconds,
        memory_bytes=frame.memory_bytes,
        family=frame.family,
        source=frame.options.source,
    )


def _described(frame: Frame, name: str, task: Task, chosen: Candidate, compared: int) -> Configuration:
    """The candidate as a configuration, with its reasons."""
    rule, seconds = task.rule, task.seconds
    steps_per_epoch = _steps_per_epoch(rule, chosen, seconds)
    asked = frame.options.epochs
    epochs = asked or max(1, chosen.steps // steps_per_epoch)
    median = chosen.median[-task.rank :]
    threshold = frame.preset.size.lowres_threshold
    dice = task.rank == 2 or prod(chosen.patch_size) / prod(median) < threshold
    training = TrainingSpec(
        patch_size=chosen.patch_size,
        batch_size=chosen.batch_size,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_steps=max(1, round(rule.validation_share * steps_per_epoch)),
        time_budget_seconds=None if asked else seconds,
        batch_dice=dice,
        mirror_axes=tuple(range(task.rank)),
    )
    preparation = preparation_of(frame, name, chosen.spacing)
    plain = Configuration(
        name=name,
        slice_axis=slice_axis(frame, name),
        next_stage=CASCADE if name == "3d_lowres" else None,
        preparation=preparation,
        network=chosen.network,
        training=training,
        inference=InferenceSpec(mirror_axes=chosen.mirror_axes, tile_batch_size=tile_batch(chosen.patch_size)),
        median_shape=median,
    )
    taken = task.source is not None
    why = decisions.mirroring_in_share(rule, seconds, chosen.validation_seconds, bool(chosen.mirror_axes))
    reasons = [
        *shared_decisions(frame, preparation, decisions.grid_of_other_run() if taken else decisions.coarsening(task, chosen)),
        decisions.family(plain, asked=frame.options.family is not None),
        *(decisions.taken_over(plain) if taken else decisions.fitted(task, chosen, compared)),
        decisions.depth(plain),
        decisions.batch_dice(name, median, chosen.patch_size, dice, threshold),
        decisions.length_by_rule(epochs, steps_per_epoch, asked=True, hours=epochs * steps_per_epoch * chosen.step_seconds / 3600)
        if asked
        else decisions.length_in_time(task, chosen, epochs, steps_per_epoch, speed_of(frame.machine, task.rank).measured),
        decisions.memory(chosen.bytes, plain, frame.memory_bytes),
        decisions.inference(plain, why),
    ]
    return plain.model_copy(update={"decisions": tuple(reasons)})


def coverage(configuration: Configuration) -> float:
    """Part of the median image that a patch shows."""
    return prod(configuration.training.patch_size) / prod(configuration.median_shape)


def _steps_per_epoch(rule: BudgetRule, chosen: Candidate, seconds: float) -> int:
    """The listed number whose epoch is nearest to the wished time, but so few that the curve gets its points."""
    most = max(1, chosen.steps // FEWEST_EPOCHS)
    listed = [steps for steps in rule.steps_per_epoch if steps <= most] or [most]
    wished = max(rule.epoch_seconds, seconds / MOST_EPOCHS)
    return min(listed, key=lambda steps: abs(steps * chosen.step_seconds - wished))
