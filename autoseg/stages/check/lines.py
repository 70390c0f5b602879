"""Structures that are drawn as a line: closed around background, or an ellipse that leaves the picture."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import binary_fill_holes, label, maximum_filter

from autoseg.errors import DataError
from autoseg.stages.check.runs import Runs
from autoseg.volume.ellipse import fill_ellipse, fit_ellipse

MOST_VALUES = 16  # of a label that is looked at; nobody outlines an atlas
LONGEST_SIDE = 256  # holes are looked for at this size
LONGEST_RUN = 30.0  # mean length of the runs of a structure, beyond which it is filled
THICKEST_LINE, THICKEST_SHARE = 4.0, 0.04  # of an outline, in pixels, or of its diameter where that is more
HOLE_BY_LINE = 2.0  # the inside of an outline by the outline itself
ELLIPSE_POINTS = 360
NEAR_LINE = 7  # pixels: an ellipse drawn by hand, or about a head that is none, is off by two or three
LEAST_WITHIN, LEAST_COVERED = 0.6, 0.9  # of an ellipse that leaves the picture
ONE_HOLE = 0.9  # of the inside must be one piece
WIDEST_PEN = 3  # pixels of a line that a pen has drawn; walls of real structures are mostly wider
MOST_BLOTS = 0.01  # of the line, where the pen was set down twice


def outlines(runs: Runs) -> dict[str, int]:
    """Values drawn as thin lines around background, closed or elliptic and leaving the picture, with the pixels of line and inside; 2D."""
    thin, background = _thin(runs), runs.background
    if not thin:
        return {}
    counts, codes = np.bincount(runs.codes, runs.lengths, len(runs.keys)).astype(np.int64), runs.map()
    step = math.ceil(max(codes.shape) / LONGEST_SIDE)
    found = {}
    for code in thin:
        line = _reduced(codes == code, step)
        inside = binary_fill_holes(line) & ~line
        if not inside.any():
            filled = open_ellipse(codes == code)
            if filled is not None and is_outline(int(counts[code]), filled - int(counts[code])):
                found[runs.keys[code]] = filled
            continue
        if (inside & _reduced(codes != background, step)).any():
            continue
        hole = int(np.count_nonzero(inside)) * step * step
        if is_outline(int(counts[code]), hole) and _is_one_piece(inside):
            found[runs.keys[code]] = int(counts[code]) + hole
    return found


def pen_lines(runs: Runs) -> tuple[str, ...]:
    """Values that are 3 pixels wide at most wherever they are, as a pen draws them, whether they enclose anything or not; 2D."""
    thin, found = _thin(runs), []
    codes = runs.map() if thin else np.zeros((0, 0), np.int16)
    for code in thin:
        line = codes == code
        if min(line.shape) <= WIDEST_PEN:
            continue
        rows = np.logical_and.reduce([line[step : len(line) - WIDEST_PEN + step] for step in range(WIDEST_PEN + 1)])
        wide = np.logical_and.reduce([rows[:, step : rows.shape[1] - WIDEST_PEN + step] for step in range(WIDEST_PEN + 1)])
        if np.count_nonzero(wide) <= MOST_BLOTS * np.count_nonzero(line):
            found.append(runs.keys[code])
    return tuple(found)


def _thin(runs: Runs) -> list[int]:
    """Codes of values that may be lines: their runs are short on average."""
    background = runs.background
    if background is None or len(runs.keys) > MOST_VALUES:
        return []
    pieces = np.bincount(runs.codes, minlength=len(runs.keys))
    counts = np.bincount(runs.codes, runs.lengths, len(runs.keys))
    return [code for code in range(len(runs.keys)) if code != background and counts[code] <= LONGEST_RUN * pieces[code]]


def open_ellipse(line: np.ndarray) -> int | None:
    """Pixels of the ellipse that a line `(y, x)` follows as far as the picture goes, which it leaves; None where it follows none.

    The line has to touch the border, to cover nearly all of the ellipse within the picture, and that has to be most of the ellipse: an arc from
    one side to the other is no outline.
    """
    if not (line[[0, -1]].any() or line[:, [0, -1]].any()):
        return None
    try:
        ellipse = fit_ellipse(np.argwhere(line))
    except DataError:
        return None
    (cy, cx), (a, b), angle = ellipse.centre_yx, ellipse.semi_axes, ellipse.angle_rad
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    y = np.rint(cy + a * np.cos(turn) * math.sin(angle) + b * np.sin(turn) * math.cos(angle)).astype(np.int64)
    x = np.rint(cx + a * np.cos(turn) * math.cos(angle) - b * np.sin(turn) * math.sin(angle)).astype(np.int64)
    within = (y >= 0) & (y < line.shape[0]) & (x >= 0) & (x < line.shape[1])
    if np.count_nonzero(within) < LEAST_WITHIN * ELLIPSE_POINTS:
        return None
    near = maximum_filter(line, NEAR_LINE)[y[within], x[within]]
    if np.count_nonzero(near) < LEAST_COVERED * near.size:
        return None
    return int(np.count_nonzero(fill_ellipse(line.shape, ellipse)))


def is_outline(line: int, hole: int) -> bool:
    """Whether so many pixels around a hole of so many are a line: its thickness is that of a ring of this area.

    A ring of diameter d (of the disc as large as ring and hole together) and thickness t has about pi (d - t) t pixels.
    """
    if hole < HOLE_BY_LINE * line:
        return False
    diameter = math.sqrt(4 * (line + hole) / math.pi)
    thickness = (diameter - math.sqrt(4 * hole / math.pi)) / 2
    return thickness <= max(THICKEST_LINE, THICKEST_SHARE * diameter)


def _is_one_piece(inside: np.ndarray) -> bool:
    pieces, number = label(inside)
    return bool(number == 1 or int(np.bincount(pieces.ravel())[1:].max()) >= ONE_HOLE * np.count_nonzero(inside))


def _reduced(mask: np.ndarray, step: int) -> np.ndarray:
    """Whether any pixel of each block of step x step is set."""
    if step == 1:
        return mask
    padded = np.pad(mask, [(0, -size % step) for size in mask.shape])
    high, wide = (size // step for size in padded.shape)
    return np.asarray(padded.reshape(high, step, wide, step).any(axis=(1, 3)))
