"""What is done to a mask after the networks: largest components, filled holes, no specks, ellipses. Which of it helps, `select` finds out.

All of it works on winners (see `export`), on the image's own grid. Components hang together by faces, edges and corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.ndimage import binary_fill_holes, generate_binary_structure, label

from autoseg.inference.export import painted_targets
from autoseg.metrics.biometry import head_ellipse_mm
from autoseg.metrics.structures import painted_memberships
from autoseg.metrics.surface import bounding_box
from autoseg.records import PostprocessingStep, Structure
from autoseg.volume.ellipse import fill_ellipse


@dataclass(frozen=True)
class Painting:
    """What winners mean: `inside` are those that belong to a target, `winner` paints it, `beneath` shows where it is taken away."""

    inside: frozenset[int]
    winner: int
    beneath: int


def paintings(targets: Sequence[Structure], regions: bool) -> dict[str, Painting]:
    """By target. A region shows wherever it, or a region that lies within it, is painted; beneath it lies the smallest one around it."""
    painted = painted_targets(targets, regions)
    if not regions:
        return {target.name: Painting(frozenset({winner}), winner, 0) for winner, target in painted}
    seen = painted_memberships(targets)
    found = {}
    for place, (winner, target) in enumerate(painted):
        values = set(target.values)
        inside = frozenset(other for other, region in painted if seen[region.output_value] <= values)
        around = [other for other, region in painted[:place] if values < set(region.values)]
        found[target.name] = Painting(inside | {winner}, winner, around[-1] if around else 0)
    return found


def postprocess(
    winners: np.ndarray,
    steps: Sequence[PostprocessingStep],
    targets: Sequence[Structure],
    *,
    regions: bool,
    spacing_mm: Sequence[float] | None,
) -> np.ndarray:
    """Apply the steps one after another.

    Args:
        winners: `(*spatial)`; it is left as it is.
        steps: of `model.json`.
        targets: of the plan.
        regions: whether they overlap.
        spacing_mm: in the order of the axes. Where it is unknown, steps in mm are left out.

    Returns:
        The same array where nothing changed, else a new one.
    """
    meaning = paintings(targets, regions)
    for step in steps:
        if step.kind == "fill_holes":
            winners = _filled(winners, _concerned(step, meaning))
        elif step.kind == "largest_component":
            winners = _without_components(winners, _concerned(step, meaning), None)
        elif step.kind == "ellipse":
            winners = _elliptic(winners, _concerned(step, meaning), spacing_mm)
        elif step.unit == "pixels" or spacing_mm is not None:
            pixel = 1.0 if step.unit == "pixels" else prod(spacing_mm or ())
            winners = _without_components(winners, _concerned(step, meaning), (step.least or 0.0) / pixel)
    return winners


def before_ellipses(steps: Sequence[PostprocessingStep]) -> tuple[PostprocessingStep, ...]:
    """The steps after which a structure still has the shape that the networks gave it."""
    return tuple(step for step in steps if step.kind != "ellipse")


def component_sizes(mask: np.ndarray) -> np.ndarray:
    """Pixels of every component of a boolean mask, in no order."""
    return np.bincount(_components(mask).ravel())[1:]


def _concerned(step: PostprocessingStep, meaning: dict[str, Painting]) -> Painting:
    if step.structure is not None:
        return meaning[step.structure]
    everything = frozenset(winner for painting in meaning.values() for winner in painting.inside)
    return Painting(everything, 0, 0)


def _without_components(winners: np.ndarray, painting: Painting, least_pixels: float | None) -> np.ndarray:
    """Without all components but the largest, or without those of fewer pixels."""
    mask = _shown(winners, painting)
    box = bounding_box(mask)
    if box is None:
        return winners
    components = _components(mask[box])
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    keep = np.arange(len(sizes)) == sizes.argmax() if least_pixels is None else sizes >= least_pixels
    keep[0] = True
    if keep.all():
        return winners
    changed = winners.copy()
    changed[box][~keep[components]] = painting.beneath
    return changed


def _filled(winners: np.ndarray, painting: Painting) -> np.ndarray:
    """Background (or what lies beneath a region) that a structure encloses becomes part of it; another structure does not."""
    mask = _shown(winners, painting)
    box = bounding_box(mask)
    if box is None:
        return winners
    inner = winners[box]
    holes = binary_fill_holes(mask[box]) & ((inner == 0) | (inner == painting.beneath))
    if not holes.any():
        return winners
    changed = winners.copy()
    changed[box][holes] = painting.winner
    return changed


def _elliptic(winners: np.ndarray, painting: Painting, spacing_mm: Sequence[float] | None) -> np.ndarray:
    """The ellipse in the place of the structure; other structures within it stay."""
    if winners.ndim != 2:
        return winners
    mask, spacing = _shown(winners, painting), spacing_mm or (1.0, 1.0)
    ellipse = head_ellipse_mm(mask, spacing)
    if ellipse is None:
        return winners
    inside = fill_ellipse(mask.shape, ellipse, spacing)
    changed = winners.copy()
    changed[mask & ~inside] = painting.beneath
    changed[inside & ((winners == 0) | (winners == painting.beneath))] = painting.winner
    return changed


def _shown(winners: np.ndarray, painting: Painting) -> np.ndarray:
    table = np.zeros(max(int(winners.max(initial=0)), *painting.inside) + 1, dtype=bool)
    table[list(painting.inside)] = True
    return table[winners]


def _components(mask: np.ndarray) -> np.ndarray:
    found, _ = label(mask, structure=generate_binary_structure(mask.ndim, mask.ndim))
    return np.asarray(found)
