"""COCO: one JSON with images, categories, and annotations as polygons or run lengths (compressed or not).

Format: https://cocodataset.org/#format-data. Several polygons of one annotation are parts of it, never holes; one inside another,
which many programs mean as a hole, is told. Roboflow writes a folder for each subset, with its images and `_annotations.coco.json` beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from autoseg.annotations.reading import Json, json_files, object_in, rotation_of, sorted_out, within
from autoseg.annotations.rings import holds_ring_in_ring
from autoseg.annotations.rle import decode_sized, encode_runs
from autoseg.annotations.shapes import polygon, turned_box
from autoseg.errors import DataError, Fault
from autoseg.records import write_text

KEYS = ("images", "annotations", "categories")
ROBOFLOW = "_annotations.coco.json"
FEWEST_NUMBERS = 6  # of a polygon: three points


@dataclass
class _Content:
    """What one JSON holds: names of its categories and of groups of these, images by id, annotations by the image's id; and what is wrong or told."""

    file: Path
    labels: Mapping[str, str]
    names: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int] | None]
    groups: frozenset[str]
    unnamed: frozenset[str]  # ids of images without a name, whose annotations are left out with them
    annotations: dict[str, list[Annotation]] = field(default_factory=dict)
    boxes: int = 0
    nested: list[str] = field(
        default_factory=list
    )  # the image of each annotation that has a polygon inside another of its polygons
    faults: list[Fault] = field(default_factory=list)


