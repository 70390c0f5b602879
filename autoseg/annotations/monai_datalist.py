"""MONAI's datalist: a JSON whose lists `training`, `validation` ... hold `{"image": ..., "label": ...}`, as its bundles and Auto3DSeg take it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.reading import json_files, json_in, object_in
from autoseg.errors import DataError, Fault
from autoseg.volume.files import split_suffix

LISTS = ("training", "validation", "train", "val")
BETWEEN_WORDS = re.compile(r"([-_. ])")


@dataclass(frozen=True)
class Entry:
    """One case: its name where the list tells it, paths of its channels and of its label as they stand there, and whose it is."""

    name: str | None
    images: tuple[str, ...]
    label: str | Fault
    subject: str | None


def recognise(path: Path) -> str | None:
    """A JSON with such lists, which is not that of a layout."""
    files = _files(path)
    return f"found {files[0].name} with a list of images and labels" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All entries that have a label; `fold` is left out. An entry whose label is no single file is a fault.

    Raises:
        DataError: there is no such file, or several.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no JSON with a list `training` of image and label")
    if len(files) > 1:
        raise DataError(f"{path} holds several lists ({', '.join(file.name for file in files)}); give the file that is meant")
    (file,) = files
    entries, faults, unlabelled = _entries(file)
    names = _names([entry.images for entry in entries if entry.name is None])
    images: dict[str, AnnotatedImage] = {}
    for entry in entries:
        name = entry.name or names[entry.images]
        places = tuple(file.parent / one for one in entry.images)
        label = None if isinstance(entry.label, Fault) else file.parent / entry.label
        missing = [str(one) for one in (*places, label) if one is not None and not one.is_file()]
        if isinstance(entry.label, Fault):
            faults.append(Fault(name, entry.label.message))
        elif missing:
            faults.append(Fault(name, f"{file.name} names {missing[0]}, which is not there; paths are relative to {file.parent}"))
        elif name in images:
            faults.append(Fault(name, f"stands twice in {file.name}; keep one entry"))
        else:
            images[name] = AnnotatedImage(name=name, size=None, label_map=label, files=places, subject=entry.subject)
    notes = [f"{unlabelled} entries have no label and are left out"] if unlabelled else []
    return AnnotationSet("monai-datalist", (), tuple(images.values()), faults=tuple(faults), notes=tuple(notes))


def _entries(file: Path) -> tuple[list[Entry], list[Fault], int]:
    """Entries with a label, faults of those without an image, and the number of those without a label."""
    content = object_in(file)
    found: list[Entry] = []
    faults: list[Fault] = []
    unlabelled = 0
    for name in LISTS:
        for entry in content.get(name) or ():
            given = entry.get("image") if isinstance(entry, dict) else None
            images = tuple(str(one) for one in (given if isinstance(given, list) else [given]) if one)
            if not images:
                faults.append(Fault(file.name, f"an entry of {name} has no image: {entry!r}"))
            elif entry.get("label") in (None, "", []):
                unlabelled += 1
            else:
                told = str(entry.get("case") or entry.get("name") or "") or None
                found.append(Entry(told, images, _label(entry["label"], file), _subject(entry)))
    return found, faults, unlabelled


def _label(given: object, file: Path) -> str | Fault:
    """The path of the one label map."""
    labels = given if isinstance(given, list) else [given]
    if len(labels) > 1:
        told = (
            f"has {len(labels)} labels in {file.name}, where one label map is expected; join them, or name each structure's masks"
        )
        return Fault(file.name, f"{told} by patterns: --image PATTERN --label NAME=PATTERN")
    if not isinstance(labels[0], str):
        return Fault(file.name, f"has {labels[0]!r} for a label in {file.name}, where the path of a label map is expected")
    return labels[0]


def _names(entries: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A name for each entry's images: the shortest kind of name that tells all entries apart."""
    distinct = list(dict.fromkeys(entries))
    kinds = (_own_name, _folder, lambda images: "_".join(filter(None, (_folder(images), _own_name(images)))), _whole_path)
    for kind in kinds:
        names = {images: kind(images) for images in distinct}
        if all(names.values()) and len(set(names.values())) == len(distinct):
            return names
    return {images: _whole_path(images) for images in distinct}


def _own_name(images: tuple[str, ...]) -> str:
    """The words that the names of all channels begin with (`p1` of `p1_t1` and `p1_t2`); "" where they share none."""
    words = [BETWEEN_WORDS.split(split_suffix(PurePosixPath(image).name)[0]) for image in images]
    return "".join(_shared(words)).rstrip("-_. ")


def _folder(images: tuple[str, ...]) -> str:
    """The folder that all channels lie in or below; "" where it is that of the list."""
    parts = [PurePosixPath(image).parts[:-1] for image in images]
    shared = _shared(parts)
    return shared[-1].strip("/") if shared else ""


def _shared(parts: Sequence[Sequence[str]]) -> list[str]:
    """What all begin with."""
    return [several[0] for several in takewhile(lambda several: len(set(several)) == 1, zip(*parts, strict=False))]


def _whole_path(images: tuple[str, ...]) -> str:
    path = PurePosixPath(images[0])
    return "_".join((*(part for part in path.parts[:-1] if part not in ("/", ".", "..")), split_suffix(path.name)[0]))


def _subject(entry: Mapping[str, object]) -> str | None:
    return next((str(entry[key]) for key in ("subject", "patient", "subject_id", "patient_id") if entry.get(key)), None)


def _files(path: Path) -> list[Path]:
    return [file for file in json_files(path) if _is_datalist(json_in(file))]


def _is_datalist(content: object) -> bool:
    if not isinstance(content, dict) or "modality" in content or "file_ending" in content:  # MSD's and nnU-Net's
        return False
    entries = next((content[name] for name in LISTS if isinstance(content.get(name), list) and content[name]), None)
    return entries is not None and isinstance(entries[0], dict) and "image" in entries[0]


FORMAT = Format("monai-datalist", "a JSON with a list `training` of image and label", recognise, read)
