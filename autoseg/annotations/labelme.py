"""LabelMe: a JSON for each image, as the program of that name writes it, or an XML for each image, as CVAT's "LabelMe 3.0" does.

JSON: https://github.com/wkentaro/labelme. The copy of the image inside the JSON (`imageData`) is not read. A shape called `_background_` is a hole
in those that were drawn before it. XML: see `labelme_xml`.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from PIL import Image

from autoseg.annotations import labelme_xml
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
from autoseg.annotations.beside import Damaged, Pictures, faults_of, faults_of_misnamed
from autoseg.annotations.painting import pixels_of
from autoseg.annotations.reading import Json, files_under, json_in, once
from autoseg.annotations.shapes import ellipse, polygon, rectangle
from autoseg.annotations.tracing import bitmap_of
from autoseg.errors import DataError, Fault

LOOKED_AT = 20  # files that recognising opens
PARTS = ("shapes", "imagePath")
WITH_AREA = ("polygon", "rectangle", "circle", "mask")
CORNERS = 2


def recognise(path: Path) -> str | None:
    """A JSON with shapes and imagePath, or one of them where the other is damaged, or an XML of LabelMe, in the folder or below.

    Or a JSON that bears a picture's name and cannot be read, where none can: so that it is told that they are damaged.
    """
    looked_at = [(file, json_in(file)) for file in islice(_json_files(path), LOOKED_AT)]
    whole = (one for one in looked_at if _is_labelme(one[1]))
    in_part = (one for one in looked_at if _parts_of(one[1]))
    if best := next(whole, None) or next(in_part, None):
        return f"found {best[0].name} with {', '.join(_parts_of(best[1]))}"
    if (told := labelme_xml.recognise(path)) is not None or not looked_at or any(one is not None for _, one in looked_at):
        return told
    pictures = Pictures(path)
    damaged = next((file for file, _ in looked_at if pictures.of(file)), None)
    return f"found {damaged.name}, which is damaged, and its picture" if damaged else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images, one for each file; a file that is damaged is a fault of its image.

    Raises:
        DataError: no file is LabelMe's, or none can be read.
    """
    labels: dict[str, None] = {}
    images: list[AnnotatedImage] = []
    faults: list[Fault] = []
    damaged: list[Damaged] = []
    left_out: Counter[str] = Counter()
    for file in _json_files(path):
        content = json_in(file)
        if isinstance(content, dict) and _is_labelme(content):
            image, wrong = _image(content, file, path, left_out)
            images.append(image)
            faults += wrong
            labels |= dict.fromkeys(one.label for one in image.annotations)
        else:
            damaged.append(_damaged(content, file, path))
    pictures = Pictures(path)
    faults = [*faults_of(damaged, images, pictures), *faults, *faults_of_misnamed(images, pictures)]
    if not images and (not faults or labelme_xml.recognise(path)):
        return labelme_xml.read(path, options)
    if not images:
        raise DataError(faults)
    kept, twice = once(images)
    notes = tuple(f"{number} of kind {kind} have no area, and are left out" for kind, number in left_out.items())
    return AnnotationSet("labelme", tuple(labels), kept, faults=(*faults, *twice), notes=notes)


def _json_files(path: Path) -> list[Path]:
    return [path] if path.is_file() and path.suffix.casefold() == ".json" else files_under(path, ".json")


def _is_labelme(content: object) -> bool:
    return _parts_of(content) == PARTS


def _parts_of(content: object) -> tuple[str, ...]:
    """Which of LabelMe's parts a JSON has."""
    kinds = zip(PARTS, (list, str), strict=True)
    return tuple(key for key, kind in kinds if isinstance(content, dict) and isinstance(content.get(key), kind))


def _damaged(content: object, file: Path, root: Path) -> Damaged:
    """A JSON that is no LabelMe's as it should be; None is one that cannot be read at all."""
    if content is None:
        return Damaged(file, "is no proper JSON; save it again")
    if not isinstance(content, dict) or not (parts := _parts_of(content)):
        return Damaged(file, "is no JSON of LabelMe; save it again, or take it out of the folder", is_ours=False)
    if "imagePath" not in parts:
        return Damaged(file, "has no imagePath; save it again")
    return Damaged(file, "has no list of shapes; save it again", _placed(content["imagePath"], file, root))


