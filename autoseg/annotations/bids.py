"""BIDS: images below `sub-*`, labels of the same names below `derivatives/`, pixel sizes in JSON sidecars.

Standard: https://bids-specification.readthedocs.io/. A label is a label map where its name ends in `_dseg`, `_seg` or `_labels`, and one
structure where it is `_label-NAME_mask`, `_seg-NAME`, `_desc-NAME_mask`, `_lesion` or the like; a `-manual` at the end is no part of it.
"""

from __future__ import annotations

import re
from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, Annotation, AnnotationSet, Format, MaskFile, ReadOptions
from autoseg.annotations.reading import json_in
from autoseg.errors import DataError, Fault
from autoseg.records import Spacing
from autoseg.volume.files import READABLE_SUFFIXES, is_picture, split_suffix

DESCRIPTION = "dataset_description.json"
DERIVATIVES = "derivatives"
SUBJECT = re.compile(r"sub-[^_/]+")
STRUCTURE = re.compile(r"_(?:label|seg|desc)-(?!manual$)(?P<name>[A-Za-z0-9]+?)(?:-manual)?(?:_(?:mask|probseg|seg|dseg))?$")
LABEL_MAP = re.compile(r"_(?:dseg|seg|labels?|parcellation)(?:-manual)?$")
ONE_STRUCTURE = re.compile(r"_(?P<name>[A-Za-z0-9]+)(?:-manual)?$")
UNIT_MM = {"mm": 1.0, "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "nm": 1e-6}


def recognise(path: Path) -> str | None:
    """`dataset_description.json` beside `sub-*` folders, with labels below `derivatives/`."""
    if not path.is_dir() or not (path / DESCRIPTION).is_file() or not (path / DERIVATIVES).is_dir():
        return None
    return f"found {DESCRIPTION}, sub-* and {DERIVATIVES}/" if next(path.glob("sub-*"), None) else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """Images that have a label; those without one are told.

    Raises:
        DataError: there is no image, or no label of one.
    """
    images = {_key(file): file for file in _files(path) if DERIVATIVES not in file.relative_to(path).parts}
    if not images:
        raise DataError(f"{path} holds no image below sub-*; give the root of a BIDS set")
    found: dict[str, list[tuple[str, Path]]] = {}
    notes: list[str] = []
    orphans: list[Path] = []
    for file in _files(path / DERIVATIVES):
        key = next((key for key in sorted(images, key=len, reverse=True) if _stem(file).startswith(key)), None)
        if key is None:
            orphans.append(file)
        else:
            found.setdefault(key, []).append((_stem(file).removeprefix(key), file))
    if not found:
        raise DataError(
            f"no file below {path / DERIVATIVES} is named as an image is (sub-01_T1w_dseg, sub-01_T1w_label-lesion_mask)"
        )
    if orphans:
        notes.append(
            f"{len(orphans)} files of {DERIVATIVES}/ are named as no image is, and are left out, such as {orphans[0].name}"
        )
    if bare := sorted(set(images) - set(found)):
        notes.append(f"{len(bare)} images have no label and are left out, such as {bare[0]}")
    faults: list[Fault] = []
    listed = [_image(key, images[key], endings, faults) for key, endings in sorted(found.items())]
    labels = tuple(dict.fromkeys(one.label for image in listed for one in image.annotations))
    return AnnotationSet("bids", labels, tuple(listed), faults=tuple(faults), notes=tuple(notes))


def _image(key: str, file: Path, labels: list[tuple[str, Path]], faults: list[Fault]) -> AnnotatedImage:
    maps = [label for ending, label in labels if LABEL_MAP.search(ending) and not STRUCTURE.search(ending)]
    masks = [(match["name"], label) for ending, label in labels if (match := STRUCTURE.search(ending) or _alone(ending))]
    if len(maps) > 1 or (maps and masks):
        names = ", ".join(label.name for _, label in labels)
        faults.append(Fault(key, f"has several kinds of labels ({names}); give --image and --label patterns that choose"))
    subject = SUBJECT.search(file.name)
    return AnnotatedImage(
        name=key,
        size=None,
        annotations=() if maps else tuple(Annotation(name, MaskFile(label)) for name, label in masks),
        label_map=maps[0] if maps else None,
        files=(file,),
        subject=subject[0] if subject else None,
        spacing_mm=_spacing(file),
    )


def _alone(ending: str) -> re.Match[str] | None:
    return None if LABEL_MAP.search(ending) else ONE_STRUCTURE.search(ending)


def _spacing(file: Path) -> Spacing | None:
    """(y, x) of a picture from its sidecar, which gives x before y."""
    content = json_in(file.with_name(_stem(file) + ".json"))
    if not is_picture(file) or not isinstance(content, dict):
        return None
    sizes, unit = content.get("PixelSize"), UNIT_MM.get(str(content.get("PixelSizeUnits", "mm")))
    if not isinstance(sizes, list) or len(sizes) < 2 or unit is None:
        return None
    return float(sizes[1]) * unit, float(sizes[0]) * unit


def _files(root: Path) -> list[Path]:
    every = (file for file in root.rglob("sub-*") if split_suffix(file)[1] in READABLE_SUFFIXES)
    return sorted(file for file in every if file.is_file())


def _stem(file: Path) -> str:
    return split_suffix(file)[0]


def _key(file: Path) -> str:
    return _stem(file)


FORMAT = Format("bids", f"a BIDS set: {DESCRIPTION}, sub-*, and labels below {DERIVATIVES}/", recognise, read)
