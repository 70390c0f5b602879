"""A configuration sized by nnU-Net's rule: memory decides, the length is given."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from autoseg.networks.cost import training_bytes
from autoseg.records import Configuration, InferenceSpec, TrainingSpec
from autoseg.stages.plan import decisions
from autoseg.stages.plan.frame import (
    NETWORK_RANK,
    Frame,
    preparation_of,
    shared_decisions,
    slice_axis,
    tile_batch,
    value_bytes,
    whole,
)
from autoseg.stages.plan.nnunet import Sized, lowres_network, size_network
from autoseg.stages.plan.presets import SizeRule
from autoseg.stages.plan.timing import speed_of, training_step_seconds, validation_seconds


def configuration_by_rule(frame: Frame, name: str) -> Configuration:
    """Patch and batch fill the memory; epochs are the user's or nnU-Net's."""
    rank, preset, options = NETWORK_RANK[name], frame.preset, frame.options
    memory = _sizing_memory(frame)
    rule, found = _sized(frame, rank, memory)
    dice = rank == 2 or lowres_network(frame.inputs, found, rule, memory) is not None
    length = preset.length
    epochs = options.epochs or length.epochs
    preparation = preparation_of(frame, name, (*frame.spacing[:-rank], *found.spacing))
    training = TrainingSpec(
        patch_size=found.patch_size,
        batch_size=found.batch_size,
        epochs=epochs,
        steps_per_epoch=length.steps_per_epoch,
        validation_steps=length.validation_steps,
        batch_dice=dice,
        mirror_axes=tuple(range(rank)),
    )
    step, axes, why = _predicted(frame, found, training)
    plain = Configuration(
        name=name,
        slice_axis=slice_axis(frame, name),
        preparation=preparation,
        network=found.network,
        training=training,
        inference=InferenceSpec(mirror_axes=axes, tile_batch_size=tile_batch(found.patch_size) if preset.fit_machine else 1),
        median_shape=whole(found.median),
    )
    hours = None if step is None else step * epochs * length.steps_per_epoch / 3600
    reasons = [
        *shared_decisions(frame, preparation, ""),
        *decisions.sized(found, rule, memory, frame.inputs),
        decisions.depth(plain),
        decisions.batch_dice(name, found.median, found.patch_size, dice, rule.lowres_threshold),
        decisions.length_by_rule(epochs, length.steps_per_epoch, options.epochs is not None, hours),
        decisions.inference(plain, why),
    ]
    if preset.fit_machine:
        used = training_bytes(found.network, found.patch_size, found.batch_size, value_bytes(frame.machine))
        reasons.append(decisions.shrunk_to_memory(found, used, frame.memory_bytes))
    return plain.model_copy(update={"decisions": tuple(reasons)})


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


def _sized(frame: Frame, rank: int, memory: float) -> tuple[SizeRule, Sized]:
    """nnU-Net's size, then reduced until the estimate of peak memory fits: first the batch, then the width, then the patch."""
    rule, per_value = frame.preset.size, value_bytes(frame.machine)
    voxels = prod(frame.median) * frame.inputs.n_training
    widths = [rule.base_features]
    if frame.preset.budget is not None:
        widths += [width for width in reversed(frame.preset.budget.widths) if width < rule.base_features]
    while True:
        for width in widths:
            scaled = {r: cap * width // rule.base_features for r, cap in rule.max_features.items()}
            narrowed = rule.model_copy(update={"base_features": width, "max_features": scaled})
            found = size_network(frame.inputs, frame.spacing[-rank:], frame.median[-rank:], voxels, narrowed, memory)
            if not frame.preset.fit_machine:
                return rule, found
            for batch in range(found.batch_size, rule.minimum_batch - 1, -1):
                if training_bytes(found.network, found.patch_size, batch, per_value) <= frame.memory_bytes:
                    return narrowed, replace(found, batch_size=batch)
        memory /= 2


def _predicted(frame: Frame, found: Sized, training: TrainingSpec) -> tuple[float | None, tuple[int, ...], str]:
    """Seconds per step where the machine was measured, the mirror axes of inference, and the reason for them."""
    speed, rule = speed_of(frame.machine, found.network.rank), frame.preset.budget
    step = training_step_seconds(speed, found.network, found.patch_size, found.batch_size, rule)
    shown = step if speed.measured else None
    axes = training.mirror_axes
    if rule is None or frame.machine.device != "cpu":
        return shown, axes, "mirrored as in training, as nnU-Net does"
    image = (*whole(frame.median[: -len(axes)]), *whole(found.median))
    validation = validation_seconds(
        speed, frame.inputs, found.network, found.patch_size, image, InferenceSpec(mirror_axes=axes), rule
    )
    total = step * training.epochs * training.steps_per_epoch
    kept = validation <= rule.mirroring_share * total
    why = (
        f"with mirroring the fold's validation takes about {validation:.0f} s, {validation / total:.0%} of the training's "
        f"{total:.0f} s; up to {rule.mirroring_share:.0%} is accepted"
    )
    return shown, axes if kept else (), why
