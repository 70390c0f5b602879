"""A configuration of nnU-Net's `plans.json` as one of ours: grid, normalisation, patch.

What nnU-Net computes and we do not is a fault with its key, so that no model is applied in another way than it was trained.
The networks are read in `nnunet_network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import FiniteFloat

from autoseg.layouts.json_part import JsonObject, JsonPart, shown
from autoseg.layouts.nnunet_network import read_network
from autoseg.records import (
    AugmentationSpec,
    Configuration,
    InferenceSpec,
    Normalization,
    Preparation,
    Shape,
    Spacing,
    TrainingSpec,
)
from autoseg.records.nnunet_names import DUMMY, SCHEME_NAMES

PICTURES = "NaturalImage2DIO"  # reads PNG, TIFF and BMP, with pixels of size 1
READERS = ("SimpleITKIO", "NibabelIO", "Tiff3DIO", PICTURES)  # those that leave the axes of an image as they are
REORIENTING = ("NibabelIOWithReorient", "SimpleITKIOWithReorient")

RESAMPLING = "resample_data_or_seg_to_shape"
NO_RESAMPLING = "no_resampling_hack"
RESAMPLED = ("data", "seg", "probabilities")
IMAGE_ORDERS, LABEL_ORDERS = (0, 1, 3), (0, 1)
# what nnU-Net's function takes where plans say nothing
RESAMPLING_DEFAULTS = {
    "is_seg": False,
    "order": 3,
    "order_z": 0,
    "force_separate_z": False,
    "separate_z_anisotropy_threshold": 3,
}

EPOCHS, STEPS_PER_EPOCH, VALIDATION_STEPS = 1000, 250, 50  # of nnU-Net's default trainer
STEP_FRACTION = 0.5


@dataclass(frozen=True)
class ModelFrame:
    """What all configurations of a model share.

    Args:
        rank: axes of the images.
        pictures: whether they are pictures without a pixel size.
        transpose: order of the axes, as in `Preparation`; None where the plans do not tell.
        n_channels: of the images.
        n_targets: structures.
        regions: whether they overlap.
        plans: the whole of `plans.json`.
        augmentation: the augmentation of a patch, for the plan's record; prediction has no use for it.
    """

    rank: Literal[2, 3]
    pictures: bool
    transpose: tuple[int, ...] | None
    n_channels: int
    n_targets: int
    regions: bool
    plans: JsonPart
    augmentation: Callable[[Shape], AugmentationSpec]

    @property
    def n_outputs(self) -> int:
        """Channels that a network puts out."""
        return self.n_targets + (not self.regions)


@dataclass(frozen=True)
class ReadConfiguration:
    """A configuration, and whether its convolutions have a bias: it decides which weights a checkpoint holds."""

    configuration: Configuration
    conv_bias: bool


def read_rank(plans: JsonPart) -> tuple[Literal[2, 3], bool]:
    """Axes of the images that plans are for, and whether these are pictures without a pixel size.

    2D images of other formats have one slice in nnU-Net, 999 times as thick as its pixels.
    """
    reader = plans.take("image_reader_writer", str, "the name of a reader")
    if reader in REORIENTING:
        plans.fault("image_reader_writer", f"{reader} turns images to RAS before they are predicted, which is not supported here")
    elif reader is not None:
        plans.must_be("image_reader_writer", reader, READERS, "readers of your own are not supported here")
    if reader == PICTURES:
        return 2, True
    shape: tuple[float, ...] | None = plans.take("original_median_shape_after_transp", tuple[float, ...], "three numbers", ())
    spacing: tuple[float, ...] | None = plans.take("original_median_spacing_after_transp", tuple[float, ...], "three numbers", ())
    flat = shape and spacing and shape[0] == 1 and spacing[0] >= 0.99 * DUMMY * max(spacing[1:], default=0)
    return (2 if flat else 3), False


def read_transpose(plans: JsonPart, rank: int) -> tuple[int, ...] | None:
    """The order of axes; that of the last two for 2D images, whose first axis is a dummy. None where there is a fault."""
    order = plans.take("transpose_forward", tuple[int, ...], "an order of the axes 0, 1, 2")
    if order is None:
        return None
    if sorted(order) != [0, 1, 2]:
        plans.fault("transpose_forward", f"expected an order of the axes 0, 1, 2, found {shown(order)}")
        return None
    if rank == 3:
        return order
    plans.must_be("transpose_forward", order[0], [0], "the first axis of 2D images is a dummy and has to stay the first")
    return tuple(axis - 1 for axis in order[1:]) if order[0] == 0 else None


def resolved(configurations: JsonPart, name: str) -> JsonPart:
    """A configuration with what it inherits (`inherits_from`, over any number of generations); its own values go first."""
    content: JsonObject = {}
    seen: list[str] = []
    heir = name
    while True:
        if heir not in configurations.content:
            asks = f"{seen[-1]}.inherits_from" if seen else heir
            there = ", ".join(configurations.content) or "none"
            configurations.fault(asks, f"there is no configuration {heir}; there are: {there}")
            break
        if heir in seen:
            configurations.fault(f"{seen[-1]}.inherits_from", f"leads in a circle: {' -> '.join([*seen, heir])}")
            break
        seen.append(heir)
        own = configurations.part(heir, "the values of a configuration")
        content = {**own.content, **content}
        parent = own.take("inherits_from", str | None, "the name of a configuration", None)
        if parent is None:
            break
        heir = parent
    return JsonPart(content, configurations.file, f"{configurations.place}{name}.", configurations.faults)


def read_configuration(
    name: str, frame: ModelFrame, mirror_axes: tuple[int, ...], next_stage: str | None
) -> ReadConfiguration | None:
    """One configuration of `plans.json`; None where there are faults, which `frame.plans` then holds.

    Args:
        name: of the configuration, not necessarily one that the plans have.
        frame: what all configurations share.
        mirror_axes: of the patch, as the checkpoint says.
        next_stage: the cascade that takes its masks.
    """
    before = len(frame.plans.faults)
    part = resolved(frame.plans.part("configurations", "an object of configurations"), name)
    if not part.content:
        return None
    part.must_be("preprocessor_name", part.content.get("preprocessor_name"), ["DefaultPreprocessor"],
                 "images are prepared here as this one prepares them")  # fmt: skip
    previous = part.take("previous_stage", str | None, "the name of a configuration", None)
    patch = part.take("patch_size", Shape, "a list of whole numbers")
    batch = part.take("batch_size", int, "a whole number")
    batch_dice = part.take("batch_dice", bool, "true or false", False)
    median = part.take("median_image_size_in_voxels", tuple[float, ...], "a list of numbers", patch)
    rank = len(patch) if patch is not None else frame.rank
    normalization = _normalization(part, frame)
    spacing = part.take("spacing", Spacing, "a list of numbers in mm")
    grid = _grid(part, frame, spacing)
    image_order, label_order = _resampling(part, frame)
    if previous is not None:
        _check_cascade(part, frame, normalization)
    in_channels = frame.n_channels + (frame.n_targets if previous is not None else 0)
    network = read_network(part, rank, in_channels, frame.n_outputs)
    if patch is None or batch is None or median is None or network is None or frame.transpose is None:
        return None
    if len(frame.plans.faults) > before:
        return None
    configuration = Configuration(
        name=name,
        slice_axis=0 if rank < frame.rank else None,  # after transposition, as in nnU-Net
        previous_stage=previous,
        next_stage=next_stage,
        preparation=Preparation(
            canonical_orientation=False,
            transpose=frame.transpose,
            crop_to_nonzero=True,
            spacing_mm=grid,
            normalization=normalization,
            image_order=image_order,
            label_order=label_order,
        ),
        network=network.spec,
        training=TrainingSpec(
            patch_size=patch,
            batch_size=batch,
            epochs=EPOCHS,
            steps_per_epoch=STEPS_PER_EPOCH,
            validation_steps=VALIDATION_STEPS,
            batch_dice=bool(batch_dice),
            mirror_axes=mirror_axes,
        ),
        augmentation=frame.augmentation(patch),
        inference=InferenceSpec(step_fraction=STEP_FRACTION, mirror_axes=mirror_axes),
        median_shape=median[-rank:],
    )
    return ReadConfiguration(configuration, network.conv_bias)


def _normalization(part: JsonPart, frame: ModelFrame) -> tuple[Normalization, ...]:
    names = part.take("normalization_schemes", tuple[str, ...], "a list of names")
    masks = part.take("use_mask_for_norm", tuple[bool, ...], "a list of true and false")
    if names is None or masks is None:
        return ()
    for key, given in (("normalization_schemes", names), ("use_mask_for_norm", masks)):
        if len(given) != frame.n_channels:
            part.fault(key, f"{len(given)} entries for {frame.n_channels} channels")
    by_name = {theirs: ours for ours, theirs in SCHEME_NAMES.items()}
    found: list[Normalization] = []
    for index, (name, mask) in enumerate(zip(names, masks, strict=False)):
        if name not in by_name:
            part.fault("normalization_schemes", f"{name} is not supported; known are {', '.join(by_name)}")
        elif by_name[name] == "ct":
            found.append(_ct(frame.plans, index))
        else:
            found.append(Normalization(scheme=by_name[name], use_mask=mask and by_name[name] == "zscore"))
    return tuple(found)


def _ct(plans: JsonPart, channel: int) -> Normalization:
    """Percentiles, mean and deviation of a channel's foreground over the data set."""
    old, new = "foreground_intensity_properties_by_modality", "foreground_intensity_properties_per_channel"
    key = old if new not in plans.content and old in plans.content else new
    measured = plans.part(key, "an object by channel").part(str(channel), "what was measured on the channel")
    wanted = {"mean": "mean", "std": "std", "lower": "percentile_00_5", "upper": "percentile_99_5"}
    numbers: dict[str, float | None] = {
        ours: measured.take(theirs, FiniteFloat, "a finite number") for ours, theirs in wanted.items()
    }
    known = {name: number for name, number in numbers.items() if number is not None}
    return Normalization.model_validate({"scheme": "ct", **known})


