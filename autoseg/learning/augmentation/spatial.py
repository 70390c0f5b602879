"""Patches turned, scaled and bent: output voxels are sampled straight from the box that was read for them.

Images are interpolated linearly. A label wins where the interpolated mask of its own is largest, as in batchgeneratorsv2:
equal to 16 bits of precision is a tie, which the nearest voxel's label settles if it takes part, and the lowest label otherwise.
The cost does not grow with the number of classes: up to `FEW_LABELS` masks are sampled together with the image, more are voted
for by the corners around a sample point.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from autoseg.learning.augmentation.draw import Bend, SampleDraw

FEW_LABELS = 8  # of a plane: up to here masks are quicker than votes on two cores
SCORE = 1000.0  # scores are compared as float16 of this multiple (batchgeneratorsv2)
TIE = 0.125 / SCORE  # two labels: what float16 rounds to half of SCORE
VOTES_AT_A_TIME = 2**20  # points; bounds the memory that voting takes


Values = tuple[int, ...] | None  # labels that occur in a plane, in order; None where they are many


def resample(
    image: Tensor, labels: Tensor, values: Sequence[Values], draw: SampleDraw, patch_size: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Sample a patch from its box.

    Args:
        image: (C, *box), of any floating type.
        labels: (L, *box) integers.
        values: of each plane of labels, by `values_of`.
        draw: with a matrix; in sliced patches it has two axes, and the first axis of the box is that of the patch.
        patch_size: of the result.

    Returns:
        image (C, *patch) float32 and labels (L, *patch) of their type.
    """
    assert draw.matrix is not None
    axes = len(draw.matrix)
    plane, box = patch_size[-axes:], tuple(image.shape[-axes:])
    grid = sampling_grid(draw, plane, box, mirrored=_of_plane(draw.mirrored, len(patch_size) - axes), device=image.device)
    # slices of a sliced patch are sampled like channels
    planes = labels.reshape(len(labels), -1, *box)
    height, wanted = (
        planes.shape[1],
        [(marks, value) for marks, found in zip(planes, values, strict=True) for value in (found or ())[1:]],
    )
    channels = image.shape[0] * height if len(patch_size) > axes else image.shape[0]
    source = torch.empty((channels + len(wanted) * height, *box), device=image.device)
    source[:channels].copy_(image.reshape(-1, *box))
    for index, (marks, value) in enumerate(wanted):
        source[channels + index * height : channels + (index + 1) * height].copy_(marks == value)
    sampled = _sample(source, grid)
    result = torch.empty((*planes.shape[:2], *plane), dtype=labels.dtype, device=labels.device)
    scores = iter(sampled[channels:].split(height))
    for index, found in enumerate(values):
        if found is None:
            result[index] = vote(planes[index], grid)
        elif len(found) == 1:
            result[index] = found[0]
        else:
            result[index] = _winner(planes[index], [next(scores) for _ in found[1:]], found, grid)
    shape = patch_size[: len(patch_size) - axes]
    resampled = sampled[:channels].reshape(image.shape[0], *shape, *plane)
    turned = result.reshape(labels.shape[0], *shape, *plane)
    first = [axis + 1 for axis in draw.mirrored if axis < len(patch_size) - axes]  # across slices the grid does not reach
    return (resampled.flip(first), turned.flip(first)) if first else (resampled, turned)


def sampling_grid(
    draw: SampleDraw, patch_size: tuple[int, ...], box: tuple[int, ...], *, mirrored: tuple[int, ...], device: torch.device
) -> Tensor:
    """Where each voxel of the patch lies in the box: (*patch, axes) for `grid_sample` with `align_corners=False`.

    Mirroring costs nothing here: the patch is run through backwards.
    """
    assert draw.matrix is not None
    axes = len(patch_size)
    # grid_sample counts axes from the last to the first, and from -1 to 1 between the outer edges of the box
    columns = torch.from_numpy((draw.matrix * (2 / np.array(box))[:, None])[::-1].T.astype(np.float32).copy()).to(device)
    signs = [-1.0 if axis in mirrored else 1.0 for axis in range(axes)]
    offsets = [
        sign * (torch.arange(n, dtype=torch.float32, device=device) - (n - 1) / 2)
        for n, sign in zip(patch_size, signs, strict=True)
    ]
    # the last axis and the coordinates lie next to one another in memory, so all of it is added up in long rows
    rows = (offsets[-1][:, None] * columns[-1]).reshape(-1)
    repeated = columns.repeat(1, patch_size[-1])
    grid = rows.view(*[1] * (axes - 1), -1)
    for axis in reversed(range(axes - 1)):
        along = offsets[axis].view([-1 if other == axis else 1 for other in range(axes)])
        grid = torch.addcmul(grid, along, repeated[axis])
    if draw.bend is not None:
        grid = _bent(grid, draw.bend, columns, patch_size, mirrored)
    return grid.view(*patch_size, axes)


