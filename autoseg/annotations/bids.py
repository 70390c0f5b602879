"""BIDS: images below `sub-*`, labels of the same names below `derivatives/` or beside them, pixel sizes in JSON sidecars.

Standard: https://bids-specification.readthedocs.io/. A label is named as its image is, and goes on with one of these endings; or, where only one
image is meant so, the ending stands in the place of the image's last word (`sub-01_dseg` of `sub-01_T2w`). Whatever else lies below
`derivatives/` (filtered or resampled images, centre lines) is no label:

- `_dseg`, `_seg`, `_label`, `_labels`, `_parcellation`: a label map;
- `_label-NAME_mask`, `_desc-NAME_probseg`, `_seg-NAME_dseg` and the like, or `_seg-NAME` alone: one structure;
- `_lesion`, `_gmseg` and others of `PLAIN_STRUCTURES`, as sets of the spinal cord have them: one structure of that name.

Each may end in `-manual`. A label of another space than the image's own (`_space-`) does not lie on its grid, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, Annotation, AnnotationSet, Format, MaskFile, ReadOptions
from autoseg.annotations.reading import Json, json_in
from autoseg.errors import DataError, Fault
from autoseg.records import Spacing
from autoseg.volume.files import READABLE_SUFFIXES, is_picture, split_suffix

DESCRIPTION = "dataset_description.json"
DERIVATIVES = "derivatives"
SUBJECT = re.compile(r"sub-[^_/]+")
BESIDE = re.compile(r"_(?:dseg|probseg|mask)$")  # labels in the folders of images, whose names BIDS gives to nothing else
PARTICIPANTS = "participants.tsv"
PLAIN_STRUCTURES = ("lesion", "lesionseg", "gmseg", "wmseg", "csfseg", "softseg", "mask", "msk", "roi")
MANUAL = r"(?:-manual)?"
SAME_GRID = r"(?:_space-orig)?"
KINDS = r"(?:mask|probseg|seg|dseg|softseg)"
NAMED = r"(?!manual(?:_|$))(?P<name>[A-Za-z0-9]+)"
LABEL_MAP = re.compile(rf"{SAME_GRID}(?:_desc-[A-Za-z0-9]+)?_(?:dseg|seg|labels?|parcellation){MANUAL}")
STRUCTURES = (
    re.compile(rf"{SAME_GRID}_(?:label|seg)-{NAMED}{MANUAL}(?:_desc-[A-Za-z0-9]+)?_{KINDS}{MANUAL}"),
    re.compile(rf"{SAME_GRID}_desc-{NAMED}{MANUAL}_(?:mask|probseg){MANUAL}"),
    re.compile(rf"{SAME_GRID}_seg-{NAMED}{MANUAL}"),
    re.compile(rf"{SAME_GRID}_(?P<name>{'|'.join(PLAIN_STRUCTURES)}){MANUAL}"),
)
UNIT_MM = {"mm": 1.0, "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "nm": 1e-6}


@dataclass(frozen=True)
class Label:
    """A file below `derivatives/` or beside its image: the mask of a structure, or a label map where that is None."""

    file: Path
    structure: str | None


def recognise(path: Path) -> str | None:
    """`dataset_description.json` or `participants.tsv` beside `sub-*` folders, with labels below `derivatives/` or in those."""
    table = next((name for name in (DESCRIPTION, PARTICIPANTS) if (path / name).is_file()), None)
    if table is None or next(path.glob("sub-*"), None) is None:
        return None
    if (path / DERIVATIVES).is_dir():
        return f"found {table}, sub-* and {DERIVATIVES}/"
    label = next((file for file in _files(path) if BESIDE.search(_stem(file))), None)
    return f"found {table}, sub-* and {label.name}" if label else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """Images that have a label; those without one are told.

    Raises:
        DataError: there is no image, or no label of one.
    """
    files = _files(path)
    labels = [file for file in files if DERIVATIVES in file.relative_to(path).parts or BESIDE.search(_stem(file))]
    images = {_stem(file): file for file in files if file not in set(labels)}
    if not images:
        raise DataError(f"{path} holds no image below sub-*; give the root of a BIDS set")
    found, orphans, others = _labels_of(labels, images)
    if not found:
        raise DataError(
            f"no file below {path / DERIVATIVES} or beside an image is named as it is (sub-01_T1w_dseg, sub-01_T1w_label-lesion_mask)"
        )
    notes: list[str] = []
    if orphans:
        notes.append(
            f"{len(orphans)} labels are named as no image is, or as several are, and are left out, such as {orphans[0].name}"
        )
    if others:
        notes.append(
            f"{len(others)} files of {DERIVATIVES}/ are by their names neither label maps nor masks, and are left out, such as {others[0].name}"
        )
    if bare := sorted(set(images) - set(found)):
        notes.append(f"{len(bare)} images have no label and are left out, such as {bare[0]}")
    if without := [key for key in sorted(found) if _lacks_unit(images[key])]:
        told = f"{len(without)} images have a PixelSize without PixelSizeUnits, and so no known pixel size, such as {without[0]}"
        notes.append(f"{told}; mend the sidecars, or give --spacing")
    faults: list[Fault] = []
    listed = [_image(key, images[key], own, faults) for key, own in sorted(found.items())]
    structures = tuple(dict.fromkeys(one.label for image in listed for one in image.annotations))
    return AnnotationSet("bids", structures, tuple(listed), faults=tuple(faults), notes=tuple(notes))


def _labels_of(files: Sequence[Path], images: Mapping[str, Path]) -> tuple[dict[str, list[Label]], list[Path], list[Path]]:
    """Labels by image, files that are named as no image is, and files that are named as no label is."""
    found: dict[str, list[Label]] = {}
    orphans: list[Path] = []
    others: list[Path] = []
    by_beginning: dict[str, list[str]] = {}  # of a label's name: the images that may be meant
    for key in images:
        by_beginning.setdefault(key.rpartition("_")[0], []).append(key)
    by_beginning |= {key: [key] for key in images}
    by_length = sorted(by_beginning, key=len, reverse=True)
    for file in files:
        beginning = next((one for one in by_length if _stem(file).startswith(f"{one}_")), "")
        if len(by_beginning.get(beginning, ())) != 1:
            orphans.append(file)
            continue
        (key,), ending = by_beginning[beginning], _stem(file).removeprefix(beginning)
        structure = next((match["name"] for one in STRUCTURES if (match := one.fullmatch(ending))), None)
        if structure is None and not LABEL_MAP.fullmatch(ending):
            others.append(file)
        else:
            found.setdefault(key, []).append(Label(file, structure))
    return found, orphans, others


def _image(key: str, file: Path, labels: Sequence[Label], faults: list[Fault]) -> AnnotatedImage:
    """With its label map, or its masks, of each structure the first; several kinds, or several masks of one structure, are a fault."""
    maps = [label.file for label in labels if label.structure is None]
    masks: dict[str, Path] = {}
    for label in labels:
        if label.structure is not None:
            masks.setdefault(label.structure, label.file)
    if len(labels) > len(masks) + len(maps) or len(maps) > 1 or (maps and masks):
        names = ", ".join(label.file.name for label in labels)
        faults.append(
            Fault(
                key,
                f"has several labels ({names}), and which one counts is not known; choose with patterns, --image and --label",
            )
        )
    subject = SUBJECT.search(file.name)
    return AnnotatedImage(
        name=key,
        size=None,
        annotations=() if maps else tuple(Annotation(name, MaskFile(mask)) for name, mask in masks.items()),
        label_map=maps[0] if maps else None,
        files=(file,),
        subject=subject[0] if subject else None,
        spacing_mm=_spacing(file),
    )


def _spacing(file: Path) -> Spacing | None:
    """(y, x) of a picture from its sidecar, which gives x before y; None where size or unit are missing or unknown."""
    content = _sidecar(file)
    sizes, unit = content.get("PixelSize"), UNIT_MM.get(str(content.get("PixelSizeUnits")))
    if not isinstance(sizes, list) or len(sizes) < 2 or unit is None:
        return None
    if not all(isinstance(size, int | float) and size > 0 for size in sizes[:2]):
        return None
    return float(sizes[1]) * unit, float(sizes[0]) * unit


def _lacks_unit(file: Path) -> bool:
    content = _sidecar(file)
    return "PixelSize" in content and "PixelSizeUnits" not in content


def _sidecar(file: Path) -> Json:
    """Of a picture; empty where there is none."""
    content = json_in(file.with_name(_stem(file) + ".json")) if is_picture(file) else None
    return content if isinstance(content, dict) else {}


def _files(root: Path) -> list[Path]:
    every = (file for file in root.rglob("sub-*") if split_suffix(file)[1] in READABLE_SUFFIXES)
    return sorted(file for file in every if file.is_file())


def _stem(file: Path) -> str:
    return split_suffix(file)[0]


FORMAT = Format(
    "bids",
    f"a BIDS set: {DESCRIPTION} or {PARTICIPANTS}, sub-*, and labels below {DERIVATIVES}/ or beside the images",
    recognise,
    read,
)
