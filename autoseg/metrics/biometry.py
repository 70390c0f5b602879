"""The fetal head in mm, from a mask: an ellipse fitted to its outline, and whether it can be trusted.

Head circumference (HC) is the perimeter of the ellipse, biparietal diameter (BPD) its minor and occipitofrontal diameter (OFD) its major
axis, as in the HC18 challenge (van den Heuvel et al. 2018); the cephalic index is BPD / OFD in per cent. What cannot be measured has a
reason instead of a number, and what can, but with doubts, carries them. Thresholds and how they were chosen: docs/biometry.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, label

from autoseg.errors import DataError
from autoseg.metrics.robust_ellipse import Outline, distances, fit_robust, lengths_mm
from autoseg.metrics.surface import bounding_box
from autoseg.volume.ellipse import Ellipse

HEAD = "head"  # the structure that is measured as a head, by its name in any case
FEWEST_PIXELS = 20  # a smaller mask has too coarse an outline to say anything about an ellipse
LONGEST_HALF_AXIS = 1.0  # times the diagonal of the outline; a longer one is read into nearly straight lines, not seen

# Shares of the outline, or of the ellipse, by length.
OFF = 0.05  # of the minor half axis; farther from the ellipse, outline is off it
OFF_PIXELS = 1.5  # ... or this much, where pixels are coarse
OFF_FAILS, OFF_WARNS = 0.35, 0.15  # share of the outline off the ellipse
RESIDUAL_WARNS = 0.03  # root mean square distance of the outline, outliers cut at OFF, in minor half axes
SEEN_FAILS, SEEN_WARNS = 0.55, 0.85  # share of the ellipse that has outline near it
PIECE_FAILS, PIECE_WARNS = 0.33, 0.05  # size of the second largest piece, in largest ones
ARCS = 180  # into which the ellipse is cut to see which of it has outline
USUAL_INDEX = (65.0, 92.0)  # per cent; mean 78.3 and three standard deviations of Hadlock et al. 1981 (AJR 137:83-85)


@dataclass(frozen=True)
class HeadFit:
    """An ellipse in mm from the centre of pixel (0, 0), or a sentence why there is none; shares are None where nothing was fitted."""

    ellipse: Ellipse | None
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    off: float | None = None
    residual: float | None = None
    seen: float | None = None

    @property
    def cephalic_index(self) -> float | None:
        """BPD / OFD in per cent."""
        return None if self.ellipse is None else 100 * self.ellipse.semi_axes[1] / self.ellipse.semi_axes[0]


@dataclass(frozen=True, eq=False)
class _Piece:
    """The outline of the largest piece, the size of the second in largest ones, and whether the mask touches the picture's border."""

    outline: Outline
    second: float
    cut: bool


def head_circumference_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """Perimeter of the ellipse fitted to the outline of the mask's largest component, as in the HC18 challenge; None if there is none.

    Args:
        mask: boolean `(y, x)`.
        spacing_mm: size of a pixel, `(y, x)`.

    Returns:
        mm; None where `fit_head` gives a reason instead.
    """
    ellipse = head_ellipse_mm(mask, spacing_mm)
    return None if ellipse is None else ellipse.perimeter()


def head_ellipse_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> Ellipse | None:
    """The ellipse behind `head_circumference_mm`; centre and half axes in mm from the centre of pixel (0, 0)."""
    return fit_head(mask, spacing_mm).ellipse


def fit_head(mask: np.ndarray, spacing_mm: Sequence[float]) -> HeadFit:
    """Fit the ellipse of a head, and judge it.

    Args:
        mask: boolean `(y, x)`; holes are filled, and of several pieces the largest is fitted.
        spacing_mm: size of a pixel, `(y, x)`.
    """
    piece = _largest_piece(mask, spacing_mm)
    if isinstance(piece, str):
        return HeadFit(None, piece)
    if piece.second > PIECE_FAILS:
        return HeadFit(
            None,
            f"the mask has several pieces; the second is {100 * piece.second:.0f} % of the largest, so which is the head cannot be told",
        )
    ellipse = _ellipse_of(piece)
    return HeadFit(None, ellipse) if isinstance(ellipse, str) else _judged(piece.outline, ellipse, piece.second)


def fitted_circumference_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """Perimeter of the ellipse of the largest piece, however badly it fits; for errors of many heads, not to be told of one.

    Args:
        mask: boolean `(y, x)`.
        spacing_mm: size of a pixel, `(y, x)`.

    Returns:
        mm; None where there is no head, where it is too small, and where no ellipse can be read into its outline.
    """
    piece = _largest_piece(mask, spacing_mm)
    ellipse = piece if isinstance(piece, str) else _ellipse_of(piece)
    return None if isinstance(ellipse, str) else ellipse.perimeter()


def outline_of(component: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...], spacing_mm: Sequence[float]) -> Outline:
    """Where the outline crosses from pixel to pixel, in mm from the centre of pixel (0, 0).

    The points lie half way between an inside pixel and its outside neighbour, so a filled ellipse gives back its own axes; centres of
    outermost inside pixels would lie half a pixel too far in. Where the mask touches the image's border, the head goes on outside the
    picture and there is no outline, so no point either.

    Args:
        component: boolean, the part of the mask inside `box`.
        box: where `component` lies in the image.
        shape: of the image.
        spacing_mm: size of a pixel, `(y, x)`.
    """
    padded = np.pad(component, 1)
    offset = np.array([part.start for part in box]) - 1.0
    points, across = [], []
    for axis in (0, 1):
        crossing = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)) + offset
        crossing[:, axis] += 0.5
        inside_image = (crossing[:, axis] > 0) & (crossing[:, axis] < shape[axis] - 1)
        points.append(crossing[inside_image])
        across.append(np.full(np.count_nonzero(inside_image), axis))
    spacing = (float(spacing_mm[0]), float(spacing_mm[1]))
    return Outline(np.concatenate(points) * np.asarray(spacing), np.concatenate(across), spacing)


