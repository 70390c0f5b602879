"""Specifications of which one part fires always, for tests."""

from __future__ import annotations

from autoseg.records import AugmentationSpec
from autoseg.stages.plan.augmentation import augmentation_for


def default(patch_size: tuple[int, ...] = (64, 64)) -> AugmentationSpec:
    """nnU-Net's."""
    return augmentation_for("default", patch_size)


def only(*parts: str, patch_size: tuple[int, ...] = (64, 64), preset: str = "default") -> AugmentationSpec:
    """These parts always, the others never."""
    spec = augmentation_for(preset, patch_size)
    names = [name for name in AugmentationSpec.model_fields if name not in ("preset", "backend")]
    changed = {name: getattr(spec, name).model_copy(update={"probability": float(name in parts)}) for name in names}
    for name in ("blur", "low_resolution"):
        changed[name] = changed[name].model_copy(update={"channel_probability": 1.0})
    return spec.model_copy(update=changed)
