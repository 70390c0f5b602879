"""What is in label files that nobody declared: grey values or colours, counted over the whole set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autoseg.annotations.unnamed import called
from autoseg.errors import DataError, Fault
from autoseg.layouts.label_scheme import LabelScheme, mapping_notes
from autoseg.records import Structure, ValueEncoding
from autoseg.volume.files import is_picture, read, split_suffix
from autoseg.volume.pictures import LOSSY_SUFFIXES

MOST_VALUES = 256  # more distinct labels than any atlas in use: these are grey pictures, not masks
MOST_COLOURS_SHOWN = 12


@dataclass
class FoundLabels:
    """Pixels per value, and per colour "r,g,b" of masks in colours; files in which each occurs."""

    pixels: Counter[int] = field(default_factory=Counter)
    colours: Counter[str] = field(default_factory=Counter)
    files: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    @property
    def unreadable(self) -> bool:
        """Whether there are files, and none of them could be read, so that nothing is known of their values."""
        return bool(self.faults) and not self.pixels and not self.colours


def scan_labels(files: Iterable[tuple[str, Path]]) -> FoundLabels:
    """Count what (case id, label file) pairs hold. Files that cannot be read, or are no masks, become faults."""
    found = FoundLabels()
    for id, path in files:
        if split_suffix(path)[1] in LOSSY_SUFFIXES:
            found.faults.append(
                Fault(
                    id,
                    f"label {path.name} is a JPEG, which changes label values; save it from its source as PNG, "
                    "or read the set by autoseg import, which can where masks are of one structure",
                )
            )
            continue
        try:
            array = read(path, expand_palette=False).array
        except DataError as error:
            found.faults += [Fault(id, f"label {fault}") for fault in error.faults]
            continue
        if is_picture(path) and array.shape[0] in (2, 4):
            array = array[:-1]  # alpha says nothing about the class
        if array.shape[0] == 3 and is_picture(path) and not (array == array[:1]).all():
            _count_colours(array, found)
        elif array.shape[0] not in (1, 3) or not (array == array[:1]).all():
            found.faults.append(Fault(id, f"label {path.name} holds {array.shape[0]} channels; expected one value per pixel"))
        else:
            _count_values(id, array[0], found)
    return found


def scheme_from(found: FoundLabels) -> LabelScheme:
    """A scheme for undeclared grey values: `{0, v}` is one structure "foreground", more are "class_v".

    Raises:
        DataError: colours (their names cannot be guessed), no foreground at all, or more values than a mask has.
    """
    if found.colours:
        raise DataError([Fault("labels", _colour_message(found))])
    values = sorted(value for value in found.pixels if value != 0)
    if not values:
        which = "file that can be read" if found.faults else "file"
        told = f"hold nothing but 0 in every {which}; there is no structure to learn: are these the right files?"
        raise DataError([Fault("labels", told)])
    if len(values) > MOST_VALUES or values[0] < 0:
        raise DataError(
            [
                Fault(
                    "labels",
                    f"hold {len(values)} different values from {values[0]} to {values[-1]}, so these are not masks of classes "
                    "(anti-aliased, or pictures?); resave them with one value per class",
                )
            ]
        )
    on_disk = {0: 0, **{value: index for index, value in enumerate(values, start=1)}}
    targets = tuple(Structure(name=name, values=(on_disk[value],), output_value=value) for value, name in called(values).items())
    counts = ", ".join(f"{value} in {found.files[value]} files ({found.pixels[value]} pixels)" for value in values)
    notes = (f"labels are not declared in a dataset.json; values found: {counts}", *mapping_notes(on_disk))
    return LabelScheme(targets, ValueEncoding(values=on_disk), notes=notes)


def _count_values(id: str, array: np.ndarray, found: FoundLabels) -> None:
    if array.dtype == np.uint8:
        counts = np.bincount(array.ravel(), minlength=256)
        values = np.flatnonzero(counts)
        pairs = zip(values.tolist(), counts[values].tolist(), strict=True)
    else:
        unique, counts = np.unique(array, return_counts=True)
        broken = unique[~(np.isfinite(unique) & (unique == np.round(unique)))]
        if broken.size:
            found.faults.append(Fault(id, f"label holds values that are not whole numbers, such as {broken[0]}"))
            return
        pairs = zip(unique.astype(np.int64).tolist(), counts.tolist(), strict=True)
    for value, number in pairs:
        found.pixels[value] += number
        found.files[value] += 1


def _count_colours(array: np.ndarray, found: FoundLabels) -> None:
    packed = (array[0].astype(np.int64) << 16) | (array[1].astype(np.int64) << 8) | array[2].astype(np.int64)
    for colour, number in zip(*(part.tolist() for part in np.unique(packed, return_counts=True)), strict=True):
        found.colours[f"{colour >> 16},{colour >> 8 & 255},{colour & 255}"] += number


def _colour_message(found: FoundLabels) -> str:
    """The colours with counts, and a `dataset.json` to fill in."""
    common = found.colours.most_common(MOST_COLOURS_SHOWN)
    more = len(found.colours) - len(common)
    counts = "; ".join(f"{colour} ({number} pixels)" for colour, number in common) + (f"; and {more} more" if more else "")
    foreground = [colour for colour, _ in common if colour != "0,0,0"]
    snippet = json.dumps({"colours": {f"name_{index}": colour for index, colour in enumerate(foreground, start=1)}}, indent=1)
    cure = "Write dataset.json beside images/, with names of your own"
    return f"are stored as colours that nobody named: {counts}. {cure}:\n{snippet}"
