"""PASCAL VOC and CVAT's "Segmentation mask 1.1": a picture in colours for each image, and `labelmap.txt` that names them.

Formats: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/ and https://docs.cvat.ai/docs/dataset_management/formats/format-smask/.
`SegmentationObject` tells single objects apart and is not read.
"""

from __future__ import annotations

from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.colours import BACKGROUND, ColourTable, labelmap_entries, table_of, voc_colour, with_options
from autoseg.annotations.reading import bare, find_child, lines_of, pictures_under
from autoseg.errors import DataError, Fault

MASKS = "SegmentationClass"
TABLE = "labelmap.txt"
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = 255  # the place of the borders that PASCAL VOC leaves undecided


def recognise(path: Path) -> str | None:
    """A folder `SegmentationClass`."""
    masks = find_child(path, MASKS)
    return f"found {masks.name}/ {'and' if (path / TABLE).is_file() else 'without'} {TABLE}" if masks else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images that `ImageSets/Segmentation` lists, or all masks where it lists none.

    An image that is listed and has no mask is a fault: CVAT writes none where nothing is drawn, but a mask can also have been lost.

    Raises:
        DataError: no masks, or a table that cannot be used.
    """
    folder = find_child(path, MASKS)
    masks = {bare(file, folder): file for file in pictures_under(folder)} if folder else {}
    if folder is None or not masks:
        raise DataError(f"{path} holds no {MASKS}/ with masks; give the folder of an export as 'Segmentation mask 1.1'")
    notes = []
    if (path / TABLE).is_file():
        table = table_of(labelmap_entries(path / TABLE), TABLE)
    else:
        table = _standard_table()
        notes.append(f"without {TABLE} colours are PASCAL VOC's own, and undecided borders are background")
    table = with_options(table, options)
    listed = _listed(path)
    images = tuple(AnnotatedImage(name, None, label_map=masks[name]) for name in listed or masks if name in masks)
    faults = [
        Fault(
            name,
            f"is listed in {where} and has no mask in {folder.name}/; give it a black one if nothing is on it, or export again",
        )
        for name, where in listed.items()
        if name not in masks
    ]
    unlisted = len(masks.keys() - listed.keys()) if listed else 0
    if unlisted:
        notes.append(f"{unlisted} masks of images that ImageSets/Segmentation does not list are left out")
    return AnnotationSet("voc", table.labels, images, table.colours, table.values, tuple(faults), tuple(notes))


def _standard_table() -> ColourTable:
    table = table_of([("background", None), *((name, None) for name in CLASSES)], TABLE)
    return ColourTable(table.labels, {**table.colours, voc_colour(VOID): BACKGROUND}, {**table.values, VOID: BACKGROUND})


def _listed(path: Path) -> dict[str, str]:
    """Names of images, and the list that each is in."""
    sets = find_child(path, "ImageSets")
    folder = find_child(sets, "Segmentation") if sets else None
    files = sorted(folder.glob("*.txt")) if folder else []
    return {line.strip('"'): file.name for file in files if not file.name.startswith(".") for line in lines_of(file)}


FORMAT = Format("voc", "SegmentationClass/ with masks in colours, and labelmap.txt", recognise, read)