def _largest_piece(mask: np.ndarray, spacing_mm: Sequence[float]) -> _Piece | str:
    """What an ellipse is fitted to, or why there is nothing."""
    if mask.ndim != 2 or len(spacing_mm) != 2:
        raise ValueError(f"a head outline is measured in 2D; the mask has {mask.ndim} axes and {len(spacing_mm)} spacings")
    box = bounding_box(mask)
    if box is None:
        return "there is no head in the mask"
    largest, second = largest_component(mask[box])
    component = binary_fill_holes(largest)
    pixels = int(np.count_nonzero(component))
    if pixels < FEWEST_PIXELS:
        return f"the head is too small: {pixels} pixels, at least {FEWEST_PIXELS} are needed"
    cut = any(part.start == 0 or part.stop == size for part, size in zip(box, mask.shape, strict=True))
    return _Piece(outline_of(component, box, mask.shape, spacing_mm), second, cut)


def _ellipse_of(piece: _Piece) -> Ellipse | str:
    """The ellipse, or why there is none."""
    points = piece.outline.points_mm
    extent = float(np.linalg.norm(np.ptp(points, axis=0))) if len(points) else 0.0
    try:
        ellipse = fit_robust(piece.outline)
    except DataError:  # a line, or hardly any outline within the image
        return "no ellipse fits the outline: it is a line, or hardly any of it is in the picture"
    if ellipse.semi_axes[0] <= LONGEST_HALF_AXIS * extent:
        return ellipse
    if piece.cut:
        return "too much of the head is cut off by the border of the picture"
    return "the outline is not elliptical: it is too straight"


def _judged(outline: Outline, ellipse: Ellipse, second: float) -> HeadFit:
    """The ellipse with its doubts, or without a number where they are too many."""
    minor = ellipse.semi_axes[1]
    tolerance = max(OFF * minor, OFF_PIXELS * outline.pixel_mm)
    length = lengths_mm(outline, ellipse)
    distance = np.abs(distances(outline.points_mm, ellipse))
    off = float(length[distance > tolerance].sum() / max(length.sum(), 1e-12))
    residual = float(np.sqrt(np.average(np.minimum(distance, tolerance) ** 2, weights=length))) / minor
    seen = _seen(outline.points_mm[distance <= tolerance], ellipse)
    failure = None
    if off > OFF_FAILS:
        failure = f"the outline is not elliptical: {100 * off:.0f} % of it is off the ellipse that fits best"
    elif seen < SEEN_FAILS:
        failure = f"too much of the head is missing: outline backs only {100 * seen:.0f} % of the ellipse"
    doubts = () if failure else tuple(_doubts(ellipse, second, off, residual, seen, outline.pixel_mm))
    return HeadFit(None if failure else ellipse, failure, doubts, off, residual, seen)


def _doubts(ellipse: Ellipse, second: float, off: float, residual: float, seen: float, pixel_mm: float) -> list[str]:
    doubts = []
    if off > OFF_WARNS:
        doubts.append(f"{100 * off:.0f} % of the outline is off the ellipse")
    if seen < SEEN_WARNS:
        doubts.append(f"outline backs only {100 * seen:.0f} % of the ellipse; the rest of the head is cut off or misshapen")
    if residual > RESIDUAL_WARNS and residual * ellipse.semi_axes[1] > pixel_mm:
        doubts.append(f"the outline is wavy: it is {100 * residual:.1f} % of half the BPD off the ellipse on average")
    if second > PIECE_WARNS:
        doubts.append(f"the mask has another piece of {100 * second:.0f} % of the head's size, which was left out")
    index = 100 * ellipse.semi_axes[1] / ellipse.semi_axes[0]
    if not USUAL_INDEX[0] <= index <= USUAL_INDEX[1]:
        doubts.append(f"the head is unusually {'long' if index < USUAL_INDEX[0] else 'round'} (cephalic index {index:.0f} %)")
    return doubts


def _seen(points: np.ndarray, ellipse: Ellipse) -> float:
    """The share of the ellipse, by length, that has one of the points near it."""
    a, b = ellipse.semi_axes
    cosine, sine = np.cos(ellipse.angle_rad), np.sin(ellipse.angle_rad)
    y, x = (points - np.asarray(ellipse.centre_yx)).T
    turn = np.arctan2((y * cosine - x * sine) / b, (x * cosine + y * sine) / a)
    edges = np.linspace(-np.pi, np.pi, ARCS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    length = np.hypot(a * np.sin(middles), b * np.cos(middles))
    count = min(ARCS, max(8, len(points) // 4))  # a small head has fewer points than arcs
    group = (np.arange(ARCS) * count) // ARCS
    found = np.zeros(count, bool)
    found[group[np.clip(((turn + np.pi) / (2 * np.pi) * ARCS).astype(int), 0, ARCS - 1)]] = True
    return float(length[found[group]].sum() / length.sum())


def largest_component(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The largest piece, and the size of the second in largest ones."""
    components, found = label(mask)
    if found == 1:
        return mask, 0.0
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    order = np.sort(sizes)
    return np.asarray(components == int(sizes.argmax())), float(order[-2] / order[-1])
