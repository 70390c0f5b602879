"""Which augmentation a configuration trains with: a preset from `plans/augmentation/`, and how far its patches are turned."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import NonNegativeFloat

from autoseg.errors import PlanError
from autoseg.records import AugmentationSpec, Part, Record, Shape
from autoseg.stages.plan.presets import shipped

ANISOTROPY = 3  # patches longer than this against their first axis are turned within their slices only
ELONGATED = 1.5
DEFAULT_AUGMENTATION = "default"


class Degrees(Part):
    """The largest angle by the kind of patch, as nnU-Net tells them apart."""

    plane: NonNegativeFloat
    elongated_plane: NonNegativeFloat  # its corners would leave the image
    volume: NonNegativeFloat


class AugmentationPreset(Record):
    """A named augmentation; the rotation's degrees are those of `degrees`, by the patch."""

    name: str
    summary: str
    degrees: Degrees
    augmentation: AugmentationSpec


def augmentation_names() -> tuple[str, ...]:
    """Names of the augmentations that ship with the package."""
    return tuple(sorted(file.stem for file in shipped("augmentation").glob("*.json")))


def augmentation_for(name: str, patch_size: Shape) -> AugmentationSpec:
    """The augmentation of this name for a patch.

    Raises:
        PlanError: there is no such augmentation.
    """
    refuse_unknown_augmentation(name)
    preset = _loaded(shipped("augmentation") / f"{name}.json")
    spec = preset.augmentation
    return spec.model_copy(update={"rotation": spec.rotation.model_copy(update={"degrees": largest_angle(preset, patch_size)})})


def refuse_unknown_augmentation(name: str) -> None:
    """An augmentation must be one that ships with the package.

    Raises:
        PlanError: it is not; the message lists those that are.
    """
    if name not in augmentation_names():
        raise PlanError(f"--augmentation {name}: there is no such augmentation; choose {', '.join(augmentation_names())}")


def summary_of(name: str) -> str:
    """What an augmentation says of itself."""
    return _loaded(shipped("augmentation") / f"{name}.json").summary


def mirrors(name: str) -> bool:
    """Whether patches are mirrored at all: a network that never saw a mirrored image is not to be asked about any."""
    return augmentation_for(name, (1, 1)).mirroring.probability > 0


def largest_angle(preset: AugmentationPreset, patch_size: Shape) -> float:
    """Degrees: in a plane (or within the slices of an anisotropic patch), in an elongated plane, or about each axis of a volume."""
    if len(patch_size) == 2:
        return preset.degrees.elongated_plane if max(patch_size) / min(patch_size) > ELONGATED else preset.degrees.plane
    return preset.degrees.plane if max(patch_size) / patch_size[0] > ANISOTROPY else preset.degrees.volume


@cache
def _loaded(path: Path) -> AugmentationPreset:
    return AugmentationPreset.load(path)
