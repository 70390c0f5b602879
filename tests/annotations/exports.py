"""Folders as CVAT's exports write them, from label maps: what the readers are proved with.

Files, names and lines follow CVAT's documentation and Datumaro, which writes most of them; nothing of the readers is used but run lengths and
outlines, which have tests of their own. The subset is `default`, as in a task without subsets; YOLO calls it `train`.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from autoseg.annotations.base import AnnotationSet, Polygon
from autoseg.annotations.painting import paint
from autoseg.annotations.rle import encode_compressed, encode_runs
from autoseg.annotations.tracing import bitmap_of, pieces_of
from tests.annotations.pictures import decoded

Maps = Mapping[str, np.ndarray]  # by name of the image's file: uint8 (height, width), places of labels counted from 1
Colours = Mapping[str, tuple[int, int, int]]  # of labels, in order
SUBSET = "default"


def coco(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    annotations: list[dict[str, Any]] = []
    for image, (_, label_map) in enumerate(maps.items(), start=1):
        for category, mask in _masks(label_map, labels):
            runs = {"counts": encode_runs(mask, column_major=True), "size": list(mask.shape)}
            rest = {"area": float(mask.sum()), "bbox": _box(mask), "iscrowd": 1, "attributes": {"occluded": False}}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": category, "segmentation": runs, **rest}
            )
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [{"id": place, "name": name, "supercategory": ""} for place, name in enumerate(labels, start=1)],
        "images": [
            {"id": image, "width": label_map.shape[1], "height": label_map.shape[0], "file_name": name, "license": 0}
            for image, (name, label_map) in enumerate(maps.items(), start=1)
        ],
        "annotations": annotations,
    }
    _write(folder / "annotations" / f"instances_{SUBSET}.json", json.dumps(content))
    _save(images, lambda name: folder / "images" / SUBSET / name)


def cvat(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    listed = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for name, colour in labels.items():
        label = ElementTree.SubElement(listed, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "color").text = "#" + bytes(colour).hex()
    for number, (name, label_map) in enumerate(maps.items()):
        size = {"width": str(label_map.shape[1]), "height": str(label_map.shape[0])}
        image = ElementTree.SubElement(root, "image", {"id": str(number), "name": name, "subset": SUBSET, "task_id": "1", **size})
        for place, mask in _masks(label_map, labels):
            bitmap = bitmap_of(mask)
            runs = ", ".join(map(str, encode_runs(bitmap.mask, column_major=False)))
            box = {"left": bitmap.left, "top": bitmap.top, "width": bitmap.mask.shape[1], "height": bitmap.mask.shape[0]}
            told = {"label": list(labels)[place - 1], "source": "manual", "occluded": "0", "rle": runs, "z_order": "0"}
            ElementTree.SubElement(image, "mask", {**told, **{key: str(number) for key, number in box.items()}})
    _write_xml(folder / "annotations.xml", root)
    _save(images, lambda name: folder / "images" / SUBSET / name)


def datumaro(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    items = []
    for frame, (name, label_map) in enumerate(maps.items()):
        annotations: list[dict[str, Any]] = []
        for place, mask in _masks(label_map, labels):
            for piece in pieces_of(mask):
                if len(piece.rings) == 1:
                    shape: dict[str, Any] = {"type": "polygon", "points": piece.rings[0].ravel().tolist()}
                else:
                    own = _only(piece, mask)
                    shape = {"type": "mask", "rle": {"counts": encode_compressed(own), "size": list(own.shape)}}
                common = {"attributes": {"occluded": False}, "group": 0, "label_id": place - 1, "z_order": 0}
                annotations.append({"id": len(annotations), **shape, **common})
        image = {"path": name, "size": list(label_map.shape)}
        items.append({"id": _stem(name), "annotations": annotations, "attr": {"frame": frame}, "image": image})
    named = [{"name": name, "parent": "", "attributes": []} for name in labels]
    colours = [{"label_id": place, "r": r, "g": g, "b": b} for place, (r, g, b) in enumerate(labels.values())]
    categories = {"label": {"labels": named, "attributes": ["occluded"]}, "mask": {"colormap": colours}}
    _write(folder / "annotations" / f"{SUBSET}.json", json.dumps({"info": {}, "categories": categories, "items": items}))
    _save(images, lambda name: folder / "images" / SUBSET / name)


def voc(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """An image without a shape is listed, and has no mask."""
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in labels.items()]
    _write(folder / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines, "background:0,0,0::"]) + "\n")
    _write(folder / "ImageSets" / "Segmentation" / f"{SUBSET}.txt", "".join(f"{_stem(name)}\n" for name in maps))
    for name, label_map in maps.items():
        if label_map.any():
            _picture(folder / "SegmentationClass" / f"{_stem(name)}.png", _painted(label_map, labels))
            _picture(folder / "SegmentationObject" / f"{_stem(name)}.png", _painted(label_map, labels))
    _save(images, lambda name: folder / "JPEGImages" / name)


def camvid(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """A line of an image without a shape ends after the image."""
    colours = [("background", (0, 0, 0)), *labels.items()]
    _write(folder / "label_colors.txt", "".join(f"{r} {g} {b} {name}\n" for name, (r, g, b) in colours))
    lines = []
    for name, label_map in maps.items():
        mask = f"/{SUBSET}annot/{_stem(name)}.png" if label_map.any() else ""
        lines.append(f"/{SUBSET}/{name} {mask}\n")
        if mask:
            _picture(folder / mask[1:], _painted(label_map, labels))
    _write(folder / f"{SUBSET}.txt", "".join(lines))
    _save(images, lambda name: folder / SUBSET / name)


def cityscapes(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """The background is not among the colours; an image without a shape has no mask."""
    _write(folder / "label_colors.txt", "".join(f"{r} {g} {b} {name}\n" for name, (r, g, b) in labels.items()))
    for name, label_map in maps.items():
        if label_map.any():
            place = folder / "gtFine" / SUBSET / _stem(name)
            _picture(place.with_name(f"{place.name}_gtFine_color.png"), _painted(label_map, labels))
            _picture(place.with_name(f"{place.name}_gtFine_labelIds.png"), label_map)
            _picture(place.with_name(f"{place.name}_gtFine_instanceIds.png"), label_map.astype(np.uint16) * 1000)
    _save(images, lambda name: folder / "imgsFine" / "leftImg8bit" / SUBSET / f"{_stem(name)}_leftImg8bit.png")


def labelme_xml(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """Polygons, and masks of the pieces that have holes."""
    for index, (name, label_map) in enumerate(maps.items()):
        root = ElementTree.Element("annotation")
        path = Path(name)
        ElementTree.SubElement(root, "filename").text = path.name
        ElementTree.SubElement(root, "folder").text = "" if path.parent == Path() else path.parent.as_posix()
        source = ElementTree.SubElement(root, "source")
        ElementTree.SubElement(source, "sourceImage").text = ""
        ElementTree.SubElement(source, "sourceAnnotation").text = "Datumaro"
        size = ElementTree.SubElement(root, "imagesize")
        for key, number in zip(("nrows", "ncols"), label_map.shape, strict=True):
            ElementTree.SubElement(size, key).text = str(number)
        pieces = [(place, mask, piece) for place, mask in _masks(label_map, labels) for piece in pieces_of(mask)]
        for number, (place, mask, piece) in enumerate(pieces):
            element = ElementTree.SubElement(root, "object")
            told = {"name": list(labels)[place - 1], "deleted": "0", "verified": "0", "occluded": "no", "date": "", "id": number}
            for key, text in told.items():
                ElementTree.SubElement(element, key).text = str(text)
            parts = ElementTree.SubElement(element, "parts")
            ElementTree.SubElement(parts, "hasparts").text = ElementTree.SubElement(parts, "ispartof").text = ""
            if len(piece.rings) == 1:
                outline = ElementTree.SubElement(element, "polygon")
                for x, y in piece.rings[0]:
                    point = ElementTree.SubElement(outline, "pt")
                    ElementTree.SubElement(point, "x").text, ElementTree.SubElement(point, "y").text = f"{x:.2f}", f"{y:.2f}"
                ElementTree.SubElement(outline, "username").text = ""
            else:
                file = f"{_stem(name).replace('/', '_')}_mask_{number}.png"
                _picture(folder / SUBSET / "Masks" / file, np.where(_only(piece, mask)[..., None], (255, 203, 0, 153), 0))
                ElementTree.SubElement(ElementTree.SubElement(element, "segm"), "mask").text = file
            ElementTree.SubElement(element, "attributes").text = ""
        _write_xml(folder / SUBSET / f"item_{index:09d}.xml", root)
    _save(images, lambda name: folder / SUBSET / name)


def labelme_json(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """As the program LabelMe saves it, beside the image: polygons, and masks of the pieces that have holes."""
    for name, label_map in maps.items():
        shapes: list[dict[str, Any]] = []
        for place, mask in _masks(label_map, labels):
            for piece in pieces_of(mask):
                shape: dict[str, Any] = {"shape_type": "polygon", "points": piece.rings[0].tolist(), "mask": None}
                if len(piece.rings) > 1:
                    bitmap = bitmap_of(_only(piece, mask))
                    (height, width), buffer = bitmap.mask.shape, io.BytesIO()
                    Image.fromarray(bitmap.mask).save(buffer, format="PNG")
                    corners = [[bitmap.left, bitmap.top], [bitmap.left + width - 1, bitmap.top + height - 1]]
                    shape = {"shape_type": "mask", "points": corners, "mask": base64.b64encode(buffer.getvalue()).decode()}
                shapes.append({"label": list(labels)[place - 1], "group_id": None, "description": "", "flags": {}, **shape})
        size = {"imageHeight": label_map.shape[0], "imageWidth": label_map.shape[1]}
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name, "imageData": None, **size}
        _write(folder / f"{_stem(name)}.json", json.dumps(content))
    _save(images, lambda name: folder / name)


def openimages(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    rows = []
    for name, label_map in maps.items():
        for number, (place, mask) in enumerate(_masks(label_map, labels)):
            label, box = list(labels)[place - 1], f"{number:08x}"
            file = f"{_stem(name).replace('/', '_')}_{label}_{box}.png"
            _picture(folder / "masks" / SUBSET / file, mask.astype(np.uint8) * 255)
            rows.append([file, _stem(name), label, box, "", "", "", "", "", ""])
    place = folder / "annotations"
    _write_csv(place / "class-descriptions.csv", [[name, name] for name in labels])
    _write(place / "bbox_labels_600_hierarchy.json", json.dumps({"LabelName": "/m/0", "Subcategory": []}))
    heading = ["ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL", "Author", "Title"]
    heading += ["OriginalSize", "OriginalMD5", "Thumbnail300KURL", "Rotation"]
    _write_csv(place / f"{SUBSET}-images-with-rotation.csv", [heading, *([_stem(name), SUBSET, *[""] * 10] for name in maps)])
    columns = ["MaskPath", "ImageID", "LabelName", "BoxID", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax", "PredictedIoU", "Clicks"]
    _write_csv(place / f"{SUBSET}-annotations-object-segmentation.csv", [columns, *rows])
    _save(images, lambda name: folder / "images" / SUBSET / name)


def yolo_seg(folder: Path, maps: Maps, labels: Colours, images: Maps) -> None:
    """Holes are cut open to the outside, since a line holds one ring."""
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(labels))
    _write(folder / "data.yaml", f"names:\n{names}path: .\ntrain: train.txt\n")
    _write(folder / "train.txt", "".join(f"data/images/train/{name}\n" for name in maps))
    for name, label_map in maps.items():
        height, width = label_map.shape
        lines = []
        for place, mask in _masks(label_map, labels):
            for piece in pieces_of(mask):
                numbers = (_cut_open(piece) / (width, height)).ravel()
                lines.append(f"{place - 1} " + " ".join(f"{number:.6f}" for number in numbers))
        _write(folder / "labels" / "train" / f"{_stem(name)}.txt", "".join(f"{line}\n" for line in lines))
    _save(images, lambda name: folder / "images" / "train" / name)


def yolo_boxes(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """YOLO 1.1."""
    _write(folder / "obj.data", f"classes = {len(labels)}\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    _write(folder / "obj.names", "".join(f"{name}\n" for name in labels))
    _write(folder / "train.txt", "".join(f"data/obj_train_data/{name}\n" for name in maps))
    for name, label_map in maps.items():
        height, width = label_map.shape
        lines = []
        for place, mask in _masks(label_map, labels):
            left, top, across, down = _box(mask)
            parts = (left + across / 2) / width, (top + down / 2) / height, across / width, down / height
            lines.append(f"{place - 1} " + " ".join(f"{number:.6f}" for number in parts))
        _write(folder / "obj_train_data" / f"{_stem(name)}.txt", "".join(f"{line}\n" for line in lines))
    _save(images, lambda name: folder / "obj_train_data" / name)


def tfrecord(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    items = (f"item {{\n\tid: {place}\n\tname: '{name}'\n}}\n\n" for place, name in enumerate(labels, start=1))
    _write(folder / "label_map.pbtxt", "".join(items))
    (folder / f"{SUBSET}.tfrecord").write_bytes(bytes(range(256)) * len(maps))


def icdar(folder: Path, maps: Maps, labels: Colours, images: Maps | None = None) -> None:
    """ICDAR Localization: corners of boxes, and a text."""
    for name, label_map in maps.items():
        boxes = [(list(labels)[place - 1], _box(mask)) for place, mask in _masks(label_map, labels)]
        lines = [f'{left} {top} {left + across} {top + down} "{label}"\n' for label, (left, top, across, down) in boxes]
        path = Path(name)
        _write(folder / SUBSET / path.parent / f"gt_{path.stem}.txt", "".join(lines))
    _save(images, lambda name: folder / SUBSET / "images" / name)


Export = Callable[[Path, Maps, Colours, Maps], None]
EXPORTS: dict[str, tuple[str, Export]] = {  # by a name of its own: the name of the format, and what writes it
    "coco": ("coco", coco),
    "cvat": ("cvat", cvat),
    "datumaro": ("datumaro", datumaro),
    "voc": ("voc", voc),
    "camvid": ("camvid", camvid),
    "cityscapes": ("cityscapes", cityscapes),
    "labelme-xml": ("labelme", labelme_xml),
    "labelme-json": ("labelme", labelme_json),
    "openimages": ("openimages", openimages),
    "yolo-seg": ("yolo-seg", yolo_seg),
}
BOX_EXPORTS: dict[str, Export] = {"YOLO 1.1": yolo_boxes, "TFRecord": tfrecord, "ICDAR": icdar}


def painted(found: AnnotationSet) -> dict[str, np.ndarray]:
    """The label map of each image, by its name without suffix and subset; (0, 0) where there is neither a shape nor a size."""
    result = {}
    for image in found.images:
        if image.label_map:
            labels = decoded(image.label_map, found)
            assert not labels.unknown
            array = labels.labels
        else:
            array = paint(image.annotations, image.size or (0, 0), found.labels).labels
        result[_stem(image.name).removeprefix("train/")] = array
    return result


def _masks(label_map: np.ndarray, labels: Colours) -> Iterator[tuple[int, np.ndarray]]:
    """Place and mask of each label that is there."""
    for place in range(1, len(labels) + 1):
        if (label_map == place).any():
            yield place, label_map == place


def _only(piece: Polygon, mask: np.ndarray) -> np.ndarray:
    """The mask of one piece alone."""
    from autoseg.annotations.painting import area_inside

    return area_inside(piece, (mask.shape[0], mask.shape[1]))


def _cut_open(piece: Polygon) -> np.ndarray:
    """One ring: from the end of the outline to each hole, around it, and the same way back."""
    outline, *holes = piece.rings
    parts = [outline]
    for hole in holes:
        parts += [hole, hole[:1], outline[-1:]]
    return np.concatenate(parts)


def _box(mask: np.ndarray) -> list[float]:
    """Left, top, width, height."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return [float(columns[0]), float(rows[0]), float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1)]


def _painted(label_map: np.ndarray, labels: Colours) -> np.ndarray:
    return np.array([(0, 0, 0), *labels.values()], np.uint8)[label_map]


def _stem(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def _save(images: Maps | None, place: Callable[[str], Path]) -> None:
    for name, array in (images or {}).items():
        _picture(place(name), array)


def _picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array if array.dtype == np.uint16 else array.astype(np.uint8)).save(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_xml(path: Path, root: ElementTree.Element) -> None:
    _write(path, ElementTree.tostring(root, encoding="unicode"))


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
