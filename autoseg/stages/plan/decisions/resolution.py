"""Why there is, or is not, a network at low resolution with a cascade; and what follows from how much a patch shows."""

from __future__ import annotations

from math import prod

from autoseg.records import Configuration, Decision
from autoseg.records.plan import Number
from autoseg.stages.plan.decisions.words import SOURCE, set_to
from autoseg.stages.plan.nnunet import LOWRES_WORTHWHILE
from autoseg.stages.plan.saying import decide
from autoseg.stages.plan.spacing import Extent

CASCADE = "nnU-Net's cascade, where a patch shows less than a quarter of the median image, and half its voxels would do" + SOURCE
BATCH_DICE = "nnU-Net's batch Dice: the Dice loss sums over the batch where a patch may lack a structure" + SOURCE


def low_resolution(fullres: Configuration, lowres: Extent | None, threshold: float, *, in_time: bool) -> Decision:
    """Why a network at a lower resolution, and a cascade, stand beside the full-resolution one, or do not.

    Args:
        fullres: the full-resolution network.
        lowres: the median image on the other one's grid; None where there is none.
        threshold: what a patch must show of the median image.
        in_time: whether networks were compared for a time, or nnU-Net's rule was followed.
    """
    shown = _shown(fullres)
    numbers: dict[str, Number] = {
        "patch": fullres.training.patch_size,
        "median": fullres.median_shape,
        "shown": min(1.0, shown),
        "threshold": threshold,
        "half": 1 / LOWRES_WORTHWHILE,
    }
    reason = "A patch, {patch}, shows {shown:%} of the median image, {median}"
    alternative = f"one on a coarser grid: {set_to(fullres, 'preparation.spacing_mm', '...')}"
    if lowres is not None:
        numbers["lowres"] = lowres
        reason += ", less than {threshold:%}: 3d_lowres sees more of it, on {lowres}, and a cascade refines its masks."
        alternative = "this one alone: --configuration 3d_fullres when training."
    elif shown >= threshold:
        reason += ": enough, as it is at least {threshold:%}."
    else:
        reason += ", less than {threshold:%}. " + (_NONE_IN_TIME if in_time else _NOT_WORTHWHILE)
    choice = "none" if lowres is None else "3d_lowres and a cascade"
    return decide("low resolution", choice, rule=CASCADE, reason=reason, numbers=numbers, alternative=alternative)


_NONE_IN_TIME = (
    "But of the grids that may be taken, none with at most {half:%} of its voxels lets a patch show as much in the memory and time "
    "there is."
)
_NOT_WORTHWHILE = (
    "But a grid that is only a little coarser shows as much already; it has more than {half:%} of the voxels, and is not worth a "
    "network of its own."
)


def cascade(fullres: Configuration, n_targets: int) -> Decision:
    """Why there is a second stage that refines low-resolution masks, which it sees as one more input channel per target."""
    return decide(
        "cascade",
        "3d_lowres, then this",
        rule=CASCADE,
        reason="A patch of 3d_fullres, {patch}, shows only {shown:%} of the median image, {median}; 3d_lowres sees more of it, and "
        "this network refines its masks at full resolution: it sees them beside the image, one channel more per structure "
        "({masks}). It learns from masks of cases that the first network had not seen, so all folds of 3d_lowres are trained before.",
        numbers={
            "patch": fullres.training.patch_size,
            "median": fullres.median_shape,
            "shown": _shown(fullres),
            "masks": n_targets,
        },
        alternative="one of them alone: --configuration 3d_fullres or 3d_lowres when training.",
    )


def batch_dice(configuration: Configuration, threshold: float) -> Decision:
    """Whether the Dice loss sums over the batch."""
    shown, value = _shown(configuration), configuration.training.batch_dice
    if configuration.network.rank == 2:
        reason = "Single slices and images often lack a structure, so the loss sums over the batch."
    elif not value and shown < threshold:
        reason = "A patch shows {shown:%} of the median image, but no coarser network is called for, so each sample has a loss of its own."
    elif value:
        reason = "A patch shows {shown:%} of the median image, less than {threshold:%}, and may lack a structure: the loss sums over the batch."
    else:
        reason = "A patch shows {shown:%} of the median image, at least {threshold:%}, so each sample has a loss of its own."
    return decide(
        "batch_dice",
        "over the batch" if value else "per sample",
        rule=BATCH_DICE,
        reason=reason,
        numbers={"shown": min(1.0, shown), "threshold": threshold, "other": "false" if value else "true"},
        alternative=f"the other: {set_to(configuration, 'training.batch_dice', '{other}')}.",
    )


def _shown(configuration: Configuration) -> float:
    """Part of the median image that a patch shows."""
    return prod(configuration.training.patch_size) / prod(configuration.median_shape)