def _image(content: Json, file: Path, root: Path, left_out: Counter[str]) -> tuple[AnnotatedImage, list[Fault]]:
    name = _placed(content["imagePath"], file, root) or _name(content["imagePath"]) or file.stem
    found: list[Annotation] = []
    faults: list[Fault] = []
    for number, one in enumerate(content["shapes"], start=1):
        try:
            kind, label = str(one.get("shape_type") or "polygon"), one.get("label")
            if not isinstance(label, str) or not label.strip():
                raise ValueError("it has no label")
            if kind not in WITH_AREA:
                left_out[kind] += 1
            elif is_background(label):
                found = _with_hole(found, _shape(kind, one), _size(content))
            else:
                found.append(Annotation(label, _shape(kind, one)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            faults.append(Fault(name, f"shape {number} of {file.name} cannot be read: {error}; draw it again"))
    return AnnotatedImage(name, _size(content), tuple(found), told_in=file), faults


def _placed(image_path: str, file: Path, root: Path) -> str | None:
    """The image's path from the root, where it lies as its JSON says: of folders with the same names each has its own."""
    wanted = (file.parent / image_path.replace("\\", "/")).resolve()
    return wanted.relative_to(root.resolve()).as_posix() if wanted.is_file() and wanted.is_relative_to(root.resolve()) else None


def _name(image_path: str) -> str:
    """The image's path as the JSON has it, from where its folders mean something to others."""
    path = PurePosixPath(image_path.replace("\\", "/"))
    absolute = path.is_absolute() or PureWindowsPath(image_path).drive
    return path.name if absolute else "/".join(part for part in path.parts if part != "..")


def _size(content: Json) -> Size | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (int(height), int(width)) if isinstance(height, int) and isinstance(width, int) else None


def _shape(kind: str, one: Json) -> Shape:
    """Raises ValueError (or TypeError, KeyError) where it is damaged."""
    points = one["points"]
    if kind == "polygon" or (kind == "rectangle" and len(points) > CORNERS):
        return polygon(points)
    if len(points) != CORNERS:
        raise ValueError(f"a {kind} has {CORNERS} points, and this one {len(points)}")
    if kind == "rectangle":
        return rectangle(points)
    (x0, y0), (x1, y1) = points
    if kind == "circle":  # its centre, and a point on it
        radius = math.dist((x0, y0), (x1, y1))
        return ellipse(x0, y0, radius, radius)
    left, top, right, bottom = (int(number) for number in (x0, y0, x1, y1))  # of the first and of the last pixel
    return Bitmap(_mask(one["mask"], (bottom - top + 1, right - left + 1)), top, left)


def _with_hole(drawn: list[Annotation], hole: Shape, size: Size | None) -> list[Annotation]:
    """What was drawn, without the pixels of a hole; what the hole does not touch stays as it was.

    Raises:
        ValueError: the size of the image is not known, so there are no pixels.
    """
    if drawn and size is None:
        raise ValueError("it is a hole, for which imageHeight and imageWidth are needed")
    result = []
    for one in drawn:
        mask = pixels_of(one.shape, size or (0, 0))
        left = mask & ~pixels_of(hole, size or (0, 0))
        if np.array_equal(left, mask):
            result.append(one)
        elif left.any():
            result.append(replace(one, shape=bitmap_of(left)))
    return result


def _mask(text: str, size: Size) -> np.ndarray:
    """A boolean mask from a PNG in base64.

    Raises:
        ValueError: it is none, or of another size.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            if (picture.height, picture.width) != size:
                told = f"its mask has {picture.width}x{picture.height} pixels, and its points enclose {size[1]}x{size[0]}"
                raise ValueError(told)
            return np.asarray(picture.convert("L")) != 0
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"its mask is no PNG ({error})") from error


FORMAT = Format("labelme", "a JSON or an XML of LabelMe for each image", recognise, read)
