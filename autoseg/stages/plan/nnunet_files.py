"""Planning from files alone: nnU-Net's `dataset_fingerprint.json` and `dataset.json`, or our `fingerprint.json` and `dataset.json`.

And the plan as JSON, with nnU-Net's names of normalisation schemes and its order of axes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from autoseg.errors import PlanError
from autoseg.records import (
    Configuration,
    Dataset,
    Fingerprint,
    Fold,
    Intensities,
    MachineProfile,
    Splits,
)
from autoseg.records.nnunet_names import DUMMY, SCHEME_NAMES
from autoseg.stages.plan.frame import PlanOptions
from autoseg.stages.plan.inputs import PlanInputs, inputs_from
from autoseg.stages.plan.normalization import scheme_of
from autoseg.stages.plan.plan import plan_configurations
from autoseg.stages.plan.presets import Preset, load_preset, preset_names

M = TypeVar("M", bound=BaseModel)
JsonObject = dict[str, Any]  # of a file, before it is checked
OURS, THEIRS = "autoseg", "nnU-Net"
FOLDS = 5
MOST_FAULTS = 20  # of a file that are listed
NO_INTENSITIES = Intensities(mean=0, median=0, std=1, min=0, max=0, percentile_00_5=0, percentile_99_5=0)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Length = Annotated[int, Field(ge=1)]
IGNORE = "ignore"
PIXELS = (DUMMY, 1.0, 1.0)  # what it notes for a PNG, TIFF or BMP, whose pixel size it does not know
OUR_FINGERPRINT, OUR_DATASET = {"cases"}, {"targets", "cases"}
THEIR_FINGERPRINT, THEIR_DATASET = {"spacings", "shapes_after_crop"}, {"labels", "channel_names", "modality"}


class NnunetFingerprint(BaseModel):
    """The parts of nnU-Net's `dataset_fingerprint.json` that planning reads; axes z, y, x (2D images: a first axis of 1)."""

    spacings: Annotated[list[tuple[Positive, Positive, Positive]], Field(min_length=1)]
    shapes_after_crop: Annotated[list[tuple[Length, Length, Length]], Field(min_length=1)]
    foreground_intensity_properties_per_channel: dict[str, dict[str, float]] = {}
    median_relative_size_after_cropping: Annotated[float, Field(gt=0, le=1)]

    @property
    def holds_images(self) -> bool:
        """Whether these are 2D images: one slice each, and 999 times thicker than wide, which stands for no thickness."""
        dummies = zip(self.spacings, self.shapes_after_crop, strict=True)
        return all(shape[0] == 1 and spacing[0] >= 0.99 * DUMMY * max(spacing[1:]) for spacing, shape in dummies)


class NnunetDataset(BaseModel):
    """The parts of nnU-Net's `dataset.json` that planning reads; `modality` is the name of `channel_names` in old files."""

    channel_names: dict[str, str] = {}
    modality: dict[str, str] = {}
    labels: Annotated[dict[str, int | list[int] | str], Field(min_length=1)]
    numTraining: Length

    @property
    def channels(self) -> tuple[str, ...]:
        """Names in the order of the file, as nnU-Net takes them."""
        return tuple((self.channel_names or self.modality).values())

    @property
    def n_outputs(self) -> int:
        """Channels that a network puts out: one per region, or one per exclusive label and one for the background."""
        regions = any(isinstance(value, list) and len(value) > 1 for value in self.labels.values())
        return len(self.labels) - (IGNORE in self.labels) - regions

    @property
    def n_targets(self) -> int:
        """Structures: all labels but the background and the ignore label."""
        return len(self.labels) - (IGNORE in self.labels) - 1


def plan_from_files(
    fingerprint: Path, dataset_json: Path, options: PlanOptions, machine: MachineProfile
) -> dict[str, Configuration]:
    """All configurations for the facts in two files, the default one first.

    Args:
        fingerprint: nnU-Net's `dataset_fingerprint.json`, or ours.
        dataset_json: nnU-Net's `dataset.json`, or ours; both files are of one kind.
        options: preset, limits, length.
        machine: to plan for; presets that plan as nnU-Net does disregard it.

    Raises:
        PlanError: a file is missing or of no known kind, or its facts cannot be used; all faults are listed.
    """
    preset = load_preset(options.preset)
    return plan_configurations(inputs_from_files(fingerprint, dataset_json, preset), machine, options, preset)


