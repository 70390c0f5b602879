"""Label maps as they lie on disk -> places of labels: values or colours, and those that nobody named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from autoseg.annotations.base import Colour
from autoseg.annotations.colours import (
    ALPHA_CHANNELS,
    BACKGROUND,
    BLACK,
    codes_in,
    colour_or_value,
    grey_of,
    meaning_of,
    runs_in,
    told_colour,
)
from autoseg.annotations.nested import Unions
from autoseg.errors import DataError, Fault
from autoseg.volume.files import is_picture, read

Unknown = Literal["refuse", "background", "nearest"]
UNKNOWNS: tuple[Unknown, ...] = get_args(Unknown)
SHOWN = 5
MOST_AS_VALUES = 20  # no drawing program draws in colours as dark, which are black to the eye


@dataclass(frozen=True)
class Naming:
    """How label maps of the set are read.

    Args:
        labels: names in order; the first has the value 1.
        values: of grey label maps: name by value, "" for the background.
        colours: of label maps in colours, likewise.
        unions: structures that are made of several labels, or share some: see `nested`.
    """

    labels: tuple[str, ...]
    values: Mapping[int, str]
    colours: Mapping[Colour, str]
    unions: Unions = field(default_factory=dict)

    def structures(self) -> dict[str, tuple[str, ...]]:
        """What is learned: the unions, and each label that is in none of them, with the labels that they are made of."""
        inside = {label for labels in self.unions.values() for label in labels}
        return {**self.unions, **{label: (label,) for label in self.labels if label not in inside}}


@dataclass(frozen=True, eq=False)
class Decoded:
    """A label map as places of labels, counted from 1; `unknown` counts the pixels of values or colours that nobody named."""

    labels: np.ndarray
    unknown: Mapping[str, int]


def decode(path: Path, names: Naming, unknown: Unknown) -> Decoded:
    """A label map in grey values or colours. A palette is read as its colours where colours are named, else as its indices.

    Args:
        path: its file.
        names: what values and colours mean.
        unknown: what becomes of others: 0 with `refuse` and `background`; with `nearest` what the nearest colour means that is named, or, of a
            picture in grey values, the nearest value (of two as near the lower). Values of volumes are numbers of structures, none of which
            is nearer to one than to another, so `nearest` is refused there.

    Raises:
        DataError: it cannot be read, or is neither; it is a volume with unknown values, and `nearest` was asked for; a colour was named whose
            numbers are values of the label map.
    """
    if any(colour != BLACK for colour in names.colours) and is_picture(path):
        return _by_colour(path, names, unknown)
    return _by_value(path, plain_values(path), names, unknown)


def plain_values(path: Path) -> np.ndarray:
    """The value of a label map at each pixel, `(*spatial)`: of a palette its index.

    Raises:
        DataError: it cannot be read, or has several channels that differ.
    """
    array = read(path, expand_palette=False).array
    if is_picture(path) and len(array) in ALPHA_CHANNELS:
        array = array[:-1]  # it says nothing
    if len(array) > 1 and (array != array[:1]).any():
        told = f"holds {len(array)} channels that differ, where one value at each pixel is expected; name its colours with --structure NAME=R,G,B"
        raise DataError([Fault(path.name, told)])
    return np.asarray(array[0])


def _by_value(path: Path, array: np.ndarray, names: Naming, unknown: Unknown) -> Decoded:
    distinct, back, lengths = runs_in(array)
    if not np.isfinite(distinct).all() or not np.array_equal(np.rint(distinct), distinct):
        raise DataError([Fault(path.name, "holds numbers that are not whole; a label map has one whole number at each pixel")])
    pixels = np.bincount(back, lengths, len(distinct)).astype(int)
    place = {label: number for number, label in enumerate(names.labels, start=1)}
    declared = {0: BACKGROUND, **names.values}
    table = np.zeros(len(distinct), np.uint16)
    strangers: dict[int, int] = {}
    for number, value in enumerate(int(one) for one in distinct.tolist()):
        meaning = declared.get(value)
        if meaning is None:
            strangers[value] = int(pixels[number])
            if unknown == "nearest":
                meaning = _nearest(value, names)
        table[number] = place.get(meaning or BACKGROUND, 0)
    _refuse_colours_as_values(path, strangers, names)
    if strangers and unknown == "nearest" and not is_picture(path):
        told = f"holds values that nobody named ({', '.join(map(str, list(strangers)[:SHOWN]))}), and values of a volume are never near one another"
        raise DataError([Fault(path.name, f"{told}; name them with --structure, or give --unknown background")])
    told_strangers = {str(value): count for value, count in strangers.items()}
    return Decoded(np.repeat(table[back], lengths).reshape(array.shape), told_strangers)


def _by_colour(path: Path, names: Naming, unknown: Unknown) -> Decoded:
    place = {label: number for number, label in enumerate(names.labels, start=1)}
    codes = codes_in(path)
    distinct, back, lengths = runs_in(codes)
    pixels = np.bincount(back, lengths, len(distinct)).astype(int)
    table = np.zeros(len(distinct), np.uint16)
    strangers: dict[Colour | int, int] = {}
    for number, code in enumerate(distinct.tolist()):
        meaning, colour = meaning_of(code, names.colours, names.values), colour_or_value(code)
        if meaning is None:
            strangers[colour] = int(pixels[number])
            if unknown == "nearest":
                meaning = _nearest(colour, names)
        table[number] = place.get(meaning or BACKGROUND, 0)
    _refuse_colours_as_values(path, strangers, names)
    told_strangers = {told_colour(colour): count for colour, count in strangers.items()}
    return Decoded(np.repeat(table[back], lengths).reshape(codes.shape), told_strangers)


def _refuse_colours_as_values(path: Path, strangers: Collection[Colour | int], names: Naming) -> None:
    """Refuse a colour whose numbers are values that nobody named: `head=1,2,3` was written, and `head=1+2+3` is meant."""
    for colour, name in names.colours.items():
        if name and grey_of(colour) is None and max(colour) <= MOST_AS_VALUES and not set(colour).isdisjoint(strangers):
            joined = "+".join(str(value) for value in sorted(set(colour) - {0}))
            told = f"is in grey values, and no pixel has the colour {told_colour(colour)} of {name}; values are joined with +"
            raise DataError([Fault(path.name, f"{told}: --structure {name}={joined}")])


def _nearest(one: Colour | int, names: Naming) -> str:
    """The meaning of the nearest colour, or of the nearest grey value where there are such."""
    if isinstance(one, int):
        greys = {grey: name for colour, name in names.colours.items() if (grey := grey_of(colour))}
        places = range(1, len(names.labels) + 1 if greys else 1)  # smoothed greys come near to places by chance alone
        greys = {0: BACKGROUND, **greys, **{value: name for value, name in names.values.items() if value not in places}}
        return greys[min(sorted(greys), key=lambda other: abs(other - one))]
    return names.colours[min(names.colours, key=partial(_distance, one))]


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
