"""Datumaro: `annotations/<subset>.json` with categories and items, whose annotations are polygons, ellipses and run-length masks.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-datumaro/.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Bitmap,
    Format,
    ReadOptions,
    Shape,
    Size,
    is_background,
)
from autoseg.annotations.reading import Json, json_files, object_in, once, rotation_of, sorted_out
from autoseg.annotations.rle import decode_sized
from autoseg.annotations.shapes import ellipse, polygon, turned_box
from autoseg.errors import DataError, Fault

WITH_AREA = ("polygon", "mask", "ellipse")
BOX = "bbox"


def recognise(path: Path) -> str | None:
    """A JSON with categories and items, in the folder or in `annotations/`."""
    files, _ = _files(path)
    return f"found {files[0].name} with categories, items" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images of all subsets.

    Raises:
        DataError: no file is Datumaro's, or one cannot be used.
    """
    files, faults = _files(path)
    if not files:
        raise DataError(
            f"{path} holds no JSON with categories and items; give the folder (or the file) of an export as 'Datumaro 1.0'"
        )
    labels: dict[str, None] = {}
    images: list[AnnotatedImage] = []
    left_out: Counter[str] = Counter()
    for file in files:
        content = object_in(file)
        names = _names(content, file)
        labels |= dict.fromkeys(name for name in names if not is_background(name))
        for place, item in enumerate(content["items"], start=1):
            if not isinstance(item, dict) or item.get("id") in (None, ""):
                faults.append(_without_id(item, place, file))
                continue
            name, size = _image(item)
            found: list[Annotation] = []
            drawn = item.get("annotations") or []
            if not isinstance(drawn, list):
                faults.append(Fault(name, f"its annotations are no list in {file.name}; export it again"))
                drawn = []
            for one in drawn:
                try:
                    found += _annotations(one, names, size, left_out, options.boxes)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    number = one.get("id") if isinstance(one, dict) else one
                    faults.append(Fault(name, f"annotation {number} cannot be read: {error}; export it again"))
            images.append(AnnotatedImage(name, size, tuple(found)))
    if faults and not images:
        raise DataError(faults)
    kept, twice = once(images)
    notes = tuple(f"{number} of kind {kind} have no area, and are left out" for kind, number in left_out.items())
    return AnnotationSet("datumaro", tuple(labels), kept, faults=(*faults, *twice), notes=notes)


def _files(path: Path) -> tuple[list[Path], list[Fault]]:
    """Datumaro's, and faults of those that are damaged."""
    return sorted_out(json_files(path, "annotations"), _is_datumaro)


def _is_datumaro(content: object) -> bool:
    return isinstance(content, dict) and isinstance(content.get("categories"), dict) and isinstance(content.get("items"), list)


def _names(content: Json, file: Path) -> list[str]:
    try:
        return [str(label["name"]) for label in content["categories"]["label"]["labels"]]
    except (KeyError, TypeError) as error:
        raise DataError([Fault(file.name, "its categories name no labels; export it again")]) from error


def _without_id(item: object, place: int, file: Path) -> Fault:
    """The fault of an item that cannot be called by its id: of its image, where that is named."""
    told = item.get("image") or item.get("media") if isinstance(item, dict) else None
    name = told.get("path") if isinstance(told, dict) else None
    return Fault(str(name or file.name), f"item {place} in {file.name} has no id, and is left out; export it again")


def _image(item: Json) -> tuple[str, Size | None]:
    """Name of the file, with folders where the item's id has them, and (height, width)."""
    told = item.get("image") or item.get("media")
    told = told if isinstance(told, dict) else {}
    id, path = str(item["id"]), str(told.get("path") or "").replace("\\", "/")
    suffix = path[len(id) :] if path.startswith(id) else Path(path).suffix if path else ""
    size = told.get("size")
    sides = [int(one) for one in size if isinstance(one, int | float)] if isinstance(size, list) else []
    return id + suffix, (sides[0], sides[1]) if len(sides) == 2 else None


def _annotations(one: Json, names: list[str], size: Size | None, left_out: Counter[str], boxes: bool) -> list[Annotation]:
    """The annotation, or nothing where it has no area; `size` is the image's, where it is known, and `boxes` takes also those that are not turned.

    Raises:
        ValueError: damaged; and TypeError, KeyError.
    """
    kind = str(one["type"])
    if kind not in WITH_AREA and not (kind == BOX and (boxes or rotation_of(one))):
        left_out[kind] += 1
        return []
    place = one["label_id"]
    if not isinstance(place, int) or not 0 <= place < len(names):
        raise ValueError(f"label {place} is none of the {len(names)} named ones")
    return (
        [] if is_background(names[place]) else [Annotation(names[place], _shape(kind, one, size), int(one.get("z_order") or 0))]
    )


def _shape(kind: str, one: Json, size: Size | None) -> Shape:
    if kind == "polygon":
        return polygon(one["points"])
    if kind == BOX:
        x, y, width, height = map(float, one["bbox"])
        return turned_box(x, y, x + width, y + height, rotation_of(one))
    if kind == "ellipse":
        x0, y0, x1, y1 = map(float, one["points"])  # the box around it
        return ellipse((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    return Bitmap(decode_sized(one["rle"]["counts"], one["rle"]["size"], size))


FORMAT = Format("datumaro", "annotations/<subset>.json with categories and items", recognise, read)
