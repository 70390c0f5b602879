"""Exports that hold boxes alone: they are recognised so that they can be refused with a sentence that names what to export instead.

YOLO 1.1 (five numbers a line), TFRecord, ICDAR (corners and a text), the XML of PASCAL VOC, and Open Images without masks.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from autoseg.annotations.reading import files_under, find_child, lines_of
from autoseg.errors import DataError

INSTEAD = "boxes hold no outline; export the same project as 'COCO 1.0', 'CVAT for images 1.1' or 'Segmentation mask 1.1'"
LOOKED_AT = 200  # files that recognising opens
SEARCHED_BYTES = 65536
BOX_NUMBERS = 5  # class, centre, width and height
CLASS_FILES = ("obj.names", "classes.txt", "data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NUMBER = r"-?\d+(?:\.\d+)?"
ICDAR_LINE = re.compile(rf"^(?:{NUMBER}[,\s]+){{3}}{NUMBER}(?:(?:[,\s]+{NUMBER}){{4}})?[,\s]+\S*[^\d\s.,-].*$")
ICDAR_CORNERS = re.compile(rf"^(?:{NUMBER}[,\s]+){{3}}{NUMBER}(?:(?:[,\s]+{NUMBER}){{4}})?$")


def recognise(path: Path) -> str | None:
    """A sentence of what was found and what to export instead; None where the folder is no export of boxes."""
    if not path.is_dir():
        return f"found {path.name}, a TFRecord: {INSTEAD}" if path.suffix.casefold() == ".tfrecord" and path.is_file() else None
    found = _tfrecord(path) or _yolo(path) or _icdar(path) or _voc(path) or _open_images(path)
    return f"{found}: {INSTEAD}" if found else None


def numbers_of(line: str) -> list[float] | None:
    """The numbers of a line of YOLO's; None where something else is in it."""
    try:
        return [float(number) for number in line.split()]
    except ValueError:
        return None


def _tfrecord(path: Path) -> str | None:
    file = next((file for file in path.rglob("*.tfrecord*") if file.is_file()), None)
    return f"found {file.name}, a TFRecord" if file else None


def _yolo(path: Path) -> str | None:
    """Names of classes, and label files whose lines are all boxes."""
    classes = next((name for name in CLASS_FILES if (path / name).is_file()), None)
    counts = {len(numbers_of(line) or ()) for file in _texts(path) for line in _lines(file)} if classes else set()
    return (
        f"found {classes} and label files of {BOX_NUMBERS} numbers a line, which are boxes of YOLO"
        if counts == {BOX_NUMBERS}
        else None
    )


def _icdar(path: Path) -> str | None:
    """`gt_*.txt`, or texts of four or eight numbers and a word a line."""
    files = _texts(path)
    named = [file for file in files if file.name.startswith("gt_")]
    lines = [line for file in named or files for line in _lines(file)]
    known = all(ICDAR_LINE.match(line) or (named and ICDAR_CORNERS.match(line)) for line in lines)
    return f"found {(named or files)[0].name} with corners and a text a line, as ICDAR has them" if lines and known else None


def _voc(path: Path) -> str | None:
    folder = find_child(path, "Annotations")
    file = next((file for file in islice(files_under(folder, ".xml"), LOOKED_AT) if _holds_box(file)), None) if folder else None
    return (
        f"found {file.name} with <bndbox>, a box of PASCAL VOC"
        if file and find_child(path, "SegmentationClass") is None
        else None
    )


def _open_images(path: Path) -> str | None:
    folder = find_child(path, "annotations")
    names = [file.name for file in folder.iterdir()] if folder else []
    boxes = next((name for name in names if name.endswith("-annotations-bbox.csv")), None)
    masks = any(name.endswith("-annotations-object-segmentation.csv") for name in names)
    return f"found {boxes} and no masks, which are boxes of Open Images" if boxes and not masks else None


def _texts(path: Path) -> list[Path]:
    """Label files: no list of images, and no names of classes."""
    lists = ("train.txt", "valid.txt", "val.txt", "test.txt", "default.txt", *CLASS_FILES)
    return [file for file in files_under(path, ".txt") if file.name not in lists][:LOOKED_AT]


def _lines(file: Path) -> list[str]:
    try:
        return lines_of(file)
    except DataError:
        return []


def _holds_box(file: Path) -> bool:
    with file.open("rb") as stream:
        return b"<bndbox" in stream.read(SEARCHED_BYTES)