def recognise(path: Path) -> str | None:
    """A JSON with the three lists of COCO, in the folder or in `annotations/`, or Roboflow's in the folders of subsets."""
    files, _ = _files(path)
    return f"found {files[0].name} with {', '.join(KEYS)}" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images of all files.

    Files of different categories may list the same images, and what they hold is joined. Of files that share a category, as those of subsets
    do, an image of a name that was there before is a fault, unless each subset has a folder with an image of that name.

    Raises:
        DataError: no file is COCO's, or one cannot be used.
    """
    files, damaged = _files(path)
    if not files:
        raise DataError(f"{path} holds no JSON with {', '.join(KEYS)}; give the folder (or the file) of a COCO export")
    contents = [_content(file, options.boxes) for file in files]
    labels = dict.fromkeys(name for one in contents for name in one.labels.values() if not is_background(name))
    drawn = {shape.label for one in contents for several in one.annotations.values() for shape in several}
    groups = [name for name in labels if name not in drawn and any(name in one.groups for one in contents)]
    images, twice = _joined(path, contents)
    faults = damaged + [fault for one in contents for fault in one.faults] + twice
    if faults and not images:
        raise DataError(faults)
    notes = [
        f"{one.boxes} annotations of {one.file.name} are boxes without a mask, and are left out" for one in contents if one.boxes
    ]
    notes += [f"{name} is a group of categories that no shape has, as Roboflow writes it, and is left out" for name in groups]
    notes += _told_nested([name for one in contents for name in one.nested])
    labels = dict.fromkeys(name for name in labels if name not in groups)
    return AnnotationSet("coco", tuple(labels), tuple(images), faults=tuple(faults), notes=tuple(notes))


def _content(file: Path, boxes: bool) -> _Content:
    """One JSON; `boxes` takes boxes that are not turned, too.

    Raises:
        DataError: it cannot be used.
    """
    content = object_in(file)
    faults: list[Fault] = []
    listed, categories = _images(content, file, faults), _dicts(content, "categories", file)
    named = [one for one in listed if one.get("file_name") is not None]
    result = _Content(
        file,
        labels={_id(one["id"]): str(one["name"]) for one in categories},
        names={_id(one["id"]): _placed(file, str(one["file_name"])) for one in named},
        sizes={_id(one["id"]): _size(one) for one in named},
        groups=frozenset(str(one["supercategory"]) for one in categories if one.get("supercategory") not in (None, one["name"])),
        unnamed=frozenset(_id(one["id"]) for one in listed if one.get("file_name") is None),
        faults=faults,
    )
    for one in _dicts(content, "annotations", file):
        _add(result, one, boxes)
    return result


def _images(content: Json, file: Path, faults: list[Fault]) -> list[Json]:
    """The entries of images that have an id, and the faults of those that lack it, or the name of a file."""
    found: list[Json] = []
    for place, one in enumerate(_entries(content, "images", file), start=1):
        if not isinstance(one, dict):
            faults.append(Fault(file.name, f"entry {place} of images is no object, and is left out; export it again"))
        elif missing := [name for name in ("id", "file_name") if one.get(name) is None]:
            told = f" ({one.get('id') or one.get('file_name')})" if len(missing) == 1 else ""
            faults.append(
                Fault(
                    file.name,
                    f"entry {place} of images{told} has no {' and no '.join(missing)}, and is left out; export it again",
                )
            )
        if isinstance(one, dict) and one.get("id") is not None:
            found.append(one)
    return found


def _add(content: _Content, one: Json, boxes: bool) -> None:
    """One annotation, or the fault of it; those of the background are left out."""
    file, image, told = content.file, _id(one.get("image_id")), f"annotation {one.get('id')}"
    if image in content.unnamed:
        return
    if image not in content.names:
        content.faults.append(Fault(file.name, f"{told} is of image {one.get('image_id')}, which is not listed; export again"))
        return
    label, case = content.labels.get(_id(one.get("category_id"))), content.names[image]
    if label is None:
        content.faults.append(Fault(case, f"{told} has category {one.get('category_id')}, which {file.name} does not name"))
    elif not is_background(label):
        try:
            shapes = list(_shapes(one.get("segmentation"), content.sizes[image])) or _box(one, boxes)
        except (ValueError, TypeError) as error:
            content.faults.append(Fault(case, f"{told}: {error}; export it again"))
        else:
            content.boxes += not shapes
            if holds_ring_in_ring([ring for shape in shapes if isinstance(shape, Polygon) for ring in shape.rings]):
                content.nested.append(case)
            content.annotations.setdefault(image, []).extend(Annotation(label, shape) for shape in shapes)


def _box(one: Json, boxes: bool) -> list[Polygon]:
    """The box of an annotation that has no mask, if it is turned (CVAT writes how far), or if all are wanted.

    Raises:
        ValueError: it is no box; and TypeError.
    """
    if not one.get("bbox") or not (boxes or rotation_of(one)):
        return []
    x, y, width, height = map(float, one["bbox"])
    return [turned_box(x, y, x + width, y + height, rotation_of(one))]


def _told_nested(images: Sequence[str]) -> list[str]:
    """What is said of annotations with a ring in a ring, by the image of each."""
    if not images:
        return []
    where = images[0] if len(set(images)) == 1 else f"{images[0]} and others"
    return [
        f"{len(images)} annotations have a polygon wholly inside another of their polygons, in {where}; COCO joins them, so nothing is cut out; "
        f"export run lengths (RLE) where holes are meant"
    ]


def _joined(path: Path, contents: Sequence[_Content]) -> tuple[list[AnnotatedImage], list[Fault]]:
    """Images of all files, and faults of those that two files list which share a category."""
    images: dict[str, AnnotatedImage] = {}
    origin: dict[str, list[_Content]] = {}
    faults: list[Fault] = []
    for content in contents:
        for id, name in content.names.items():
            before, found = images.get(name), tuple(content.annotations.get(id, ()))
            rival = next((one for one in origin.get(name, ()) if _share_a_label(one, content)), None)
            own, other = _own_file(path, content.file, name), _own_file(path, rival.file, name) if rival else None
            placed = own.relative_to(path).as_posix() if own else name
            if rival and own and other and own != other and placed not in images:
                images[name] = replace(images[name], files=(other,))
                images[placed] = AnnotatedImage(placed, content.sizes[id], found, files=(own,))
            elif rival:
                where = f"stands in {rival.file.name} and in {content.file.name}" if rival is not content else "is listed twice"
                faults.append(Fault(name, f"{where}, and neither is taken; give images names of their own"))
            else:
                files = (own,) if own and _is_roboflow(content.file) else ()
                size = content.sizes[id] or (before.size if before else None)
                images[name] = AnnotatedImage(name, size, (*(before.annotations if before else ()), *found), files=files)
                origin.setdefault(name, []).append(content)
    return list(images.values()), faults


def _share_a_label(one: _Content, other: _Content) -> bool:
    return one is other or not set(one.labels.values()).isdisjoint(other.labels.values())


def _own_file(path: Path, file: Path, name: str) -> Path | None:
    """The image in the folder of the JSON's own subset (`instances_train.json`: `images/train/` or `train/`), or beside Roboflow's JSON."""
    if not path.is_dir():
        return None
    if _is_roboflow(file):
        return within(path, name)
    subset = file.stem.rpartition("_")[2]
    return within(path, f"images/{subset}/{name}") or within(path, f"{subset}/{name}")


def _is_roboflow(file: Path) -> bool:
    return file.name == ROBOFLOW


def _placed(file: Path, name: str) -> str:
    """An image's name, with the subset's folder where every subset has its own JSON, since names count within that folder alone."""
    return f"{file.parent.name}/{name}" if _is_roboflow(file) else name


def write(path: Path, images: Iterable[LabelledImage], labels: Mapping[str, Sequence[int]]) -> None:
    """One file with a run-length mask for each label of each image, exact to the pixel.

    Args:
        path: JSON to write.
        images: one by one, so that not all are in memory.
        labels: the values that each label has in the label maps; those of later ones lie above.
    """
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(labels, start=1)]
    listed: list[Json] = []
    annotations: list[Json] = []
    for image_id, image in enumerate(images, start=1):
        height, width = image.labels.shape
        listed.append({"id": image_id, "file_name": image.name, "width": width, "height": height})
        for category, values in enumerate(labels.values(), start=1):
            mask = np.isin(image.labels, values)
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


def _files(path: Path) -> tuple[list[Path], list[Fault]]:
    """COCO's, and faults of those that are damaged."""
    of_subsets = sorted(path.glob(f"*/{ROBOFLOW}")) if path.is_dir() else []
    return sorted_out((*json_files(path, "annotations"), *of_subsets), _is_coco)