def inputs_from_files(fingerprint: Path, dataset_json: Path, preset: Preset) -> PlanInputs:
    """The facts in two files of nnU-Net, or two of ours.

    Raises:
        PlanError, RecordError: with all faults, each with its file and key.
    """
    keys = {fingerprint: (OUR_FINGERPRINT, THEIR_FINGERPRINT), dataset_json: (OUR_DATASET, THEIR_DATASET)}
    kinds = _of_all(keys, lambda path: _kind(path, *keys[path]))
    if len(set(kinds)) > 1:
        raise PlanError(
            f"{fingerprint} is {kinds[0]}'s, but {dataset_json} is {kinds[1]}'s; give two files of one kind and one data set"
        )
    return (inputs_of_nnunet if kinds[0] == THEIRS else _inputs_of_ours)(fingerprint, dataset_json, preset)


def as_json(configurations: dict[str, Configuration], preset: str) -> str:
    """A plan as JSON. Axes are in nnU-Net's order: those of the network, after `transpose_forward`.

    2D images count as volumes of one slice in `transpose_forward`, as in nnU-Net. `spacing_mm` is null where images keep their
    own pixels; presets that follow nnU-Net say 1 for each axis then, as it does.
    """
    first = next(iter(configurations.values()))
    order = first.preparation.transpose
    pixels_are_1 = preset in preset_names() and not load_preset(preset).physical_spacing_2d
    whole = {
        "preset": preset,
        "transpose_forward": order if len(order) == 3 else (0, 1, 2),
        "configurations": {name: _entry(found, pixels_are_1=pixels_are_1) for name, found in configurations.items()},
    }
    return json.dumps(whole, indent=1)


def _entry(configuration: Configuration, *, pixels_are_1: bool) -> JsonObject:
    network, training, preparation = configuration.network, configuration.training, configuration.preparation
    grid = None if preparation.spacing_mm is None else preparation.spacing_mm[-network.rank :]
    if grid is None and pixels_are_1:
        grid = (1.0,) * network.rank
    entry: JsonObject = {
        "patch_size": training.patch_size,
        "batch_size": training.batch_size,
        "spacing_mm": grid,
        "median_shape": configuration.median_shape,
        "strides": network.strides,
        "kernel_sizes": network.kernel_sizes,
        "features": network.features,
        "n_stages": network.n_stages,
        "network": network.family,
        "encoder_blocks": network.encoder_blocks,
        "decoder_convs": network.decoder_convs,
        "batch_dice": training.batch_dice,
        "normalization": [SCHEME_NAMES[channel.scheme] for channel in preparation.normalization],
        "use_mask_for_norm": [channel.use_mask for channel in preparation.normalization],
        "epochs": training.epochs,
        "steps_per_epoch": training.steps_per_epoch,
    }
    stages = {"previous_stage": configuration.previous_stage, "next_stage": configuration.next_stage}
    return entry | {name: stage for name, stage in stages.items() if stage}


def _inputs_of_ours(fingerprint: Path, dataset_json: Path, preset: Preset) -> PlanInputs:
    facts, dataset = Fingerprint.load(fingerprint), Dataset.load(dataset_json)
    strangers = sorted({case.id for case in facts.cases} - {case.id for case in dataset.cases})
    if strangers:
        raise PlanError(
            f"{fingerprint} is of another data set than {dataset_json}, which lacks {len(strangers)} of its cases ({strangers[0]})"
        )
    cases = tuple(case.id for case in facts.cases)
    validation = cases[: ceil(len(cases) / FOLDS)]
    splits = Splits(rule="every case, to plan for", seed=None, folds=(Fold(train=cases, validation=validation),))
    return inputs_from(dataset, facts, splits, preset)