def vote(labels: Tensor, grid: Tensor) -> Tensor:
    """Labels (P, *box) at the points of a grid (*patch, axes): the corners around a point vote with their linear weights.

    On a CPU only points near a border vote: elsewhere the nearest voxel says it.
    """
    axes, device = grid.shape[-1], labels.device
    points = grid.view(-1, axes)
    marked = labels.float() * 2 + _mixed(labels)
    sampled = _sample(marked, grid, mode="nearest").view(len(labels), -1).to(torch.int32)
    result = (sampled >> 1).to(labels.dtype)
    count = points.shape[0]
    if device.type == "cpu":
        chosen = torch.nonzero((sampled & 1).view(-1)).view(-1)
    else:  # counting them would make the CPU wait for the device
        chosen = torch.arange(result.numel(), device=device)
    flat, nearest = labels.reshape(-1), result.view(-1)
    for part in chosen.split(VOTES_AT_A_TIME):
        base = part.div(count, rounding_mode="floor") * labels[0].numel()
        winners = _voted(flat, base, points[part % count], tuple(labels.shape[1:]), nearest[part])
        nearest[part] = winners
    return result.view(len(labels), *grid.shape[:-1])


def _voted(flat: Tensor, base: Tensor, points: Tensor, box: tuple[int, ...], nearest: Tensor) -> Tensor:
    """The winners at some points; `base` is where a point's plane begins in `flat`, `nearest` its nearest label."""
    lower, weights = [], []
    for axis, size in enumerate(box):
        place = ((points[:, len(box) - 1 - axis] + 1) * size - 1) / 2
        floor = place.floor().clamp_(0, max(size - 2, 0))
        lower.append(floor.to(torch.int64))
        weights.append((place - floor).clamp_(0, 1))
    corners, shares = [], []
    for corner in product((0, 1), repeat=len(box)):
        index, share = torch.zeros_like(base), torch.ones_like(weights[0])
        for axis, (up, size) in enumerate(zip(corner, box, strict=True)):
            index = index * size + (lower[axis] + up).clamp_(max=size - 1)
            share = share * (weights[axis] if up else 1 - weights[axis])
        corners.append(flat[base + index])
        shares.append(share)
    scores = [share.clone() for share in shares]
    for i, j in combinations(range(len(corners)), 2):
        same = (corners[i] == corners[j]).float()
        scores[i].addcmul_(same, shares[j])
        scores[j].addcmul_(same, shares[i])
    ranks = [_rank(score) for score in scores]
    best, winner, of_nearest = ranks[0], corners[0], torch.where(corners[0] == nearest, ranks[0], -1)
    for label, own in zip(corners[1:], ranks[1:], strict=True):
        better = (own > best) | ((own == best) & (label < winner))
        best, winner = torch.where(better, own, best), torch.where(better, label, winner)
        of_nearest = torch.where(label == nearest, own, of_nearest)
    return torch.where(of_nearest == best, nearest, winner)


def _rank(score: Tensor) -> Tensor:
    """Scores of 0 to 1 as float16 of SCORE times as much, in whole numbers of the same order, which compare faster."""
    return (score * SCORE).clamp_(min=0).to(torch.float16).view(torch.int16)


def _mixed(labels: Tensor) -> Tensor:
    """1 where a voxel has a neighbour (diagonal ones too) of another label, else 0: only about these do corners differ."""
    low = high = labels
    for axis in range(1, labels.dim()):
        size = low.shape[axis]
        if size == 1:
            continue
        low, high = (
            torch.cat(
                [
                    pick(values.narrow(axis, 0, 1), values.narrow(axis, 1, 1)),
                    pick(
                        pick(values.narrow(axis, 0, size - 2), values.narrow(axis, 1, size - 2)), values.narrow(axis, 2, size - 2)
                    ),
                    pick(values.narrow(axis, size - 2, 1), values.narrow(axis, size - 1, 1)),
                ],
                dim=axis,
            )
            for pick, values in ((torch.minimum, low), (torch.maximum, high))
        )
    return low != high


