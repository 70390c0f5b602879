"""Why training patches are varied as they are."""

from __future__ import annotations

from autoseg.records import Configuration, Decision
from autoseg.records.plan import Number
from autoseg.stages.plan.augmentation import ANISOTROPY, ELONGATED, augmentation_names, summary_of
from autoseg.stages.plan.decisions.words import SOURCE, set_to
from autoseg.stages.plan.saying import decide

USUAL = "nnU-Net's augmentation, whose strength is the same for all data" + SOURCE
ASKED = "the user's: --augmentation names a preset of ranges and probabilities"


def augmentation(configuration: Configuration, *, asked: bool) -> Decision:
    """How often patches are turned and scaled, how far, and why so.

    Args:
        configuration: with its augmentation and patch.
        asked: whether another one than the default was asked for.
    """
    spec, patch = configuration.augmentation, configuration.training.patch_size
    numbers: dict[str, Number] = {
        "name": spec.preset,
        "summary": summary_of(spec.preset),
        "turned": spec.rotation.probability,
        "degrees": spec.rotation.degrees,
        "scaled": spec.scaling.probability,
        "least": 1 / spec.scaling.factor[1],
        "most": 1 / spec.scaling.factor[0],
        "patch": patch,
        "longest": max(patch) / min(patch) if len(patch) == 2 else max(patch) / patch[0],
        "limit": ELONGATED if len(patch) == 2 else ANISOTROPY,
        "others": ", ".join(name for name in augmentation_names() if name != spec.preset),
    }
    if spec.rotation.probability or spec.scaling.probability:
        reason = (
            "{name} means {summary}. Of the patches {turned:%} are turned by up to {degrees} degrees"
            + _where(patch)
            + ", and {scaled:%} are scaled by {least:.2f} to {most:.2f}."
        )
    else:
        reason = "{name} means {summary}. No patch is turned or scaled."
    field = set_to(configuration, "augmentation.rotation.probability", "0.5")
    return decide(
        "augmentation",
        "{name}",
        rule=ASKED if asked else USUAL,
        reason=reason,
        numbers=numbers,
        alternative=f"--augmentation {{others}}, or any single value: {field}.",
    )


def _where(patch: tuple[int, ...]) -> str:
    """By which of nnU-Net's rules the angle is what it is; a template."""
    if len(patch) == 2:
        if max(patch) / min(patch) > ELONGATED:
            return " (a patch of {patch} is longer than {limit} times its width, and its corners would leave the image)"
        return " in the plane"
    if max(patch) / patch[0] > ANISOTROPY:
        return " within their slices (a patch of {patch} is more than {limit} times as long as it is thick)"
    return " about each axis"
