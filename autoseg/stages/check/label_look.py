"""What a label file holds, as small facts: its values or colours with their pixels, how it is stored, and whether it is an outline.

Everything is counted from runs of equal values, of which a mask has few; a value is told as text, a number or "r,g,b".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from autoseg.stages.check.lines import outlines, pen_lines
from autoseg.stages.check.runs import Runs, runs_of, runs_of_colours
from autoseg.volume.geometry import Geometry

MOST_KEPT = 1000  # values of a label that are told one by one
LARGE = 4_000_000  # pixels of a label beyond which a part tells first whether it is one
FEW_VALUES = 32  # no picture has so few
SHORTEST_RUNS = 4.0  # mean length in a mask; see `is_picture`
RARE_SHARE = 0.02  # of the foreground; values that hold less may be what is left of a border
FEWEST_BORDER_VALUES = 6  # a few rare values are strays, many along the borders are interpolation or compression
MOST_BORDER = 0.5  # of the foreground; where most of it is of rare values, it is a picture
LONGEST_BORDER_RUN = 2.0  # pixels: a border crosses a row in one or two of each value, a small structure is wider
BORDER_REACH = 17  # pixels, the neighbourhood that two structures must be in: JPEG works in blocks of 8
BORDER_SHARE = 0.9  # of the pixels with rare values must lie there


@dataclass(frozen=True)
class LabelLook:
    """A label as it is stored.

    `counts` holds the most frequent values, `distinct` tells how many there are. `broken` counts pixels whose number is not whole. `soft` counts
    pixels of rare values along the borders of structures. `picture`: it has the values of a picture, not of a mask; counts are those of a
    part then, if it is large. `outlines` are the values drawn as a thin line around background, with the pixels that they would have when filled;
    `by_pen` are the values, outlines or not, that are 3 pixels wide at most. `in_channels`: the file has red, green and blue, be they equal or not.
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
    picture: bool = False
    outlines: Mapping[str, int] = field(default_factory=dict)
    by_pen: tuple[str, ...] = ()
    in_channels: bool = False

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
    flat = array.reshape(len(array), -1)
    some = flat[:, flat.shape[1] // 2 :][:, :LARGE]
    if flat.shape[1] > LARGE and is_picture(_runs(some, coloured)):
        runs = _runs(some, coloured)  # a large picture in the place of a label, of which every value would be counted for nothing
    else:
        runs = _runs(array, coloured)
    picture = is_picture(runs)
    counts = runs.counts()
    common = dict(sorted(counts.items(), key=lambda item: -item[1])[:MOST_KEPT])
    broken = 0
    if not coloured and not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_:
        broken = sum(number for key, number in counts.items() if not _is_whole(key))
    plain = not lossy and not broken and runs.shape == array.shape[1:]
    soft = border_pixels(runs) if plain else 0
    has_lines = plain and not picture and len(runs.shape) == 2
    return LabelLook(
        shape=tuple(array.shape[1:]),
        geometry=geometry,
        dtype=str(array.dtype),
        counts=common,
        distinct=len(counts),
        content_hash=runs.digest(),
        coloured=coloured,
        palette=palette,
        lossy=lossy,
        broken=broken,
        soft=soft,
        picture=picture and not soft,
        outlines=outlines(runs) if has_lines else {},
        by_pen=pen_lines(runs) if has_lines else (),
        in_channels=len(array) == 3,
    )


def _runs(array: np.ndarray, coloured: bool) -> Runs:
    return runs_of_colours(array) if coloured else runs_of(array[0])


def is_picture(runs: Runs) -> bool:
    """Whether these are the values of a picture: many, which change from pixel to pixel.

    Runs of foreground are 1.0 to 2.4 pixels long on average in images of ultrasound, fundus, CT and MR, and 5.8 (tissues of a fetal brain), 10
    (42 organs at 3 mm) and 32 (a whole brain) in masks.
    """
    if len(runs.keys) <= FEW_VALUES:
        return False
    lengths = runs.lengths if runs.background is None else runs.lengths[runs.codes != runs.background]
    return float(lengths.mean()) < SHORTEST_RUNS


def border_pixels(runs: Runs) -> int:
    """Pixels of rare values if these lie along borders, as anti-aliasing and compression leave them; 0 where a label has few such values."""
    counts = np.bincount(runs.codes, runs.lengths, len(runs.keys))
    background = runs.background
    foreground = counts.sum() - (counts[background] if background is not None else 0)
    main = counts >= RARE_SHARE * max(foreground, 1)
    if background is not None:
        main[background] = True
    few = counts[~main].sum() <= MOST_BORDER * foreground
    if np.count_nonzero(~main) < FEWEST_BORDER_VALUES or np.count_nonzero(main) < 2 or not few:
        return 0
    if float(np.median(runs.lengths[~main[runs.codes]])) > LONGEST_BORDER_RUN:
        return 0  # small structures beside large ones
    codes = runs.map()
    if codes.ndim == 3:  # where most of them are; the rest is alike
        codes = codes[int(np.argmax(np.count_nonzero(~main[codes], axis=(1, 2))))]
    rare = ~main[codes]
    highest = maximum_filter(np.where(rare, -1, codes), BORDER_REACH)
    lowest = minimum_filter(np.where(rare, len(main), codes), BORDER_REACH)
    between = rare & (highest > lowest) & (lowest < len(main)) & (highest >= 0)
    return int(counts[~main].sum()) if np.count_nonzero(between) >= BORDER_SHARE * np.count_nonzero(rare) else 0


def _is_whole(key: str) -> bool:
    return key.lstrip("-").isdecimal()
