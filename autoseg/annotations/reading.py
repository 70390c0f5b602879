"""What the readers of annotation formats share: finding files, and reading JSON, XML, CSV and lists with a sentence where they are damaged."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from autoseg.annotations.base import AnnotatedImage, Size
from autoseg.errors import DataError, Fault
from autoseg.volume.files import is_picture, read_header

Json = Mapping[str, Any]  # an object of a JSON file, of which nothing is known yet

MOST_JSON_TRIED = 50  # a folder with more holds one file an image, which other formats do
SUBSETS = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing", "default"}
)  # names of folders that mean no label
SHOWN = 3  # files in one sentence
MACOS = "__MACOSX"  # a folder that macOS puts into zip files


def files_under(folder: Path, *suffixes: str) -> list[Path]:
    """Files with one of the suffixes (with their dot, any case) in a folder and below, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return []
    wanted = {suffix.casefold() for suffix in suffixes}
    return sorted(
        file for file in folder.rglob("*") if file.suffix.casefold() in wanted and _is_own(file, folder) and file.is_file()
    )


def pictures_under(folder: Path) -> list[Path]:
    """All pictures in a folder and below, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*") if is_picture(file) and _is_own(file, folder) and file.is_file())


def find_child(folder: Path, *names: str) -> Path | None:
    """The first folder in a folder that bears one of the names, ignoring case; None where there is none."""
    if not folder.is_dir():
        return None
    children = {one.name.casefold(): one for one in sorted(folder.iterdir(), reverse=True) if one.is_dir()}
    return next((children[name.casefold()] for name in names if name.casefold() in children), None)


def bare(file: Path, folder: Path) -> str:
    """A file's name as it lies in a folder, perhaps with folders, and without its suffix."""
    return file.relative_to(folder).with_suffix("").as_posix()


def within(folder: Path, name: str) -> Path | None:
    """The file that a name from a file means; None where there is none, or where it would lie outside the folder."""
    wanted = folder / name.replace("\\", "/").lstrip("/")
    return wanted if wanted.is_file() and wanted.resolve().is_relative_to(folder.resolve()) else None


def size_of(file: Path) -> Size:
    """(height, width) of a picture, from its header.

    Raises:
        DataError: it cannot be read.
    """
    height, width = read_header(file).shape
    return height, width


def once(images: Iterable[AnnotatedImage]) -> tuple[tuple[AnnotatedImage, ...], list[Fault]]:
    """The images, of each name the first alone, and a fault for each name that is there again.

    Nobody knows which one counts, so whoever imports takes none.
    """
    by_name: dict[str, list[AnnotatedImage]] = {}
    for image in images:
        by_name.setdefault(image.name, []).append(image)
    faults = [Fault(name, _told_again(several)) for name, several in by_name.items() if len(several) > 1]
    return tuple(several[0] for several in by_name.values()), faults


def _told_again(images: Sequence[AnnotatedImage]) -> str:
    """That an image is there several times: in which files, where each has its own."""
    files = [image.told_in for image in images if image.told_in is not None]
    none = "neither" if len(images) == 2 else "none"
    if len(files) < len(images):
        return f"is there {'twice' if len(images) == 2 else f'{len(images)} times'}, and {none} is taken; give images names of their own"
    names = [file.name for file in files]
    names = names if len(set(names)) == len(names) else ["/".join(file.parts[-2:]) for file in files]
    *first, last = names if len(names) <= SHOWN else (*names[:SHOWN], f"{len(names) - SHOWN} more")
    return f"{', '.join(first)} and {last} name it, and {none} is taken; mend the name in them"


def lines_of(file: Path) -> list[str]:
    """Lines of a text that are neither empty nor comments (`#`), without spaces around them.

    Raises:
        DataError: it is no text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError([Fault(file.name, f"is no proper text ({error}); export it again")]) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def rows_of(file: Path, *columns: str) -> list[dict[str, str]]:
    """Rows of a CSV with a header.

    Raises:
        DataError: it is no text, or lacks one of the columns.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = [column for column in columns if column not in (rows.fieldnames or ())]
            if missing:
                raise DataError([Fault(file.name, f"has no column {' and no '.join(missing)}; export it again")])
            return [{key: value or "" for key, value in row.items() if isinstance(key, str)} for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError([Fault(file.name, f"is no proper CSV ({error}); export it again")]) from error


def json_files(path: Path, *folders: str) -> list[Path]:
    """The file itself, or JSON files in a folder and in those of its folders, sorted by name."""
    if path.is_file():
        return [path] if path.suffix.casefold() == ".json" else []
    places = [path, *(path / folder for folder in folders)]
    files = [file for place in places if place.is_dir() for file in sorted(place.glob("*.json")) if not file.name.startswith(".")]
    return files if len(files) <= MOST_JSON_TRIED else []


def sorted_out(files: Iterable[Path], suits: Callable[[object], bool]) -> tuple[list[Path], list[Fault]]:
    """JSON files whose content suits, and a fault for each that cannot be read, of which nobody knows what it holds."""
    suiting, faults = [], []
    for file in files:
        content = json_in(file)
        if content is None:
            faults.append(Fault(file.name, "is no proper JSON; export it again"))
        elif suits(content):
            suiting.append(file)
    return suiting, faults


def json_in(file: Path) -> object:
    """The content of a JSON file; None where it is none."""
    try:
        return _parsed(file, *_state(file))
    except (OSError, ValueError, RecursionError):
        return None


def object_in(file: Path) -> Json:
    """A JSON object.

    Raises:
        DataError: the file is damaged, or something else.
    """
    try:
        content = _parsed(file, *_state(file))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError([Fault(file.name, f"is no proper JSON ({error}); export it again")]) from error
    if not isinstance(content, dict):
        raise DataError([Fault(file.name, f"holds {type(content).__name__} and no object; export it again")])
    return cast(Json, content)


def rotation_of(annotation: Json) -> float:
    """Degrees by which a box is turned, as CVAT writes it into the attributes of COCO's and Datumaro's annotations; 0 where it is not."""
    attributes = annotation.get("attributes")
    told = attributes.get("rotation") if isinstance(attributes, dict) else None
    return float(told) if isinstance(told, int | float) else 0.0


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _parsed(file: Path, size: int, changed: int) -> object:
    """Several formats look at the same large file before one reads it, so the last ones are kept; nobody may change what is returned."""
    content: object = json.loads(file.read_text(encoding="utf-8-sig"))
    return content


def xml_in(file: Path) -> ElementTree.Element:
    """The root of an XML file. Entities are refused: they can grow without bound, or read other files.

    Raises:
        DataError: the file is damaged, or declares entities.
    """
    try:
        return cast(ElementTree.Element, fromstring(file.read_bytes()))
    except DefusedXmlException as error:
        raise DataError([Fault(file.name, "declares entities, which no annotation program writes; remove them")]) from error
    except (OSError, ElementTree.ParseError) as error:
        raise DataError([Fault(file.name, f"is no proper XML ({error}); export it again")]) from error


def _is_own(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return MACOS not in parts and not any(part.startswith(".") for part in parts)
