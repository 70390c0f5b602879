"""Planning from files alone: nnU-Net's `dataset_fingerprint.json` and `dataset.json`, or our `fingerprint.json` and `dataset.json`.

And the plan as JSON, with nnU-Net's names of normalisation schemes and its order of axes.
"""

from __future__ import annotations

import json
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
from autoseg.stages.plan.frame import PlanOptions
from autoseg.stages.plan.inputs import PlanInputs, inputs_from
from autoseg.stages.plan.plan import plan_configurations
from autoseg.stages.plan.presets import Preset, load_preset

M = TypeVar("M", bound=BaseModel)
FOLDS = 5
SCHEME_NAMES = {
    "ct": "CTNormalization",
    "zscore": "ZScoreNormalization",
    "none": "NoNormalization",
    "rescale_to_0_1": "RescaleTo01Normalization",
    "rgb_to_0_1": "RGBTo01Normalization",
}
NO_INTENSITIES = Intensities(mean=0, median=0, std=1, min=0, max=0, percentile_00_5=0, percentile_99_5=0)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Length = Annotated[int, Field(ge=1)]
IGNORE = "ignore"


class NnunetFingerprint(BaseModel):
    """The parts of nnU-Net's `dataset_fingerprint.json` that planning reads; axes z, y, x (2D images: a first axis of 1)."""

    spacings: Annotated[list[tuple[Positive, Positive, Positive]], Field(min_length=1)]
    shapes_after_crop: Annotated[list[tuple[Length, Length, Length]], Field(min_length=1)]
    foreground_intensity_properties_per_channel: dict[str, Intensities] = {}
    median_relative_size_after_cropping: Annotated[float, Field(gt=0, le=1)]


class NnunetDataset(BaseModel):
    """The parts of nnU-Net's `dataset.json` that planning reads; `modality` is the name of `channel_names` in old files."""

    channel_names: dict[str, str] = {}
    modality: dict[str, str] = {}
    labels: Annotated[dict[str, int | list[int] | str], Field(min_length=1)]
    numTraining: Length  # noqa: N815  nnU-Net's key

    @property
    def channels(self) -> tuple[str, ...]:
        """Names in the order of the file, as nnU-Net takes them."""
        return tuple((self.channel_names or self.modality).values())


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
    facts, declared = _json(fingerprint), _json(dataset_json)
    ours = ("cases" in facts, "targets" in declared)
    if all(ours):
        dataset = Dataset.load(dataset_json)
        return plan_configurations(_inputs_of_ours(Fingerprint.load(fingerprint), dataset, preset), machine, options, preset)
    if any(ours):
        raise PlanError(
            f"{fingerprint} and {dataset_json} do not go together: one is of autoseg, the other of nnU-Net; give two of one kind"
        )
    if "spacings" not in facts or "labels" not in declared:
        wrong = fingerprint if "spacings" not in facts else dataset_json
        raise PlanError(
            f"{wrong} is neither nnU-Net's file nor ours; give dataset_fingerprint.json and dataset.json of nnU-Net, "
            "or fingerprint.json and dataset.json of a run"
        )
    return plan_configurations(inputs_of_nnunet(fingerprint, dataset_json, preset), machine, options, preset)


def as_json(configurations: dict[str, Configuration], preset: str) -> str:
    """A plan as JSON. Axes are in nnU-Net's order: those of the network, after `transpose_forward`."""
    first = next(iter(configurations.values()))
    entries = {name: _entry(configuration) for name, configuration in configurations.items()}
    whole = {"preset": preset, "transpose_forward": list(first.preparation.transpose), "configurations": entries}
    return json.dumps(whole, indent=1)


def _entry(configuration: Configuration) -> dict[str, Any]:
    network, training, preparation = configuration.network, configuration.training, configuration.preparation
    grid = preparation.spacing_mm
    entry: dict[str, Any] = {
        "patch_size": training.patch_size,
        "batch_size": training.batch_size,
        "spacing_mm": [1.0] * network.rank if grid is None else grid[-network.rank :],
        "median_shape": configuration.median_shape,
        "strides": network.strides,
        "kernel_sizes": network.kernel_sizes,
        "features": network.features,
        "n_stages": network.n_stages,
        "network": network.family,
        "encoder_blocks": network.encoder_blocks,
        "decoder_convs": network.decoder_convs,
        "batch_dice": training.batch_dice,
        "normalization": [SCHEME_NAMES[entry.scheme] for entry in preparation.normalization],
        "use_mask_for_norm": [entry.use_mask for entry in preparation.normalization],
        "epochs": training.epochs,
        "steps_per_epoch": training.steps_per_epoch,
    }
    stages = {"previous_stage": configuration.previous_stage, "next_stage": configuration.next_stage}
    return entry | {name: stage for name, stage in stages.items() if stage}


def _inputs_of_ours(fingerprint: Fingerprint, dataset: Dataset, preset: Preset) -> PlanInputs:
    cases = tuple(case.id for case in fingerprint.cases)
    validation = cases[: ceil(len(cases) / FOLDS)]
    splits = Splits(rule="every case, to plan for", seed=None, folds=(Fold(train=cases, validation=validation),))
    return inputs_from(dataset, fingerprint, splits, preset)


def inputs_of_nnunet(fingerprint: Path, dataset_json: Path, preset: Preset) -> PlanInputs:
    """The facts in nnU-Net's two files.

    2D images keep its first axis of length 1 for presets that plan as it does, and lose it for others.

    Raises:
        PlanError: with all faults.
    """
    found = _checked(NnunetFingerprint, _json(fingerprint), fingerprint)
    dataset = _checked(NnunetDataset, _json(dataset_json), dataset_json)
    faults = []
    if len(found.spacings) != len(found.shapes_after_crop):
        faults.append(f"{fingerprint}: {len(found.spacings)} spacings, but {len(found.shapes_after_crop)} shapes_after_crop")
    if not dataset.channels:
        faults.append(f'{dataset_json}: channel_names is missing; it names every channel, as in {{"0": "CT"}}')
    if faults:
        raise PlanError("\n".join(faults))
    images = all(shape[0] == 1 for shape in found.shapes_after_crop)
    rank = 2 if images and preset.physical_spacing_2d else 3
    regions = any(isinstance(value, list) and len(value) > 1 for value in dataset.labels.values())
    foreground = len(dataset.labels) - 1 - (IGNORE in dataset.labels)
    intensities = found.foreground_intensity_properties_per_channel
    return PlanInputs(
        rank=rank,
        spacings_mm=tuple(None if rank == 2 else spacing for spacing in found.spacings),
        shapes_after_crop=tuple(shape[-rank:] for shape in found.shapes_after_crop),
        n_training=dataset.numTraining,
        n_validation=ceil(dataset.numTraining / FOLDS),
        channels=dataset.channels,
        n_labels=len(dataset.labels),
        n_outputs=foreground + (not regions),
        relative_size_after_crop=found.median_relative_size_after_cropping,
        intensities=tuple(intensities.get(str(i), NO_INTENSITIES) for i in range(len(dataset.channels))),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PlanError(f"{path} does not exist") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise PlanError(f"{path} holds no JSON object, but a {type(found).__name__}")
    return found


def _checked(model: type[M], facts: dict[str, Any], path: Path) -> M:
    try:
        return model.model_validate(facts)
    except ValidationError as error:
        faults = [f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise PlanError("\n".join(faults[:20] + [f"... and {len(faults) - 20} more"] * (len(faults) > 20))) from error
