"""Ultralytics' YOLO for segmentation: `labels/**/<name>.txt` with a class and the corners of a polygon a line, as parts of the image's size.

Format: https://docs.ultralytics.com/datasets/segment/. One ring a line: a hole can only be cut open to the outside, and is then read exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, Annotation, AnnotationSet, Format, ReadOptions, Size, is_background
from autoseg.annotations.boxes import BOX_NUMBERS, CLASS_FILES, INSTEAD, numbers_of
from autoseg.annotations.reading import SUBSETS, bare, files_under, lines_of, once, pictures_under, size_of
from autoseg.annotations.shapes import polygon
from autoseg.errors import DataError, Fault

LOOKED_AT = 200  # files that recognising opens
LEAST_NUMBERS = 7  # class, and x and y of three corners
ROUNDING = 0.01  # by which a coordinate may lie outside 0 to 1, as in Ultralytics' own check; what is beyond is cut off
IMAGES, LABELS = "images", "labels"
PLAIN_NAMES = ("obj.names", "classes.txt")


def recognise(path: Path) -> str | None:
    """Names of classes, and a label file with more than five numbers in a line."""
    classes = _class_file(path)
    file = next((file for file in _label_files(path)[:LOOKED_AT] if _has_polygon(file)), None) if classes else None
    return f"found {classes.name} and polygons in {file.name}" if classes and file else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images; one whose label file is empty or missing holds nothing of what was looked for. How many files are missing is told.

    Raises:
        DataError: no images, classes without names, boxes or key points and no polygons.
    """
    classes = _class_file(path)
    if classes is None:
        raise DataError(f"{path} names no classes; add data.yaml with names, or classes.txt with a name a line")
    names = _names(classes)
    texts = {_key(file, path): file for file in _label_files(path)}
    if not texts:
        raise DataError(f"{path} holds no label files; put them into {LABELS}/ as {IMAGES}/ lies")
    pictures = _pictures(path)
    faults = [
        Fault(key, "has a label file and no image, of whose size its polygons are parts; add the image")
        for key in texts
        if key not in pictures
    ]
    images: list[AnnotatedImage] = []
    boxes = polygons = 0
    for key, picture in pictures.items():
        name = _name(picture, path)
        try:
            size = size_of(picture)
            found, wrong, own_boxes = _annotations(texts[key], names, classes.name, size) if key in texts else ([], [], 0)
        except DataError as error:
            faults += [Fault(name, fault.message if fault.case == name else str(fault)) for fault in error.faults]
            continue
        faults += [Fault(name, told) for told in wrong]
        images.append(AnnotatedImage(name, size, tuple(found)))
        boxes, polygons = boxes + own_boxes, polygons + len(found) + len(wrong)
    if boxes and not polygons:
        raise DataError(f"{path} holds {boxes} boxes and no polygon: {INSTEAD}, or train on 'Ultralytics YOLO Segmentation 1.0'")
    kept, twice = once(images)
    notes = [f"{boxes} of kind box have no area, and are left out"] if boxes else []
    if without := [_name(picture, path) for key, picture in pictures.items() if key not in texts]:
        notes.append(f"{len(without)} images have no label file and count as empty, such as {without[0]}")
    labels = tuple(dict.fromkeys(name for name in names.values() if not is_background(name)))
    return AnnotationSet("yolo-seg", labels, kept, faults=(*faults, *twice), notes=tuple(notes))


def _class_file(path: Path) -> Path | None:
    return next((path / name for name in CLASS_FILES if (path / name).is_file()), None)


def _names(file: Path) -> dict[int, str]:
    """Names of classes by number.

    Raises:
        DataError: there are none, or the classes have key points.
    """
    if file.name in PLAIN_NAMES:
        return dict(enumerate(lines_of(file)))
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError([Fault(file.name, f"is no proper YAML ({error}); mend it")]) from error
    content = content if isinstance(content, dict) else {}
    if "kpt_shape" in content:
        raise DataError([Fault(file.name, f"declares key points, which hold no outline; {INSTEAD.partition('; ')[2]}")])
    names = content.get("names")
    listed = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(listed, dict) or not listed or not all(isinstance(number, int) for number in listed):
        raise DataError([Fault(file.name, "has no names of classes, as a list or by number; add them")])
    return {number: str(name) for number, name in listed.items()}


