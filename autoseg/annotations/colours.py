"""Colours of label maps: tables that name them, and what the pixels of a label map stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autoseg.annotations.base import Colour, ReadOptions, is_background
from autoseg.annotations.reading import lines_of
from autoseg.errors import DataError, Fault
from autoseg.volume.files import read

BLACK: Colour = (0, 0, 0)
BACKGROUND = ""
RGB = 3
ALPHA_CHANNELS = (2, 4)  # grey + alpha, RGB + alpha
COLOUR_CODE = 1 << 32  # set in the code of a colour, and not in that of a grey value
NAME_FIRST = re.compile(r"^(?P<name>.+?)[\s:;,=]+(?P<r>\d{1,3})[\s,;]+(?P<g>\d{1,3})[\s,;]+(?P<b>\d{1,3})(\s*[:;,].*)?$")
COLOUR_FIRST = re.compile(r"^(?P<r>\d{1,3})[\s,;]+(?P<g>\d{1,3})[\s,;]+(?P<b>\d{1,3})[\s:;,=]+(?P<name>\S.*)$")
LABELMAP_LINE = re.compile(r"^(?P<name>[^:]+)(:\s*((?P<r>\d{1,3})\s*,\s*(?P<g>\d{1,3})\s*,\s*(?P<b>\d{1,3}))?\s*(:.*)?)?$")

Entry = tuple[str, Colour | None]


@dataclass(frozen=True)
class ColourTable:
    """What label maps of a set mean: `labels` in order, without the background; `colours` and `values` as in `AnnotationSet`."""

    labels: tuple[str, ...] = ()
    colours: Mapping[Colour, str] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)


def labelmap_entries(file: Path) -> list[Entry]:
    """From CVAT's and Datumaro's `labelmap.txt`: `name:r,g,b:parts:actions`, of which all but the name may be empty."""
    return [_entry(LABELMAP_LINE.match(line), line, file) for line in lines_of(file)]


def colour_first_entries(file: Path) -> list[Entry]:
    """From `label_colors.txt`: `r g b name`, or a name alone."""
    lines = lines_of(file)
    if not any(COLOUR_FIRST.match(line) for line in lines):
        return [(line, None) for line in lines]
    return [_entry(COLOUR_FIRST.match(line), line, file) for line in lines]


def any_entries(file: Path) -> list[Entry]:
    """Colours before or after the name, in a text or a CSV; lines without a colour (headings) are left out. None: the file names no colours."""
    found = ((line, COLOUR_FIRST.match(line) or NAME_FIRST.match(line)) for line in lines_of(file))
    return [_entry(match, line, file) for line, match in found if match]


def colour_of(text: object) -> Colour | None:
    """From `"r,g,b"`, `[r, g, b]` or `#rrggbb`; None where it is none of them."""
    if isinstance(text, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", text.strip()):
        return tuple(bytes.fromhex(text.strip()[1:]))  # type: ignore[return-value]
    parts = re.split(r"[\s,;]+", text.strip()) if isinstance(text, str) else text
    if (
        not isinstance(parts, Sequence)
        or len(parts) != RGB
        or not all(str(part).isdigit() and int(part) <= 255 for part in parts)
    ):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def table_of(entries: Iterable[Entry], file: str) -> ColourTable:
    """The meaning of colours, and of grey values.

    A grey value is the grey that the table names, else the place in the table, with the background at 0, as CVAT and Datumaro number them.
    Where a grey of the table is as low as a place, no value is a place, since the place of one label could be the grey of another. Value 0 is
    the background unless all colours are greys and black is a label.

    Black is the background where nothing else is called so; colours that the table leaves open are PASCAL VOC's, by place.

    Raises:
        DataError: two labels have one colour.
    """
    listed = list(entries)
    first = next((entry for entry in listed if is_background(entry[0])), (BACKGROUND, BLACK))
    ordered = [first, *(entry for entry in listed if entry is not first)]
    names = [BACKGROUND if name == BACKGROUND or is_background(name) else name for name, _ in ordered]
    colours: dict[Colour, str] = {}
    for place, ((_, given), name) in enumerate(zip(ordered, names, strict=True)):
        colour = voc_colour(place) if given is None else given
        if place == 0 and any(other == colour for _, other in ordered[1:]):
            continue  # a label that is black, in a table that names no background
        if colours.setdefault(colour, name) != name:
            told = (
                f"{colours[colour] or 'the background'} and {name} both have the colour {told_colour(colour)}; give each its own"
            )
            raise DataError([Fault(file, told)])
    greys = {grey: colours[colour] for _, colour in listed if colour is not None and (grey := grey_of(colour)) is not None}
    low = any(0 < grey < len(names) for grey in greys)
    values = {**({} if low else dict(enumerate(names))), **greys}
    if not listed or any(colour is None or grey_of(colour) is None for _, colour in listed):
        values[0] = BACKGROUND
    values.setdefault(0, BACKGROUND)
    return ColourTable(tuple(dict.fromkeys(name for name in names if name)), colours, values)


def grey_of(colour: Colour) -> int | None:
    """The grey value of a colour; None where it is no grey."""
    return colour[0] if len(set(colour)) == 1 else None


def with_options(table: ColourTable, options: ReadOptions) -> ColourTable:
    """The table, in which what the caller names takes the place of what it says of that colour or value."""
    named = {colour: _plain(name) for colour, name in options.colours.items()}
    valued = {value: _plain(name) for value, name in options.values.items()}
    renamed = {table.colours[colour]: name for colour, name in named.items() if colour in table.colours}
    colours = {**table.colours, **named}
    greys = {grey: name for colour, name in named.items() if (grey := grey_of(colour)) is not None}
    values = {**{value: renamed.get(name, name) for value, name in table.values.items()}, **greys, **valued}
    colours.setdefault(BLACK, BACKGROUND)
    values.setdefault(0, BACKGROUND)
    order = [*(renamed.get(name, name) for name in table.labels), *named.values(), *valued.values()]
    return ColourTable(tuple(dict.fromkeys(name for name in order if name)), colours, values)


def voc_colour(place: int) -> Colour:
    """Of PASCAL VOC's colour map: the bits of the place go by turns to red, green and blue, from the highest bit down."""
    parts = [0, 0, 0]
    for bit in range(8):
        for channel in range(RGB):
            parts[channel] |= (place >> (RGB * bit + channel) & 1) << (7 - bit)
    return parts[0], parts[1], parts[2]


