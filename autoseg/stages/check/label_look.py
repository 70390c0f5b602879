"""What a label file holds, as small facts: its values or colours with their pixels, how it is stored, and whether it is an outline.

Everything is counted from runs of equal values, of which a mask has few; a value is told as text, a number or "r,g,b".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_fill_holes, label, maximum_filter, minimum_filter

from autoseg.errors import DataError
from autoseg.volume.ellipse import fill_ellipse, fit_ellipse
from autoseg.volume.geometry import Geometry

LARGE, SAMPLE = 4_000_000, 100_000  # pixels of a label beyond which a sample tells first whether it is one
CERTAINLY_GREYS = 256  # different values in the sample
MOST_KEPT = 64  # values of a label that are told one by one; a picture taken for a label has more
RARE_SHARE = 0.02  # of the foreground; values that hold less may be what is left of a border
FEWEST_BORDER_VALUES = 6  # a few rare values are strays, many along the borders are interpolation or compression
BORDER_REACH = 17  # pixels, the neighbourhood that two structures must be in: JPEG works in blocks of 8
BORDER_SHARE = 0.9  # of the pixels with rare values must lie there
LONGEST_SIDE = 256  # holes are looked for at this size
LONGEST_RUN = 30.0  # mean length of the runs of a structure, beyond which it is filled
THICKEST_LINE, THICKEST_SHARE = 4.0, 0.04  # of an outline, in pixels, or of its diameter where that is more
HOLE_BY_LINE = 2.0  # the inside of an outline by the outline itself
ELLIPSE_POINTS = 360
NEAR_LINE = 7  # pixels: an ellipse drawn by hand, or about a head that is none, is off by two or three
LEAST_WITHIN, LEAST_COVERED = 0.6, 0.9  # of an ellipse that leaves the picture
ONE_HOLE = 0.9  # of the inside must be one piece


@dataclass(frozen=True)
class Runs:
    """A label as runs of equal values: `codes` index `keys` (0 is not special)."""

    shape: tuple[int, ...]
    keys: tuple[str, ...]
    codes: np.ndarray
    lengths: np.ndarray

    def counts(self) -> dict[str, int]:
        """Pixels of each value, in the order of the values."""
        found = np.bincount(self.codes, self.lengths, len(self.keys)).astype(np.int64)
        return dict(zip(self.keys, found.tolist(), strict=True))

    def digest(self) -> str:
        """Equal for labels of one size with the same values in the same places, however they are stored."""
        digest = hashlib.sha256(repr((self.shape, self.keys)).encode())
        digest.update(np.ascontiguousarray(self.codes, np.int32).data)
        digest.update(np.ascontiguousarray(self.lengths, np.int64).data)
        return digest.hexdigest()

    def map(self) -> np.ndarray:
        """Codes `(*spatial)`, in two bytes each where that is enough."""
        codes = self.codes.astype(np.int16) if len(self.keys) <= np.iinfo(np.int16).max else self.codes
        return np.repeat(codes, self.lengths).reshape(self.shape)


@dataclass(frozen=True)
class LabelLook:
    """A label as it is stored.

    `counts` holds the most frequent values, `distinct` tells how many there are. `broken` counts pixels whose number is not whole. `soft` counts
    pixels of rare values along the borders of structures. `outlines` are the values drawn as a thin closed line, with the pixels that
    they would have when filled.
    """

    shape: tuple[int, ...]
    geometry: Geometry
    dtype: str
    counts: Mapping[str, int]
    distinct: int
    content_hash: str
    coloured: bool = False
    palette: bool = False
    lossy: bool = False
    broken: int = 0
    soft: int = 0
    outlines: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Pixels."""
        return math.prod(self.shape)