def _winner(labels: Tensor, scores: list[Tensor], found: tuple[int, ...], grid: Tensor) -> Tensor:
    """The label with the largest score, where scores (P, *patch) of all but the first are given; labels (P, *box)."""
    if len(found) == 2:
        result = found[0] + (scores[0] > 0.5).to(labels.dtype) * (found[1] - found[0])
        best = scores[0]
        tied = (best - 0.5).abs_() <= TIE
    else:
        ranks = [_rank(1 - sum(scores[1:], scores[0])), *(_rank(score) for score in scores)]
        best, result = ranks[0], torch.full_like(ranks[0], found[0], dtype=labels.dtype)
        tied = torch.zeros_like(best, dtype=torch.bool)
        for value, own in zip(found[1:], ranks[1:], strict=True):
            better = own > best
            tied = (tied & ~better) | (own == best)
            best = torch.maximum(best, own)
            result.masked_fill_(better, value)
    contenders = None if len(found) == 2 else list(zip(found, ranks, strict=True))
    if labels.device.type != "cpu":  # counting them would make the CPU wait for the device
        nearest = _sample(labels.float(), grid, mode="nearest").to(labels.dtype)
        return torch.where(_taking_part(tied, nearest, best, contenders), nearest, result)
    chosen = torch.nonzero(tied.flatten(1).any(dim=0)).view(-1)
    if len(chosen):
        axes = grid.shape[-1]
        places = grid.view(-1, axes)[chosen].view(*[1] * (axes - 1), -1, axes)
        nearest = _sample(labels.float(), places, mode="nearest").to(labels.dtype).view(len(labels), -1)
        here = [(value, own.flatten(1)[:, chosen]) for value, own in contenders] if contenders else None
        part = _taking_part(tied.flatten(1)[:, chosen], nearest, best.flatten(1)[:, chosen], here)
        flat = result.view(len(labels), -1)
        flat[:, chosen] = torch.where(part, nearest, flat[:, chosen])
    return result


def _taking_part(tied: Tensor, nearest: Tensor, best: Tensor, contenders: list[tuple[int, Tensor]] | None) -> Tensor:
    """Ties in which the nearest label takes part; it may be one that lost where there are more than two."""
    if contenders is None:
        return tied
    part = torch.zeros_like(tied)
    for value, own in contenders:
        part |= (nearest == value) & (own == best)
    return tied & part


def values_of(labels: Tensor) -> Values:
    """The labels that occur in a plane if they are few, None where they are many or far apart. For planes on the CPU."""
    low, high = (int(value) for value in torch.aminmax(labels))
    if high - low >= FEW_LABELS:
        return None
    return tuple(value for value in range(low, high + 1) if value in (low, high) or bool((labels == value).any()))


def _bent(grid: Tensor, bend: Bend, columns: Tensor, patch_size: tuple[int, ...], mirrored: tuple[int, ...]) -> Tensor:
    """The grid (..., last axis times coordinates) with the displacements added, turned as the patch is."""
    axes = len(patch_size)
    nodes = torch.from_numpy(bend.nodes).to(columns.device)
    field = torch.tensordot(nodes, columns, dims=([0], [0]))  # (*nodes, coordinates)
    splines = [
        torch.from_numpy(spline_matrix(n, count, distance)[:: -1 if axis in mirrored else 1].copy()).to(columns.device)
        for axis, (n, count, distance) in enumerate(zip(patch_size, bend.nodes.shape[1:], bend.distance, strict=True))
    ]
    field = torch.matmul(splines[-1], field)
    field = field.view(*field.shape[:-2], -1)
    if axes == 3:
        field = torch.matmul(splines[1], field)
    added = torch.matmul(splines[0], field.reshape(len(splines[0].T), -1))
    return grid + added.view(grid.shape)


def spline_matrix(size: int, count: int, distance: float) -> np.ndarray:
    """Cubic B-splines of `count` nodes at the voxels of an axis: (size, count), rows add up to 1; node 1 lies on voxel 0."""
    place = np.arange(size) / distance
    cell = np.minimum(place.astype(int), count - 4) if count >= 4 else np.zeros(size, int)
    t = place - cell
    matrix = np.zeros((size, count), np.float32)
    parts = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    for step, part in enumerate(parts):
        np.add.at(matrix, (np.arange(size), np.minimum(cell + step, count - 1)), part)
    return matrix


def _sample(values: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """(P, *box) at a grid (*patch, axes); zeros outside, which only rounding can reach."""
    return grid_sample(values[None], grid[None], mode=mode, padding_mode="border", align_corners=False)[0]


def _of_plane(mirrored: tuple[int, ...], skipped: int) -> tuple[int, ...]:
    """Mirrored axes of a patch as axes of its slices."""
    return tuple(axis - skipped for axis in mirrored if axis >= skipped)
