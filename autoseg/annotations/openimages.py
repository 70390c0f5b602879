"""Open Images V6 as CVAT writes it: a CSV of masks, the masks in `masks/`, and a CSV that names the classes.

Format: https://storage.googleapis.com/openimages/web/download_v7.html and https://docs.cvat.ai/docs/dataset_management/formats/format-openimages/.
"""

from __future__ import annotations

import csv
from pathlib import Path

from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Format,
    MaskFile,
    ReadOptions,
    is_background,
)
from autoseg.annotations.reading import bare, find_child, lines_of, pictures_under, rows_of, size_of
from autoseg.errors import DataError, Fault

FOLDER = "annotations"
CLASSES = "*class-descriptions*.csv"
MASKS = "*-annotations-object-segmentation.csv"
BOXES = "*-annotations-bbox.csv"
IMAGES = ("image_ids_and_rotation.csv", "*-images-with-rotation.csv", "*-images-with-labels-with-rotation.csv")


def recognise(path: Path) -> str | None:
    """`annotations/*-annotations-object-segmentation.csv`."""
    files = _files(path, MASKS)
    return f"found {FOLDER}/{files[0].name}" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images that a CSV lists or that lie in `images/`; those of which there is no mask hold nothing of what was looked for.

    Raises:
        DataError: no CSV of masks, or none that names the classes.
    """
    files = _files(path, MASKS)
    if not files:
        boxes = ", and its boxes hold no outline" if _files(path, BOXES) else ""
        raise DataError(f"{path} holds no {FOLDER}/{MASKS}{boxes}; export polygons or masks as 'Open Images V6 1.0'")
    names = _class_names(path)
    masks = _masks(path)
    faults: list[Fault] = []
    found: dict[str, list[Annotation]] = {}
    for file in files:
        subset = file.name.removesuffix(MASKS[1:])
        for row in rows_of(file, "MaskPath", "ImageID", "LabelName"):
            image, label = row["ImageID"], names.get(row["LabelName"])
            drawn = found.setdefault(image, [])
            mask = masks.get((subset, row["MaskPath"])) or masks.get(("", row["MaskPath"]))
            if label is None:
                faults.append(
                    Fault(
                        image, f"{file.name} gives a mask of {row['LabelName']}, which no class description names; export again"
                    )
                )
            elif mask is None:
                faults.append(Fault(image, f"its mask {row['MaskPath']} of {label} is not in masks/; export again"))
            elif not is_background(label):
                drawn.append(Annotation(label, MaskFile(mask)))
    images = []
    for name in {**dict.fromkeys(_listed(path)), **dict.fromkeys(found)}:
        try:
            images.append(_image(name, found.get(name, [])))
        except DataError as error:
            faults += [Fault(name, fault.message) for fault in error.faults]
    labels = dict.fromkeys(name for name in names.values() if not is_background(name))
    left_out = sum(len(lines_of(file)) - 1 for file in _files(path, BOXES))
    notes = (f"{left_out} of kind box have no area, and are left out",) if left_out else ()
    return AnnotationSet("openimages", tuple(labels), tuple(images), faults=tuple(faults), notes=notes)


def _files(path: Path, pattern: str) -> list[Path]:
    folder = find_child(path, FOLDER)
    return [file for file in sorted(folder.glob(pattern)) if not file.name.startswith(".")] if folder else []


def _class_names(path: Path) -> dict[str, str]:
    """What is shown for each label's name; the CSV has a heading from version 6 on, and CVAT writes that of version 5."""
    files = _files(path, CLASSES)
    if not files:
        raise DataError(f"{path} holds no {FOLDER}/class-descriptions.csv, which names the classes; export again")
    rows = [row for file in files for row in csv.reader(lines_of(file)) if row]
    return {row[0]: row[1] if len(row) > 1 and row[1] else row[0] for row in rows if row[:2] != ["LabelName", "DisplayName"]}


def _masks(path: Path) -> dict[tuple[str, str], Path]:
    """By subset ("" for any) and name, from all folders called `masks`."""
    files = [file for file in pictures_under(path) if "masks" in (part.casefold() for part in file.relative_to(path).parts[:-1])]
    return {**{("", file.name): file for file in files}, **{(file.parent.name, file.name): file for file in files}}


def _listed(path: Path) -> list[str]:
    rows = [row["ImageID"] for pattern in IMAGES for file in _files(path, pattern) for row in rows_of(file, "ImageID")]
    folder = find_child(path, "images")
    held = [bare(file, folder) for file in pictures_under(folder)] if folder else []
    known = set(rows)
    below_subset = [name.partition("/")[2] or name for name in held]
    return rows + [name for name in below_subset if name not in known]


def _image(name: str, drawn: list[Annotation]) -> AnnotatedImage:
    first = next((one.shape.path for one in drawn if isinstance(one.shape, MaskFile)), None)
    return AnnotatedImage(name, size_of(first) if first else None, tuple(drawn))


FORMAT = Format("openimages", f"{FOLDER}/{MASKS} and masks/", recognise, read)
