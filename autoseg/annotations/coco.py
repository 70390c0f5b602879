"""COCO: one JSON with images, categories, and annotations as polygons or run lengths (compressed or not).

Format: https://cocodataset.org/#format-data. Several polygons of one annotation are parts of it, never holes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Bitmap,
    Format,
    LabelledImage,
    Polygon,
    ReadOptions,
    is_background,
)
from autoseg.annotations.reading import Json, json_files, json_in, object_in
from autoseg.annotations.rle import decode_compressed, decode_runs, encode_runs
from autoseg.errors import DataError, Fault
from autoseg.records import write_text

KEYS = ("images", "annotations", "categories")
FEWEST_NUMBERS = 6  # of a polygon: three points


def recognise(path: Path) -> str | None:
    """A JSON with the three lists of COCO, in the folder or in `annotations/`."""
    files = _files(path)
    return f"found {files[0].name} with {', '.join(KEYS)}" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images of all files; those that several files list count once.

    Raises:
        DataError: no file is COCO's, or one cannot be used.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no JSON with {', '.join(KEYS)}; give the folder (or the file) of a COCO export")
    labels: dict[str, None] = {}
    images: dict[str, AnnotatedImage] = {}
    faults: list[Fault] = []
    notes: list[str] = []
    for file in files:
        content = object_in(file)
        names = {int(one["id"]): str(one["name"]) for one in _dicts(content, "categories", file)}
        labels |= dict.fromkeys(name for name in names.values() if not is_background(name))
        by_image: dict[int, list[Annotation]] = {}
        boxes = 0
        sizes = {int(one["id"]): _size(one) for one in _dicts(content, "images", file)}
        file_names = {int(one["id"]): str(one["file_name"]) for one in _dicts(content, "images", file)}
        for one in _dicts(content, "annotations", file):
            image, label = int(one["image_id"]), names.get(int(one["category_id"]))
            if image not in file_names:
                faults.append(
                    Fault(file.name, f"annotation {one.get('id')} is of image {image}, which is not listed; export again")
                )
                continue
            case = file_names[image]
            if label is None:
                faults.append(
                    Fault(case, f"annotation {one.get('id')} has category {one['category_id']}, which {file.name} does not name")
                )
                continue
            if is_background(label):
                continue
            try:
                shapes = list(_shapes(one.get("segmentation"), sizes[image]))
            except ValueError as error:
                faults.append(Fault(case, f"annotation {one.get('id')}: {error}; export it again"))
                continue
            boxes += not shapes
            by_image.setdefault(image, []).extend(Annotation(label, shape) for shape in shapes)
        for id, name in file_names.items():
            before = images.get(name)
            found = (*(before.annotations if before else ()), *by_image.get(id, ()))
            images[name] = AnnotatedImage(name, sizes[id] or (before.size if before else None), found)
        if boxes:
            notes.append(f"{boxes} annotations of {file.name} are boxes without a mask, and are left out")
    return AnnotationSet("coco", tuple(labels), tuple(images.values()), faults=tuple(faults), notes=tuple(notes))


def write(path: Path, images: Iterable[LabelledImage], labels: Mapping[str, int]) -> None:
    """One file with a run-length mask for each label of each image, exact to the pixel.

    Args:
        path: JSON to write.
        images: one by one, so that not all are in memory.
        labels: the value of each label in the label maps.
    """
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(labels, start=1)]
    listed: list[Json] = []
    annotations: list[Json] = []
    for image_id, image in enumerate(images, start=1):
        height, width = image.labels.shape
        listed.append({"id": image_id, "file_name": image.name, "width": width, "height": height})
        for category, value in enumerate(labels.values(), start=1):
            mask = image.labels == value
            if mask.any():
                annotations.append(_annotation(len(annotations) + 1, image_id, category, mask))
    content = {
        "info": {"description": "autoseg"},
        "licenses": [],
        "images": listed,
        "categories": categories,
        "annotations": annotations,
    }
    write_text(path, json.dumps(content))


def _annotation(id: int, image: int, category: int, mask: np.ndarray) -> Json:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
    runs = {"counts": encode_runs(mask, column_major=True), "size": list(mask.shape)}
    area = int(np.count_nonzero(mask))
    return {"id": id, "image_id": image, "category_id": category, "segmentation": runs, "area": area, "bbox": box, "iscrowd": 1}


def _files(path: Path) -> list[Path]:
    return [file for file in json_files(path, "annotations") if _is_coco(json_in(file))]


def _is_coco(content: object) -> bool:
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in KEYS)


def _dicts(content: Mapping[str, object], key: str, file: Path) -> list[Json]:
    entries = content.get(key)
    wanted = {"images": ("id", "file_name"), "categories": ("id", "name"), "annotations": ("image_id", "category_id")}[key]
    if not isinstance(entries, list):
        raise DataError([Fault(file.name, f"{key} is no list; export it again")])
    for entry in entries:
        missing = [name for name in wanted if not isinstance(entry, dict) or entry.get(name) is None]
        if missing:
            raise DataError([Fault(file.name, f"an entry of {key} has no {' and no '.join(missing)}; export it again")])
    return entries


def _size(image: Json) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (int(height), int(width)) if height and width else None


def _shapes(segmentation: object, size: tuple[int, int] | None) -> Iterable[Polygon | Bitmap]:
    """Polygons one by one, or one bitmap; nothing where there is a box alone.

    Raises:
        ValueError: neither, or damaged.
    """
    if isinstance(segmentation, dict):
        yield _bitmap(segmentation)
    elif isinstance(segmentation, Sequence) and not isinstance(segmentation, str):
        for numbers in segmentation:
            if not isinstance(numbers, Sequence) or len(numbers) % 2:
                raise ValueError("a polygon is a list of x and y by turns")
            if len(numbers) >= FEWEST_NUMBERS:
                yield Polygon((np.asarray(numbers, float).reshape(-1, 2),))
    elif segmentation is not None:
        raise ValueError(f"its segmentation is {type(segmentation).__name__}, neither polygons nor run lengths")


def _bitmap(runs: Json) -> Bitmap:
    size, counts = runs.get("size"), runs.get("counts")
    if not isinstance(size, Sequence) or len(size) != 2 or counts is None:
        raise ValueError("run lengths have no size or no counts")
    height, width = int(size[0]), int(size[1])
    if isinstance(counts, str):
        return Bitmap(decode_compressed(counts, height, width))
    return Bitmap(decode_runs(counts, height, width, column_major=True))


FORMAT = Format("coco", "a JSON with images, annotations and categories", recognise, read)
