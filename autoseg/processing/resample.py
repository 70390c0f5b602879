"""Resampling to another grid: separable interpolation as one small matrix per axis, applied as float32 products.

The samples are half-voxel centred: coordinate (i + 1/2) n / m - 1/2 of an axis of n voxels becomes voxel i of m, values beyond
the edge repeat the edge. Orders 1 and 3 equal `skimage.transform.resize(mode="edge", clip=True)` (hence `scipy.ndimage.zoom(
mode="nearest", grid_mode=True)`), which nnU-Net uses; order 0 is nnU-Net's nearest neighbour. A cubic B-spline's prefilter,
its four taps and an optional Gaussian against aliasing fold into one banded matrix per axis, so a case costs one matrix
product per axis instead of a 64-tap gather in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from scipy import sparse
from scipy.ndimage import find_objects, spline_filter1d
from threadpoolctl import ThreadpoolController

from autoseg.processing.crop import Box

SEPARATE_ABOVE = 3.0  # nnU-Net: spacings more unequal than this have their coarsest axis resampled apart
_SPLINE_PADDING = 12  # scipy's edge padding before the cubic prefilter
_NEGLIGIBLE = 1e-9  # prefilter weights below this fall under float32's resolution; they decay by 0.27 per voxel
_TIE = 1e-5  # a label's share that is one half but for rounding counts as one half
_THREADS_FROM = 1 << 24  # below so many values, waiting for a second thread on a busy machine costs more than it gains
_ROWS = 32  # output rows per product: few enough that the band stays narrow, enough for a fast product


def separate_axis(spacing: Sequence[float], new_spacing: Sequence[float]) -> int | None:
    """The axis to resample apart from the other two (nnU-Net's separate z), or None.

    The coarsest axis of `spacing` if its spacings differ by more than a factor 3, else likewise of `new_spacing`. None if
    the coarsest spacing is shared by several axes, and in 2D.
    """
    if len(spacing) != 3:
        return None
    for candidate in (spacing, new_spacing):
        coarsest = max(candidate)
        if coarsest / min(candidate) > SEPARATE_ABOVE:
            axes = [axis for axis, value in enumerate(candidate) if value == coarsest]
            return axes[0] if len(axes) == 1 else None
    return None


def resample(
    array: np.ndarray,
    shape: Sequence[int],
    order: int,
    *,
    separate_axis: int | None = None,
    order_separate: int = 0,
    antialias: bool = False,
) -> np.ndarray:
    """Bring `(C, *spatial)` to `(C, *shape)`.

    Args:
        array: any number type.
        shape: the new spatial shape, every size at least 1.
        order: 0 nearest, 1 linear, 3 cubic B-spline, clipped to each channel's range (each slice's, with `separate_axis`).
        separate_axis: spatial axis that is interpolated with `order_separate` instead.
        order_separate: its order, 0 or 1.
        antialias: axes that shrink are smoothed first as scikit-image does it, sigma = (n / m - 1) / 2 voxels; an axis that
            hardly shrinks is hardly smoothed. Not for order 0.

    Returns:
        float32. An array that has the shape already is returned as it is, not copied where it is float32.

    Raises:
        ValueError: another order, or a size below 1.
    """
    shape = tuple(int(size) for size in shape)
    result = np.asarray(array, dtype=np.float32)
    if result.shape[1:] == shape:
        return result
    if min(shape) < 1:
        raise ValueError(f"cannot resample to the shape {shape}")
    orders = [order_separate if axis == separate_axis else order for axis in range(len(shape))]
    plane = [axis for axis in range(len(shape)) if axis != separate_axis]
    limits = _limits(result, plane) if order > 1 and any(result.shape[1 + axis] != shape[axis] for axis in plane) else None
    pending = sorted(plane, key=lambda axis: shape[axis] / result.shape[1 + axis])  # shrink first: later axes cost less
    for axis in pending:
        operator = _axis_operator(result.shape[1 + axis], shape[axis], orders[axis], antialias and orders[axis] > 0)
        result = _apply(operator, result, 1 + axis)
    if limits is not None:
        np.clip(result, *limits, out=result)
    if separate_axis is not None:
        size = result.shape[1 + separate_axis]
        result = _apply(_axis_operator(size, shape[separate_axis], order_separate, False), result, 1 + separate_axis)
    return result


@dataclass(frozen=True)
class Window:
    """The part of a new grid that a box of the old one contributes to (`target`), and what it is computed from (`source`)."""

    source: Box
    target: Box
    operators: tuple[sparse.csr_array, ...]

    def resample(self, part: np.ndarray) -> np.ndarray:
        """From the values at `source` to float32 values at `target`, exactly as if the whole grid had been resampled."""
        result = np.asarray(part, dtype=np.float32)[None]
        for axis, operator in enumerate(self.operators):
            result = _apply(operator, result, 1 + axis)
        return result[0]


def window(box: Box, old_shape: Sequence[int], shape: Sequence[int], orders: Sequence[int], within: Box | None = None) -> Window:
    """Find what a box of the old grid reaches.

    Args:
        box: not empty.
        old_shape: the old grid.
        shape: the new grid.
        orders: 0 or 1, per axis.
        within: the part of the new grid that is looked at; None: all of it.

    Returns:
        The window; its target is empty if the box falls between the samples of a coarser grid, or reaches nothing `within`.
    """
    source, target, operators = [], [], []
    for axis, (part, order) in enumerate(zip(box, orders, strict=True)):
        operator = _axis_operator(old_shape[axis], shape[axis], order, False)
        rows = np.flatnonzero(np.diff(operator[:, part.start : part.stop].indptr))
        if within is not None:
            rows = rows[(rows >= within[axis].start) & (rows < within[axis].stop)]
        if len(rows) == 0:
            target.append(slice(0, 0))
            source.append(slice(0, 0))
            operators.append(sparse.csr_array((0, 0)))
            continue
        target.append(slice(int(rows[0]), int(rows[-1]) + 1))
        columns = operator[target[-1]].indices
        source.append(slice(int(columns.min()), int(columns.max()) + 1))
        operators.append(sparse.csr_array(operator[target[-1], source[-1]]))
    return Window(tuple(source), tuple(target), tuple(operators))


def source_span(size: int, new_size: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """What the samples of a resampled axis are computed from, order 0 or 1.

    Returns:
        For each of `new_size` samples the first of the `size` old ones that it needs, and the first behind those; both ascend.
    """
    operator = _axis_operator(size, new_size, order, False)
    rows = operator.indptr[:-1]
    return np.minimum.reduceat(operator.indices, rows), np.maximum.reduceat(operator.indices, rows) + 1


def resample_labels(
    labels: np.ndarray, shape: Sequence[int], *, order: int = 1, separate_axis: int | None = None, order_separate: int = 0
) -> np.ndarray:
    """Bring a label map `(*spatial)` to another shape, label by label (nnU-Net's rule).

    Each value's mask is interpolated linearly and the value assigned where its share is at least one half, in ascending
    order, later values over earlier ones; where no value reaches one half the result is 0. Each is computed inside its own
    bounding box only.

    Args:
        labels: integers >= 0.
        shape: the new shape.
        order: 1, or 0 for nearest neighbour.
        separate_axis: axis interpolated with `order_separate` instead.
        order_separate: its order.

    Returns:
        int16; not copied if the shape is the same and the type fits.
    """
    shape = tuple(int(size) for size in shape)
    if labels.shape == shape:
        return np.asarray(labels, dtype=np.int16)
    orders = [order_separate if axis == separate_axis else order for axis in range(len(shape))]
    if max(orders) > 1:
        raise ValueError(f"labels are resampled with order 0 or 1, not {max(orders)}")
    if not any(orders):
        for axis, size in enumerate(shape):
            labels = np.take(labels, _nearest(labels.shape[axis], size), axis=axis)
        return np.asarray(labels, dtype=np.int16)
    result = np.zeros(shape, dtype=np.int16)
    for value, box in label_boxes(labels):
        view = window(box, labels.shape, shape, orders)
        share = view.resample(labels[view.source] == value)
        np.copyto(result[view.target], value, where=share >= 0.5 - _TIE)
    return result


def label_boxes(labels: np.ndarray) -> list[tuple[int, Box]]:
    """The values above 0 that occur in integer `labels`, ascending, each with its bounding box."""
    if labels.size == 0 or labels.max() < 1:
        return []
    boxes = find_objects(labels if labels.dtype.itemsize > 1 else labels.astype(np.int16))
    return [(value, box) for value, box in enumerate(boxes, start=1) if box is not None]


def box_where(mask: np.ndarray) -> Box | None:
    """The bounding box of a bool array, None where it is False throughout."""
    boxes = find_objects(mask.view(np.uint8))
    return boxes[0] if boxes else None


def _limits(array: np.ndarray, plane: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(1 + axis for axis in plane)
    return array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)


@lru_cache(maxsize=64)
def _axis_operator(size: int, new_size: int, order: int, antialias: bool) -> sparse.csr_array:
    """The matrix `(new_size, size)` that resamples an axis."""
    if order == 0:
        rows = (np.ones(new_size), _nearest(size, new_size), np.arange(new_size + 1))
        return sparse.csr_array(rows, shape=(new_size, size))
    if order == 1:
        operator = _taps(np.clip(_coordinates(size, new_size), 0, size - 1), size, (0, 1), lambda t: (1 - t, t))
    elif order == 3:
        coordinates = _coordinates(size, new_size) + _SPLINE_PADDING
        operator = _taps(coordinates, size + 2 * _SPLINE_PADDING, (-1, 0, 1, 2), _cubic_weights) @ _cubic_prefilter(size)
    else:
        raise ValueError(f"interpolation order {order} is not offered; use 0, 1 or 3")
    if antialias and new_size < size:
        operator = operator @ _gaussian(size, (size / new_size - 1) / 2)
    return sparse.csr_array(operator)


def _coordinates(size: int, new_size: int) -> np.ndarray:
    return (np.arange(new_size) + 0.5) * (size / new_size) - 0.5


def _nearest(size: int, new_size: int) -> np.ndarray:
    return np.clip(np.floor(_coordinates(size, new_size) + 0.5), 0, size - 1).astype(np.int32)


def _taps(coordinates, size, offsets, weights) -> sparse.csr_array:  # type: ignore[no-untyped-def]
    """A matrix with `weights(fraction)` at floor(coordinate) + offsets; taps without weight are left out."""
    start = np.floor(coordinates)
    columns = np.clip(start[:, None] + np.asarray(offsets), 0, size - 1).astype(np.int32)
    values = np.stack(weights(coordinates - start), axis=1)
    rows = np.repeat(np.arange(len(coordinates), dtype=np.int32), len(offsets))
    matrix = sparse.coo_array((values.ravel(), (rows, columns.ravel())), shape=(len(coordinates), size)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _cubic_weights(t: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cubic B-spline at distances 1 + t, t, 1 - t, 2 - t (Unser 1999)."""
    u = 1 - t
    return u**3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - u**2 * (2 - u) / 2, t**3 / 6


@lru_cache(maxsize=16)
def _cubic_prefilter(size: int) -> sparse.csr_array:
    """From the samples of an axis to the spline's coefficients on the edge-padded axis, `(size + 24, size)`."""
    padded = np.pad(np.eye(size), ((_SPLINE_PADDING, _SPLINE_PADDING), (0, 0)), mode="edge")
    coefficients = spline_filter1d(padded, order=3, axis=0, mode="nearest")
    coefficients[np.abs(coefficients) < _NEGLIGIBLE] = 0
    return sparse.csr_array(coefficients)


def _gaussian(size: int, sigma: float) -> sparse.csr_array:
    """Smoothing of an axis with `scipy.ndimage.gaussian_filter1d`'s kernel (cut at 4 sigma), edges repeated."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    return _taps(np.arange(size, dtype=float), size, offsets, lambda t: [np.full(size, weight) for weight in kernel])


def _apply(operator: sparse.csr_array, array: np.ndarray, axis: int) -> np.ndarray:
    """Multiply along one axis, in bands: 32 rows of the result need only the columns around them."""
    new_size, size = operator.shape
    if new_size == size and operator.nnz == size and np.array_equal(operator.indices, np.arange(size)):
        return array  # every row is one tap of weight 1 on its own voxel
    if operator.nnz == new_size and np.all(operator.data == 1):
        return np.take(array, operator.indices, axis=axis)
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    last = axis == array.ndim - 1
    grouped = (prod(before), size) if last else (prod(before), size, prod(after))
    source = np.ascontiguousarray(array).reshape(grouped)
    result = np.empty((len(source), new_size, *source.shape[2:]), dtype=np.float32)
    with _blas().limit(limits=1, user_api="blas") if result.size < _THREADS_FROM else nullcontext():
        _multiply(operator, source, result, last)
    return result.reshape(*before, new_size, *after)


def _multiply(operator: sparse.csr_array, source: np.ndarray, result: np.ndarray, last: bool) -> None:
    """Fill `result` `(before, new, after)`, or `(before, new)` along the last axis."""
    for top in range(0, operator.shape[0], _ROWS):
        rows = operator[top : top + _ROWS]
        if rows.nnz == 0:
            result[:, top : top + _ROWS] = 0
            continue
        first, behind = int(rows.indices.min()), int(rows.indices.max()) + 1
        band = rows[:, first:behind].toarray().astype(np.float32)
        if last:
            np.matmul(source[:, first:behind], band.T, out=result[:, top : top + _ROWS])
        else:
            np.matmul(band, source[:, first:behind], out=result[:, top : top + _ROWS])


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, so once