def _grid(part: JsonPart, frame: ModelFrame, spacing: Spacing | None) -> tuple[float | None, ...] | None:
    """`Preparation.spacing_mm`: None for pictures and where nothing is resampled."""
    if spacing is None:
        return None
    if frame.pictures:
        part.must_be("spacing", list(spacing), [[1.0, 1.0]], "pictures have no other pixel size in nnU-Net")
        return None
    if {part.content.get(f"resampling_fn_{what}") for what in RESAMPLED} == {NO_RESAMPLING}:
        return None
    if not 0 <= frame.rank - len(spacing) <= 1:
        part.fault("spacing", f"{len(spacing)} numbers for images of {frame.rank} axes")
    return (*(None,) * (frame.rank - len(spacing)), *spacing)  # a 2D network leaves the slices as they are


def _resampling(part: JsonPart, frame: ModelFrame) -> tuple[int, int]:
    """The orders of interpolation for images and labels; pictures are never resampled, so theirs do not matter."""
    names = {part.content.get(f"resampling_fn_{what}") for what in RESAMPLED}
    if frame.pictures or names == {NO_RESAMPLING}:
        return IMAGE_ORDERS[-1], LABEL_ORDERS[-1]
    for what in RESAMPLED:
        name = part.take(f"resampling_fn_{what}", str, f'"{RESAMPLING}"')
        if name is not None:
            part.must_be(f"resampling_fn_{what}", name, [RESAMPLING], "other ways to resample are not supported here")
    image = _order(part, "data", {"is_seg": (False,), "order": IMAGE_ORDERS})
    label = _order(part, "seg", {"is_seg": (True,), "order": LABEL_ORDERS})
    _order(part, "probabilities", {"is_seg": (False,), "order": (1,)})
    return image, label


