"""What may be wrong with a label, as sentences with numbers: exchanged, shifted, of another image, incomplete, too large.

Each function looks for one kind of fault in one case and answers with what it found, or with None. A finding says what speaks for a fault;
whether it is one, a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import distance_transform_edt, generate_binary_structure
from scipy.ndimage import label as connected

from autoseg.metrics.label_quality import (
    CONFIDENT,
    Disagreement,
    best_exchange,
    common_box,
    equivalent_diameter,
)
from autoseg.metrics.overlap import confusion, structure_counts
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import Finding

LEAST_EXCHANGE_GAIN = 0.2  # of the mean Dice of two structures
LEAST_SHIFT_GAIN = 0.03  # of Dice; what moving by a pixel or so gains stays below
SHIFT_EXPLAINS = 0.4  # least part of the disagreement that goes when the label is moved
LARGEST_SHIFT = 0.25  # of the extent of label and mask together
SEARCH_PIXELS = 1 << 22  # larger boxes are searched on every second, third ... pixel
LEAST_PART = 0.05  # of the structure
LEAST_DEPTH = 0.08  # of the structure's diameter; thinner rims are a matter of where to draw a border
NOTHING_IN_COMMON = 0.5  # Dice below which label and network mean different things
SURE_OF_ITSELF = 0.8  # expected Dice from which the network's mask is worth believing


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A case's label map and the network's, integers `(*spatial)` of one shape, and which values make up each structure in either.

    Masks are made when they are asked for: a hundred structures of a large volume would not fit into memory together.
    """

    labels: np.ndarray
    painted: np.ndarray
    structures: Sequence[ScoredStructure]
    spacing_mm: Sequence[float] | None

    @property
    def rank(self) -> int:
        """2 or 3."""
        return self.labels.ndim

    def label_of(self, structure: ScoredStructure) -> np.ndarray:
        """Boolean `(*spatial)`."""
        return np.isin(self.labels, list(structure.reference_values))

    def model_of(self, structure: ScoredStructure) -> np.ndarray:
        """Boolean `(*spatial)`."""
        return np.isin(self.painted, list(structure.painted_values))


@dataclass(frozen=True)
class Shift:
    """A translation of the label, in pixels per axis and in mm (None: unknown), and Dice before and after it."""

    pixels: tuple[int, ...]
    mm: float | None
    before: float
    after: float


def best_shift(case: LabelledCase) -> Shift | None:
    """The translation of all labels together that raises their Dice with the network's masks most, by cross-correlation.

    Pixels of all structures are pooled: 2 sum of overlaps / sum of sizes, and what is moved keeps its size.

    Returns:
        None where labels or masks are empty, or where the labels are best where they are.
    """
    box = common_box(case.labels > 0, case.painted > 0)
    if box is None:
        return None
    step = max(1, int(np.ceil((prod(part.stop - part.start for part in box) / SEARCH_PIXELS) ** (1 / case.rank))))
    every = (slice(None, None, step),) * case.rank
    small = LabelledCase(case.labels[box][every], case.painted[box][every], case.structures, case.spacing_mm)
    reach = [max(1, int(LARGEST_SHIFT * size)) for size in small.labels.shape]
    padded = [next_fast_len(size + far, real=True) for size, far in zip(small.labels.shape, reach, strict=True)]
    correlation, in_labels, in_masks = np.zeros(padded), 0, 0
    for structure in case.structures:
        label, model = small.label_of(structure), small.model_of(structure)
        in_labels, in_masks = in_labels + int(np.count_nonzero(label)), in_masks + int(np.count_nonzero(model))
        if label.any() and model.any():
            moved, still = (rfftn(mask.astype(np.float32), padded) for mask in (label, model))
            correlation += irfftn(still * np.conj(moved), padded)
    if not in_labels or not in_masks:
        return None
    near = correlation[np.ix_(*(np.r_[0 : far + 1, -far:0] for far in reach))]
    place = np.unravel_index(int(near.argmax()), near.shape)
    vector = [int(at) if at <= far else int(at) - 2 * far - 1 for at, far in zip(place, reach, strict=True)]
    before, after = (2 * float(overlap) / (in_labels + in_masks) for overlap in (correlation.flat[0], near[place]))
    if not any(vector) or after <= before:
        return None
    pixels = tuple(step * by for by in vector)
    mm = None if case.spacing_mm is None else float(np.linalg.norm(np.multiply(pixels, case.spacing_mm)))
    return Shift(pixels, mm, before, after)


