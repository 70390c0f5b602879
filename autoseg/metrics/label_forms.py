"""Faults of a label that need no network: islands, holes and stray values that the other labels of the set do not have.

What is usual differs between structures: lesions come in many pieces, a head in one. So a form is told only where few cases have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, generate_binary_structure, label

from autoseg.metrics.label_findings import told_size
from autoseg.metrics.surface import bounding_box
from autoseg.records import Finding

UNUSUAL = 0.05  # of the cases with the structure; a form that more have is a habit of the set
LEAST_CASES = 10  # with the structure; among fewer there is no usual size
LEAST_TO_COUNT = 20  # for pieces and holes; of fewer, one is more than 5 %
STRAY_SHARE = 0.02  # of the structure's median size over the cases
STRAY_PIXELS = 20  # where a structure occurs in so few cases that it has no usual size


@dataclass(frozen=True)
class Form:
    """Shape of one structure in one label: pixels, pieces (1 where it hangs together), pixels of all pieces but the largest, and of holes.

    Pieces hang together by faces, edges and corners. A hole is background that the structure encloses; another structure in it is none.
    """

    pixels: int
    pieces: int
    island_pixels: int
    holes: int
    hole_pixels: int


def form_of(mask: np.ndarray, background: np.ndarray) -> Form:
    """Of a boolean mask `(*spatial)`; `background` is True where the label has nothing at all."""
    box = bounding_box(mask)
    if box is None:
        return Form(0, 0, 0, 0, 0)
    mask, background = mask[box], background[box]
    whole = generate_binary_structure(mask.ndim, mask.ndim)
    pieces, n_pieces = label(mask, structure=whole)
    sizes = np.bincount(pieces.ravel())[1:]
    enclosed = binary_fill_holes(mask) & ~mask & background
    _, n_holes = label(enclosed)
    return Form(int(sizes.sum()), n_pieces, int(sizes.sum() - sizes.max()), n_holes, int(np.count_nonzero(enclosed)))


def unusual_forms(
    forms: Sequence[Mapping[str, Form]], rank: int, spacings_mm: Sequence[Sequence[float] | None]
) -> tuple[tuple[Finding, ...], ...]:
    """For every case what the forms of its structures have that few other cases have.

    Args:
        forms: by structure, case by case; each case has all structures.
        rank: 2 or 3.
        spacings_mm: case by case.
    """
    found: list[list[Finding]] = [[] for _ in forms]
    for name in forms[0] if forms else ():
        present = [case[name] for case in forms if case[name].pixels]
        if not present:
            continue
        pieces, holes = _usual([form.pieces for form in present]), _usual([form.holes for form in present])
        stray = _stray_below([form.pixels for form in present], len(forms))
        for place, case in enumerate(forms):
            form, spacing = case[name], spacings_mm[place]
            if not form.pixels:
                continue
            if len(present) >= LEAST_TO_COUNT and form.pieces > pieces:
                size = told_size(form.island_pixels, rank, spacing)
                others = "one piece" if pieces == 1 else f"at most {pieces} pieces"
                told = f"{name} is labelled in {form.pieces} pieces ({size} beside the largest), and in nearly all other cases in {others}"
                found[place].append(Finding(kind="islands", structures=(name,), told=told))
            if len(present) >= LEAST_TO_COUNT and form.holes > holes:
                size = told_size(form.hole_pixels, rank, spacing)
                told = f"the label of {name} has {_counted(form.holes, 'hole')} ({size}), which hardly any other case has"
                found[place].append(Finding(kind="holes", structures=(name,), told=told))
            if form.pixels < stray:
                told = f"{name} is labelled with {_counted(form.pixels, 'pixel')} only{_elsewhere(present, form, len(forms))}"
                found[place].append(Finding(kind="stray value", structures=(name,), told=told))
    return tuple(tuple(one) for one in found)


def _usual(counts: Sequence[int]) -> int:
    """The largest count that is still usual: at most `UNUSUAL` of the cases have more."""
    ordered = sorted(counts, reverse=True)
    return max(1 if min(counts) > 0 else 0, ordered[int(UNUSUAL * len(ordered))])


def _stray_below(pixels: Sequence[int], cases: int) -> float:
    """Size below which a structure is no more than a few strokes: against its usual size, or outright where hardly any case has it."""
    if len(pixels) >= LEAST_CASES:
        return STRAY_SHARE * float(np.median(pixels))
    return STRAY_PIXELS if cases >= LEAST_CASES and len(pixels) <= UNUSUAL * cases else 0.0


def _elsewhere(present: Sequence[Form], form: Form, cases: int) -> str:
    others = [other.pixels for other in present if other is not form]
    if len(others) < LEAST_CASES - 1:
        return f"; it occurs in {len(present)} of {cases} labels"
    return f"; where other cases have it, {float(np.median(others)):.0f} are usual"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
