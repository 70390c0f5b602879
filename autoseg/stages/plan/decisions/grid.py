"""Why images are resampled as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isclose, prod

import numpy as np

from autoseg.records import Configuration, Decision, Spacing
from autoseg.records.plan import Number
from autoseg.stages.plan.budget import Candidate, Task, allowed_coarsenings, loss_terms
from autoseg.stages.plan.decisions.words import SOURCE, TAKEN_OVER, WITHOUT_SOURCE, set_to
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import Clause, decide
from autoseg.stages.plan.spacing import ANISOTROPY, FINE_PERCENTILE, LOWRES_STEP, Extent

SPACING = "nnU-Net's target spacing: per axis the median over the cases"
COARSE_AXIS = (
    f"; an axis over {ANISOTROPY} times coarser and shorter than the others takes the {FINE_PERCENTILE}th percentile instead, "
    "but is made no finer than they are"
)
COARSENING = "; ours: coarser where time is short, as long as the thinnest structure keeps its pixels"
LOWRES_IN_TIME = "; for a low-resolution network so coarse that a patch shows enough of the image, with at most half its voxels"
FULL_RESOLUTION = "full resolution: --configuration 3d_fullres when training."
LOWRES = f"; for a low-resolution network coarser by {LOWRES_STEP - 1:.0%} at a time until a patch shows enough of the image"
UNKNOWN = "ours: a size in mm is known or unknown, never assumed; images of unknown size keep their own pixels"
GRID = "preparation.spacing_mm"

Grid = tuple[float | None, ...]  # None for an axis that is left as it is


def spacing(
    inputs: PlanInputs,
    target: Spacing,
    coarse_axis_rule: bool,
    configuration: Configuration,
    why: Clause | None,
    preset: Preset,
) -> Decision:
    """The network's grid.

    Args:
        inputs: axes transposed.
        target: of the data set.
        coarse_axis_rule: whether nnU-Net's rule for a coarse axis applied to it.
        configuration: with the grid that was chosen.
        why: it is, or is not, another than `target`; None where it can only be the same.
        preset: by its rule images may count in pixels.
    """
    grid, known = configuration.preparation.spacing_mm, inputs.known_spacings
    if grid is None or not known:
        return _own_pixels(inputs, preset)
    moved = _said(target, grid) != _said(grid, grid)
    reason, numbers = _brought(inputs, grid)
    numbers |= {"target": _masked(target, grid), "twice": tuple(None if value is None else 2 * value for value in grid)}
    numbers |= why.numbers if why else {}
    if moved:
        reason += why.text if why else "."
    else:
        reason += _as_target(inputs, target, grid, coarse_axis_rule)
        reason += f". {why.text}" if why and not why.text.startswith(",") else "."
    if None in grid:
        reason += " The distance between slices stays as it is."
    if numbers["unknown"]:
        reason += " Left as stored: {unknown:#case} whose size in mm is not known."
    other = f"any other, such as twice as coarse: {set_to(configuration, GRID, '{twice:list}')}."
    return decide(
        "spacing",
        "{grid:mm}",
        rule=SPACING + (COARSE_AXIS if inputs.rank == 3 else "") + (why.rule if why else "") + SOURCE,
        reason=reason,
        numbers=numbers,
        alternative=why.alternative if why and why.alternative and moved else other,
    )


def _brought(inputs: PlanInputs, grid: Grid) -> tuple[str, dict[str, Number]]:
    """What spacings there are and what becomes of them; the sentence goes on."""
    known, element = inputs.known_spacings, "pixel" if inputs.rank == 2 else "voxel"
    finest, coarsest = (tuple(pick(s[axis] for s in known) for axis in range(inputs.rank)) for pick in (min, max))
    numbers: dict[str, Number] = {
        "finest": finest,
        "coarsest": coarsest,
        "grid": grid,
        "unknown": len(inputs.spacings_mm) - len(known),
    }
    if finest != coarsest:
        return f"Images vary from {{finest:mm}} to {{coarsest:mm}} a {element}; all are brought to {{grid:mm}}", numbers
    if _said(finest, grid) == _said(grid, grid):
        return f"All images have {{grid:mm}} a {element} and keep it", numbers
    return f"All images have {{finest:mm}} a {element} and are brought to {{grid:mm}}", numbers


def _as_target(inputs: PlanInputs, target: Spacing, grid: Grid, coarse_axis_rule: bool) -> str:
    """What the target spacing is, going on from "brought to so many mm"; nothing where all images have it."""
    if len(set(inputs.known_spacings)) == 1:
        return ""
    axes = [axis for axis, value in enumerate(grid) if value is not None]
    other = [axis for axis, same in zip(axes, _are_median(inputs, target, axes), strict=True) if not same]
    if not coarse_axis_rule or not other:
        return ", the median"
    fine = np.percentile([spacing[other[0]] for spacing in inputs.known_spacings], FINE_PERCENTILE)
    if isclose(target[other[0]], fine):
        return f", the median, but along the coarsest axis the {FINE_PERCENTILE}th percentile"
    return f", the median, but along the coarsest axis that of the next coarsest, as the {FINE_PERCENTILE}th percentile is finer still"


def _are_median(inputs: PlanInputs, target: Spacing, axes: Sequence[int]) -> list[bool]:
    """Whether the target spacing along each of these axes is the median."""
    median = np.median(inputs.known_spacings, axis=0)
    return [isclose(target[axis], median[axis]) for axis in axes]


def coarsening(task: Task, chosen: Candidate, configuration: Configuration) -> Clause:
    """Why the grid is coarser than the target spacing (going on from "brought to so many mm"), or a sentence why it is not."""
    allowed, thickness = allowed_coarsenings(task), task.inputs.thickness
    asked = "" if task.must_fit else ", for which the network is sized, whatever --epochs says"
    if chosen.coarsening > 1:
        return _low_resolution(task, chosen) if task.least_share else _coarser(task, chosen, configuration, asked)
    if len(allowed) > 1:
        text = "Coarser grids, up to {most:g} times, promise less in {budget:time}" + asked + "."
    elif thickness is not None:
        text = "None may be coarser: the thinnest structure, {thinnest}, is {thick:.1f} pixels thick and has to keep {kept:g}."
    else:
        text = "None may be coarser, as it is not known how thick the structures are."
    return Clause(text, {"most": allowed[-1], **_coarsening_numbers(task, chosen)}, COARSENING)


def _low_resolution(task: Task, chosen: Candidate) -> Clause:
    text = _times(task) + ": only then a patch can show {share:%} of the median image."
    return Clause(text, _coarsening_numbers(task, chosen), LOWRES_IN_TIME, FULL_RESOLUTION)


def _coarser(task: Task, chosen: Candidate, configuration: Configuration, asked: str) -> Clause:
    because = ", because {steps:#step then fits/steps then fit} into {budget:time}"
    if not chosen.steps:
        because = ", because a step then takes the least time; none fits into {budget:time}"
    text = _times(task) + because + asked + "."
    if task.inputs.thickness is not None:
        text += (
            " The thinnest structure, {thinnest}, keeps {left:.1f} of its {thick:.1f} pixels ({kept:g} are the least), "
            "which is expected to cost {loss:.3f} of Dice."
        )
    longer = "a longer --time-budget" + ("" if task.must_fit else " in place of --epochs")
    alternative = f"{{target:mm}}, not coarsened: {longer}, or {set_to(configuration, GRID, '{target:list}')}."
    return Clause(text, _coarsening_numbers(task, chosen), COARSENING, alternative)


def _times(task: Task) -> str:
    axes = range(len(task.spacing) - task.rank, len(task.spacing))
    fine = [task.spacing[axis] for axis in axes]
    alike = max(fine) / min(fine) < 1.01 and all(_are_median(task.inputs, task.spacing, axes))
    if alike and len(set(task.inputs.known_spacings)) > 1:
        return ", {coarsening:g} times the median"
    return ", {coarsening:g} times coarser"


def _coarsening_numbers(task: Task, chosen: Candidate) -> dict[str, Number]:
    fine, thickness = min(task.spacing[-task.rank :]), task.inputs.thickness
    counted = replace(chosen, steps=max(1, chosen.steps))  # what the grid costs does not depend on the steps
    numbers: dict[str, Number] = {
        "coarsening": chosen.coarsening,
        "steps": chosen.steps,
        "budget": task.seconds,
        "share": task.least_share,
        "thinnest": task.inputs.thinnest,
        "kept": task.rule.thickness_pixels,
        "loss": loss_terms(task, counted)["grid"],
    }
    if thickness is not None:
        numbers |= {"thick": thickness / fine, "left": thickness / (chosen.coarsening * fine)}
    return numbers


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
        alternative=f"{{target:mm}}, as the rules have it for these data: {WITHOUT_SOURCE}.",
    )


def _own_pixels(inputs: PlanInputs, preset: Preset) -> Decision:
    by_preset = inputs.rank == 2 and not preset.physical_spacing_2d
    if by_preset:
        reason = "Preset {preset} counts 2D images in pixels, whatever their size in mm."
    elif inputs.n_training == 1:
        reason = "The image has no known size in mm, so it keeps its own pixels."
    else:
        reason = "None of the {cases:#image} has a known size in mm, so all keep their own pixels."
    return decide(
        "spacing",
        "not resampled",
        rule="nnU-Net gives 2D images a spacing of 1" + SOURCE if by_preset else UNKNOWN,
        reason=reason,
        numbers={"preset": preset.name, "cases": inputs.n_training},
        alternative="one size in mm for all: --preset default." if by_preset else "a table of pixel sizes: --spacing FILE.",
    )


def _masked(spacing: Spacing, grid: Grid) -> Grid:
    """Without the axes that the grid leaves as they are."""
    return tuple(None if wanted is None else value for value, wanted in zip(spacing, grid, strict=True))


def _said(spacing: Sequence[float | None], like: Grid) -> tuple[str, ...]:
    """As it will be read, without the axes that are left as they are."""
    return tuple(f"{value:.4g}" for value, other in zip(spacing, like, strict=True) if other is not None)
