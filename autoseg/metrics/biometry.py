"""Measures of the fetal head, in mm, from a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_fill_holes, label

from autoseg.errors import DataError
from autoseg.metrics.surface import bounding_box
from autoseg.volume.ellipse import Ellipse, fit_ellipse

FEWEST_PIXELS = 20  # a smaller mask has too coarse an outline to say anything about an ellipse

LONGEST_HALF_AXIS = 1.0  # times the diagonal of the outline; a longer one is read into nearly straight lines, not seen


def head_circumference_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """Perimeter of the ellipse fitted to the outline of the mask's largest component, as in the HC18 challenge; None if there is none.

    Args:
        mask: boolean `(y, x)`.
        spacing_mm: size of a pixel, `(y, x)`.

    Returns:
        mm; None where the mask is empty, too small, or so much cut off by the border that no ellipse can be told from it.
    """
    ellipse = head_ellipse_mm(mask, spacing_mm)
    return None if ellipse is None else ellipse.perimeter()


def head_ellipse_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> Ellipse | None:
    """The ellipse behind `head_circumference_mm`; centre and half axes in mm from the centre of pixel (0, 0)."""
    if mask.ndim != 2 or len(spacing_mm) != 2:
        raise ValueError(f"a head outline is measured in 2D; the mask has {mask.ndim} axes and {len(spacing_mm)} spacings")
    box = bounding_box(mask)
    if box is None:
        return None
    component = binary_fill_holes(_largest_component(mask[box]))
    if np.count_nonzero(component) < FEWEST_PIXELS:
        return None
    points_mm = outline_points(component, box, mask.shape) * np.asarray(spacing_mm, dtype=float)
    try:
        ellipse = fit_ellipse(points_mm)
    except DataError:  # a line, or hardly any outline within the image: not an ellipse
        return None
    extent = float(np.linalg.norm(np.ptp(points_mm, axis=0)))
    return ellipse if ellipse.semi_axes[0] <= LONGEST_HALF_AXIS * extent else None


def outline_points(component: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Where the outline crosses from pixel to pixel: `(n, 2)` in pixels of the whole image.

    The points lie half way between an inside pixel and its outside neighbour, so a filled ellipse gives back its own axes; centres of
    outermost inside pixels would lie half a pixel too far in. Where the mask touches the image's border, the head goes on outside the
    picture and there is no outline, so no point either.

    Args:
        component: boolean, the part of the mask inside `box`.
        box: where `component` lies in the image.
        shape: of the image.
    """
    padded = np.pad(component, 1)
    offset = np.array([part.start for part in box]) - 1.0
    points = []
    for axis in (0, 1):
        crossing = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)) + offset
        crossing[:, axis] += 0.5
        inside_image = (crossing[:, axis] > 0) & (crossing[:, axis] < shape[axis] - 1)
        points.append(crossing[inside_image])
    return np.concatenate(points)


def _largest_component(mask: np.ndarray) -> np.ndarray:
    components, found = label(mask)
    if found == 1:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == int(sizes.argmax()))