def _is_coco(content: object) -> bool:
    """Whether it has the lists; that of annotations may be null where there are none."""
    if not isinstance(content, dict) or any(key not in content for key in KEYS):
        return False
    return all(isinstance(content[key], list) or (key == "annotations" and content[key] is None) for key in KEYS)


def _entries(content: Mapping[str, object], key: str, file: Path) -> list[object]:
    entries = content.get(key) or []
    if not isinstance(entries, list):
        raise DataError([Fault(file.name, f"{key} is no list; export it again")])
    return entries


def _dicts(content: Mapping[str, object], key: str, file: Path) -> list[Json]:
    found: list[Json] = []
    for entry in _entries(content, key, file):
        if not isinstance(entry, dict):
            raise DataError([Fault(file.name, f"an entry of {key} is no object; export it again")])
        if missing := [name for name in ("id", "name") if key == "categories" and entry.get(name) is None]:
            raise DataError([Fault(file.name, f"an entry of {key} has no {' and no '.join(missing)}; export it again")])
        found.append(entry)
    return found


def _id(value: object) -> str:
    """An id as text, so that 1, 1.0 and "1" are one, as different programs write them."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _size(image: Json) -> tuple[int, int] | None:
    """(height, width); None where they are missing, or no numbers."""
    try:
        height, width = int(image["height"]), int(image["width"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _shapes(segmentation: object, size: tuple[int, int] | None) -> Iterable[Polygon | Bitmap]:
    """Polygons one by one, or one bitmap; nothing where there is a box alone.

    Raises:
        ValueError: neither, or damaged.
    """
    if isinstance(segmentation, dict):
        yield Bitmap(decode_sized(segmentation.get("counts"), segmentation.get("size"), size))
    elif isinstance(segmentation, Sequence) and not isinstance(segmentation, str):
        for numbers in segmentation:
            if not isinstance(numbers, Sequence) or len(numbers) % 2:
                raise ValueError("a polygon is a list of x and y by turns")
            if len(numbers) >= FEWEST_NUMBERS:
                yield polygon(numbers)
    elif segmentation is not None:
        raise ValueError(f"its segmentation is {type(segmentation).__name__}, neither polygons nor run lengths")


FORMAT = Format("coco", "a JSON with images, annotations and categories", recognise, read)
