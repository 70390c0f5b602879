"""An ellipse through outline points of which a part is wrong or missing.

A least-squares fit to all points follows a bump, a notch or a spur. Two ellipses are found here, and one of them is taken:

- **of all points**: from the direct fit of Halir and Flusser, least squares of distances in mm with the weights of Tukey's biweight
  (Beaton and Tukey 1974), whose scale comes from the median absolute deviation, but is no less than what heads are unlike ellipses;
- **of most points**: the same without that lower bound, from a start that up to 38 % of the points cannot move (least trimmed squares,
  Rousseeuw 1984): direct fits to the outline without one stretch of it, for stretches all around, each refitted to the points closest to it.

The second is taken where it is unmistakably the better one on the points closest to each: several times closer, or as close as rounding to
pixels allows. Otherwise an outline is wavy rather than damaged, and to leave a third of it out would be arbitrary.

Distances are Sampson's, of first order, taken from the square root of the conic's equation, which makes them exact for circles. Every point
counts with the length of outline that it stands for, so that neither direction nor the shape of the pixels favours a part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autoseg.errors import DataError
from autoseg.volume.ellipse import FEWEST_POINTS, Ellipse, fit_ellipse

STRETCHES = 10  # places around the outline at which points are left out
LEFT_OUT = (0.36, 0.18)  # shares of the outline left out; a bump of a quarter, with its flanks, fits into the first
KEPT = 0.62  # share of the points that must lie on one ellipse
CONCENTRATION_STEPS = 3
START_POINTS = 300  # that starts are found on; more change nothing that the last step would not
MOST_POINTS = 1000  # that the last step looks at
TUKEY = 4.685  # 95 % efficiency where all points are right
MAD_TO_SD = 1.4826
ROUNDING = 0.3  # pixels; what rounding to pixels does to a perfect outline
UNLIKE = 0.015  # of the minor half axis; what outlines of heads differ from ellipses
MUCH_CLOSER = 3.5  # times, in the distance of the closest points; docs/biometry.md tells how it was chosen
AS_PIXELS_ALLOW = 0.45  # pixels, of the same
STEPS = 25
CONVERGED = 1e-5  # of the major half axis
DISTINCT = 0.02  # an ellipse narrower than this part of its length is a line


@dataclass(frozen=True, eq=False)
class Outline:
    """Points where a mask's outline crosses from pixel to pixel.

    Args:
        points_mm: `(n, 2)`, in the order of the axes.
        across: `(n,)`, the axis along which the crossing lies.
        spacing_mm: size of a pixel.
    """

    points_mm: np.ndarray
    across: np.ndarray
    spacing_mm: tuple[float, float]

    @property
    def pixel_mm(self) -> float:
        """The larger side of a pixel."""
        return max(self.spacing_mm)


def distances(points: np.ndarray, ellipse: Ellipse) -> np.ndarray:
    """Signed distances of points `(n, 2)` to an ellipse, in their unit, positive outside.

    Of first order (Sampson 1982) in the square root of the ellipse's equation: exact for circles, and good to a hundredth for points
    as close to a fetal head as a tenth of its size. At the centre it is minus the minor half axis.
    """
    u, v = _in_frame(points, ellipse)
    a, b = ellipse.semi_axes
    radius = np.hypot(u / a, v / b)
    slope = np.hypot(u / a**2, v / b**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(slope > 0, (radius - 1) * radius / slope, -b)


def lengths_mm(outline: Outline, ellipse: Ellipse) -> np.ndarray:
    """The length of outline that each point stands for.

    A crossing along y stands for one column, and the outline over a column is the longer the steeper it is; both kinds of crossings
    together count each piece once, as the squares of the normal's parts add up to 1.
    """
    u, v = _in_frame(outline.points_mm, ellipse)
    a, b = ellipse.semi_axes
    along, across = u / a**2, v / b**2
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    normal = np.stack([along * sine + across * cosine, along * cosine - across * sine])
    normal = np.abs(normal) / np.maximum(np.linalg.norm(normal, axis=0), 1e-12)
    spacing = np.asarray(outline.spacing_mm)
    return normal[outline.across, np.arange(len(outline.across))] * spacing[1 - outline.across]


def fit_robust(outline: Outline) -> Ellipse:
    """The ellipse that the outline lies on, or most of it.

    Raises:
        DataError: hardly any points, points on a line, or no ellipse fits them.
    """
    outline = _thinned(outline)
    of_all = _refined(outline, fit_ellipse(outline.points_mm), UNLIKE)
    try:
        of_most = _refined(outline, _start(outline.points_mm), 0.0)
    except DataError:
        return of_all
    distance, other = (_closeness(outline.points_mm, ellipse) for ellipse in (of_most, of_all))
    if MUCH_CLOSER * distance < other or (distance < AS_PIXELS_ALLOW * outline.pixel_mm and distance < other):
        return of_most
    return of_all


def _thinned(outline: Outline) -> Outline:
    """The points in the order of their turn about their middle, and of many every second, third, ...

    In the order in which crossings are found, row by row, every second one is all left or all right.
    """
    middle = outline.points_mm.sum(axis=0) / max(1, len(outline.points_mm))
    order = np.argsort(np.arctan2(*(outline.points_mm - middle).T), kind="stable")[
        :: max(1, len(outline.points_mm) // MOST_POINTS)
    ]
    return Outline(outline.points_mm[order], outline.across[order], outline.spacing_mm)


def _refined(outline: Outline, ellipse: Ellipse, unlike: float) -> Ellipse:
    """Least squares with Tukey's weights; distances up to a scale of `unlike` minor half axes are not told apart from noise."""
    for _ in range(STEPS):
        off = distances(outline.points_mm, ellipse)
        least = max(ROUNDING * outline.pixel_mm, unlike * ellipse.semi_axes[1])
        scale = max(MAD_TO_SD * float(np.median(np.abs(off))), least)
        within = np.clip(1 - (off / (TUKEY * scale)) ** 2, 0, None) ** 2
        changed = _gauss_newton(outline.points_mm, off, within * lengths_mm(outline, ellipse), ellipse)
        moved = max(abs(x - y) for x, y in zip(_numbers(changed)[:4], _numbers(ellipse)[:4], strict=True))
        ellipse = changed
        if moved <= CONVERGED * ellipse.semi_axes[0]:
            break
    return ellipse