def exchanged(case: LabelledCase, figures: Mapping[str, Disagreement]) -> Finding | None:
    """Two structures that agree with the network when each takes the other's name."""
    names = [structure.name for structure in case.structures]
    table = confusion(case.labels, case.painted)
    overlaps = np.array([[_meeting(table, a, b) for b in case.structures] for a in case.structures], dtype=np.int64)
    sizes = [figures[name] for name in names]
    found = best_exchange(overlaps, [one.label_pixels for one in sizes], [one.model_pixels for one in sizes])
    if found is None or found.after - found.before < LEAST_EXCHANGE_GAIN:
        return None
    first, second = names[found.first], names[found.second]
    told = (
        f"{first} and {second} seem exchanged: with their names exchanged, their mean Dice with the network rises "
        f"from {found.before:.2f} to {found.after:.2f}"
    )
    return Finding(kind="exchanged", structures=(first, second), told=told)


def shifted(case: LabelledCase) -> Finding | None:
    """All labels of the case lie beside what the network sees, in the same direction."""
    shift = best_shift(case)
    if shift is None or shift.after - shift.before < LEAST_SHIFT_GAIN:
        return None
    if 1 - shift.after > (1 - SHIFT_EXPLAINS) * (1 - shift.before):
        return None
    axes = "zyx"[-case.rank :]
    steps = ", ".join(f"{axis} {by:+d}" for axis, by in zip(axes, shift.pixels, strict=True))
    far = f"{steps} pixels" if shift.mm is None else f"{_number(shift.mm)} mm ({steps} pixels)"
    told = (
        f"the label seems shifted: moved by {far}, its Dice with the network rises from {shift.before:.2f} to {shift.after:.2f}"
    )
    return Finding(kind="shifted", structures=tuple(structure.name for structure in case.structures), told=told)


def of_another_image(figures: Mapping[str, Disagreement]) -> Finding | None:
    """No structure agrees, though the network is sure of what it sees."""
    present = {name: one for name, one in figures.items() if one.present}
    if not any(one.label_pixels for one in present.values()) or not any(one.model_pixels for one in present.values()):
        return None
    best = max(one.dice for one in present.values())
    sure = min(one.expected_dice for one in present.values())
    if best >= NOTHING_IN_COMMON or sure < SURE_OF_ITSELF:
        return None
    told = (
        f"label and network agree in no structure (the best Dice is {best:.2f}), and the network is sure of what it sees "
        f"(it expects {sure:.2f} or more): the label may be of another image"
    )
    return Finding(kind="other image", structures=tuple(present), told=told)


def nothing_labelled(figures: Mapping[str, Disagreement], rank: int, spacing_mm: Sequence[float] | None) -> Finding | None:
    """The label is empty, and the network finds something."""
    if any(one.label_pixels for one in figures.values()):
        return None
    seen = {name: one for name, one in figures.items() if one.model_pixels}
    if not seen:
        return None
    sizes = ", ".join(
        f"{name} ({told_size(one.model_pixels, rank, spacing_mm)}, expected Dice {one.expected_dice:.2f})"
        for name, one in seen.items()
    )
    return Finding(
        kind="nothing labelled", structures=tuple(seen), told=f"nothing at all is labelled, and the network sees {sizes}"
    )


def on_one_side(name: str, figures: Disagreement, rank: int, spacing_mm: Sequence[float] | None) -> Finding | None:
    """A structure that only the network sees, or that only the label has; nothing where the network is unsure."""
    both = figures.label_pixels and figures.model_pixels
    if both or not figures.present or figures.expected_dice < SURE_OF_ITSELF:
        return None
    if figures.label_pixels:
        told = f"{name} is labelled ({told_size(figures.label_pixels, rank, spacing_mm)}), and the network sees nothing of it"
        return Finding(kind="structure not seen", structures=(name,), told=told)
    size = told_size(figures.model_pixels, rank, spacing_mm)
    told = f"{name} is not labelled, and the network sees it ({size}) and expects a Dice of {figures.expected_dice:.2f}"
    return Finding(kind="structure missing", structures=(name,), told=told)