def _label_files(path: Path) -> list[Path]:
    """Texts in a folder called `labels`, or in `obj_*_data` as YOLO 1.1 has them."""
    return [file for file in files_under(path, ".txt") if _holds_labels(file.relative_to(path).parts[:-1])]


def _pictures(path: Path) -> dict[str, Path]:
    """Images by what they have in common with their label files; those in folders called `images`, where there is one.

    Raises:
        DataError: there are none.
    """
    everything = pictures_under(path)
    in_place = [file for file in everything if IMAGES in file.relative_to(path).parts[:-1]]
    pictures = {_key(file, path): file for file in in_place or everything}
    if not pictures:
        raise DataError(
            f"{path} holds no images, whose sizes its polygons are parts of; put them into {IMAGES}/ as {LABELS}/ lies"
        )
    return pictures


def _holds_labels(folders: tuple[str, ...]) -> bool:
    return LABELS in folders or any(folder.startswith("obj_") and folder.endswith("_data") for folder in folders)


def _has_polygon(file: Path) -> bool:
    try:
        return any(len(numbers_of(line) or ()) >= LEAST_NUMBERS for line in lines_of(file))
    except DataError:
        return False


def _key(file: Path, path: Path) -> str:
    """What an image and its label file have in common: the path, without its suffix and the last folder called `images` or `labels`."""
    parts = bare(file, path).split("/")
    places = [place for place, part in enumerate(parts[:-1]) if part in (IMAGES, LABELS)]
    return "/".join(parts[: places[-1]] + parts[places[-1] + 1 :] if places else parts)


def _name(picture: Path, path: Path) -> str:
    """The image's name below `images/`, without the subset's folder where there is one."""
    parts = picture.relative_to(path).parts
    places = [place for place, part in enumerate(parts[:-1]) if part == IMAGES]
    below = parts[places[-1] + 1 :] if places else parts[-1:]
    return "/".join(below[1:] if below[0] in SUBSETS and len(below) > 1 else below)


def _annotations(file: Path, names: Mapping[int, str], named_in: str, size: Size) -> tuple[list[Annotation], list[str], int]:
    """Polygons of an image, what is wrong with other lines, and how many boxes there are."""
    found: list[Annotation] = []
    wrong: list[str] = []
    boxes = 0
    for number, line in enumerate(lines_of(file), start=1):
        numbers = numbers_of(line)
        if numbers is not None and len(numbers) == BOX_NUMBERS:
            boxes += 1
            continue
        try:
            one = _annotation(numbers, names, named_in, size)
        except ValueError as error:
            wrong.append(f"line {number} of {file.name} cannot be read: {error}")
            continue
        if not is_background(one.label):
            found.append(one)
    return found, wrong, boxes


def _annotation(numbers: Sequence[float] | None, names: Mapping[int, str], named_in: str, size: Size) -> Annotation:
    """Raises ValueError, with the cure, where a line's numbers are none of a class with corners in the picture."""
    if numbers is None or len(numbers) < LEAST_NUMBERS:
        raise ValueError("it is no class with corners of a polygon; export it again")
    label = names.get(int(numbers[0])) if np.isfinite(numbers[0]) else None
    if label is None:
        raise ValueError(f"class {numbers[0]:g} has no name; add it to {named_in}")
    try:
        outline = polygon(np.reshape(numbers[1:], (-1, 2)) * (size[1], size[0]))
    except ValueError as error:
        raise ValueError(f"{error}; export it again") from error
    if far := [one for one in numbers[1:] if not -ROUNDING <= one <= 1 + ROUNDING]:
        raise ValueError(
            f"coordinate {far[0]:g} lies outside 0 to 1, and coordinates are fractions of the image's width and height; "
            f"divide x by {size[1]} and y by {size[0]} if they are in pixels"
        )
    return Annotation(label, outline)


FORMAT = Format("yolo-seg", "data.yaml with names, images/ and labels/ with polygons", recognise, read)