def inputs_of_nnunet(fingerprint: Path, dataset_json: Path, preset: Preset) -> PlanInputs:
    """The facts in nnU-Net's two files.

    2D images keep its first axis of length 1 for presets that plan as it does, and lose it for others.

    Raises:
        PlanError: with all faults.
    """
    found = _checked(NnunetFingerprint, fingerprint)
    dataset = _checked(NnunetDataset, dataset_json)
    faults = [found] if isinstance(found, str) else []
    faults += [dataset] if isinstance(dataset, str) else []
    if not isinstance(found, str) and len(found.spacings) != len(found.shapes_after_crop):
        faults.append(f"{fingerprint}: {len(found.spacings)} spacings, but {len(found.shapes_after_crop)} shapes_after_crop")
    if not isinstance(dataset, str) and not dataset.channels:
        faults.append(f'{dataset_json}: channel_names is missing; it names every channel, as in {{"0": "CT"}}')
    if faults or isinstance(found, str) or isinstance(dataset, str):
        raise PlanError("\n".join(faults))
    images = preset.physical_spacing_2d and found.holds_images
    rank = 2 if images else 3
    return PlanInputs(
        rank=rank,
        spacings_mm=tuple(None if images and spacing == PIXELS else spacing[-rank:] for spacing in found.spacings),
        shapes_after_crop=tuple(shape[-rank:] for shape in found.shapes_after_crop),
        n_training=dataset.numTraining,
        n_validation=ceil(dataset.numTraining / FOLDS),
        channels=dataset.channels,
        n_labels=len(dataset.labels),
        n_outputs=dataset.n_outputs,
        n_targets=dataset.n_targets,
        relative_size_after_crop=found.median_relative_size_after_cropping,
        intensities=_intensities(found, dataset.channels, fingerprint),
    )


def _intensities(found: NnunetFingerprint, channels: tuple[str, ...], path: Path) -> tuple[Intensities, ...]:
    """Those of CT channels; others need none, and theirs may be undefined (without foreground they are NaN)."""
    result = []
    for index, channel in enumerate(channels):
        entry = found.foreground_intensity_properties_per_channel.get(str(index))
        try:
            result.append(Intensities.model_validate(entry) if entry and scheme_of(channel) == "ct" else NO_INTENSITIES)
        except ValidationError as error:
            raise PlanError(_faults(error, path, f"foreground_intensity_properties_per_channel.{index}.")) from error
    return tuple(result)


def _kind(path: Path, ours: set[str], theirs: set[str]) -> str:
    """Whose file it is, by its keys."""
    keys = _json(path).keys()
    if ours <= keys:
        return OURS
    if theirs & keys:
        return THEIRS
    raise PlanError(
        f"{path} is neither nnU-Net's (it has none of {', '.join(sorted(theirs))}) nor autoseg's (it lacks "
        f"{', '.join(sorted(ours - keys))}); give dataset_fingerprint.json and dataset.json of nnU-Net, or fingerprint.json and "
        "dataset.json of a run"
    )


def _of_all(paths: Iterable[Path], read: Callable[[Path], str]) -> list[str]:
    """What `read` makes of every file.

    Raises:
        PlanError: with the faults of all files.
    """
    found, faults = [], []
    for path in paths:
        try:
            found.append(read(path))
        except PlanError as error:
            faults.append(str(error))
    if faults:
        raise PlanError("\n".join(faults))
    return found


def _json(path: Path) -> JsonObject:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise PlanError(f"{path} holds no JSON object, but a {type(found).__name__}")
    return found


def _checked(model: type[M], path: Path) -> M | str:
    """The file's content, or its faults."""
    try:
        return model.model_validate(_json(path))
    except ValidationError as error:
        return _faults(error, path)


def _faults(error: ValidationError, path: Path, prefix: str = "") -> str:
    faults = [f"{path}: {prefix}{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    return "\n".join(faults[:MOST_FAULTS] + [f"... and {len(faults) - MOST_FAULTS} more"] * (len(faults) > MOST_FAULTS))
