"""What every layout shares: recognition, the result of reading, listing of files and the check of image headers.

A layout is one way a data set lies on disk. Each has its own file with two functions: `recognise` looks at names only
and says why it believes the folder is its own; `read` turns the folder into a `Dataset` of the sound cases and a list
of all faults found.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from autoseg.errors import DataError, Fault
from autoseg.records import Case, Dataset, Spacing
from autoseg.volume.dicom import case_name, is_dicom
from autoseg.volume.files import READABLE_SUFFIXES, read_header, split_suffix

CHANNEL_SUFFIX = re.compile(r"^(?P<id>.+)_(?P<channel>\d{4})$")
SHOWN_NAMES = 5  # how many names a sentence lists before it goes on with "and N more"


@dataclass(frozen=True)
class Recognition:
    """Why a folder is taken for a layout: `why` completes "read as NAME: found ..."."""

    why: str


@dataclass(frozen=True)
class ReadOptions:
    """What the caller supplies or does itself, so that a layout leaves its own source alone.

    With `checking` the caller looks at every file itself: a layout that would read labels to find out what they hold leaves the targets empty.
    """

    spacing_given: bool = False
    subjects_given: bool = False
    checking: bool = False


@dataclass(frozen=True)
class LayoutResult:
    """The data set of all sound cases (None where none is left), and every fault found."""

    dataset: Dataset | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One way a data set lies on disk; `looks_for` is what a user must provide to be recognised."""

    name: str
    looks_for: str
    recognise: Callable[[Path], Recognition | None]
    read: Callable[[Path, ReadOptions], LayoutResult]


def files_in(folder: Path, suffix: str | None = None) -> list[Path]:
    """Readable images directly in a folder, sorted by name; empty where the folder is missing.

    Files that begin with a dot are skipped (macOS leaves `._name` beside each file it copies).

    Args:
        folder: where to look; not searched deeper.
        suffix: take this suffix only (with its dot, any case).
    """
    if not folder.is_dir():
        return []
    wanted = {suffix.casefold()} if suffix else {known.casefold() for known in READABLE_SUFFIXES}
    files = (file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    return sorted(file for file in files if split_suffix(file)[1].casefold() in wanted)


def images_in(folder: Path) -> list[Path]:
    """As `files_in`, and DICOM: single files, and sub-folders that hold a series of slices."""
    others = [path for path in folder.iterdir() if not path.name.startswith(".") and is_dicom(path)] if folder.is_dir() else []
    return sorted([*files_in(folder), *others])


def stem_of(path: Path | str) -> str:
    """File name without its suffix (`.nii.gz` counts as one)."""
    return split_suffix(Path(path))[0]


def image_stem(path: Path) -> str:
    """As `stem_of`; DICOM files without a suffix of their own, and folders of a series, have their whole name."""
    return case_name(path) if is_dicom(path) else stem_of(path)


def relative(path: Path, root: Path) -> str:
    """A path as it stands in `Case`: relative to the data set's root where it lies inside, else absolute."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def listed(names: Iterable[object]) -> str:
    """Names for a sentence: the first five, and how many more."""
    texts = [str(name) for name in names]
    more = len(texts) - SHOWN_NAMES
    return ", ".join(texts[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def load_json(path: Path) -> dict[str, object]:
    """A JSON object from a file.

    Raises:
        DataError: not JSON, or not an object.
    """
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError([Fault(path.name, f"cannot be read ({error.strerror}): {path}; this layout needs it")]) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError([Fault(path.name, f"is not valid JSON: {error}; mend {path}")]) from error
    if not isinstance(content, dict):
        raise DataError([Fault(path.name, f"expected a JSON object, found {type(content).__name__}; mend {path}")])
    return cast(dict[str, object], content)


def channel_names(declared: object, where: str) -> tuple[str, ...]:
    """Channels from `{"0": "CT", "1": "PET"}` or `["CT", "PET"]`.

    Raises:
        DataError: neither, empty, or keys that are not 0, 1, 2 ...
    """
    if isinstance(declared, list) and declared and all(isinstance(name, str) for name in declared):
        return tuple(declared)
    if isinstance(declared, dict) and declared:
        wanted = [str(index) for index in range(len(declared))]
        if set(map(str, declared)) == set(wanted):
            by_key = {str(key): str(name) for key, name in declared.items()}
            return tuple(by_key[key] for key in wanted)
    raise DataError([Fault(where, f'expected channels as {{"0": "CT", ...}} counted from 0 or ["CT", ...], found {declared!r}')])


@dataclass(frozen=True)
class CheckedImages:
    """Cases whose image headers are readable and of one rank; `components` counts the values per pixel of each first file.

    `notes` are what the headers say beyond that.
    """

    rank: Literal[2, 3] | None
    cases: tuple[Case, ...]
    components: Mapping[str, int]
    notes: tuple[str, ...] = ()


def check_images(root: Path, cases: Sequence[Case]) -> tuple[CheckedImages, list[Fault]]:
    """Read every image's header; cases that cannot be read, or of another rank than the most, become faults.

    Without a readable case the rank is None.
    """
    faults: list[Fault] = []
    ranks: dict[str, int] = {}
    components: dict[str, int] = {}
    notes: list[str] = []
    for case in cases:
        try:
            headers = [read_header(root / image) for image in case.images]
        except DataError as error:
            faults += [Fault(case.id, str(fault)) for fault in error.faults]
            continue
        found = {len(header.shape) for header in headers}
        if len(found) > 1:
            faults.append(Fault(case.id, "its channels are partly 2D and partly 3D; store all of them on one grid"))
            continue
        ranks[case.id], components[case.id] = found.pop(), headers[0].channels
        notes += [f"{case.id}: {note}" for note in dict.fromkeys(note for header in headers for note in header.notes)]
    if not ranks:
        return CheckedImages(None, (), {}), faults
    rank, number = max(Counter(ranks.values()).items(), key=lambda item: (item[1], item[0]))
    faults += [
        Fault(id, f"is {other}D while {number} of {len(ranks)} cases are {rank}D; a data set holds one kind")
        for id, other in ranks.items()
        if other != rank
    ]
    sound = tuple(case for case in cases if ranks.get(case.id) == rank)
    if len(notes) > SHOWN_NAMES:
        notes = [*notes[:SHOWN_NAMES], f"... and {len(notes) - SHOWN_NAMES} more such remarks on the places of images"]
    return CheckedImages(cast(Literal[2, 3], rank), sound, components, tuple(notes)), faults


def with_spacings(cases: Iterable[Case], spacings: Mapping[str, Spacing | None]) -> tuple[Case, ...]:
    """The cases with the table's spacing (mm per pixel, (y, x)); those that the mapping lacks keep theirs."""
    return tuple(case.model_copy(update={"spacing_mm": spacings[case.id]}) if case.id in spacings else case for case in cases)


def aliases(cases: Iterable[Case]) -> dict[str, tuple[str, ...]]:
    """Per case id the names under which a table may list it: its id and the stems of its files."""
    return {case.id: (case.id, *(stem_of(image) for image in case.images)) for case in cases}