def _order(part: JsonPart, what: str, allowed: Mapping[str, tuple[object, ...]]) -> int:
    """The order of one of the functions; values that are computed otherwise here are faults, absent ones are nnU-Net's."""
    given = part.part(f"resampling_fn_{what}_kwargs", "the function's arguments")
    for key in given.content.keys() - RESAMPLING_DEFAULTS.keys():
        given.fault(key, "is not known here")
    values = {**RESAMPLING_DEFAULTS, **given.content}
    rules = {
        **allowed,
        "order_z": (0,),
        "force_separate_z": (None,),
        "separate_z_anisotropy_threshold": (3,),
    }
    why = {
        "order_z": "the coarse axis is resampled to the nearest slice here",
        "force_separate_z": "the coarse axis is resampled apart here where spacings differ by more than a factor 3",
    }
    for key, values_allowed in rules.items():
        given.must_be(key, values[key], values_allowed, why.get(key, "nothing else is supported here"))
    return values["order"] if values["order"] in allowed["order"] else int(allowed["order"][-1])  # type: ignore[call-overload]


def _check_cascade(part: JsonPart, frame: ModelFrame, normalization: tuple[Normalization, ...]) -> None:
    if frame.regions:
        part.fault(
            "previous_stage", "a cascade of regions is not supported; nnU-Net hands on labels there, and masks hold regions here"
        )
    if any(scheme.use_mask for scheme in normalization):
        sentence = (
            "must be false in a cascade: nnU-Net counts what the first stage found to the mask, which is not supported here"
        )
        part.fault("use_mask_for_norm", sentence)
