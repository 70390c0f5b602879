"""CVAT for images 1.1: one `annotations.xml` with polygons, ellipses, turned boxes and run-length masks.

Format: https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

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
    Shape,
    is_background,
)
from autoseg.annotations.reading import once, xml_in
from autoseg.annotations.rle import decode_runs, encode_runs
from autoseg.annotations.shapes import ellipse, turned_box
from autoseg.annotations.tracing import bitmap_of
from autoseg.errors import DataError, Fault
from autoseg.writing import whole_file

WITHOUT_AREA = ("box", "polyline", "points", "cuboid", "tag", "skeleton")
BEGINNING = b"<annotations"
SEARCHED_BYTES = 4096


def recognise(path: Path) -> str | None:
    """An XML that begins with `<annotations>`, as CVAT writes it."""
    files = _files(path)
    return f"found {files[0].name} with <annotations>" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images of all files; of two with one name (of several tasks, or of a project) none is known to count, which is a fault.

    Raises:
        DataError: no file is CVAT's, or none can be read; one is of a video.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no XML of CVAT; give the folder (or the file) of an export as 'CVAT for images 1.1'")
    labels: dict[str, None] = {}
    images: list[AnnotatedImage] = []
    faults: list[Fault] = []
    left_out: dict[str, int] = {}
    for file in files:
        try:
            root = xml_in(file)
        except DataError as error:
            faults += error.faults
            continue
        if root.find("track") is not None and root.find("image") is None:
            raise DataError([Fault(file.name, "is an export of a video; export it as 'CVAT for images 1.1'")])
        named = (element.text or "" for element in root.findall("./meta//label/name"))
        labels |= dict.fromkeys(name for name in named if not is_background(name))
        for image in root.findall("image"):
            name = image.get("name")
            if not name:
                faults.append(Fault(file.name, f"image {image.get('id')} has no name; export it again"))
                continue
            found, wrong = _annotations(image, left_out, options.boxes)
            faults += [Fault(name, told) for told in wrong]
            images.append(AnnotatedImage(name, _size(image), tuple(found)))
            labels |= dict.fromkeys(one.label for one in found)
    if not images and faults:
        raise DataError(faults)
    kept, twice = once(images)
    notes = [f"{number} of kind {kind} have no area, and are left out" for kind, number in left_out.items()]
    return AnnotationSet("cvat", tuple(labels), kept, faults=(*faults, *twice), notes=tuple(notes))


def write(path: Path, images: Iterable[LabelledImage], labels: Mapping[str, Sequence[int]]) -> None:
    """One file with a run-length mask for each label of each image, exact to the pixel; CVAT's brush changes such masks.

    Args:
        path: XML to write.
        images: one by one, so that not all are in memory.
        labels: the values that each label has in the label maps; those of later ones lie above.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    listed = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "job"), "labels")
    for name in labels:
        ElementTree.SubElement(ElementTree.SubElement(listed, "label"), "name").text = name
    for number, image in enumerate(images):
        height, width = image.labels.shape
        element = ElementTree.SubElement(
            root, "image", {"id": str(number), "name": image.name, "width": str(width), "height": str(height)}
        )
        for name, values in labels.items():
            mask = np.isin(image.labels, values)
            if mask.any():
                ElementTree.SubElement(element, "mask", _mask(name, bitmap_of(mask)))
    ElementTree.indent(root)
    with whole_file(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _mask(label: str, bitmap: Bitmap) -> dict[str, str]:
    height, width = bitmap.mask.shape
    runs = ", ".join(map(str, encode_runs(bitmap.mask, column_major=False)))
    place = {"left": str(bitmap.left), "top": str(bitmap.top), "width": str(width), "height": str(height)}
    return {"label": label, "source": "auto", "occluded": "0", "rle": runs, **place, "z_order": "0"}


def _files(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else sorted(path.glob("*.xml")) if path.is_dir() else []
    return [file for file in candidates if file.suffix.casefold() == ".xml" and BEGINNING in _beginning(file)]


def _beginning(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(SEARCHED_BYTES)


def _size(image: ElementTree.Element) -> tuple[int, int] | None:
    height, width = image.get("height") or "", image.get("width") or ""
    return (int(height), int(width)) if height.isdecimal() and width.isdecimal() else None


def _annotations(image: ElementTree.Element, left_out: dict[str, int], boxes: bool) -> tuple[list[Annotation], list[str]]:
    """Shapes of an image, and what is wrong with others; `boxes`: also those that are not turned."""
    found: list[Annotation] = []
    wrong: list[str] = []
    for number, element in enumerate(image, start=1):
        label = element.get("label") or ""
        drawn_box = element.tag == "box" and (boxes or element.get("rotation"))
        if element.tag in WITHOUT_AREA and not drawn_box:
            left_out[element.tag] = left_out.get(element.tag, 0) + 1
        elif element.tag in ("box", "polygon", "ellipse", "mask") and not is_background(label):
            try:
                if not label:
                    raise ValueError("it has no label")
                found += [Annotation(label, shape, int(element.get("z_order") or 0)) for shape in _shapes(element)]
            except (ValueError, TypeError) as error:
                wrong.append(f"shape {number} ({element.tag} of {label}) cannot be read: {error}; export it again")
    return found, wrong


def _shapes(element: ElementTree.Element) -> Iterator[Shape]:
    if element.tag == "polygon":
        points = [[float(number) for number in pair.split(",")] for pair in (element.get("points") or "").split(";")]
        yield Polygon((np.asarray(points, float).reshape(-1, 2),))
    elif element.tag == "box":
        x0, y0, x1, y1 = (float(element.get(key) or "nan") for key in ("xtl", "ytl", "xbr", "ybr"))
        yield turned_box(x0, y0, x1, y1, float(element.get("rotation") or 0))
    elif element.tag == "ellipse":
        yield ellipse(*(float(element.get(key) or 0) for key in ("cx", "cy", "rx", "ry", "rotation")))
    else:
        left, top, width, height = (int(float(element.get(key) or 0)) for key in ("left", "top", "width", "height"))
        runs = [int(number) for number in (element.get("rle") or "").split(",")]
        yield Bitmap(decode_runs(runs, height, width, column_major=False), top, left)


FORMAT = Format("cvat", "an annotations.xml of 'CVAT for images 1.1'", recognise, read)