def _closeness(points: np.ndarray, ellipse: Ellipse) -> float:
    """Root mean square distance of the points that lie closest."""
    off = np.sort(np.abs(distances(points, ellipse)))[: max(FEWEST_POINTS, round(KEPT * len(points)))]
    return float(np.sqrt((off**2).mean()))


def _start(points: np.ndarray) -> Ellipse:
    """The starting ellipse whose closest points lie closest to it; points in the order of their turn."""
    points = points[:: max(1, len(points) // START_POINTS)]
    count = len(points)
    subsets = [points]
    for share in LEFT_OUT:
        stretch = round(share * count)
        for place in range(STRETCHES):
            subsets.append(np.roll(points, -round(place * count / STRETCHES), axis=0)[stretch:])
    best, least, failure = None, math.inf, None
    kept = max(FEWEST_POINTS, round(KEPT * count))
    for subset in subsets:
        try:
            ellipse, spread = _concentrated(points, fit_ellipse(subset), kept)
        except DataError as error:
            failure = failure or error
            continue
        if spread < least:
            best, least = ellipse, spread
    if best is None:
        raise failure or DataError("no ellipse fits the outline points; draw the outline again")
    return best


def _concentrated(points: np.ndarray, ellipse: Ellipse, kept: int) -> tuple[Ellipse, float]:
    """The ellipse refitted to the points closest to it, again and again, and the mean square distance of those."""
    for _ in range(CONCENTRATION_STEPS):
        if ellipse.semi_axes[1] < DISTINCT * ellipse.semi_axes[0]:
            raise DataError("the outline points lie on a line; draw the outline again")
        off = np.abs(distances(points, ellipse))
        ellipse = fit_ellipse(points[np.argpartition(off, kept - 1)[:kept]])
    squares = np.sort(distances(points, ellipse) ** 2)[:kept]
    return ellipse, float(squares.mean())


def _gauss_newton(points: np.ndarray, off: np.ndarray, weights: np.ndarray, ellipse: Ellipse) -> Ellipse:
    """One step of weighted least squares in centre, half axes and angle; derivatives by small differences."""
    numbers = np.array(_numbers(ellipse))
    steps = 1e-6 * np.array([*[ellipse.semi_axes[0]] * 4, 1.0])
    slopes = np.empty((len(points), 5))
    for column, step in enumerate(steps):
        nudged = numbers.copy()
        nudged[column] += step
        slopes[:, column] = (distances(points, _ellipse(nudged)) - off) / step
    root = np.sqrt(weights)
    # a circle has no angle: the step of least length leaves it where it is
    change, *_ = np.linalg.lstsq(slopes * root[:, None], -off * root, rcond=1e-10)
    longest = float(np.abs(change[:4]).max()) / (
        0.3 * ellipse.semi_axes[1]
    )  # a long step would leave the valley that it was computed in
    numbers += change / max(1.0, longest)
    if not np.isfinite(numbers).all() or min(numbers[2:4]) <= 0:
        raise DataError("no ellipse fits the outline points; draw the outline again")
    return _ellipse(numbers)


def _numbers(ellipse: Ellipse) -> tuple[float, float, float, float, float]:
    return (*ellipse.centre_yx, *ellipse.semi_axes, ellipse.angle_rad)


def _ellipse(numbers: np.ndarray) -> Ellipse:
    y, x, a, b, angle = (float(number) for number in numbers)
    if a < b:
        a, b, angle = b, a, angle + math.pi / 2
    return Ellipse((y, x), (a, b), angle % math.pi)


def _in_frame(points: np.ndarray, ellipse: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along the major and the minor axis."""
    y, x = points[:, 0] - ellipse.centre_yx[0], points[:, 1] - ellipse.centre_yx[1]
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    return x * cosine + y * sine, y * cosine - x * sine
