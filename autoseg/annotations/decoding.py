"""Label maps as they lie on disk -> places of labels: values or colours, and those that nobody named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Colour
from autoseg.annotations.colours import ALPHA_CHANNELS, codes_in, colour_or_value, meaning_of, runs_in, told_colour
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
    if names.colours and is_picture(path):
        return _by_colour(path, names, unknown)
    array = read(path, expand_palette=False).array
    if is_picture(path) and len(array) in ALPHA_CHANNELS:
        array = array[:-1]  # it says nothing
    if len(array) > 1 and (array != array[:1]).any():
        told = f"holds {len(array)} channels that differ, where one value at each pixel is expected; name its colours"
        raise DataError([Fault(path.name, told)])
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


def _by_colour(path: Path, names: Naming, unknown: Unknown) -> Decoded:
    place = {label: number for number, label in enumerate(names.labels, start=1)}
    codes = codes_in(path)
    distinct, back, lengths = runs_in(codes)
    pixels = np.bincount(back, lengths, len(distinct)).astype(int)
    table = np.zeros(len(distinct), np.uint16)
    strangers: dict[str, int] = {}
    for number, code in enumerate(distinct.tolist()):
        meaning, colour = meaning_of(code, names.colours, names.values), colour_or_value(code)
        if meaning is None:
            strangers[told_colour(colour)] = int(pixels[number])
            if unknown == "nearest":
                meaning = names.colours[min(names.colours, key=partial(_distance, colour))]
        table[number] = place.get(meaning or "", 0)
    return Decoded(np.repeat(table[back], lengths).reshape(codes.shape), strangers)


def _distance(one: Colour | int, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one if isinstance(one, tuple) else (one,) * COLOURS, other, strict=True))
