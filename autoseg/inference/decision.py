"""From blocks of logits on the network's grid to labels on the image's own grid, as the blocks come.

Equal to resampling the logits of all outputs linearly (the coarse axis of an anisotropic grid by nearest neighbour) and deciding
then, as nnU-Net does, but no more than some planes of one output are resampled at a time, and only where it can win. What is kept of all
outputs is the last plane or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from autoseg.processing.crop import Box
from autoseg.processing.prepare import Placement
from autoseg.processing.resample import Window, box_where, source_span, window

CHUNK_PIXELS = 2**23  # of the original grid that are decided at a time (32 MiB of float32)


class Decision:
    """Takes blocks of logits one after another, and knows the winner of every pixel in the end.

    Args:
        placement: of the prepared image.
        axis: along which the blocks come.
        n_outputs: K.
        regions: False: the winner is the index of the largest logit, the smallest index where several tie.
            True: outputs overlap; i + 1 is painted where logit i is above 0, later ones over earlier ones.
        probabilities: an array (K, *original) to be filled with the softmax (regions: sigmoid) of the resampled logits, or None.
        disagreement: an array (*original) to be filled with channel K of the blocks, resampled likewise, or None.
        temperature: above 0; divides the logits that become `probabilities`, and changes no winner.
    """

    def __init__(
        self,
        placement: Placement,
        axis: int,
        n_outputs: int,
        *,
        regions: bool,
        probabilities: np.ndarray | None = None,
        disagreement: np.ndarray | None = None,
        temperature: float = 1.0,
    ):
        self.placement, self.axis, self.n_outputs, self.regions = placement, axis, n_outputs, regions
        if not temperature > 0:
            raise ValueError(f"a temperature must be above 0, found {temperature:g}")
        self._temperature = temperature
        self._full = np.zeros(placement.turned_shape, np.uint8 if n_outputs < 256 else np.uint16)
        self._winners = self._full[placement.box]
        self._probabilities = None if probabilities is None else _inside(probabilities, placement, background=not regions)
        self._disagreement = None if disagreement is None else _inside(disagreement, placement, background=False)
        apart = placement.axis_back()
        self._orders = [0 if other == apart else 1 for other in range(len(placement.prepared_shape))]
        self._same_grid = placement.prepared_shape == placement.cropped_shape
        sizes = placement.prepared_shape[axis], placement.cropped_shape[axis]
        self._first_plane, self._behind_plane = source_span(*sizes, self._orders[axis])  # that each row needs
        self._rows_done = 0
        self._carried: torch.Tensor | None = None  # the last planes, which the next rows need, too
        self._planes_seen = 0

    def add(self, block: torch.Tensor) -> None:
        """Take the next planes, (K, *spatial), with the disagreement (K + 1, *spatial). They are not kept beyond the call."""
        stop = self._planes_seen + block.shape[1 + self.axis]
        planes = _Planes(self._carried, block, stop, self.axis)
        ready = int(np.searchsorted(self._behind_plane, stop, side="right"))
        other_pixels = prod(self.placement.cropped_shape) // self.placement.cropped_shape[self.axis]
        outputs = 1 if self._probabilities is None else self.n_outputs
        step = max(1, CHUNK_PIXELS // (other_pixels * outputs))
        for top in range(self._rows_done, ready, step):
            self._decide(slice(top, min(top + step, ready)), planes)
        self._rows_done, self._planes_seen = ready, stop
        needed = int(self._first_plane[ready]) if ready < len(self._first_plane) else stop
        self._carried = planes.last(max(0, stop - needed))

    def winners(self) -> np.ndarray:
        """The winner of every pixel, `(*original)`; 0 outside the crop.

        Raises:
            ValueError: planes are missing.
        """
        if self._rows_done != self.placement.cropped_shape[self.axis]:
            raise ValueError(f"{self._planes_seen} of {self.placement.prepared_shape[self.axis]} planes have come")
        return np.ascontiguousarray(self.placement.turn_back(self._full))

    def _decide(self, rows: slice, planes: _Planes) -> None:
        """Fill rows of the original grid, whose planes are all there."""
        part = tuple(rows if axis == self.axis else slice(0, size) for axis, size in enumerate(self.placement.cropped_shape))
        if self._disagreement is not None:
            self._disagreement[part] = self._resampled(self.n_outputs, part, planes)
        if self._probabilities is not None:
            logits = torch.stack([torch.from_numpy(self._resampled(output, part, planes)) for output in range(self.n_outputs)])
            self._winners[part] = _winners_of(logits, self.regions)
            if self._temperature != 1:
                logits = logits / self._temperature
            probabilities = logits.sigmoid() if self.regions else logits.softmax(0)
            self._probabilities[(slice(None), *part)] = probabilities.numpy()
        elif self._same_grid:
            self._winners[part] = _winners_of(planes.all(rows)[: self.n_outputs], self.regions)
        elif self.regions:
            self._paint(part, planes)
        else:
            self._compare(part, planes)

    def _compare(self, part: Box, planes: _Planes) -> None:
        """Exclusive labels: keep the largest logit so far, output by output.

        A mean with weights >= 0 of one output's logits can exceed that of the background only beside a pixel where it does.
        """
        source = self._source(part)
        background = planes.of(0, source)
        best = self._resampled(0, part, planes)
        winners = self._winners[part]
        for output in range(1, self.n_outputs):
            logits = planes.of(output, source)
            view = self._view(logits > background, part, source)
            if view is None:
                continue
            values, target = view.resample(self._cut(logits, view, source)), self._target(view, part)
            so_far = best[target]
            np.copyto(winners[target], output, where=values > so_far)
            np.maximum(so_far, values, out=so_far)

    def _paint(self, part: Box, planes: _Planes) -> None:
        """Regions: where the logit is above 0, which it is only beside a pixel where it was before."""
        source, winners = self._source(part), self._winners[part]
        for output in range(self.n_outputs):
            logits = planes.of(output, source)
            view = self._view(logits > 0, part, source)
            if view is not None:
                painted = view.resample(self._cut(logits, view, source)) > 0
                np.copyto(winners[self._target(view, part)], output + 1, where=painted)

    def _resampled(self, output: int, part: Box, planes: _Planes) -> np.ndarray:
        """One channel on a part of the original grid, float32."""
        source = self._source(part)
        everything = tuple(slice(0, size) for size in self.placement.prepared_shape)
        view = window(everything, self.placement.prepared_shape, self.placement.cropped_shape, self._orders, part)
        return view.resample(self._cut(planes.of(output, source), view, source))

    def _source(self, part: Box) -> slice:
        """The planes that rows of the original grid are computed from."""
        rows = part[self.axis]
        return slice(int(self._first_plane[rows.start]), int(self._behind_plane[rows.stop - 1]))

    def _view(self, candidates: torch.Tensor, part: Box, source: slice) -> Window | None:
        """What pixels (of the planes `source`) contribute to a part of the original grid; None if nothing."""
        box = box_where(candidates.numpy())
        if box is None:
            return None
        box = tuple(_moved(where, source.start) if axis == self.axis else where for axis, where in enumerate(box))
        view = window(box, self.placement.prepared_shape, self.placement.cropped_shape, self._orders, part)
        return None if any(where.start == where.stop for where in view.target) else view

    def _cut(self, logits: torch.Tensor, view: Window, source: slice) -> np.ndarray:
        """What a window needs of planes `source`."""
        where = [_moved(where, -source.start) if axis == self.axis else where for axis, where in enumerate(view.source)]
        return np.asarray(logits[tuple(where)].numpy())

    def _target(self, view: Window, part: Box) -> Box:
        """Where a window lies within a part of the original grid."""
        return tuple(_moved(where, -whole.start) for where, whole in zip(view.target, part, strict=True))


@dataclass(frozen=True, eq=False)
class _Planes:
    """The planes at hand: those carried over, and the block that follows them and ends before plane `stop`."""

    carried: torch.Tensor | None
    block: torch.Tensor
    stop: int
    axis: int

    def all(self, planes: slice) -> torch.Tensor:
        """(K, *spatial) of some planes, a view where it can be one."""
        begin = self.stop - self.block.shape[1 + self.axis]
        late = self.block.narrow(1 + self.axis, max(0, planes.start - begin), planes.stop - max(begin, planes.start))
        if planes.start >= begin or self.carried is None:
            return late
        there = self.carried.shape[1 + self.axis]
        early = self.carried.narrow(1 + self.axis, there - (begin - planes.start), begin - planes.start)
        return torch.cat([early, late], dim=1 + self.axis)

    def of(self, output: int, planes: slice) -> torch.Tensor:
        """(*spatial) of one output, float32."""
        one = _Planes(
            None if self.carried is None else self.carried[output, None], self.block[output, None], self.stop, self.axis
        )
        return one.all(planes)[0].float()

    def last(self, count: int) -> torch.Tensor | None:
        """A copy of the last planes; None for none."""
        if count == 0:
            return None
        return self.all(slice(self.stop - count, self.stop)).clone()


def _inside(array: np.ndarray, placement: Placement, *, background: bool) -> np.ndarray:
    """The part of an array `(..., *original)` that the crop shows, turned like the prepared image; what lies outside is filled."""
    array[...] = 0
    if background:
        array[0] = 1  # outside the crop it is certain
    leading = (slice(None),) * (array.ndim - len(placement.box))
    return placement.turn(array)[leading + placement.box]


def _winners_of(logits: torch.Tensor, regions: bool) -> np.ndarray:
    """The winner of (K, *spatial), `(*spatial)`."""
    if not regions:
        return np.asarray(logits.argmax(0).numpy())
    painted = np.zeros(logits.shape[1:], np.uint16)
    for output, values in enumerate(logits):
        painted[(values > 0).numpy()] = output + 1
    return painted


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
