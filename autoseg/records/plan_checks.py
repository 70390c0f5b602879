"""Single checks of a plan: sizes, names and numbers that must go together. Each yields its faults as `path: what, and the cure`.

A check reads as few fields as it can, so that a plan of which a part cannot be read is still checked in the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from autoseg.records.base import Part, Shape
from autoseg.records.plan import Configuration, Plan

ABOVE_0 = (
    "training.batch_size",
    "training.epochs",
    "training.steps_per_epoch",
    "training.time_budget_seconds",
    "training.initial_lr",
    "training.gradient_clip",
    "inference.tile_batch_size",
    "inference.step_fraction",
)
NOT_BELOW_0 = (
    "training.dice_weight",
    "training.cross_entropy_weight",
    "training.warmup_share",
    "training.ema_decay",
    "training.validation_steps",
    "training.momentum",
    "training.weight_decay",
    "training.lr_exponent",
    "training.foreground_fraction",
    "training.seed",
)
AT_MOST_1 = ("inference.step_fraction", "training.foreground_fraction")
BELOW_1 = ("training.momentum", "training.ema_decay", "training.warmup_share")
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of a configuration, which names a folder
IMAGE_ORDERS, LABEL_ORDERS = (0, 1, 3), (0, 1)  # of resampling


def _default(plan: Plan) -> Iterator[str]:
    if not plan.configurations:
        yield "configurations: at least one is needed"
    elif plan.default not in plan.configurations:
        yield f"default: there is no configuration {plan.default!r}; there are {', '.join(plan.configurations)}"


def _names(plan: Plan) -> Iterator[str]:
    for key, configuration in plan.configurations.items():
        if not NAME.fullmatch(key):
            yield f"configurations.{key}: a configuration names a folder; use letters, digits, _, - and . (no . in front)"
        if configuration.name != key:
            yield f"configurations.{key}.name: {configuration.name!r} must be {key!r}, the name it stands under"


def _stages(plan: Plan) -> Iterator[str]:
    """The two stages of a cascade name one another, and see the same axes."""
    for key, configuration in plan.configurations.items():
        for field, back in (("previous_stage", "next_stage"), ("next_stage", "previous_stage")):
            other = getattr(configuration, field)
            path = f"configurations.{key}.{field}"
            if other is None:
                continue
            if other not in plan.configurations:
                yield f"{path}: there is no configuration {other!r}; there are {', '.join(plan.configurations)}"
            elif getattr(plan.configurations[other], back) != key:
                yield f"{path}: {other} must name {key} as its {back}"


def _stages_agree(plan: Plan) -> Iterator[str]:
    """Masks are handed from stage to stage on the same axes."""
    for key, configuration in plan.configurations.items():
        first = plan.configurations.get(configuration.previous_stage or "")
        if first is None:
            continue
        for field in ("canonical_orientation", "transpose", "crop_to_nonzero"):
            own, theirs = getattr(configuration.preparation, field), getattr(first.preparation, field)
            if own != theirs:
                yield (
                    f"configurations.{key}.preparation.{field}: {_said(own)} must be {_said(theirs)}, "
                    f"as in {configuration.previous_stage}, whose masks it takes"
                )


def _numbers(plan: Plan, configuration: Configuration) -> Iterator[str]:
    for path in (*ABOVE_0, *NOT_BELOW_0):
        section, field = path.split(".")
        value = getattr(getattr(configuration, section), field, None)
        if value is None:
            continue
        if path in ABOVE_0 and value <= 0:
            yield f"{path}: {value} must be above 0"
        elif value < 0:
            yield f"{path}: {value} must not be below 0"
        elif path in AT_MOST_1 and value > 1:
            yield f"{path}: {value} must be at most 1"
        elif path in BELOW_1 and value >= 1:
            yield f"{path}: {value} must be below 1"


def _loss(plan: Plan, configuration: Configuration) -> Iterator[str]:
    training = configuration.training
    if training.dice_weight == 0 and training.cross_entropy_weight == 0:
        yield "training.dice_weight: one of dice_weight and cross_entropy_weight must be above 0"


def _augmentation(plan: Plan, configuration: Configuration) -> Iterator[str]:
    """Probabilities are parts of 1, ranges begin at their smaller end, and factors and zooms are above 0."""
    for name, part in configuration.augmentation:
        if not isinstance(part, Part):
            continue
        for field, value in part:
            path = f"augmentation.{name}.{field}"
            if field.endswith("probability") and not 0 <= value <= 1:
                yield f"{path}: {value} must be 0 to 1"
            elif isinstance(value, tuple) and value[0] > value[1]:
                yield f"{path}: {_said(value)} must begin with its smaller end"
            elif isinstance(value, tuple) and (value[0] < 0 or (field in ("factor", "zoom") and value[0] <= 0)):
                yield f"{path}: {_said(value)} must be above 0"
            elif field == "factor" and name != "scaling" and value[1] < 1:
                yield f"{path}: {_said(value)} must reach 1: half of the factors are drawn above it"
            elif (name, field) == ("blur", "sigma") and value[0] <= 0:
                yield f"{path}: {_said(value)} must be above 0"
            elif field == "zoom" and value[1] > 1:
                yield f"{path}: {_said(value)} must be at most 1"
            elif field == "largest_share" and not 0 <= value <= 1:
                yield f"{path}: {value} must be 0 to 1"
            elif name == "mirroring" and configuration.augmentation.backend != "torch" and value not in (0, 0.5):
                yield f"{path}: {value} must be 0 or 0.5 with this backend, which knows no other"
            elif field == "degrees" and not 0 <= value <= 180:
                yield f"{path}: {value} must be 0 to 180"


def _ranks(plan: Plan, configuration: Configuration) -> Iterator[str]:
    rank, axis = configuration.network.rank, configuration.slice_axis
    if rank > plan.rank:
        yield f"network.rank: {rank}, but the data have {plan.rank} axes"
    elif rank == plan.rank and axis is not None:
        yield f"slice_axis: {axis}, but the network has all {rank} axes of the data; set null"
    elif rank < plan.rank and (axis is None or not 0 <= axis < plan.rank):
        yield f"slice_axis: {_said(axis)} must be one of 0 .. {plan.rank - 1}: the network of {rank} axes runs along it"


def _channels(plan: Plan, configuration: Configuration) -> Iterator[str]:
    channels, found = ", ".join(plan.channels), configuration.network.in_channels
    needed = len(plan.channels)
    if configuration.previous_stage is None:
        if found != needed:
            yield f"network.in_channels: {found}, but the data have {needed} ({channels})"
        return
    needed += len(plan.targets)
    if found != needed:
        targets = ", ".join(target.name for target in plan.targets)
        yield (
            f"network.in_channels: {found}, but the second stage of a cascade sees {needed}: the data's ({channels}) and one mask of "
            f"{configuration.previous_stage} per structure ({targets})"
        )


def _outputs(plan: Plan, configuration: Configuration) -> Iterator[str]:
    needed, background = len(plan.targets) + (not plan.regions), "" if plan.regions else "background, "
    if configuration.network.out_channels != needed:
        names = ", ".join(target.name for target in plan.targets)
        yield f"network.out_channels: {configuration.network.out_channels}, but there are {needed} to tell apart ({background}{names})"


def _normalization(plan: Plan, configuration: Configuration) -> Iterator[str]:
    entries = configuration.preparation.normalization
    if len(entries) != len(plan.channels):
        yield f"preparation.normalization: {len(entries)} entries, but {len(plan.channels)} channels ({', '.join(plan.channels)})"
    for index, entry in enumerate(entries):
        if entry.scheme == "ct" and entry.lower >= entry.upper:
            yield f"preparation.normalization.{index}: lower {entry.lower:g} must be below upper {entry.upper:g}"
        if entry.scheme == "ct" and entry.std <= 0:
            yield f"preparation.normalization.{index}.std: {entry.std:g} must be above 0"


def _transpose(plan: Plan, configuration: Configuration) -> Iterator[str]:
    order = configuration.preparation.transpose
    if sorted(order) != list(range(plan.rank)):
        yield f"preparation.transpose: {_said(order)} must be an order of the axes {_said(tuple(range(plan.rank)))}"


def _orientation(plan: Plan, configuration: Configuration) -> Iterator[str]:
    if configuration.preparation.canonical_orientation and plan.rank == 2:
        yield "preparation.canonical_orientation: must be false, as 2D images have no anatomical orientation in their files"


def _spacing(plan: Plan, configuration: Configuration) -> Iterator[str]:
    spacing = configuration.preparation.spacing_mm
    if spacing is None:
        return
    if len(spacing) != plan.rank:
        yield f"preparation.spacing_mm: {_said(spacing)} must have {plan.rank} numbers, one per axis of the data"
    if any(value is not None and value <= 0 for value in spacing):
        yield f"preparation.spacing_mm: {_said(spacing)} must be above 0"


def _image_order(plan: Plan, configuration: Configuration) -> Iterator[str]:
    if configuration.preparation.image_order not in IMAGE_ORDERS:
        yield f"preparation.image_order: {configuration.preparation.image_order} must be 0 (nearest), 1 (linear) or 3 (cubic)"


def _label_order(plan: Plan, configuration: Configuration) -> Iterator[str]:
    if configuration.preparation.label_order not in LABEL_ORDERS:
        yield f"preparation.label_order: {configuration.preparation.label_order} must be 0 (nearest) or 1 (linear)"


def _stage_counts(plan: Plan, configuration: Configuration) -> Iterator[str]:
    network = configuration.network
    stages = {"features": len(network.features), "strides": len(network.strides), "kernel_sizes": len(network.kernel_sizes)}
    if not network.features or len(set(stages.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in stages.items())
        yield f"network: one entry per stage is needed, but there are {counts}; set them together"


def _encoder_blocks(plan: Plan, configuration: Configuration) -> Iterator[str]:
    yield from _block_faults(
        "encoder_blocks", configuration.network.encoder_blocks, len(configuration.network.features), "stages"
    )


def _decoder_convs(plan: Plan, configuration: Configuration) -> Iterator[str]:
    network = configuration.network
    yield from _block_faults("decoder_convs", network.decoder_convs, len(network.features) - 1, "stages but the deepest")


def _block_faults(name: str, blocks: Sequence[int], needed: int, of_what: str) -> Iterator[str]:
    if len(blocks) != needed:
        fitting = (*blocks, *[blocks[-1] if blocks else 2] * needed)[: max(needed, 0)]
        yield f"network.{name}: {len(blocks)} entries for {needed} {of_what}; set {_said(fitting)}, for example"
    if any(count < 1 for count in blocks):
        yield f"network.{name}: {_said(tuple(blocks))} must be at least 1 each"


def _features(plan: Plan, configuration: Configuration) -> Iterator[str]:
    if any(count < 1 for count in configuration.network.features):
        yield f"network.features: {_said(configuration.network.features)} must be above 0"


def _strides(plan: Plan, configuration: Configuration) -> Iterator[str]:
    network = configuration.network
    yield from _shape_faults("strides", network.strides, network.rank)
    if network.strides and any(step != 1 for step in network.strides[0]):
        yield f"network.strides: the first stage keeps the image's size, so its entry must be {_said((1,) * network.rank)}"


def _kernel_sizes(plan: Plan, configuration: Configuration) -> Iterator[str]:
    network = configuration.network
    yield from _shape_faults("kernel_sizes", network.kernel_sizes, network.rank)
    if any(k % 2 == 0 for shape in network.kernel_sizes for k in shape):
        yield "network.kernel_sizes: kernels must be odd"


def _shape_faults(name: str, shapes: Sequence[Shape], rank: int) -> Iterator[str]:
    if any(len(shape) != rank or min(shape) < 1 for shape in shapes):
        yield f"network.{name}: every entry needs {rank} positive numbers"


def _patch(plan: Plan, configuration: Configuration) -> Iterator[str]:
    network, patch = configuration.network, configuration.training.patch_size
    if len(patch) != network.rank:
        yield f"training.patch_size: {_said(patch)} must have {network.rank} axes, as the network has"
    elif not any(_shape_faults("strides", network.strides, network.rank)):
        divisor = network.divisor
        if any(n % d or n < d for n, d in zip(patch, divisor, strict=True)):
            yield (
                f"training.patch_size: {_said(patch)} is not a multiple of the network's strides "
                f"{_said(divisor)}; the nearest that is: {','.join(map(str, nearest_divisible(patch, divisor)))}"
            )


def _training_mirrors(plan: Plan, configuration: Configuration) -> Iterator[str]:
    yield from _mirror_faults("training", configuration.training.mirror_axes, configuration.network.rank)


def _inference_mirrors(plan: Plan, configuration: Configuration) -> Iterator[str]:
    yield from _mirror_faults("inference", configuration.inference.mirror_axes, configuration.network.rank)


def _mirror_faults(section: str, axes: Shape, rank: int) -> Iterator[str]:
    if any(not 0 <= axis < rank for axis in axes) or len(set(axes)) < len(axes):
        yield f"{section}.mirror_axes: {_said(axes)} must be different axes of 0 .. {rank - 1}"


def _median(plan: Plan, configuration: Configuration) -> Iterator[str]:
    if len(configuration.median_shape) != configuration.network.rank or min(configuration.median_shape) < 1:
        yield f"median_shape: {_said(configuration.median_shape)} must have {configuration.network.rank} positive numbers"


def nearest_divisible(patch_size: Shape, divisor: Shape) -> Shape:
    """The nearest size that the divisor divides, at least once."""
    return tuple(max(d, (n + d // 2) // d * d) for n, d in zip(patch_size, divisor, strict=True))


def _said(value: object) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_said, value)) or "an empty list"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


PLAN_CHECKS: tuple[Callable[[Plan], Iterator[str]], ...] = (_default, _names, _stages, _stages_agree)
CHECKS: tuple[Callable[[Plan, Configuration], Iterator[str]], ...] = (
    _numbers,
    _loss,
    _augmentation,
    _ranks,
    _transpose,
    _orientation,
    _spacing,
    _normalization,
    _image_order,
    _label_order,
    _channels,
    _outputs,
    _stage_counts,
    _features,
    _strides,
    _kernel_sizes,
    _encoder_blocks,
    _decoder_convs,
    _patch,
    _training_mirrors,
    _inference_mirrors,
    _median,
)
