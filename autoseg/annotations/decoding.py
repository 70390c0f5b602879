"""Label maps as they lie on disk -> places of labels: values or colours, and those that nobody named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Colour
from autoseg.errors import DataError, Fault
from autoseg.volume.files import is_picture, read

Unknown = Literal["refuse", "background", "nearest"]
UNKNOWNS: tuple[Unknown, ...] = get_args(Unknown)
COLOURS = 3


@dataclass(frozen=True)
class Naming:
    """How label maps of the set are read.

    Args:
        labels: names in order; the first has the value 1.
        values: of grey label maps: name by value, "" for the background.
        colours: of label maps in colours, likewise.
    """

    labels: tuple[str, ...]
    values: Mapping[int, str]
    colours: Mapping[Colour, str]


@dataclass(frozen=True, eq=False)
class Decoded:
    """A label map as places of labels, counted from 1; `unknown` counts the pixels of values or colours that nobody named."""

    labels: np.ndarray
    unknown: Mapping[str, int]


def decode(path: Path, names: Naming, unknown: Unknown) -> Decoded:
    """A label map in grey values or colours.

    Args:
        path: its file.
        names: what values and colours mean.
        unknown: what becomes of others: 0 with `refuse` and `background`, the nearest colour that is named with `nearest`.

    Raises:
        DataError: it cannot be read, or is neither.
    """
    in_colours = bool(names.colours)
    array = read(path, expand_palette=in_colours).array
    if is_picture(path) and len(array) in (2, 4):
        array = array[:-1]  # alpha says nothing
    if len(array) == COLOURS and in_colours:
        return _by_colour(array, names, unknown)
    if len(array) > 1 and (array != array[:1]).any():
        raise DataError(
            [
                Fault(
                    path.name,
                    f"holds {len(array)} channels that differ, where one value at each pixel is expected; name its colours",
                )
            ]
        )
    return _by_value(path.name, array[0], names)


def _by_value(name: str, values: np.ndarray, names: Naming) -> Decoded:
    whole = np.rint(values)
    if not np.array_equal(whole, values):
        raise DataError([Fault(name, "holds numbers that are not whole; a label map has one whole number at each pixel")])
    place = {label: number for number, label in enumerate(names.labels, start=1)}
    present, back, counts = np.unique(whole.astype(np.int64), return_inverse=True, return_counts=True)
    declared = names.values
    table = np.array([place.get(declared.get(int(value), ""), 0) for value in present], np.uint16)
    unknown = {
        str(value): int(count) for value, count in zip(present, counts, strict=True) if int(value) not in declared and value != 0
    }
    return Decoded(table[back].reshape(values.shape), unknown)


def _by_colour(array: np.ndarray, names: Naming, unknown: Unknown) -> Decoded:
    place = {label: number for number, label in enumerate(names.labels, start=1)}
    packed = (array[0].astype(np.int64) << 16) | (array[1].astype(np.int64) << 8) | array[2].astype(np.int64)
    present, back, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = [(int(one) >> 16, int(one) >> 8 & 255, int(one) & 255) for one in present]
    known = list(names.colours)
    strangers = Counter(
        {_told(colour): int(count) for colour, count in zip(colours, counts, strict=True) if colour not in names.colours}
    )
    if unknown == "nearest":
        colours = [
            colour if colour in names.colours else min(known, key=lambda one: _distance(one, colour)) for colour in colours
        ]
    table = np.array([place.get(names.colours.get(colour, ""), 0) for colour in colours], np.uint16)
    return Decoded(table[back].reshape(packed.shape), strangers)


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _told(colour: Colour) -> str:
    return ",".join(map(str, colour))
