"""What the second stage of a cascade sees of the first: its mask as channels beside the image, in training with faults put in.

A first stage errs less on what it learned from, and in other ways, than on new images; so do masks of one data set. Faults keep
the second stage from copying: labels grow, shrink, lose or close their gaps, and components go missing. Kinds, probabilities and
sizes are nnU-Net's; the values stand in the plan (`augmentation.previous_stage`).

Everything random is drawn first, from a generator that is handed in; `with_faults` then is a function of mask and draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from autoseg.records import Structure
from autoseg.records.augmentation import PreviousStage

Operation = Literal["dilation", "erosion", "closing", "opening"]
OPERATIONS: tuple[Operation, ...] = ("dilation", "erosion", "closing", "opening")
LARGEST_INT16_RADIUS = 127  # 2 * 127 ** 2 + 1 still fits


@dataclass(frozen=True)
class Morphology:
    """One label is changed by a ball of `radius` voxels."""

    value: int
    operation: Operation
    radius: int


@dataclass(frozen=True)
class Removal:
    """One label loses a component; `position`, 0 up to 1, chooses among those that may go."""

    value: int
    position: float


@dataclass(frozen=True)
class FaultDraw:
    """What happens to one mask, in this order."""

    morphology: tuple[Morphology, ...] = ()
    removals: tuple[Removal, ...] = ()
    largest_share: float = 0.0  # of the patch, that a component which goes may fill


@dataclass(frozen=True)
class PreviousChannels:
    """How a first stage's mask becomes input of the second: which channels it gives, and with which faults (None: without any)."""

    targets: tuple[Structure, ...]
    faults: PreviousStage | None

    def draw(self, rng: np.random.Generator) -> FaultDraw:
        """Decide what happens to the next mask."""
        return FaultDraw() if self.faults is None else draw_faults(values_of(self.targets), rng, self.faults)

    def append(self, images: Tensor, labels: Tensor, draws: Sequence[FaultDraw]) -> tuple[Tensor, Tensor]:
        """Move the masks of a batch from the labels to the images.

        Args:
            images: `(B, C, *patch)`, augmented already.
            labels: `(B, 2, *patch)`: the labels to learn, and the mask, turned and mirrored as they are.
            draws: from `draw`, one per sample.

        Returns:
            Images with one channel more per target, `(B, C + T, *patch)`, and the labels to learn alone, `(B, 1, *patch)`.
        """
        masks = [to_channels(with_faults(mask, draw), self.targets) for mask, draw in zip(labels[:, 1], draws, strict=True)]
        return torch.cat([images, torch.stack(masks).to(images.dtype)], dim=1), labels[:, :1]


def values_of(targets: Sequence[Structure]) -> tuple[int, ...]:
    """Internal label values that a mask may hold, background left out."""
    return tuple(sorted({value for target in targets for value in target.values}))


def draw_faults(values: Sequence[int], rng: np.random.Generator, spec: PreviousStage) -> FaultDraw:
    """Decide what happens to a mask.

    Args:
        values: internal label values that masks may hold.
        rng: where all randomness comes from.
        spec: probabilities and sizes. Labels take their turns in random order, as what grows covers the others.
    """
    morphology: list[Morphology] = []
    removals: list[Removal] = []
    if rng.random() < spec.morphology_probability:
        for value in _some(values, rng, spec.morphology_label_probability):
            operation = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
            morphology.append(Morphology(value, operation, int(rng.integers(spec.radius[0], spec.radius[1] + 1))))
    if rng.random() < spec.removal_probability:
        removals += [Removal(value, float(rng.random())) for value in _some(values, rng, spec.removal_label_probability)]
    return FaultDraw(tuple(morphology), tuple(removals), spec.largest_share)


def with_faults(mask: Tensor, draw: FaultDraw) -> Tensor:
    """A mask with faults.

    Args:
        mask: `(*spatial)` internal label values of a patch, any integer type; it is not changed.
        draw: from `draw_faults`.

    Returns:
        The same shape, type and device. What a label gains is taken from the others; what it loses becomes background.
    """
    if not draw.morphology and not draw.removals:
        return mask
    result = mask.clone()
    for change in draw.morphology:
        _change_label(result, change)
    for removal in draw.removals:
        _remove_component(result, removal, draw.largest_share)
    return result


