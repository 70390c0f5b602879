"""The Medical Segmentation Decathlon: `dataset.json` with modality, labels and a list of training pairs; channels in 4D files."""

from __future__ import annotations

from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.base import (
    Layout,
    LayoutResult,
    ReadOptions,
    Recognition,
    channel_names,
    check_images,
    files_in,
    listed,
    load_json,
    relative,
    stem_of,
)
from autoseg.layouts.label_scheme import declared_labels
from autoseg.layouts.subjects import EACH_ITS_OWN
from autoseg.records import Case, Dataset


def recognise(path: Path) -> Recognition | None:
    """A `dataset.json` with modality and a training list, without nnU-Net v2's own keys."""
    if not (path / "dataset.json").is_file():
        return None
    declared = load_json(path / "dataset.json")
    ours = "modality" in declared and isinstance(declared.get("training"), list)
    return Recognition("found dataset.json with modality and a training list") if ours and "file_ending" not in declared else None


def read(path: Path, options: ReadOptions) -> LayoutResult:
    """The data set and all its faults.

    Raises:
        DataError: `dataset.json` itself cannot be used.
    """
    declared = load_json(path / "dataset.json")
    faults: list[Fault] = []
    channels = channel_names(declared.get("modality"), "dataset.json")
    scheme = declared_labels(declared.get("labels"))
    cases = _cases(path, declared.get("training"), len(channels), faults)
    checked, more = check_images(path, cases)
    faults += more
    notes = [*scheme.notes, *_notes(path, declared, cases, faults)]
    if not options.subjects_given:
        notes.append(EACH_ITS_OWN)
    if checked.rank is None:
        return LayoutResult(None, tuple(faults))
    dataset = Dataset(
        name=str(declared.get("name") or path.name),
        layout="msd",
        root=str(path),
        rank=checked.rank,
        channels=channels,
        targets=scheme.targets,
        regions=scheme.regions,
        ignore_value=scheme.ignore_value,
        encodings={"default": scheme.encoding},
        cases=checked.cases,
        notes=tuple(notes),
    )
    return LayoutResult(dataset, tuple(faults))


def _cases(root: Path, training: object, channels: int, faults: list[Fault]) -> list[Case]:
    if not isinstance(training, list) or not training:
        raise DataError([Fault("dataset.json", 'its "training" list is empty; list {"image": ..., "label": ...} pairs')])
    cases: dict[str, Case] = {}
    for entry in training:
        if not isinstance(entry, dict) or not isinstance(entry.get("image"), str) or not isinstance(entry.get("label"), str):
            faults.append(Fault("dataset.json", f'expected {{"image": ..., "label": ...}} in training, found {entry!r}'))
            continue
        image, label = root / entry["image"], root / entry["label"]
        id = stem_of(image)
        files = _image_files(image, channels)
        here = [] if files else [Fault(id, f"lacks its image {entry['image']}, which dataset.json lists")]
        if not label.is_file():
            here.append(Fault(id, f"has no label; dataset.json lists {entry['label']}"))
        if id in cases:
            here.append(Fault(id, "is listed twice in dataset.json; keep one entry"))
        faults += here
        if not here:
            images = tuple(relative(file, root) for file in files)
            cases[id] = Case(id=id, subject=id, images=images, label=relative(label, root))
    return list(cases.values())


def _image_files(image: Path, channels: int) -> list[Path]:
    """The listed file, or its channel files `_0000` ... as nnU-Net v1 kept them beside the same list; else none."""
    if image.is_file():
        return [image]
    parts = [image.with_name(f"{stem_of(image)}_{channel:04d}{image.name[len(stem_of(image)) :]}") for channel in range(channels)]
    return parts if all(part.is_file() for part in parts) else []


def _notes(root: Path, declared: dict[str, object], cases: list[Case], faults: list[Fault]) -> list[str]:
    notes = []
    training = declared.get("training")
    listed_number = len(training) if isinstance(training, list) else 0
    expected = declared.get("numTraining")
    if isinstance(expected, int) and expected != listed_number:
        notes.append(f"dataset.json says numTraining {expected} and lists {listed_number} cases")
    known = {image for case in cases for image in case.images} | {fault.case for fault in faults}
    unlisted = [
        file.name for file in files_in(root / "imagesTr") if not known.intersection((relative(file, root), stem_of(file)))
    ]
    if unlisted:
        notes.append(f"{len(unlisted)} images of imagesTr are not listed in dataset.json and take no part: {listed(unlisted)}")
    return notes


LAYOUT = Layout("msd", 'dataset.json with "modality" and a "training" list of image and label pairs', recognise, read)
