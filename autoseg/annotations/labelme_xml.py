"""The XML of LabelMe: one for each image, with polygons, and with masks in files beside it.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-labelme/. PASCAL VOC's XML of boxes begins alike and is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    MaskFile,
    ReadOptions,
    Shape,
    Size,
    is_background,
)
from autoseg.annotations.beside import Damaged, Pictures, faults_of, faults_of_misnamed
from autoseg.annotations.reading import files_under, find_child, once, within, xml_in
from autoseg.annotations.shapes import polygon
from autoseg.errors import DataError, Fault

LOOKED_AT = 20  # files that recognising opens
SEARCHED_BYTES = 65536
BOX = "bounding_box"
CORNERS = 2  # different x, and different y, of a box that is not turned
BOX_OF_VOC = b"<bndbox"


def recognise(path: Path) -> str | None:
    """An XML that begins with `<annotation>` and holds what LabelMe alone writes."""
    file = next((file for file in islice(_files(path), LOOKED_AT) if _looks_like_it(file)), None)
    return f"found {file.name} with <annotation>" if file else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images, one for each file; objects that were deleted are left out, and a file that is damaged is a fault of its image.

    Raises:
        DataError: no file is LabelMe's.
    """
    labels: dict[str, None] = {}
    images: list[AnnotatedImage] = []
    faults: list[Fault] = []
    damaged: list[Damaged] = []
    left_out: Counter[str] = Counter()
    for file in _files(path):
        if not _looks_like_it(file):
            if not _holds_boxes(file):
                damaged.append(_strange(file))
            continue
        try:
            image, wrong = _image(xml_in(file), file, left_out, options.boxes)
        except DataError as error:
            damaged += [Damaged(file, fault.message, _name_in(file)) for fault in error.faults]
            continue
        images.append(image)
        faults += wrong
        labels |= dict.fromkeys(one.label for one in image.annotations)
    pictures = Pictures(path)
    faults = [*faults_of(damaged, images, pictures), *faults, *faults_of_misnamed(images, pictures)]
    if not images:
        raise DataError(
            faults or f"{path} holds no JSON or XML of LabelMe; give the folder in which they lie, one for each image"
        )
    kept, twice = once(images)
    notes = tuple(f"{number} of kind {kind} have no area, and are left out" for kind, number in left_out.items())
    return AnnotationSet("labelme", tuple(labels), kept, faults=(*faults, *twice), notes=notes)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() and path.suffix.casefold() == ".xml" else files_under(path, ".xml")


def _looks_like_it(file: Path) -> bool:
    text = _beginning(file)
    own = (b"<polygon>", b"<segm>", b"<imagesize>", b"<sourceAnnotation>")
    return b"<annotation>" in text and BOX_OF_VOC not in text and any(word in text for word in own)


def _strange(file: Path) -> Damaged:
    """An XML that does not look like LabelMe's: one that is damaged may have been."""
    try:
        xml_in(file)
    except DataError as error:
        return Damaged(file, error.faults[0].message)
    return Damaged(file, "is no XML of LabelMe; save it again, or take it out of the folder", is_ours=False)


def _name_in(file: Path) -> str | None:
    """The image that a damaged file names, if it still does."""
    folder, name = (re.search(rb"<%b>\s*([^<]+?)\s*</%b>" % (tag, tag), _beginning(file)) for tag in (b"folder", b"filename"))
    parts = [part.group(1).decode(errors="replace") for part in (folder, name) if part]
    return "/".join(parts) if name else None


def _holds_boxes(file: Path) -> bool:
    return BOX_OF_VOC in _beginning(file)


def _beginning(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(SEARCHED_BYTES)


def _image(root: ElementTree.Element, file: Path, left_out: Counter[str], boxes: bool) -> tuple[AnnotatedImage, list[Fault]]:
    folder, name = _text(root, "folder"), _text(root, "filename") or file.stem
    name = f"{folder}/{name}" if folder else name
    found: list[Annotation] = []
    faults: list[Fault] = []
    for number, element in enumerate(root.iter("object"), start=1):
        label = _text(element, "name")
        if _text(element, "deleted") == "1" or is_background(label):
            continue
        try:
            if not label:
                raise ValueError("it has no name")
            shape = _shape(element, file.parent, boxes)
        except (ValueError, TypeError) as error:
            faults.append(Fault(name, f"object {number} of {file.name} ({label}) cannot be read: {error}; export it again"))
            continue
        if shape is None:
            left_out["box"] += 1
        else:
            found.append(Annotation(label, shape))
    return AnnotatedImage(name, _size(root), tuple(found), told_in=file), faults


def _shape(element: ElementTree.Element, folder: Path, boxes: bool) -> Shape | None:
    """None for a box that is not turned, unless boxes are wanted.

    Raises:
        ValueError: neither polygon nor mask, or damaged.
    """
    outline, mask = element.find("polygon"), element.find("segm")
    if outline is not None:
        points = [[float(_text(point, "x")), float(_text(point, "y"))] for point in outline.iter("pt")]
        upright = len({x for x, _ in points}) == len({y for _, y in points}) == CORNERS
        return None if _text(element, "type") == BOX and upright and not boxes else polygon(points)
    if mask is None:
        raise ValueError("it has no polygon and no mask")
    name, place = _text(mask, "mask"), find_child(folder, "Masks")
    file = within(place, name) if place and name else None
    if file is None:
        raise ValueError(f"its mask {name or 'without a name'} is not in Masks/")
    return MaskFile(file)


def _size(root: ElementTree.Element) -> Size | None:
    height, width = _text(root, "imagesize/nrows"), _text(root, "imagesize/ncols")
    return (int(height), int(width)) if height.isdigit() and width.isdigit() else None


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
