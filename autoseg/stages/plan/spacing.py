"""Target spacing, transposition, and the median shape on the target grid: nnU-Net's rules, and coarsening for a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from autoseg.records import Spacing
from autoseg.stages.plan.inputs import PlanInputs

ANISOTROPY = 3  # nnU-Net: an axis this much coarser (and shorter) than the others is resolved finer than its median
FINE_PERCENTILE = 10
LARGE_PERCENTILE = 95
ELONGATION = 1.3  # length of a compact structure to its thickness: that of a fetal head (occipitofrontal to biparietal diameter)
LOWRES_STEP = 1.03  # nnU-Net's factor per round of the search for a coarser grid
LOWRES_ISOTROPY = 2  # axes finer than the coarsest by more than this are coarsened first

Extent = tuple[float, ...]  # a median shape; halves occur over an even number of cases


def target_spacing(inputs: PlanInputs) -> tuple[Spacing, bool]:
    """Spacing per axis that all cases are brought to, and whether the rule for anisotropic volumes applied.

    The median over the cases. In 3D, an axis more than three times coarser than the others, along which images are also
    more than three times shorter, takes the 10th percentile instead (coarse slices would be interpolated from too few).
    Cases without a known spacing do not count; if there are none with one, the grid counts in pixels (1 per axis).
    """
    known = inputs.known_spacings
    if not known:
        return (1.0,) * inputs.rank, False
    spacings = np.asarray(known, dtype=float)
    target = [float(value) for value in np.percentile(spacings, 50, axis=0)]
    size = np.percentile(np.asarray(inputs.shapes_after_crop), 50, axis=0)
    worst = int(np.argmax(target))
    others = [axis for axis in range(inputs.rank) if axis != worst]
    coarsest_other = max(target[axis] for axis in others)
    coarse = target[worst] > ANISOTROPY * coarsest_other
    short = size[worst] * ANISOTROPY < min(size[axis] for axis in others)
    if inputs.rank != 3 or not (coarse and short):
        return tuple(target), False
    fine = float(np.percentile(spacings[:, worst], FINE_PERCENTILE))
    target[worst] = fine if fine >= coarsest_other else coarsest_other + 1e-5
    return tuple(target), True


def transposition(spacing: Spacing) -> tuple[int, ...]:
    """Axis order for the network: the coarsest axis first (it is the slice axis of a 2D network), the others as they were.

    2D images keep their order.
    """
    if len(spacing) == 2:
        return (0, 1)
    coarsest = max(range(3), key=lambda axis: spacing[axis])  # the first one of equals
    return (coarsest, *(axis for axis in range(3) if axis != coarsest))


def median_shape(inputs: PlanInputs, spacing: Spacing) -> Extent:
    """Median over the cases of their shape on the target grid (cases of unknown spacing keep theirs)."""
    return tuple(float(value) for value in np.median(_shapes_on(inputs, spacing), axis=0))


def extent_to_show(inputs: PlanInputs, spacing: Spacing, median: Extent) -> Extent:
    """What a patch should show: the median image, and the largest structure whole where images differ in scale.

    A structure cut by the patch has to be guessed at its far side. Its length is taken as 1.3 times the thickness that
    95 % of the cases stay below; no more than the image of these has.
    """
    if inputs.thickest is None:
        return median
    images = np.percentile(_shapes_on(inputs, spacing), LARGE_PERCENTILE, axis=0)
    wanted = structure_extent(inputs, spacing)
    return tuple(max(m, min(float(i), w)) for m, i, w in zip(median, images, wanted, strict=True))


def structure_extent(inputs: PlanInputs, spacing: Spacing) -> Extent:
    """Pixels along each axis that hold the largest structure; without end where no thickness was measured."""
    if inputs.thickest is None:
        return (inf,) * len(spacing)
    return tuple(ELONGATION * inputs.thickest / value for value in spacing)


def _shapes_on(inputs: PlanInputs, spacing: Spacing) -> np.ndarray:
    """Shape of every case on a grid, `(cases, rank)`."""
    shapes = []
    for own, shape in zip(inputs.spacings_mm, inputs.shapes_after_crop, strict=True):
        if own is not None:
            shape = tuple(max(1, round(o / t * n)) for o, t, n in zip(own, spacing, shape, strict=True))
        shapes.append(shape)
    return np.asarray(shapes)


def coarsened(spacing: Spacing, factor: float) -> Spacing:
    """A grid whose finest axes are `factor` times coarser; axes that are coarser already stay as they are.

    So voxels become isotropic before all axes lose resolution.
    """
    finest = factor * min(spacing)
    return tuple(max(value, finest) for value in spacing)


def lowres_spacings(spacing: Spacing) -> Iterator[Spacing]:
    """The grids that nnU-Net tries in search of a low-resolution network, ever coarser, without end."""
    grid = list(spacing)
    while True:
        coarsest = max(grid)
        finer = [coarsest / value > LOWRES_ISOTROPY for value in grid]
        chosen: Sequence[bool] = finer if any(finer) else [True] * len(grid)
        grid = [value * LOWRES_STEP if change else value for value, change in zip(grid, chosen, strict=True)]
        yield tuple(grid)
