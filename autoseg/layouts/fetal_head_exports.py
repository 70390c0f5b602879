"""Groups of the fetal-head set that lie here without their segmentation masks: labels drawn from another of its exports.

The published set has each group's annotations in eleven formats, all written by CVAT. Those with masks or polygons are as good as the
segmentation masks; those with boxes alone (YOLO 1.1, TFRecord, ICDAR) are not, which is told with the name of one that is. CSP and LV are
painted over Brain, whatever the order of the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.annotations import FORMATS, AnnotatedImage, AnnotationSet, ReadOptions
from autoseg.annotations.decoding import Naming, decode
from autoseg.annotations.painting import paint
from autoseg.errors import AutosegError, DataError, Fault
from autoseg.layouts.archives import files_below, find_archives, store_of, unpack_one
from autoseg.layouts.base import stem_of
from autoseg.parallel import available_cores, map_cases
from autoseg.volume.files import read_header, write_labels
from autoseg.volume.geometry import Geometry
from autoseg.writing import part_folder, replace_folder

# as archives and folders are called, in the order of trust: exact masks before polygons
KINDS = {
    "coco": re.compile(r"coco", re.IGNORECASE),
    "cvat": re.compile(r"cvat", re.IGNORECASE),
    "datumaro": re.compile(r"datumaro", re.IGNORECASE),
    "voc": re.compile(r"pascal|\bvoc\b", re.IGNORECASE),
    "labelme": re.compile(r"label-?me", re.IGNORECASE),
    "cityscapes": re.compile(r"city[-_ ]?s[cp]a[pc]es", re.IGNORECASE),
    "openimages": re.compile(r"open-?images", re.IGNORECASE),
}
BOXES = {
    "YOLO 1.1": re.compile(r"yolo", re.IGNORECASE),
    "TFRecord": re.compile(r"tf-?record", re.IGNORECASE),
    "ICDAR": re.compile(r"icdar", re.IGNORECASE),
}
DRAWN = "drawn-labels"  # in the store beside the data set
TRIED_FOLDERS = 3  # levels below an export's own folder at which it may begin
SOURCE_FILE = "source.txt"
RULES = 2  # goes up when the same export is drawn otherwise


@dataclass(frozen=True)
class Export:
    """One export of a group: its format, and the folder or archive that it lies in."""

    kind: str
    place: Path


def exports_of(group: str, places: Sequence[Path], group_of: Callable[[str], str | None]) -> tuple[list[Export], list[str]]:
    """What there is of a group beside masks: exports that can be read, the best first, and names of those with boxes alone.

    Args:
        group: its name.
        places: folders of the set, and of what is unpacked of it.
        group_of: tells the group that a path names.
    """
    found: dict[str, Path] = {}
    boxes: dict[str, None] = {}
    for place in places:
        folders = {file.relative_to(place).parts[:depth] for file in files_below(place) for depth in range(1, 5)}
        candidates = [*find_archives(place, lambda _: True), *(place.joinpath(*parts) for parts in sorted(folders, key=len))]
        for candidate in candidates:
            if not candidate.exists() or group_of(candidate.relative_to(place).as_posix()) != group:
                continue
            for kind, name in KINDS.items():
                if name.search(candidate.name):
                    found.setdefault(kind, candidate)
            boxes |= dict.fromkeys(kind for kind, name in BOXES.items() if name.search(candidate.name))
    return [Export(kind, found[kind]) for kind in KINDS if kind in found], list(boxes)


def draw_labels(
    group: str, export: Export, root: Path, images: dict[str, Path], names: Sequence[str]
) -> tuple[dict[str, Path], list[Fault], list[str]]:
    """Label maps of a group, with 1, 2, ... for the names, drawn once and kept in the store beside the set.

    An export that cannot be read gives none, and faults.

    Args:
        group: its name.
        export: to read.
        root: of the data set.
        images: by stem.
        names: of the structures; later ones are painted over earlier ones.

    Returns:
        Label maps by the images' stems, faults, and notes.
    """
    try:
        folder = export.place if export.place.is_dir() else unpack_one(export.place, root)
        found = _read(export.kind, folder)
    except DataError as error:
        return {}, list(error.faults), []
    if found is None:
        return {}, [Fault(group, f"{export.place.name} holds no {export.kind} export; download it again, or another export")], []
    by_stem = {stem_of(Path(image.name).name): image for image in found.images}
    wanted = {stem: by_stem[stem] for stem in images if stem in by_stem}
    place = store_of(root) / DRAWN / group
    source = f"{RULES} {export.kind} {_identity([export.place])} {_identity([images[stem] for stem in wanted])}"
    faults = [Fault(stem_of(Path(fault.case).name), fault.message) for fault in found.faults]
    told = _drawn_before(place, source)
    faults += _draw_all(found, wanted, images, names, place, source) if told is None else told
    drawn = {stem: place / f"{stem}.png" for stem in wanted if (place / f"{stem}.png").is_file()}
    notes = [f"{group}: labels drawn from {export.place.name} ({export.kind}) into {place}"]
    notes += [f"{group}: {note}" for note in found.notes]
    strange = [label for label in found.labels if label.casefold() not in {name.casefold() for name in names}]
    if strange:
        notes.append(f"{group}: labels that are not read: {', '.join(strange)}")
    return drawn, faults, notes


def boxes_only(group: str, boxes: Sequence[str]) -> Fault:
    """What to do where a group's exports have no masks."""
    return Fault(
        group,
        f"has only boxes here ({', '.join(boxes)}), which tell no outline; download its segmentation masks, or its COCO, CVAT, Datumaro, "
        "LabelMe, Cityscapes, Open Images or PASCAL VOC export, and put it beside the images",
    )


