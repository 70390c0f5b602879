"""MONAI's datalist: a JSON whose lists `training`, `validation` ... hold `{"image": ..., "label": ...}`, as its bundles and Auto3DSeg take it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.reading import json_files, json_in, object_in
from autoseg.errors import DataError, Fault
from autoseg.volume.files import split_suffix

LISTS = ("training", "validation", "train", "val")


def recognise(path: Path) -> str | None:
    """A JSON with such lists, which is not that of a layout."""
    files = _files(path)
    return f"found {files[0].name} with a list of images and labels" if files else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All entries that have a label; `fold` is left out.

    Raises:
        DataError: there is no such file, or several.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path} holds no JSON with a list `training` of image and label")
    if len(files) > 1:
        raise DataError(f"{path} holds several lists ({', '.join(file.name for file in files)}); give the file that is meant")
    (file,) = files
    content = object_in(file)
    images: dict[str, AnnotatedImage] = {}
    faults: list[Fault] = []
    unlabelled = 0
    for name in LISTS:
        for entry in content.get(name, []):
            if not isinstance(entry, dict) or "image" not in entry:
                faults.append(Fault(file.name, f"an entry of {name} has no image: {entry!r}"))
                continue
            if not entry.get("label"):
                unlabelled += 1
                continue
            found = _image(file.parent, entry)
            missing = [str(one) for one in (*found.files, found.label_map) if one is not None and not one.is_file()]
            if missing:
                faults.append(
                    Fault(found.name, f"{file.name} names {missing[0]}, which is not there; paths are relative to {file.parent}")
                )
            elif found.name in images:
                faults.append(Fault(found.name, f"stands twice in {file.name}; keep one entry"))
            else:
                images[found.name] = found
    notes = [f"{unlabelled} entries have no label and are left out"] if unlabelled else []
    return AnnotationSet("monai-datalist", (), tuple(images.values()), faults=tuple(faults), notes=tuple(notes))


def _image(root: Path, entry: Mapping[str, object]) -> AnnotatedImage:
    given = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    label = entry["label"][0] if isinstance(entry["label"], list) else entry["label"]
    files = tuple(root / str(one) for one in given)
    name = str(entry.get("case") or entry.get("name") or "") or _case_name(files[0], len(files))
    return AnnotatedImage(name=name, size=None, label_map=root / str(label), files=files, subject=_subject(entry))


def _case_name(file: Path, channels: int) -> str:
    """Of a case with a file for each channel, the folder that these lie in."""
    return file.parent.name if channels > 1 and file.parent.name else split_suffix(file)[0]


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