def told_colour(colour: Colour | int) -> str:
    """As it stands in a sentence and in `--structure NAME=R,G,B`."""
    return ",".join(map(str, colour)) if isinstance(colour, tuple) else str(colour)


def codes_in(file: Path) -> np.ndarray:
    """One int64 for each pixel, `(height, width)`: a grey value, or a colour as `colour_or_value` turns it back.

    Raises:
        DataError: it cannot be read, or is no picture of 8-bit colours or of whole grey values.
    """
    array = read(file).array
    if len(array) in ALPHA_CHANNELS:
        array = array[:-1]
    if array.ndim != RGB or len(array) not in (1, RGB) or (len(array) == RGB and array.dtype != np.uint8):
        raise DataError(
            [
                Fault(
                    file.name, "a label map is a picture of 8-bit colours, of a palette, or of grey values; save it as such a PNG"
                )
            ]
        )
    numbers = array.astype(np.int64)
    if len(array) == 1:
        if (numbers != array).any() or numbers.min(initial=0) < 0:
            raise DataError([Fault(file.name, "its grey values are no whole numbers from 0; save it as PNG")])
        return numbers[0]
    return COLOUR_CODE + (numbers[0] << 16) + (numbers[1] << 8) + numbers[2]


def runs_in(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct codes of an array of any shape, and for each run of equal ones along its last axis its place among them and its length."""
    flat = codes.ravel()
    begins = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    distinct, back = np.unique(flat[starts], return_inverse=True)
    return distinct, back, np.diff(np.r_[starts, flat.size])


def colour_or_value(code: int) -> Colour | int:
    """What a code of `codes_in` stands for."""
    return (code >> 16 & 255, code >> 8 & 255, code & 255) if code >= COLOUR_CODE else code


def meaning_of(code: int, colours: Mapping[Colour, str], values: Mapping[int, str]) -> str | None:
    """The label of a code, "" for the background, None where nobody declared it."""
    one = colour_or_value(code)
    if isinstance(one, tuple):
        return colours.get(one)
    return values[one] if one in values else colours.get((one, one, one))


def _plain(name: str) -> str:
    return BACKGROUND if is_background(name) else name


def _entry(match: re.Match[str] | None, line: str, file: Path) -> Entry:
    """Of one line of a table.

    Raises:
        DataError: it cannot be understood.
    """
    parts = None if match is None else [match["r"], match["g"], match["b"]]
    colour = None if parts is None or parts[0] is None else colour_of(parts)
    if match is None or (parts is not None and parts[0] is not None and colour is None):
        raise DataError([Fault(file.name, f"line '{line}' is no name with a colour of three numbers from 0 to 255; mend it")])
    return match["name"].strip().strip('"'), colour