def _read(kind: str, folder: Path) -> AnnotationSet | None:
    """The export, which may begin a few folders below."""
    if kind not in FORMATS:
        return None
    level = [folder]
    for _ in range(TRIED_FOLDERS):
        for place in level:
            if FORMATS[kind].recognise(place) is not None:
                return FORMATS[kind].read(place, ReadOptions(boxes=True))  # CSP and LV were drawn as rectangles
        level = [child for place in level for child in sorted(place.iterdir()) if child.is_dir()]
    return None


def _drawn_before(place: Path, source: str) -> list[Fault] | None:
    """Faults told when the same export was drawn on the same images; None where it was not."""
    try:
        drawn_of, *lines = (place / SOURCE_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return [Fault(*line.split("\t", 1)) for line in lines] if drawn_of == source else None


def _draw_all(
    found: AnnotationSet,
    wanted: dict[str, AnnotatedImage],
    images: dict[str, Path],
    names: Sequence[str],
    place: Path,
    source: str,
) -> list[Fault]:
    with part_folder(place) as part:
        part.mkdir(parents=True)
        colours = {colour: _known(label, names) or "" for colour, label in found.colours.items()}
        values = {value: _known(label, names) or "" for value, label in found.values.items()}
        naming = Naming(tuple(names), values, colours)
        draw = partial(_draw, naming=naming, out=part)
        work = [(stem, image, images[stem]) for stem, image in wanted.items()]
        faults = [
            fault for fault in map_cases(draw, work, name=lambda one: one[0], workers=available_cores()) if fault is not None
        ]
        told = [f"{fault.case}\t{' '.join(fault.message.split())}" for fault in faults]
        (part / SOURCE_FILE).write_text("\n".join([source, *told]) + "\n", encoding="utf-8")
        replace_folder(part, place)
    return faults


def _draw(work: tuple[str, AnnotatedImage, Path], *, naming: Naming, out: Path) -> Fault | None:
    stem, image, file = work
    try:
        size = read_header(file).shape
        if image.label_map is not None:
            decoded = decode(image.label_map, naming, "refuse")
            labels = decoded.labels
            if decoded.unknown:
                return Fault(
                    stem, f"its mask holds colours that the export does not name: {', '.join(list(decoded.unknown)[:5])}"
                )
            if labels.shape != size:
                return Fault(stem, f"its mask has {labels.shape[1]}x{labels.shape[0]} pixels, its image {size[1]}x{size[0]}")
        else:
            if image.size is not None and image.size != size:
                return Fault(stem, f"was annotated at {image.size[1]}x{image.size[0]} pixels, its image has {size[1]}x{size[0]}")
            labels = _painted(image, size, naming.labels)
        write_labels(out / f"{stem}.png", labels, Geometry.plain(2, None))
    except (AutosegError, OSError, ValueError) as error:
        return Fault(stem, str(error))
    return None


def _painted(image: AnnotatedImage, size: tuple[int, ...], names: Sequence[str]) -> np.ndarray:
    """In the order of the names, as the structures lie over one another."""
    labels = np.zeros(size, np.uint16)
    for value, name in enumerate(names, start=1):
        own = [one for one in image.annotations if one.label.casefold() == name.casefold()]
        renamed = [type(one)(name, one.shape, one.z_order) for one in own]
        labels[paint(renamed, size, [name]).labels > 0] = value
    return labels


def _known(label: str, names: Sequence[str]) -> str | None:
    return next((name for name in names if name.casefold() == label.casefold()), None)


def _identity(places: Iterable[Path]) -> str:
    """Changes when a file does, is added or taken away."""
    found = hashlib.sha256()
    for place in places:
        for file in [place] if place.is_file() else files_below(place):
            state = file.stat()
            found.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()