def parts(
    case: LabelledCase,
    structure: ScoredStructure,
    label: np.ndarray,
    model: np.ndarray,
    probability: np.ndarray,
) -> tuple[Finding, ...]:
    """The largest piece of a structure that the network is sure to see beyond its label, and the largest that it denies.

    Args:
        case: for what else is labelled, or seen, in the piece.
        structure: which one.
        label: boolean `(*spatial)`, its label.
        model: boolean `(*spatial)`, the network's mask of it.
        probability: `(*spatial)`, of it.
    """
    if not (label.any() and model.any()):
        return ()
    found = []
    lacking = _piece(model & ~label & (probability > CONFIDENT), label, model, case.spacing_mm)
    if lacking is not None:
        told = f"a part of {structure.name} is not labelled: {_told(lacking, case)} from its label{_instead(lacking, case, structure, True)}"
        found.append(Finding(kind="part missing", structures=(structure.name,), told=told))
    beyond = _piece(label & ~model & (probability < 1 - CONFIDENT), model, label, case.spacing_mm)
    if beyond is not None:
        told = (
            f"the network sees no {structure.name} in a part of its label: {_told(beyond, case)} from what it sees"
            f"{_instead(beyond, case, structure, False)}"
        )
        found.append(Finding(kind="part extra", structures=(structure.name,), told=told))
    return tuple(found)


def told_size(pixels: int, rank: int, spacing_mm: Sequence[float] | None) -> str:
    """In mm2 or ml, or in pixels where the spacing is unknown."""
    if spacing_mm is None:
        return f"{pixels} pixels"
    size = pixels * prod(spacing_mm)
    return f"{_number(size)} mm2" if rank == 2 else f"{_number(size / 1000)} ml"


@dataclass(frozen=True, eq=False)
class _Piece:
    """A connected region `(*box)`: pixels, part of the structure, and how far it reaches from the other mask, in mm or pixels."""

    region: np.ndarray
    box: tuple[slice, ...]
    pixels: int
    share: float
    depth: float


def _piece(region: np.ndarray, other: np.ndarray, whole: np.ndarray, spacing_mm: Sequence[float] | None) -> _Piece | None:
    """The largest connected part of a region, where it is large and deep enough to be more than an uncertain border.

    `whole` is the mask that the region is a part of, `other` the one that lacks it.
    """
    structure = int(np.count_nonzero(whole))
    if np.count_nonzero(region) < LEAST_PART * structure:
        return None
    box = common_box(region, other)
    if box is None:
        return None
    components, _ = connected(region[box], structure=generate_binary_structure(region.ndim, region.ndim))
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    pixels, largest = int(sizes.max()), components == sizes.argmax()
    if pixels < LEAST_PART * structure:
        return None
    spacing = (1.0,) * region.ndim if spacing_mm is None else tuple(spacing_mm)
    depth = float(distance_transform_edt(~other[box], sampling=spacing)[largest].max())
    if depth < LEAST_DEPTH * equivalent_diameter(structure * prod(spacing), region.ndim):
        return None
    return _Piece(largest, box, pixels, pixels / structure, depth)


def _told(piece: _Piece, case: LabelledCase) -> str:
    unit = "pixels" if case.spacing_mm is None else "mm"
    return f"{told_size(piece.pixels, case.rank, case.spacing_mm)}, {piece.share:.0%} of it, up to {_number(piece.depth)} {unit}"


def _number(value: float) -> str:
    """Three digits that count, and no powers of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _instead(piece: _Piece, case: LabelledCase, structure: ScoredStructure, in_label: bool) -> str:
    """What most of the piece is on the other side, where that is another structure."""
    values = (case.labels if in_label else case.painted)[piece.box][piece.region]
    for other in case.structures:
        members = list(other.reference_values if in_label else other.painted_values)
        if other.name != structure.name and np.count_nonzero(np.isin(values, members)) > piece.pixels / 2:
            return f"; it is labelled {other.name}" if in_label else f"; it sees {other.name} there"
    return ""


def _meeting(table: np.ndarray, first: ScoredStructure, second: ScoredStructure) -> int:
    """Pixels labelled as the first structure that the network paints as the second."""
    return structure_counts(table, first.reference_values, second.painted_values).tp
