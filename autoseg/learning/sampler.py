"""Draws training patches from prepared cases: which case, where, and (for a 2D network on 3D data) which slice.

A batch is a function of (seed, fold, step) alone: no hidden random state, so training goes on exactly where it
stopped, and the number of loader workers does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autoseg.learning.augmentation import Augmentation, isolated_random_state
from autoseg.learning.previous_stage import FaultDraw, PreviousChannels
from autoseg.processing.store import ANNOTATED, PreparedCase
from autoseg.records import TrainingSpec


@dataclass(frozen=True, eq=False)
class Batch:
    """`images` (B, C, *patch) float32, `labels` (B, 1, *patch) int16 of internal values.

    In the second stage of a cascade the last channels are the first stage's mask.
    """

    images: Tensor
    labels: Tensor

    def pin_memory(self) -> Batch:
        """For faster copies to CUDA (called by torch's loader)."""
        return Batch(self.images.pin_memory(), self.labels.pin_memory())


class PatchSampler(torch.utils.data.Dataset[Batch]):
    """Item `step` is the batch of that step.

    Args:
        cases: prepared training cases; at least one.
        spec: patch, batch, foreground fraction and seed.
        slice_axis: of the prepared array, for a 2D network on 3D data.
        stream: keeps folds and training and validation apart; any integers.
        augmentation: applied to each patch; None leaves it as it is.
        previous: how the first stage's masks, which the cases then hold, become channels; None where there is no first stage.
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        spec: TrainingSpec,
        *,
        slice_axis: int | None,
        stream: tuple[int, ...],
        augmentation: Augmentation | None = None,
        previous: PreviousChannels | None = None,
    ):
        self.cases, self.spec, self.slice_axis, self.stream = tuple(cases), spec, slice_axis, stream
        self.augmentation, self.previous = augmentation, previous

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        entropy = (self.spec.seed, *self.stream, step)
        rng = np.random.default_rng(entropy)
        with isolated_random_state(int(rng.integers(2**32))):
            samples = [
                self._sample(rng, forced) for forced in foreground_slots(self.spec.batch_size, self.spec.foreground_fraction)
            ]
        images, labels, draws = zip(*samples, strict=True)
        batch = torch.stack(images), torch.stack(labels)
        return Batch(*batch) if self.previous is None else Batch(*self.previous.append(*batch, draws))

    def _sample(self, rng: np.random.Generator, forced: bool) -> tuple[Tensor, Tensor, FaultDraw]:
        case = self.cases[int(rng.integers(len(self.cases)))]
        spatial = self.augmentation.draw_spatial(rng) if self.augmentation else None
        size = spatial.read_size if spatial else self.spec.patch_size
        image, labels = self._read(case, self._lower_corner(case, rng, forced), size)
        tensors = torch.from_numpy(image), torch.from_numpy(labels)
        if self.augmentation and spatial:
            tensors = self.augmentation.apply(*tensors, spatial)
        return *tensors, FaultDraw() if self.previous is None else self.previous.draw(rng)

    def _lower_corner(self, case: PreparedCase, rng: np.random.Generator, forced: bool) -> tuple[int, ...]:
        """Lower corner of the (unenlarged) patch in the case's grid, the slice axis included; may be negative."""
        patch = self._full_patch(self.spec.patch_size)
        centre = pick_centre(case.locations, rng, forced)
        corner = []
        for axis, (length, extent) in enumerate(zip(case.shape, patch, strict=True)):
            lowest, highest = min(0, (length - extent) // 2), max((length - extent) // 2, length - extent)
            if centre is not None:
                corner.append(int(np.clip(centre[axis] - extent // 2, lowest, highest)))
            else:
                corner.append(int(rng.integers(lowest, highest + 1)))
        return tuple(corner)

    def _read(self, case: PreparedCase, corner: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The patch enlarged to `size` about its centre, its labels (L, *size) with the first stage's mask as second plane, if any.

        Outside of the case are zeros (background).
        """
        patch, full = self._full_patch(self.spec.patch_size), self._full_patch(size)
        starts = [c - (f - p) // 2 for c, f, p in zip(corner, full, patch, strict=True)]
        inside = tuple(slice(max(0, s), min(n, s + f)) for s, f, n in zip(starts, full, case.shape, strict=True))
        image = np.zeros((case.channels, *full), np.float32)
        target = tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, starts, strict=True))
        image[(slice(None), *target)], marks = case.read(inside)
        marks = marks if marks.ndim > len(full) else marks[None]
        labels = np.zeros((len(marks), *full), np.int16)
        labels[(slice(None), *target)] = marks
        if self.slice_axis is not None:
            image, labels = image.squeeze(self.slice_axis + 1), labels.squeeze(self.slice_axis + 1)
        return image, labels

    def _full_patch(self, patch: tuple[int, ...]) -> tuple[int, ...]:
        if self.slice_axis is None:
            return patch
        return (*patch[: self.slice_axis], 1, *patch[self.slice_axis :])


def foreground_slots(batch_size: int, fraction: float) -> list[bool]:
    """Which samples of a batch are centred on foreground: the last ones, as nnU-Net counts them (batch 2: 1, 12: 4)."""
    return [index >= round(batch_size * (1 - fraction)) for index in range(batch_size)]


def pick_centre(locations: dict[int, np.ndarray], rng: np.random.Generator, forced: bool) -> np.ndarray | None:
    """A pixel to centre the patch on, or None for anywhere.

    Forced: a class is drawn uniformly among those present, then one of its stored pixels. Otherwise, in a set with an
    ignore label, any annotated pixel.
    """
    present = sorted(value for value, places in locations.items() if value > 0 and len(places))
    if forced and present:
        places = locations[present[int(rng.integers(len(present)))]]
    elif len(locations.get(ANNOTATED, ())):
        places = locations[ANNOTATED]
    else:
        return None
    return places[int(rng.integers(len(places)))]
