"""What the readers of annotation formats share: finding JSON and XML files, and reading them with a sentence where they are damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from autoseg.errors import DataError, Fault

MOST_JSON_TRIED = 50  # a folder with more holds one file an image, which other formats do


def json_files(path: Path, *folders: str) -> list[Path]:
    """The file itself, or JSON files in a folder and in those of its folders, sorted by name."""
    if path.is_file():
        return [path] if path.suffix.casefold() == ".json" else []
    places = [path, *(path / folder for folder in folders)]
    files = [file for place in places if place.is_dir() for file in sorted(place.glob("*.json")) if not file.name.startswith(".")]
    return files if len(files) <= MOST_JSON_TRIED else []


def json_in(file: Path) -> object:
    """The content of a JSON file; None where it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def object_in(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: the file is damaged, or something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError([Fault(file.name, f"is no proper JSON ({error}); export it again")]) from error
    if not isinstance(content, dict):
        raise DataError([Fault(file.name, f"holds {type(content).__name__} and no object; export it again")])
    return cast(dict[str, Any], content)


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
