"""How deep a U-Net is for a patch, and where it pools: nnU-Net's rule. Integer arithmetic; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from autoseg.records import NetworkSpec, Shape, Spacing

SMALLEST_EDGE = 4  # pixels of the bottleneck's feature map
SIMILAR = 2  # axes within this factor of the finest spacing pool, and are convolved, together


@dataclass(frozen=True)
class Topology:
    """Strides and kernels per stage, and the patch padded up to what the strides divide."""

    strides: tuple[Shape, ...]
    kernel_sizes: tuple[Shape, ...]
    patch_size: Shape
    divisor: Shape


def topology(spacing: Spacing, patch_size: Sequence[float]) -> Topology:
    """Halve axes while their feature map keeps at least four pixels.

    An axis waits while its spacing is twice the finest one or more, so that voxels become isotropic before they become
    coarse; until then its kernel is 1 along it. A single axis left to pool needs twelve pixels.

    Args:
        spacing: of the grid, any unit.
        patch_size: wished size; a median over images may hold halves.
    """
    rank = len(spacing)
    size, grid = list(patch_size), list(spacing)
    kernel, pools = [1] * rank, [0] * rank
    strides, kernels = [(1,) * rank], []
    while axes := _axes_to_pool(size, grid):
        kernel = [3 if k == 3 or g / min(grid) < SIMILAR else 1 for k, g in zip(kernel, grid, strict=True)]
        for axis in axes:
            pools[axis] += 1
            grid[axis] *= 2
            size[axis] = ceil(size[axis] / 2)
        strides.append(tuple(2 if axis in axes else 1 for axis in range(rank)))
        kernels.append(tuple(kernel))
    kernels.append((3,) * rank)
    divisor = tuple(2**n for n in pools)
    padded = tuple(ceil(n / d) * d for n, d in zip(patch_size, divisor, strict=True))
    return Topology(tuple(strides), tuple(kernels), padded, divisor)


def network_of(layout: Topology, *, base_features: int, max_features: int, in_channels: int, out_channels: int) -> NetworkSpec:
    """The plain U-Net of a topology: features double from stage to stage up to `max_features`."""
    return NetworkSpec(
        rank=2 if len(layout.patch_size) == 2 else 3,
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(min(base_features * 2**stage, max_features) for stage in range(len(layout.strides))),
        strides=layout.strides,
        kernel_sizes=layout.kernel_sizes,
        encoder_blocks=(2,) * len(layout.strides),
        decoder_convs=(2,) * (len(layout.strides) - 1),
    )


def _axes_to_pool(size: Sequence[float], grid: Sequence[float]) -> list[int]:
    """Axes to halve next; none ends the encoder."""
    large = [axis for axis, n in enumerate(size) if n >= 2 * SMALLEST_EDGE]
    if not large:
        return []
    finest = min(grid[axis] for axis in large)
    axes = [axis for axis in large if grid[axis] / finest < SIMILAR]
    return [] if len(axes) == 1 and size[axes[0]] < 3 * SMALLEST_EDGE else axes
