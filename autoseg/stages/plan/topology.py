"""How deep a U-Net is for a patch, and where it pools: nnU-Net's rule. Integer arithmetic; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from autoseg.records import NetworkSpec, Shape, Spacing
from autoseg.records.plan import NetworkFamily
from autoseg.stages.plan.spacing import Extent

SMALLEST_EDGE = 4  # pixels of the bottleneck's feature map
STAGES_2015, WIDTH_2015, MOST_FEATURES_2015 = 5, 64, 1024  # of the U-Net of Ronneberger et al. 2015
RESIDUAL_BLOCKS = (1, 3, 4, 6)  # of the first stages; the deeper ones are like the last
SIMILAR = 2  # axes within this factor of the finest spacing pool, and are convolved, together


@dataclass(frozen=True)
class Topology:
    """Strides and kernels per stage, and the patch padded up to what the strides divide."""

    strides: tuple[Shape, ...]
    kernel_sizes: tuple[Shape, ...]
    patch_size: Shape
    divisor: Shape


@lru_cache(maxsize=4096)  # a search for a patch comes by the same sizes again and again
def topology(spacing: Spacing, patch_size: Extent) -> Topology:
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


def topology_2015(spacing: Spacing, patch_size: Extent) -> Topology:
    """The layout of Ronneberger et al. 2015: every axis is halved up to four times, as long as four pixels remain; kernels of 3.

    `spacing` does not matter to it. The patch is padded up to what the strides divide.
    """
    size, pools = list(patch_size), [0] * len(spacing)
    strides: list[Shape] = [(1,) * len(spacing)]
    while len(strides) < STAGES_2015:
        halved = tuple(2 if n >= 2 * SMALLEST_EDGE else 1 for n in size)
        if max(halved) == 1:
            break
        strides.append(halved)
        pools = [n + (step == 2) for n, step in zip(pools, halved, strict=True)]
        size = [ceil(n / step) for n, step in zip(size, halved, strict=True)]
    divisor = tuple(2**n for n in pools)
    padded = tuple(ceil(n / d) * d for n, d in zip(patch_size, divisor, strict=True))
    return Topology(tuple(strides), ((3,) * len(spacing),) * len(strides), padded, divisor)


def network_of(
    layout: Topology, *, family: NetworkFamily, base_features: int, max_features: int, in_channels: int, out_channels: int
) -> NetworkSpec:
    """The network of a topology: features double from stage to stage up to `max_features`.

    Residual networks have 1, 3, 4, and from then on 6 blocks a stage, and one convolution a decoder stage (nnU-Net's ResEnc
    presets); the others have two convolutions everywhere. The U-Net of 2015 knows no deep supervision.
    """
    n_stages = len(layout.strides)
    residual = family == "residual_unet"
    return NetworkSpec(
        family=family,
        rank=2 if len(layout.patch_size) == 2 else 3,
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(min(base_features * 2**stage, max_features) for stage in range(n_stages)),
        strides=layout.strides,
        kernel_sizes=layout.kernel_sizes,
        encoder_blocks=tuple(RESIDUAL_BLOCKS[min(stage, 3)] if residual else 2 for stage in range(n_stages)),
        decoder_convs=(1 if residual else 2,) * (n_stages - 1),
        deep_supervision=family != "unet2015",
    )


def _axes_to_pool(size: Sequence[float], grid: Sequence[float]) -> list[int]:
    """Axes to halve next; none ends the encoder."""
    large = [axis for axis, n in enumerate(size) if n >= 2 * SMALLEST_EDGE]
    if not large:
        return []
    finest = min(grid[axis] for axis in large)
    axes = [axis for axis in large if grid[axis] / finest < SIMILAR]
    return [] if len(axes) == 1 and size[axes[0]] < 3 * SMALLEST_EDGE else axes