def to_channels(mask: Tensor, targets: Sequence[Structure]) -> Tensor:
    """One channel per target, 1 where the mask holds one of its values, else 0: float32 `(T, *mask.shape)`.

    Args:
        mask: internal label values, any integer type; anything below 0 lies outside of the image.
        targets: of the plan: exclusive labels, or regions, which overlap.
    """
    channels = mask.new_zeros((len(targets), *mask.shape), dtype=torch.float32)
    for channel, target in zip(channels, targets, strict=True):
        for value in target.values:
            channel[mask == value] = 1
    return channels


def dilated(mask: Tensor, radius: int) -> Tensor:
    """All voxels within `radius` of one that is set (a ball, distances in voxels); what lies outside of the array is not set.

    By exact squared distances: one axis after another, the least over the offsets in reach, so the cost grows with the radius and
    not with its cube.

    Args:
        mask: bool `(*spatial)`.
        radius: in voxels, 0 or more.
    """
    beyond = radius * radius + 1
    dtype = torch.int16 if radius <= LARGEST_INT16_RADIUS else torch.int32
    squared = torch.full(mask.shape, beyond, dtype=dtype, device=mask.device).masked_fill_(mask, 0)
    for axis, size in enumerate(mask.shape):
        nearest = squared.clone()
        for offset in range(1, min(radius, size - 1) + 1):
            reached = squared + offset * offset
            lower, upper = nearest.narrow(axis, 0, size - offset), nearest.narrow(axis, offset, size - offset)
            torch.minimum(lower, reached.narrow(axis, offset, size - offset), out=lower)
            torch.minimum(upper, reached.narrow(axis, 0, size - offset), out=upper)
        squared = nearest
    return squared < beyond


def eroded(mask: Tensor, radius: int) -> Tensor:
    """All voxels whose ball holds set voxels only; what lies outside of the array counts as set, so a cut object keeps its end."""
    return ~dilated(~mask, radius)


def _some(values: Sequence[int], rng: np.random.Generator, probability: float) -> list[int]:
    """Some of the values, each with the probability, in random order."""
    return [int(values[index]) for index in rng.permutation(len(values)) if rng.random() < probability]


def _change_label(mask: Tensor, change: Morphology) -> None:
    """In place, and only as far around the label as the ball reaches."""
    box = _box_around(mask == change.value, change.radius + 1)
    if box is None:
        return
    part = mask[box]
    before = part == change.value
    after = _FUNCTIONS[change.operation](before, change.radius)
    part[before & ~after] = 0
    part[after] = change.value


def _remove_component(mask: Tensor, removal: Removal, largest_share: float) -> None:
    """In place; a component holds voxels that touch, if only by a corner."""
    box = _box_around(mask == removal.value, 0)
    if box is None:
        return
    part = mask[box]
    components, _ = ndimage.label((part == removal.value).cpu().numpy(), ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    sizes = np.bincount(components.ravel())
    small = 1 + np.flatnonzero(sizes[1:] <= largest_share * mask.numel())
    if len(small):
        chosen = components == small[int(removal.position * len(small))]
        part[torch.from_numpy(chosen).to(mask.device)] = 0


def _box_around(mask: Tensor, margin: int) -> tuple[slice, ...] | None:
    """What holds all set voxels and `margin` more on every side, inside of the array; None where none is set."""
    box = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = torch.nonzero(mask.any(dim=others) if others else mask)
        if len(found) == 0:
            return None
        box.append(slice(max(0, int(found[0]) - margin), min(size, int(found[-1]) + margin + 1)))
    return tuple(box)


_FUNCTIONS: dict[Operation, Callable[[Tensor, int], Tensor]] = {
    "dilation": dilated,
    "erosion": eroded,
    "closing": lambda mask, radius: eroded(dilated(mask, radius), radius),
    "opening": lambda mask, radius: dilated(eroded(mask, radius), radius),
}
