"""MIST's table: a CSV with `id`, `mask` and a column for each channel, beside a JSON that names the classes.

Documented at https://mist-medical.readthedocs.io/.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.nested import parted
from autoseg.annotations.reading import json_files, json_in
from autoseg.errors import DataError, Fault

ID, MASK, FOLD = "id", "mask", "fold"


def recognise(path: Path) -> str | None:
    """A CSV whose first columns are `id` and `mask` (or `fold` between them)."""
    files = _tables(path)
    return f"found {files[0].name} with the columns {ID} and {MASK}" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All rows.

    Raises:
        DataError: there is no such table, or several.
    """
    tables = _tables(path)
    if len(tables) != 1:
        raise DataError(f"{path} holds {len(tables)} tables with the columns {ID} and {MASK}; give the one that is meant")
    (table,) = tables
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    channels = [name for name in rows[0] if name not in (ID, MASK, FOLD)] if rows else []
    if not channels:
        raise DataError([Fault(table.name, "has no row, or no column for an image beside id and mask")])
    images, faults = [], []
    for row in rows:
        files, mask = tuple(_place(table, row[name]) for name in channels), _place(table, row[MASK])
        if missing := [file for file in (*files, mask) if not file.is_file()]:
            faults.append(Fault(row[ID], f"{table.name} names {missing[0]}, which is not there; mend the path"))
        else:
            images.append(AnnotatedImage(name=row[ID], size=None, label_map=mask, files=files))
    names = tuple(channels) if len(channels) > 1 else ()
    values, unions = parted(_classes(path if path.is_dir() else path.parent))
    labels = tuple(dict.fromkeys(values.values()))
    declared = {0: "", **values} if values else {}
    return AnnotationSet("mist-csv", labels, tuple(images), values=declared, channels=names, faults=tuple(faults), unions=unions)


def _classes(folder: Path) -> dict[str, list[int]]:
    """Values of classes by the configuration's `final_classes`, which may share some; empty where there is none."""
    for file in json_files(folder):
        content: Any = json_in(file)
        classes = content.get("final_classes") if isinstance(content, dict) else None
        if isinstance(classes, dict) and all(isinstance(one, list) and all(map(_is_value, one)) for one in classes.values()):
            return {str(name): values for name, values in classes.items()}
    return {}


def _is_value(one: object) -> bool:
    return isinstance(one, int) and one > 0


def _place(table: Path, text: str) -> Path:
    return Path(text) if Path(text).is_absolute() else table.parent / text


def _tables(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else sorted(path.glob("*.csv")) if path.is_dir() else []
    return [file for file in candidates if file.suffix.casefold() == ".csv" and _is_table(file)]


def _is_table(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            header = next(csv.reader(opened), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return header[:1] == [ID] and MASK in header


FORMAT = Format("mist-csv", "a CSV with the columns id, mask and one for each channel", recognise, read)
