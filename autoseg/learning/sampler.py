"""Draws training patches from prepared cases: which case, where, and (for a 2D network on 3D data) which slice.

A sample is a function of (seed, stream, step, index in the batch) alone: no hidden random state, so training goes on exactly
where it stopped, and neither the number of loader workers nor of devices matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from autoseg.learning.augmentation import Augmentation, Batch, Drawn, SampleDraw
from autoseg.processing.store import ANNOTATED, PreparedCase
from autoseg.records import Shape, TrainingSpec

__all__ = ["Batch", "Drawn", "PatchSampler", "foreground_slots", "pick_centre"]


class PatchSampler(torch.utils.data.Dataset[Drawn]):
    """Item `step` is the batch of that step, as read; `Augmentation.apply` makes of it what the network sees.

    Args:
        cases: prepared training cases; at least one.
        spec: patch, batch, foreground fraction and seed.
        slice_axis: of the prepared array, for a 2D network on 3D data.
        stream: keeps folds and training and validation apart; any integers not below 0.
        augmentation: draws how each patch is varied; None leaves it as it is.
        part: which samples of each batch to draw (None: all): several devices share a batch.
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        spec: TrainingSpec,
        *,
        slice_axis: int | None,
        stream: tuple[int, ...],
        augmentation: Augmentation | None = None,
        part: slice | None = None,
    ):
        self.cases, self.spec, self.slice_axis, self.stream = tuple(cases), spec, slice_axis, stream
        self.augmentation, self.part = augmentation, part or slice(None)

    def __getitem__(self, step: int) -> Drawn:
        """The batch of a step."""
        slots = list(enumerate(foreground_slots(self.spec.batch_size, self.spec.foreground_fraction)))[self.part]
        samples = [self._sample(np.random.default_rng((self.spec.seed, *self.stream, step, i)), forced) for i, forced in slots]
        images, labels, draws, cases = zip(*samples, strict=True)
        drawn = Drawn(images, labels, draws, cases)
        return drawn if torch.utils.data.get_worker_info() is None else drawn.packed()

    def at_one_place(self, case: PreparedCase, rng: np.random.Generator, draws: Sequence[SampleDraw]) -> Drawn:
        """One patch about a structure of a case, if it has any, read for several draws: to look at what they do."""
        corner = self._lower_corner(case, pick_centre(case.locations, rng, forced=True), rng)
        images, labels = zip(*(self._read(case, corner, draw.read_size) for draw in draws), strict=True)
        return Drawn(images, labels, tuple(draws), (case.id,) * len(draws))

    @cached_property
    def holders(self) -> dict[int, tuple[int, ...]]:
        """For each structure the cases that have it, by index; reads the locations of all cases."""
        found: dict[int, list[int]] = {}
        for index, case in enumerate(self.cases):
            for value in structures(case.locations):
                found.setdefault(value, []).append(index)
        return {value: tuple(found[value]) for value in sorted(found)}

    def _sample(self, rng: np.random.Generator, forced: bool) -> tuple[Tensor, Tensor, SampleDraw, str]:
        case, value = self._pick_case(rng, forced)
        corner = self._lower_corner(case, pick_centre(case.locations, rng, forced, value), rng)
        draw = self.augmentation.draw(rng) if self.augmentation else SampleDraw(self.spec.patch_size)
        image, labels = self._read(case, corner, draw.read_size)
        return image, labels, draw, case.id

    def _pick_case(self, rng: np.random.Generator, forced: bool) -> tuple[PreparedCase, int | None]:
        """A case, and the structure that its patch is to be centred on where that was drawn first."""
        if forced and self.spec.case_sampling == "rare_first" and self.holders:
            value = list(self.holders)[int(rng.integers(len(self.holders)))]
            holding = self.holders[value]
            return self.cases[holding[int(rng.integers(len(holding)))]], value
        return self.cases[int(rng.integers(len(self.cases)))], None

    def _lower_corner(self, case: PreparedCase, centre: np.ndarray | None, rng: np.random.Generator) -> tuple[int, ...]:
        """Lower corner of the (unenlarged) patch in the case's grid, the slice axis included; may be negative."""
        patch = self._full_patch(self.spec.patch_size)
        corner = []
        for axis, (length, extent) in enumerate(zip(case.shape, patch, strict=True)):
            lowest, highest = min(0, (length - extent) // 2), max((length - extent) // 2, length - extent)
            if centre is not None:
                corner.append(int(np.clip(centre[axis] - extent // 2, lowest, highest)))
            else:
                corner.append(int(rng.integers(lowest, highest + 1)))
        return tuple(corner)

    def _read(self, case: PreparedCase, corner: tuple[int, ...], size: Shape) -> tuple[Tensor, Tensor]:
        """A box of `size` about the centre of the patch, which may be smaller or larger; zeros (background) outside the case.

        Returns:
            image (C, *size) and labels (L, *size) as they are stored; views where the case is held in memory and has all of it.
        """
        patch, full = self._full_patch(self.spec.patch_size), self._full_patch(size)
        starts = [c - (f - p) // 2 for c, f, p in zip(corner, full, patch, strict=True)]
        inside = tuple(slice(min(max(0, s), n), max(0, min(n, s + f))) for s, f, n in zip(starts, full, case.shape, strict=True))
        image, labels = case.read(inside)
        if labels.ndim == len(full):
            labels = labels[None]
        if any(part.stop - part.start < extent for part, extent in zip(inside, full, strict=True)):
            target = tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, starts, strict=True))
            image, labels = (_within(array, full, target) for array in (image, labels))
        if self.slice_axis is not None:
            image, labels = image.squeeze(self.slice_axis + 1), labels.squeeze(self.slice_axis + 1)
        return torch.from_numpy(image), torch.from_numpy(labels)

    def _full_patch(self, patch: Shape) -> Shape:
        if self.slice_axis is None:
            return patch
        return (*patch[: self.slice_axis], 1, *patch[self.slice_axis :])


def foreground_slots(batch_size: int, fraction: float) -> list[bool]:
    """Which samples of a batch are centred on foreground: the last ones, as nnU-Net counts them (batch 2: 1, 12: 4)."""
    return [index >= round(batch_size * (1 - fraction)) for index in range(batch_size)]


def structures(locations: Mapping[int, np.ndarray]) -> list[int]:
    """Labels that a case has stored pixels of, background left out."""
    return sorted(value for value, places in locations.items() if value > 0 and len(places))


def pick_centre(
    locations: Mapping[int, np.ndarray], rng: np.random.Generator, forced: bool, value: int | None = None
) -> np.ndarray | None:
    """A pixel to centre the patch on, or None for anywhere.

    Forced: one of the stored pixels of `value`, or of a class drawn uniformly among those present. Otherwise, in a set with an
    ignore label, any annotated pixel.
    """
    present = structures(locations)
    if forced and present:
        places = locations[present[int(rng.integers(len(present)))] if value is None else value]
    elif len(locations.get(ANNOTATED, ())):
        places = locations[ANNOTATED]
    else:
        return None
    return places[int(rng.integers(len(places)))]


def _within(array: np.ndarray, shape: Shape, target: tuple[slice, ...]) -> np.ndarray:
    """An array of this shape (channels kept) that holds another one in its place, zeros around it."""
    whole = np.zeros((len(array), *shape), array.dtype)
    whole[(slice(None), *target)] = array
    return whole
