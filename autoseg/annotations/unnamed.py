"""Colours in label maps that nobody named: how often each occurs, and which of them are no more than borders.

JPEG and smoothing leave colours between those that were drawn. Such a colour is rare, fills no block of 3 x 3 pixels, and lies between two
named ones, or is one of very many. It never becomes a label of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.annotations.base import Colour
from autoseg.annotations.colours import BACKGROUND, BLACK, codes_in, colour_or_value, grey_of, meaning_of, runs_in, told_colour

NEAR = 12.0  # distance in colour space within which JPEG moves a colour
BETWEEN = 24.0  # from the line between two named colours
ALONE = 96.0  # a named colour further from all others is not confused with them by JPEG
FEW = 0.01  # of all pixels: more than a border has
MANY = 64  # rare colours, none of which fills a block: JPEG that stores colours coarsely leaves hundreds, also off those lines
FEW_IMAGES = 3
MOST_OWN = 64  # greys that are classes and not those of a photograph
SHOWN = 5


@dataclass
class Occurrence:
    """How often a colour occurs; `solid`: somewhere it fills a block of 3 x 3 pixels."""

    images: int = 0
    pixels: int = 0
    solid: bool = False


@dataclass
class Survey:
    """What occurs in label maps apart from what is named; grows with each map."""

    colours: Mapping[Colour, str]
    values: Mapping[int, str]
    images: int = 0
    pixels: int = 0
    unnamed: dict[Colour | int, Occurrence] = field(default_factory=dict)

    def add(self, file: Path) -> None:
        """One label map.

        Raises:
            DataError: it cannot be read.
        """
        self.add_codes(codes_in(file))

    def add_codes(self, codes: np.ndarray) -> None:
        """The same of a label map that has been read, as `codes_in` has it; of a volume blocks are not looked for."""
        self.images, self.pixels = self.images + 1, self.pixels + codes.size
        distinct, back, lengths = runs_in(codes)
        counts = np.bincount(back, lengths).astype(int)
        strange = [place for place, code in enumerate(distinct.tolist()) if meaning_of(code, self.colours, self.values) is None]
        if not strange:
            return
        solid = set(_solid(codes).tolist()) if codes.ndim == 2 else set()
        for place in strange:
            code = int(distinct[place])
            one = self.unnamed.setdefault(colour_or_value(code), Occurrence())
            one.images, one.pixels, one.solid = one.images + 1, one.pixels + int(counts[place]), one.solid or code in solid

    def join(self, other: Survey) -> None:
        """What occurs in other label maps, too."""
        self.images, self.pixels = self.images + other.images, self.pixels + other.pixels
        for one, found in other.unnamed.items():
            own = self.unnamed.setdefault(one, Occurrence())
            own.images, own.pixels, own.solid = own.images + found.images, own.pixels + found.pixels, own.solid or found.solid

    def with_own_greys(self, lossy: bool, *, blocks: bool = True) -> Survey | None:
        """Greys that name themselves, where nothing is named: the most common one, or else all that fill a block somewhere.

        Args:
            lossy: whether a map is JPEG, in which a block can be made of what the format left.
            blocks: whether several have to fill a block.

        Returns:
            None where that leaves anything but borders.
        """
        grey = {one: level_of(one) for one in self.unnamed}
        pixels = Counter({value: 0 for value in grey.values() if value is not None})
        for one, value in grey.items():
            if value is None:
                return None
            pixels[value] += self.unnamed[one].pixels
        common = [value for value, _ in pixels.most_common(1)]
        solid = sorted({value for one, value in grey.items() if value is not None and self.unnamed[one].solid})
        several = solid if blocks else sorted(pixels)
        for way in (common, [] if lossy or len(several) > MOST_OWN else several):
            colours = {BLACK: BACKGROUND, **{(value, value, value): name for value, name in called(way).items()}}
            left = {one: found for one, found in self.unnamed.items() if grey[one] not in way}
            named = replace(self, colours=colours, values={0: BACKGROUND}, unnamed=left)
            if way and left.keys() <= named.borders().keys():
                return named
        return None

    def borders(self) -> dict[Colour | int, str]:
        """What JPEG and smoothing made: those close to a named colour with that name, those between two named ones as background."""
        colours = {one: one for one in self.unnamed if isinstance(one, tuple)}
        greys = {one: (one, one, one) for one in self.unnamed if isinstance(one, int)}
        named_greys = {colour: name for colour, name in self.colours.items() if len(set(colour)) == 1}
        named_greys |= {(value, value, value): name for value, name in self.values.items()}
        return {**self._borders(colours, self.colours), **self._borders(greys, named_greys)}

    def _borders(self, found: Mapping[Any, Colour], named: Mapping[Colour, str]) -> dict[Colour | int, str]:
        """Of what was found, by its colour, and with the colours that are named."""
        if not found or not named:
            return {}
        ones, colours = list(found), np.array(list(found.values()), float)
        points, names = np.array(list(named), float), list(named.values())
        few = np.array([not self.unnamed[one].solid and self.unnamed[one].pixels <= FEW * self.pixels for one in ones])
        distances = np.linalg.norm(colours[:, None] - points, axis=2)
        nearest = distances.argmin(axis=1)
        apart = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(len(points), np.inf))
        near = (distances.min(axis=1) <= np.where(few, BETWEEN, NEAR)) & (apart.min(axis=1)[nearest] >= ALONE)
        between = np.zeros(len(ones), bool)
        for one, other in combinations(points, 2):
            between |= _are_between(colours, one, other)
        spread = few.sum() > MANY  # a colour that was drawn comes alone
        return {
            one: names[nearest[place]] if near[place] else BACKGROUND
            for place, one in enumerate(ones)
            if near[place] or (few[place] and (between[place] or spread))
        }


def by_half(borders: Iterable[Colour | int], grey: int, label: str) -> dict[Colour | int, str]:
    """Borders of a single structure in one grey: what reaches half of it is inside, so that smoothing moves no outline."""
    return {one: label if 2 * (level_of(one) or 0) >= grey else BACKGROUND for one in borders}


def level_of(one: Colour | int) -> int | None:
    """The grey of a value, or of a colour that is one; None of other colours."""
    return one if isinstance(one, int) else grey_of(one)


def told_half(survey: Survey, borders: Collection[Colour | int]) -> str:
    """What is said of them."""
    share = sum(survey.unnamed[one].pixels for one in borders) / survey.pixels
    told = f"{len(borders)} greys are borders, as JPEG or smoothing leaves them ({share:.2%} of all pixels)"
    return f"{told}; from half of the named grey on they are inside"


def called(values: Iterable[int]) -> dict[int, str]:
    """Names for values that nobody named: `foreground` where there is one, else `class_` and the value; 0 is the background."""
    ordered = sorted(set(values) - {0})
    return {value: "foreground" if len(ordered) == 1 else f"class_{value}" for value in ordered}


def told(unnamed: Mapping[Colour | int, Occurrence], images: int) -> str:
    """Which colours, where, and how many of them are rare: a part of a sentence. Grey values are told as the colours that name them."""
    order = sorted(unnamed.items(), key=lambda pair: -pair[1].pixels)
    shown = [
        f"{told_colour(one if isinstance(one, tuple) else (one,) * 3)} in {_images(occurrence.images)} ({occurrence.pixels} pixels)"
        for one, occurrence in order[:SHOWN]
    ]
    more = f" and {len(order) - SHOWN} more" if len(order) > SHOWN else ""
    rare = [occurrence.images for occurrence in unnamed.values() if occurrence.images <= FEW_IMAGES < images]
    only = f"; {len(rare)} of them in {_images(max(rare))} only" if rare and len(unnamed) > 1 else ""
    return ", ".join(shown) + more + only


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def _solid(codes: np.ndarray) -> np.ndarray:
    """Codes that fill a block of 3 x 3 pixels somewhere."""
    across = (codes[:, :-2] == codes[:, 1:-1]) & (codes[:, 1:-1] == codes[:, 2:])
    middle = codes[1:-1, 1:-1]
    same = across[:-2] & across[1:-1] & across[2:] & (codes[:-2, 1:-1] == middle) & (middle == codes[2:, 1:-1])
    return np.unique(middle[same])


def _are_between(colours: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which colours `(n, 3)` lie on the line from one to another, which are far enough apart to have something between them."""
    line = b - a
    length = float(np.linalg.norm(line))
    if length < ALONE:
        return np.zeros(len(colours), bool)
    along = np.clip((colours - a) @ line / length**2, 0, 1)
    return np.linalg.norm(a + along[:, None] * line - colours, axis=1) <= BETWEEN