def look_at_label(array: np.ndarray, geometry: Geometry, *, palette: bool = False, lossy: bool = False) -> LabelLook:
    """Facts of a label `(C, *spatial)` as `volume.files.read` returns it, alpha left out.

    Args:
        array: one channel of values, or three of a colour picture.
        geometry: of the file.
        palette: the file stores colours by their number.
        lossy: the file is a JPEG; its values are not looked at any closer.
    """
    coloured = len(array) == 3 and any((channel != array[0]).any() for channel in array[1:])
    values = packed_colours(array) if coloured else array[0]
    if values.size > LARGE and len(np.unique(values.reshape(-1)[:: values.size // SAMPLE])) > CERTAINLY_GREYS:
        return _picture_of_greys(values, geometry, str(array.dtype))
    runs = runs_of(values, coloured=coloured)
    counts = runs.counts()
    common = dict(sorted(counts.items(), key=lambda item: -item[1])[:MOST_KEPT])
    broken = 0
    if not coloured and not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_:
        broken = sum(number for key, number in counts.items() if not _is_whole(key))
    plain = not lossy and not broken
    return LabelLook(
        shape=tuple(values.shape),
        geometry=geometry,
        dtype=str(array.dtype),
        counts=common,
        distinct=len(counts),
        content_hash=runs.digest(),
        coloured=coloured,
        palette=palette,
        lossy=lossy,
        broken=broken,
        soft=border_pixels(runs) if plain else 0,
        outlines=outlines(runs) if plain and values.ndim == 2 and len(counts) <= MOST_KEPT else {},
    )


def _picture_of_greys(values: np.ndarray, geometry: Geometry, dtype: str) -> LabelLook:
    """A large image in the place of a label, of which every value would be counted for nothing; figures are those of a sample."""
    found, counts = np.unique(values.reshape(-1)[:: values.size // SAMPLE], return_counts=True)
    common = {
        told_value(value): number for value, number in zip(found[:MOST_KEPT].tolist(), counts[:MOST_KEPT].tolist(), strict=True)
    }
    digest = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
    return LabelLook(tuple(values.shape), geometry, dtype, common, len(found), digest)


def runs_of(values: np.ndarray, *, coloured: bool = False) -> Runs:
    """Runs along the last axis of values `(*spatial)`; colours, of 8 bits in int32 or 16 bits in int64, are told as "r,g,b"."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.size == 0:
        return Runs(values.shape, (), np.zeros(0, np.int64), np.zeros(0, np.int64))
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    found, codes = np.unique(flat[starts], return_inverse=True)
    lengths = np.diff(np.concatenate((starts, [flat.size])))
    keys = tuple(
        _colour(int(value), 8 if values.dtype == np.int32 else 16) if coloured else told_value(value) for value in found.tolist()
    )
    return Runs(values.shape, keys, codes.reshape(-1), lengths)


def told_value(value: float) -> str:
    """A label's value as text; whole numbers are told the same however they are stored."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.10g}"


def border_pixels(runs: Runs) -> int:
    """Pixels of rare values if these lie along borders, as anti-aliasing and compression leave them; 0 where a label has few such values."""
    counts = np.bincount(runs.codes, runs.lengths, len(runs.keys))
    background = _background(runs)
    foreground = counts.sum() - (counts[background] if background is not None else 0)
    main = counts >= RARE_SHARE * max(foreground, 1)
    if background is not None:
        main[background] = True
    if np.count_nonzero(~main) < FEWEST_BORDER_VALUES or np.count_nonzero(main) < 2:
        return 0
    codes = runs.map()
    if codes.ndim == 3:  # where most of them are; the rest is alike
        codes = codes[int(np.argmax(np.count_nonzero(~main[codes], axis=(1, 2))))]
    rare = ~main[codes]
    highest = maximum_filter(np.where(rare, -1, codes), BORDER_REACH)
    lowest = minimum_filter(np.where(rare, len(main), codes), BORDER_REACH)
    between = rare & (highest > lowest) & (lowest < len(main)) & (highest >= 0)
    return int(counts[~main].sum()) if np.count_nonzero(between) >= BORDER_SHARE * np.count_nonzero(rare) else 0


def outlines(runs: Runs) -> dict[str, int]:
    """Values drawn as thin lines around background, closed or elliptic and leaving the picture, with the pixels of line and inside; 2D."""
    background = _background(runs)
    if background is None:
        return {}
    pieces = np.bincount(runs.codes, minlength=len(runs.keys))
    counts = np.bincount(runs.codes, runs.lengths, len(runs.keys)).astype(np.int64)
    thin = [code for code in range(len(runs.keys)) if code != background and counts[code] <= LONGEST_RUN * pieces[code]]
    if not thin:
        return {}
    codes = runs.map()
    step = math.ceil(max(codes.shape) / LONGEST_SIDE)
    anything = _reduced(codes != background, step)
    found = {}
    for code in thin:
        line = _reduced(codes == code, step)
        inside = binary_fill_holes(line) & ~line
        if not inside.any():
            filled = open_ellipse(codes == code)
            if filled is not None and is_outline(int(counts[code]), filled - int(counts[code])):
                found[runs.keys[code]] = filled
            continue
        if (inside & anything).any():
            continue
        hole = int(np.count_nonzero(inside)) * step * step
        if is_outline(int(counts[code]), hole) and _is_one_piece(inside):
            found[runs.keys[code]] = int(counts[code]) + hole
    return found


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
    diameter = math.sqrt(4 * (line + hole) / math.pi)
    thickness = (diameter - math.sqrt(4 * hole / math.pi)) / 2
    return hole >= HOLE_BY_LINE * line and thickness <= max(THICKEST_LINE, THICKEST_SHARE * diameter)


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


def _background(runs: Runs) -> int | None:
    return next((code for code, key in enumerate(runs.keys) if key in ("0", "0,0,0")), None)


def packed_colours(array: np.ndarray) -> np.ndarray:
    """Colours `(3, *spatial)` as one number each, `(*spatial)`: see `runs_of`."""
    bits = 8 if array.dtype == np.uint8 else 16
    packed = array[0].astype(np.int32 if bits == 8 else np.int64) << 2 * bits
    packed |= array[1].astype(packed.dtype) << bits
    return packed | array[2].astype(packed.dtype)


def _colour(packed: int, bits: int) -> str:
    largest = (1 << bits) - 1
    return f"{packed >> 2 * bits},{packed >> bits & largest},{packed & largest}"


def _is_whole(key: str) -> bool:
    return key.lstrip("-").isdecimal()
