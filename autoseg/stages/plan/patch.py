"""Patch size: as much of the median image as fits, in the proportions of the grid. nnU-Net's rule."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from autoseg.errors import PlanError
from autoseg.records import Spacing
from autoseg.stages.plan.spacing import Extent
from autoseg.stages.plan.topology import Topology, topology, topology_2015

LARGEST_VOXELS = {2: 2048**2, 3: 256**3}  # of the patch the search starts from, before it is clipped to the image


Fits = Callable[[Topology], bool]
Arrange = Callable[[Spacing, Extent], Topology]


def largest_patch(spacing: Spacing, median: Extent, fits: Fits) -> Topology:
    """The first patch (with its topology) that fits, shrinking from the median image.

    The axis that covers most of the image is shortened, by what the strides of the shortened patch divide.

    Raises:
        PlanError: not even the smallest patch fits.
    """
    return _shrunk(topology, spacing, median, fits)


def largest_patch_2015(spacing: Spacing, median: Extent, fits: Fits) -> Topology:
    """The same for the layout of the U-Net of 2015."""
    return _shrunk(topology_2015, spacing, median, fits)


def _shrunk(arrange: Arrange, spacing: Spacing, median: Extent, fits: Fits) -> Topology:
    layout = arrange(spacing, _first_patch(spacing, median))
    while not fits(layout):
        layout = _shorter(arrange, layout, spacing, median)
    return layout


def _first_patch(spacing: Spacing, median: Extent) -> Extent:
    rank = len(spacing)
    inverse = [1 / value for value in spacing]
    scale = (LARGEST_VOXELS[rank] / prod(inverse)) ** (1 / rank)
    return tuple(min(round(value * scale), n) for value, n in zip(inverse, median, strict=True))


def _shorter(arrange: Arrange, layout: Topology, spacing: Spacing, median: Extent) -> Topology:
    """One step: the divisor is taken from a patch tentatively shortened, so that 224 between 256 and 192 is not skipped."""
    size = list(layout.patch_size)
    axes = [axis for axis, (n, d) in enumerate(zip(size, layout.divisor, strict=True)) if n > d]
    if not axes:
        raise PlanError(f"not even a patch of {'x'.join(map(str, size))} fits; allow more memory or time, or a coarser grid")
    axis = max(axes, key=lambda a: (size[a] / median[a], a))  # the last one of equals
    tentative = list(size)
    tentative[axis] -= layout.divisor[axis]
    size[axis] -= arrange(spacing, tuple(tentative)).divisor[axis]
    return arrange(spacing, tuple(size))
