"""A configuration sized by the clock: everything is chosen so that training converges in the time given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, prod

from autoseg.errors import PlanError
from autoseg.records import Configuration, InferenceSpec, TrainingSpec
from autoseg.stages.plan import decisions
from autoseg.stages.plan.augmentation import augmentation_for, mirrors
from autoseg.stages.plan.budget import Candidate, Task, expected_loss, fit_to_time
from autoseg.stages.plan.frame import (
    CASCADE,
    Frame,
    cascade_of,
    preparation_of,
    shared_decisions,
    slice_axis,
    tile_batch,
)
from autoseg.stages.plan.nnunet import LOWRES_WORTHWHILE
from autoseg.stages.plan.presets import BudgetRule
from autoseg.stages.plan.recipe import asked_for, optimizer_for, with_optimizer

FEWEST_EPOCHS = 20  # points of the training curve
MOST_EPOCHS = 1000
Fit = tuple[Task, Candidate, int]  # what was to be fitted, the best candidate, and how many were compared


def configurations_in_time(frame: Frame, rule: BudgetRule, seconds: float) -> dict[str, Configuration]:
    """Every configuration for `seconds` of wall time per fold, validation included; `--epochs` then replaces its length.

    Of volumes, the one that promises more stands first. Where a 3D patch shows less of the image than nnU-Net asks for, a
    low-resolution network that shows enough is planned, too, and the cascade that refines its masks at full resolution.
    """
    if frame.options.source is not None:
        name = frame.options.source.name
        return {name: _described(frame, name, *_fit(frame, name, rule, seconds))}
    fits = {name: _fit(frame, name, rule, seconds) for name in (("3d_fullres", "2d") if frame.has_volumes else ("2d",))}
    result = {name: _described(frame, name, *fits[name]) for name in _best_first(fits)}
    if frame.has_volumes:
        result = _told_of_dimensions(result, fits)
        if (lowres := _lowres(frame, result["3d_fullres"], rule, seconds)) is not None:
            result["3d_lowres"] = lowres
            result[CASCADE] = cascade_of(result["3d_fullres"], frame.inputs.n_targets)
    return result


def _fit(frame: Frame, name: str, rule: BudgetRule, seconds: float) -> Fit:
    task = _task(frame, name, rule, seconds)
    return (task, *fit_to_time(task))


def _best_first(fits: Mapping[str, Fit]) -> list[str]:
    """3D before 2D, unless a 2D network promises more in the time there is."""

    def key(name: str) -> tuple[bool, float]:
        task, chosen, _ = fits[name]
        return chosen.steps < task.rule.steps_minimum, expected_loss(task, chosen)

    comparable = all(task.must_fit for task, _, _ in fits.values())
    return sorted(fits, key=key) if comparable else list(fits)


def _told_of_dimensions(result: Mapping[str, Configuration], fits: Mapping[str, Fit]) -> dict[str, Configuration]:
    """With the reason why the one or the other is trained where none is named."""
    why = decisions.dimensions({name: fits[name][:2] for name in result})
    return {
        name: configuration.model_copy(update={"decisions": (*configuration.decisions, why)})
        for name, configuration in result.items()
    }


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
        rank=frame.rank_of(name),
        machine=frame.machine,
        size=frame.preset.size,
        rule=rule,
        seconds=seconds,
        memory_bytes=frame.memory_bytes,
        family=frame.family,
        optimizer=asked_for(frame.options.optimizers, name),
        source=frame.options.source,
        must_fit=frame.options.epochs is None,
        may_mirror=mirrors(frame.options.augmentation),
    )


def _described(frame: Frame, name: str, task: Task, chosen: Candidate, compared: int) -> Configuration:
    """The candidate as a configuration, with its reasons."""
    rule, seconds = task.rule, task.seconds
    steps_per_epoch = _steps_per_epoch(rule, chosen, seconds)
    asked = frame.options.epochs
    epochs = asked or max(1, chosen.steps // steps_per_epoch)
    optimizer = optimizer_for(rule.short, epochs * steps_per_epoch, task.optimizer)
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
    training = with_optimizer(training, optimizer)
    preparation = preparation_of(frame, name, chosen.spacing)
    plain = Configuration(
        name=name,
        slice_axis=slice_axis(frame, name),
        next_stage=CASCADE if name == "3d_lowres" and frame.options.source is None else None,
        preparation=preparation,
        network=chosen.network,
        training=training,
        augmentation=augmentation_for(frame.options.augmentation, chosen.patch_size),
        inference=InferenceSpec(mirror_axes=chosen.mirror_axes, tile_batch_size=tile_batch(chosen.patch_size)),
        median_shape=median,
    )
    grid = decisions.grid_of_other_run() if task.source is not None else decisions.coarsening(task, chosen, plain)
    length = decisions.length_asked if asked else decisions.length_in_time
    reasons = [
        *shared_decisions(frame, plain, grid),
        decisions.family(plain, asked=frame.options.family is not None),
        *decisions.fitted(task, chosen, compared, plain),
        decisions.depth(plain),
        decisions.batch_dice(plain, threshold),
        length(task, chosen, epochs, steps_per_epoch),
        decisions.recipe(plain, rule.short, task.optimizer),
        decisions.memory(chosen.bytes, plain, frame.memory_bytes, decisions.COMPARED),
        decisions.inference(
            plain, decisions.mirroring_in_share(task, chosen) if task.may_mirror else decisions.mirroring_as_trained(False)
        ),
    ]
    return plain.model_copy(update={"decisions": tuple(reasons)})


def coverage(configuration: Configuration) -> float:
    """Part of the median image that a patch shows."""
    return prod(configuration.training.patch_size) / prod(configuration.median_shape)


def _steps_per_epoch(rule: BudgetRule, chosen: Candidate, seconds: float) -> int:
    """The listed number whose epoch is nearest to the wished time, within limits that give the curve its points."""
    fewest, most = ceil(chosen.steps / MOST_EPOCHS), max(1, chosen.steps // FEWEST_EPOCHS)
    listed = [steps for steps in rule.steps_per_epoch if fewest <= steps <= most] or [most]
    wished = max(rule.epoch_seconds, seconds / MOST_EPOCHS)
    return min(listed, key=lambda steps: abs(steps * chosen.step_seconds - wished))
