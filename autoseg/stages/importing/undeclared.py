"""Label maps whose values nobody named: what they are called, and what is no more than a border."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.annotations.base import Colour
from autoseg.annotations.colours import grey_of
from autoseg.annotations.decoding import plain_values
from autoseg.annotations.unnamed import Survey, by_half, called, told, told_half
from autoseg.errors import DataError, Fault
from autoseg.parallel import map_cases
from autoseg.volume.files import LOSSY_SUFFIXES, is_picture

MOST_VALUES = 256
NAMED = 6  # values that a note names one by one
CURE = "name them with --structure NAME=VALUE, or join all of them with --label NAME=PATTERN"


@dataclass(frozen=True)
class OwnNames:
    """Names by value, "" for the background, and what is to be said of them."""

    values: Mapping[int, str]
    notes: tuple[str, ...]


def own_names(files: Sequence[Path], workers: int = 0, on_done: Callable[[int], None] | None = None) -> OwnNames:
    """Values name themselves: `foreground` where one stands alone (but for borders that JPEG or smoothing left), else `class_` and the value.

    Args:
        files: label maps, all of them pictures or all of them volumes.
        workers: processes.
        on_done: called with the number of files done so far.

    Raises:
        DataError: none can be read, or they hold values that are those of images, or what is left of smoothing.
    """
    survey, faults = Survey({}, {0: ""}), list[Fault]()
    for one in map_cases(_survey_of, files, name=str, workers=workers, on_done=on_done):
        if isinstance(one, DataError):  # whoever imports the case tells it
            faults += one.faults
            continue
        survey.join(one)
        if len(survey.unnamed) > MOST_VALUES:
            raise DataError(f"the label maps hold more than {MOST_VALUES} different values: are these images? {CURE}")
    if faults and not survey.images:
        raise DataError(faults)
    found = sorted(value for value in survey.unnamed if isinstance(value, int))
    if not all(map(is_picture, files)):
        return OwnNames({0: "", **called(found)}, _told(called(found), survey))
    own = survey.with_own_greys(any(file.suffix.casefold() in LOSSY_SUFFIXES for file in files), blocks=False)
    if own is None and found:
        occurring = told(survey.unnamed, survey.images)
        raise DataError(f"nobody names the values of the label maps, and some may be smoothed borders: {occurring}; {CURE}")
    names = {grey: name for colour, name in own.colours.items() if name and (grey := grey_of(colour)) is not None} if own else {}
    borders: dict[Colour | int, str] = by_half(own.unnamed, *next(iter(names.items()))) if own and len(names) == 1 else {}
    notes = [*_told(names, survey), *([told_half(survey, borders)] if borders else [])]
    return OwnNames({0: "", **names, **{value: name for value, name in borders.items() if isinstance(value, int)}}, tuple(notes))


def _told(names: Mapping[int, str], survey: Survey) -> tuple[str, ...]:
    if len(names) > NAMED:
        return (f"nobody names the {len(names)} values of the label maps, which are called class_ and their number; {CURE}",)
    counts = {value: f"{survey.unnamed[value].pixels} pixels in {survey.unnamed[value].images} images" for value in names}
    listed = ", ".join(f"{value} ({counts[value]}) is called {name}" for value, name in names.items())
    return (f"nobody names the values of the label maps: {listed}; {CURE}",) if names else ()


def _survey_of(file: Path) -> Survey | DataError:
    try:
        values = plain_values(file)
    except DataError as error:
        return error
    survey = Survey({}, {0: ""})
    survey.add_codes(values.astype(np.int64))
    return survey
