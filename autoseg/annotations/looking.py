"""What a few files hold: images, label maps, or masks of one structure. A file that cannot be read is told by its name alone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np

from autoseg.annotations.colours import ALPHA_CHANNELS
from autoseg.errors import DataError
from autoseg.volume.files import LOSSY_SUFFIXES, is_picture, read, read_header, split_suffix

MOST_VALUES = 64  # of a label map
FEW_VALUES = 8  # fewer than a photograph has
MOST_LOOKED_AT = 4_000_000  # pixels of a file: of a large volume every so many
ALIKE = 0.5  # overlap of two masks that show the same


class Kind(Enum):
    """What files of labels hold."""

    MAP = "several values"
    BINARY = "one value besides 0"
    SMOOTH = "the greys of a smooth mask"
    UNKNOWN = "what cannot be read"


def kind_of(files: Sequence[Path]) -> Kind:
    """What files of labels hold, all together."""
    if any(split_suffix(file)[1] in LOSSY_SUFFIXES for file in files):
        return Kind.SMOOTH
    found = [_values(file) for file in files]
    values = {value for one in found if one is not None for value in one} - {0}
    if any(one is None for one in found):
        return Kind.UNKNOWN
    if len(values) > MOST_VALUES and is_picture(files[0]):
        return Kind.SMOOTH
    return Kind.MAP if len(values) > 1 else Kind.BINARY


def is_image(file: Path) -> bool:
    """Whether a file holds more values than labels do; also where it cannot be read."""
    values = _values(file)
    return values is None or len(values) > (FEW_VALUES if is_picture(file) else MOST_VALUES)


def same_size(one: Path, other: Path) -> bool:
    """Whether two files have as many pixels along each axis; also where they cannot be read."""
    try:
        return read_header(one).shape == read_header(other).shape
    except DataError:
        return True


def same_rank(files: Sequence[Path]) -> bool:
    """Whether all files have as many axes; also where they cannot be read."""
    try:
        return len({len(read_header(file).shape) for file in files}) == 1
    except DataError:
        return True


def covers(files: Sequence[Path]) -> float:
    """The part of the pictures that lies inside their masks; 0 where they cannot be read."""
    try:
        return float(np.mean([_inside(file).mean() for file in files]))
    except DataError:
        return 0.0


def show_the_same(files: Sequence[Path]) -> bool:
    """Whether masks are drawings of one structure by several persons: they agree by more than half, and none lies within another."""
    try:
        first, *others = (_inside(file) for file in files)
    except DataError:
        return False
    return bool(others) and all(
        one.shape == first.shape
        and (first & one).sum() > ALIKE * (first | one).sum()
        and (first & ~one).any()
        and (one & ~first).any()
        for one in others
    )


def are_nested(cases: Sequence[Sequence[Path]]) -> bool:
    """Whether in one of the cases a mask lies wholly within another, so that one of them would hide it."""
    try:
        found = [[_inside(file) for file in files] for files in cases]
    except DataError:
        return False
    return any(
        one.shape == other.shape and one.any() and not (one & ~other).any()
        for masks in found
        for one, other in permutations(masks, 2)
    )


@lru_cache(maxsize=512)
def _values(file: Path) -> frozenset[float] | None:
    try:
        array = _without_alpha(file).reshape(-1)
    except DataError:
        return None
    return frozenset(np.unique(array[:: 1 + array.size // MOST_LOOKED_AT]).tolist())


def _inside(file: Path) -> np.ndarray:
    return np.asarray(_without_alpha(file).any(axis=0))


def _without_alpha(file: Path) -> np.ndarray:
    array = read(file, expand_palette=False).array
    return array[:-1] if is_picture(file) and len(array) in ALPHA_CHANNELS else array
