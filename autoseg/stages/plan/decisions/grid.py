"""Why images are turned, resampled and normalised as they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from autoseg.records import Decision, Normalization, Spacing
from autoseg.records.plan import Number
from autoseg.stages.plan.budget import Candidate, Task, allowed_coarsenings, loss_terms
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.normalization import MASK_BELOW
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import Clause, decide
from autoseg.stages.plan.spacing import ANISOTROPY, FINE_PERCENTILE, LOWRES_STEP, Extent

ORIENTATION = (
    "ours: volumes are turned to one orientation, as files of one data set may store their axes differently; "
    "nnU-Net takes axes as files have them"
)
SPACING = "nnU-Net's target spacing: per axis the median over the cases"
COARSE_AXIS = (
    f"; an axis over {ANISOTROPY} times coarser and shorter than the others takes the {FINE_PERCENTILE}th percentile instead"
)
COARSENING = "; ours: coarser where time is short, as long as the thinnest structure keeps its pixels"
LOWRES_IN_TIME = "; for a low-resolution network so coarse that a patch shows enough of the image, with at most half its voxels"
FULL_RESOLUTION = "full resolution: --configuration 3d_fullres when training."
LOWRES = f"; for a low-resolution network coarser by {LOWRES_STEP - 1:.0%} at a time until a patch shows enough of the image"
TAKEN_OVER = "ours: a plan that is made from another run takes over its network, patch and grid, so that its weights fit"
UNKNOWN = "ours: a size in mm is known or unknown, never assumed; images of unknown size keep their own pixels"
TRANSPOSITION = "nnU-Net's transposition: the axis with the coarsest spacing goes first, a 2D network then sees the sharp slices"
NORMALIZATION = (
    "nnU-Net's normalisation, by the name of the channel: CT by the foreground of the whole data set, most others by mean and "
    f"standard deviation of each image, without the zeros around it where cropping leaves less than {MASK_BELOW:.0%}"
)
SOURCE = " (Isensee et al. 2021)"
SAID_SCHEMES = {
    "zscore": "minus the mean of each image, divided by its standard deviation",
    "none": "left as it is",
    "rescale_to_0_1": "each image is stretched to 0 .. 1",
    "rgb_to_0_1": "divided by 255",
}


def orientation(inputs: PlanInputs, preset: Preset) -> Decision:
    """Whether volumes are turned to one orientation."""
    if inputs.rank == 2:
        return decide(
            "orientation",
            "as stored",
            rule=ORIENTATION,
            reason="Files of 2D images do not say how the patient lay, so nothing is turned.",
            numbers={},
            alternative="none; only volumes can be turned.",
        )
    numbers: dict[str, Number] = {
        "preset": preset.name,
        "oriented": inputs.oriented,
        "turned": inputs.turned,
        "cases": inputs.n_training,
    }
    if not preset.canonical_orientation:
        return decide(
            "orientation",
            "as stored",
            rule="nnU-Net takes axes as files have them" + SOURCE,
            reason="Preset {preset} takes the axes of volumes as their files have them.",
            numbers=numbers,
            alternative="one orientation for all: --preset default.",
        )
    return decide(
        "orientation",
        "LPS",
        rule=ORIENTATION,
        reason="{oriented} of {cases:#volume} are stored in another orientation"
        + (", {turned} of them with axes in another order" if inputs.turned else "")
        + "; all are brought to LPS (left, posterior, superior), and masks are turned back."
        if inputs.oriented
        else "All of the {cases:#volume} are in the orientation LPS (left, posterior, superior) or do not say which; "
        "new images will be brought to it, too.",
        numbers=numbers,
        alternative="axes as stored: a preset file with canonical_orientation false, as nnunet has.",
    )


def spacing(
    inputs: PlanInputs,
    target: Spacing,
    coarse_axis_rule: bool,
    grid: tuple[float | None, ...] | None,
    why: Clause | None,
    preset: Preset,
) -> Decision:
    """The network's grid.

    Args:
        inputs: axes transposed.
        target: of the data set.
        coarse_axis_rule: whether nnU-Net's rule for a coarse axis applied to it.
        grid: the one chosen; None for an axis that is left as it is, or for all.
        why: `grid` is, or is not, another than `target`; None where it can only be the same.
        preset: by its rule images may count in pixels.
    """
    known = inputs.known_spacings
    if grid is None or not known:
        return _own_pixels(inputs, preset)
    finest, coarsest = (tuple(pick(s[axis] for s in known) for axis in range(inputs.rank)) for pick in (min, max))
    element = "pixel" if inputs.rank == 2 else "voxel"
    numbers: dict[str, Number] = {
        "finest": finest,
        "coarsest": coarsest,
        "target": target,
        "grid": grid,
        "twice": tuple(None if value is None else 2 * value for value in grid),
        "cases": len(known),
        "unknown": len(inputs.spacings_mm) - len(known),
    }
    if finest != coarsest:
        reason = f"Images vary from {{finest:mm}} to {{coarsest:mm}} a {element}; all are brought to {{grid:mm}}"
    elif _said(finest, grid) == _said(grid, grid):
        reason = f"All images have {{grid:mm}} a {element} and keep it"
    else:
        reason = f"All images have {{finest:mm}} a {element} and are brought to {{grid:mm}}"
    if why is not None:
        numbers |= why.numbers
    if _said(target, grid) != _said(grid, grid):
        reason += why.text if why else "."
    else:
        if coarse_axis_rule and None not in grid:
            reason += f", the median, but along the coarsest axis the {FINE_PERCENTILE}th percentile"
        elif finest != coarsest:
            reason += ", the median"
        reason += f". {why.text}" if why and not why.text.startswith(",") else "."
    if None in grid:
        reason += " The distance between slices stays as it is."
    if numbers["unknown"]:
        reason += " Left as stored: {unknown:#case} whose size in mm is not known."
    return decide(
        "spacing",
        "{grid:mm}",
        rule=SPACING + (COARSE_AXIS if inputs.rank == 3 else "") + (why.rule if why else "") + SOURCE,
        reason=reason,
        numbers=numbers,
        alternative=(why and why.alternative) or "any other, such as twice as coarse: --set preparation.spacing_mm={twice:list}.",
    )


def coarsening(task: Task, chosen: Candidate) -> Clause:
    """Why the grid is coarser than the target spacing (going on from "brought to so many mm"), or a sentence why it is not."""
    allowed, thickness = allowed_coarsenings(task), task.inputs.thickness
    fine = task.spacing[-task.rank :]
    numbers: dict[str, Number] = {
        "coarsening": chosen.coarsening,
        "steps": chosen.steps,
        "budget": task.seconds,
        "share": task.least_share,
        "most": allowed[-1],
        "thinnest": task.inputs.thinnest,
        "kept": task.rule.thickness_pixels,
        "loss": loss_terms(task, chosen)["grid"],
    }
    if thickness is not None:
        numbers |= {"thick": thickness / min(fine), "left": thickness / (chosen.coarsening * min(fine))}
    if chosen.coarsening > 1:
        by = ", {coarsening:g} times coarser"
        if max(fine) / min(fine) < 1.01 and len(set(task.inputs.known_spacings)) > 1:
            by = ", {coarsening:g} times the median"
        if task.least_share:
            text = by + ": only then a patch can show {share:%} of the median image."
            return Clause(text, numbers, LOWRES_IN_TIME, FULL_RESOLUTION)
        text = by + ", because {steps:#step} then fit into {budget:time}."
        if thickness is not None:
            text += (
                " The thinnest structure, {thinnest}, keeps {left:.1f} of its {thick:.1f} pixels ({kept:g} are the least), "
                "which is expected to cost {loss:.3f} of Dice."
            )
        alternative = "{target:mm}, the median: a longer --time-budget, or --set preparation.spacing_mm={target:list}."
        return Clause(text, numbers, COARSENING, alternative)
    if len(allowed) > 1:
        text = "Coarser grids, up to {most:g} times, promise less in {budget:time}."
    elif thickness is not None and task.may_coarsen:
        text = "None may be coarser: the thinnest structure, {thinnest}, is {thick:.1f} pixels thick and has to keep {kept:g}."
    else:
        text = "No coarser grid is allowed."
    return Clause(text, numbers, COARSENING)


def lowres_grid(patch: Sequence[int], median: Extent, threshold: float) -> Clause:
    """Why the grid of a low-resolution network is coarser; goes on from "brought to so many mm"."""
    return Clause(
        ", so coarse that a patch of {patch} shows {shown:%} of the median image, at least {threshold:%}.",
        {"patch": tuple(patch), "shown": prod(patch) / prod(median), "threshold": threshold},
        LOWRES,
        FULL_RESOLUTION,
    )


def grid_of_other_run() -> Clause:
    """The grid that comes with a network that is taken over."""
    return Clause(
        ", the grid of the run that this plan was made from.",
        rule=f"; {TAKEN_OVER}",
        alternative="{target:mm}, the median here: plan without --plan-from.",
    )


def _own_pixels(inputs: PlanInputs, preset: Preset) -> Decision:
    by_preset = inputs.rank == 2 and not preset.physical_spacing_2d
    reason = (
        "Preset {preset} counts 2D images in pixels, whatever their size in mm."
        if by_preset
        else "None of the {cases:#image} has a known size in mm, so all keep their own pixels."
    )
    return decide(
        "spacing",
        "not resampled",
        rule="nnU-Net gives 2D images a spacing of 1" + SOURCE if by_preset else UNKNOWN,
        reason=reason,
        numbers={"preset": preset.name, "cases": inputs.n_training},
        alternative="one size in mm for all: --preset default." if by_preset else "a table of pixel sizes: --spacing FILE.",
    )


def transpose(target: Spacing, order: tuple[int, ...]) -> Decision:
    """The axis order. `target` is given before transposition."""
    if len(target) == 2:
        return decide(
            "transpose",
            "0, 1",
            rule=TRANSPOSITION + SOURCE,
            reason="2D images have no slice axis, so axes stay in their order.",
            numbers={},
            alternative="none that changes anything.",
        )
    first = order[0]
    numbers: dict[str, Number] = {"order": order, "first": first, "target": target, "coarsest": target[first]}
    reason = "Axis {first} has the coarsest spacing, {coarsest:mm} of {target:mm}, and goes first."
    if max(target) / min(target) < 1.0001:
        reason = "All axes have the same spacing, {target:mm}, so they stay in their order."
    elif first == 0:
        reason = "Axis {first} has the coarsest spacing, {coarsest:mm} of {target:mm}, and is the first already."
    return decide(
        "transpose",
        "{order:list}",
        rule=TRANSPOSITION + SOURCE,
        reason=reason,
        numbers=numbers,
        alternative="another order, with grid, patch, strides and kernels to match: preparation.transpose in plan.json.",
    )


def normalization(inputs: PlanInputs, schemes: Sequence[Normalization]) -> Decision:
    """Per channel, by name."""
    numbers: dict[str, Number] = {"left": inputs.relative_size_after_crop, "limit": MASK_BELOW}
    choices, sentences = [], []
    for index, (channel, scheme) in enumerate(zip(inputs.channels, schemes, strict=True)):
        keys = {name: f"{name}_{index}" for name in ("channel", "scheme", "lower", "upper", "mean", "std")}
        numbers |= {keys["channel"]: channel, keys["scheme"]: scheme.scheme}
        choices.append(f"{{{keys['channel']}}}: {{{keys['scheme']}}}{' in the mask' if scheme.use_mask else ''}")
        said = SAID_SCHEMES.get(scheme.scheme, "")
        if scheme.scheme == "ct":
            numbers |= {keys[name]: float(getattr(scheme, name)) for name in ("lower", "upper", "mean", "std")}
            said = (
                f"clipped to {{{keys['lower']}}} .. {{{keys['upper']}}}, the middle 99 % of the foreground of all cases, "
                f"minus its mean {{{keys['mean']}}}, divided by its standard deviation {{{keys['std']}}}"
            )
        sentences.append(f"{{{keys['channel']}}}: {said}.")
    masked = any(scheme.use_mask for scheme in schemes)
    sentences.append(
        "Cropping to what is not zero leaves {left:%} of the median image, "
        + ("less than {limit:%}: the zeros around it do not count." if masked else "so zeros count like any value.")
        if masked or inputs.relative_size_after_crop >= MASK_BELOW
        else "Cropping to what is not zero leaves {left:%} of the median image, which changes nothing here."
    )
    return decide(
        "normalization",
        "; ".join(choices),
        rule=NORMALIZATION + SOURCE,
        reason=" ".join(sentences),
        numbers=numbers,
        alternative="by the channel's name in dataset.json: CT, zscore, rescale_to_0_1, rgb_to_0_1 or noNorm; "
        "or preparation.normalization in plan.json.",
    )


def _said(spacing: Sequence[float | None], like: Sequence[float | None]) -> tuple[str, ...]:
    """As it will be read, without the axes that are left as they are."""
    return tuple(f"{value:.4g}" for value, other in zip(spacing, like, strict=True) if other is not None)
