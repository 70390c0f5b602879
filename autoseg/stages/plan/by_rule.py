"""Configurations sized by nnU-Net's rule: memory decides, the length is given."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from autoseg.errors import PlanError
from autoseg.networks.cost import conv_feature_elements
from autoseg.records import Configuration, Decision, InferenceSpec, TrainingSpec
from autoseg.stages.plan import decisions
from autoseg.stages.plan.augmentation import augmentation_for, mirrors
from autoseg.stages.plan.frame import (
    CASCADE,
    Frame,
    cascade_of,
    preparation_of,
    shared_decisions,
    slice_axis,
    tile_batch,
)
from autoseg.stages.plan.nnunet import Sized, lowres_network, size_network, with_family
from autoseg.stages.plan.presets import SizeRule
from autoseg.stages.plan.recipe import asked_for, optimizer_for, with_optimizer
from autoseg.stages.plan.spacing import median_shape
from autoseg.stages.plan.timing import memory_of, speed_of, training_step_seconds, value_bytes


def configurations_by_rule(frame: Frame) -> dict[str, Configuration]:
    """Patch and batch fill the memory; epochs are the user's or nnU-Net's.

    Volumes get a low-resolution network and a cascade where a full-resolution patch shows too little of the image.
    """
    source = frame.options.source
    if source is not None:
        same = _sized_as(frame, source)
        rule = frame.preset.size
        over_batch = source.network.rank == 2 or prod(same.patch_size) / prod(same.median) < rule.lowres_threshold
        return {source.name: _configuration(frame, source.name, same, rule, _sizing_memory(frame), over_batch=over_batch)}
    result: dict[str, Configuration] = {}
    lowres = None
    if frame.has_volumes:
        rule, fullres, memory = _fitted(frame, 3)
        lowres = lowres_network(frame.inputs, fullres, rule, memory)
        result["3d_fullres"] = _configuration(frame, "3d_fullres", fullres, rule, memory, over_batch=lowres is not None)
    rule_2d, slices, memory_2d = _fitted(frame, 2)
    result["2d"] = _configuration(frame, "2d", slices, rule_2d, memory_2d, over_batch=True)
    if lowres is not None:
        coarse = _in_memory(frame, lowres, rule)
        result["3d_lowres"] = _configuration(frame, "3d_lowres", coarse, rule, memory, over_batch=False)
        result[CASCADE] = cascade_of(result["3d_fullres"], frame.inputs.n_targets)
    return result


def _configuration(
    frame: Frame, name: str, found: Sized, rule: SizeRule, memory_bytes: float, *, over_batch: bool
) -> Configuration:
    rank, preset, options = frame.rank_of(name), frame.preset, frame.options
    length = preset.length
    epochs = options.epochs or length.epochs
    short, asked = preset.budget.short if preset.budget else None, asked_for(options.optimizers, name)
    optimizer = optimizer_for(short, epochs * length.steps_per_epoch, asked)
    preparation = preparation_of(frame, name, (*frame.spacing[:-rank], *found.spacing))
    training = TrainingSpec(
        patch_size=found.patch_size,
        batch_size=found.batch_size,
        epochs=epochs,
        steps_per_epoch=length.steps_per_epoch,
        validation_steps=length.validation_steps,
        batch_dice=over_batch,
        mirror_axes=tuple(range(rank)),
    )
    training = with_optimizer(training, optimizer)
    step = _step_seconds(frame, found, training)
    plain = Configuration(
        name=name,
        slice_axis=slice_axis(frame, name),
        next_stage=CASCADE if name == "3d_lowres" and options.source is None else None,
        preparation=preparation,
        network=found.network,
        training=training,
        augmentation=augmentation_for(frame.options.augmentation, found.patch_size),
        inference=InferenceSpec(
            mirror_axes=training.mirror_axes if mirrors(frame.options.augmentation) else (),
            tile_batch_size=tile_batch(found.patch_size) if preset.fit_machine else 1,
        ),
        median_shape=found.median,
    )
    hours = None if step is None else step * epochs * length.steps_per_epoch / 3600
    grid, taken = None, options.source is not None
    if taken:
        grid = decisions.grid_of_other_run()
    elif name == "3d_lowres":
        grid = decisions.lowres_grid(found.patch_size, found.median, rule.lowres_threshold)
    reasons = [
        *shared_decisions(frame, plain, grid),
        decisions.family(plain, asked=options.family is not None),
        *_sizes(frame, plain, found, rule, memory_bytes),
        decisions.depth(plain),
        decisions.batch_dice(plain, rule.lowres_threshold),
        decisions.length_by_rule(
            epochs, length.steps_per_epoch, options.epochs is not None, hours, by_time=preset.budget is not None
        ),
        decisions.recipe(plain, short, asked),
        decisions.inference(plain, decisions.mirroring_as_trained(mirrors(frame.options.augmentation))),
    ]
    if preset.fit_machine:
        how = decisions.BATCH_REDUCED if taken else decisions.REDUCED
        reasons.append(decisions.memory(_bytes(frame, found), plain, frame.memory_bytes, how))
    return plain.model_copy(update={"decisions": tuple(reasons)})


def _sizes(frame: Frame, plain: Configuration, found: Sized, rule: SizeRule, memory_bytes: float) -> list[Decision]:
    """Why patch, width and batch are as they are."""
    if frame.options.source is not None:
        return decisions.taken_over(plain, frame.options.source, frame.memory_bytes)
    at_first = (_sizing_memory(frame), frame.preset.size.base_features)
    return decisions.sized(plain, found, rule, frame.inputs, memory_bytes=memory_bytes, at_first=at_first)


def _sizing_memory(frame: Frame) -> float:
    """The memory that nnU-Net's reference is scaled to; its reference was taken with 16-bit values.

    A preset that disregards the machine follows an explicit --memory only.
    """
    rule = frame.preset.size
    if not frame.preset.fit_machine:
        return frame.options.memory_bytes or rule.reference_memory_bytes
    useful = rule.reference_memory_bytes if frame.machine.device == "cpu" else rule.useful_memory_bytes
    available = frame.memory_bytes * 2 / value_bytes(frame.machine)
    return available if useful is None else min(available, useful)


def _fitted(frame: Frame, rank: int) -> tuple[SizeRule, Sized, float]:
    """nnU-Net's size, then reduced until the estimate of peak memory fits: first the batch, then the width, then the patch.

    Returns the rule with the width that was taken and the memory that the patch was sized for, too.
    """
    memory = _sizing_memory(frame)
    rule = with_family(frame.preset.size, frame.family)
    voxels = prod(frame.median) * frame.inputs.n_training
    widths = [rule.base_features]
    if frame.preset.budget is not None and rule.family != "unet2015":
        widths += [width for width in reversed(frame.preset.budget.widths) if width < rule.base_features]
    while True:
        for width in widths:
            scaled = {r: cap * width // rule.base_features for r, cap in rule.max_features.items()}
            narrowed = rule.model_copy(update={"base_features": width, "max_features": scaled})
            found = size_network(frame.inputs, frame.spacing[-rank:], frame.median[-rank:], voxels, narrowed, memory)
            if not frame.preset.fit_machine:
                return rule, found, memory
            fitting = _in_memory(frame, found, rule)
            if _bytes(frame, fitting) <= frame.memory_bytes:
                return narrowed, fitting, memory
        memory /= 2


def _in_memory(frame: Frame, found: Sized, rule: SizeRule) -> Sized:
    """The network with the largest batch that fits the memory, the smallest allowed one if none does."""
    while frame.preset.fit_machine and found.batch_size > rule.minimum_batch and _bytes(frame, found) > frame.memory_bytes:
        found = replace(found, batch_size=found.batch_size - 1)
    return found


def _bytes(frame: Frame, found: Sized) -> float:
    return memory_of(frame.machine).peak_bytes(found.network, found.patch_size, found.batch_size)


def _sized_as(frame: Frame, source: Configuration) -> Sized:
    """A network that is taken over, with its patch, batch and grid, on this data set.

    Raises:
        PlanError: it does not fit the memory even with a batch of two.
    """
    rank, rule = source.network.rank, frame.preset.size
    grid = tuple(own or given for own, given in zip(source.preparation.spacing_mm or frame.spacing, frame.spacing, strict=True))
    median = median_shape(frame.inputs, grid)
    elements = conv_feature_elements(source.network, source.training.patch_size, labels=frame.inputs.n_labels)
    batch = source.training.batch_size
    network, patch = source.network, source.training.patch_size
    found = Sized(grid[-rank:], median[-rank:], patch, network, batch, elements, batch, batch)
    fitting = _in_memory(frame, found, rule)
    if frame.preset.fit_machine and _bytes(frame, fitting) > frame.memory_bytes:
        needed = _bytes(frame, fitting) / 1e9
        raise PlanError(
            f"the network of the other run needs {needed:.1f} GB here, more than {frame.memory_bytes / 1e9:.1f} GB; allow more with --memory"
        )
    return fitting


def _step_seconds(frame: Frame, found: Sized, training: TrainingSpec) -> float | None:
    """Seconds per step where the machine was measured."""
    speed = speed_of(frame.machine, found.network.rank)
    if not speed.measured:
        return None
    share = training.validation_steps / training.steps_per_epoch
    return training_step_seconds(speed, found.network, found.patch_size, found.batch_size, share)
