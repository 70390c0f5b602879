"""The Medical Segmentation Decathlon: `dataset.json` with modality, labels and a list of training pairs; channels in 4D files.

Sets in its manner (AMOS, nnU-Net v1) may list labelled cases under `validation`, too; these are read like the others.
"""

from __future__ import annotations

from collections.abc import Iterable
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

IMAGE_FOLDERS = ("imagesTr", "imagesVa")  # whose images are expected in the lists


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
    others, told = _validation(path, declared.get("validation"), len(channels), cases, faults)
    cases += others
    checked, more = check_images(path, cases)
    faults += more
    notes = [*checked.notes, *scheme.notes, *told, *_notes(path, declared, len(channels), cases, faults)]
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


def _validation(
    root: Path, validation: object, channels: int, cases: Iterable[Case], faults: list[Fault]
) -> tuple[list[Case], list[str]]:
    """Labelled entries of `validation`, and what is said of them and of the others.

    Unlike in `training`, a label that is not there is no fault: many challenges keep those of their validation cases.
    """
    entries = validation if isinstance(validation, list) else []
    taken = {image for case in cases for image in case.images}
    names = {case.id for case in cases} | {fault.case for fault in faults}
    found: list[Case] = []
    unlabelled: list[str] = []
    repeated = 0
    for entry in entries:
        image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, dict) else (entry, None)
        if not isinstance(image, str):
            faults.append(Fault("dataset.json", f'expected {{"image": ..., "label": ...}} in validation, found {entry!r}'))
            continue
        files = _image_files(root / image, channels)
        images = tuple(relative(file, root) for file in files)
        id = stem_of(image)
        if taken.intersection(images):
            repeated += 1
        elif not isinstance(label, str) or not (root / label).is_file():
            unlabelled.append(id)
        elif not files:
            faults.append(Fault(id, f"lacks its image {image}, which dataset.json lists under validation"))
        else:
            id = id if id not in names else f"validation_{id}"  # some sets count anew in each list
            found.append(Case(id=id, subject=id, images=images, label=relative(root / label, root)))
            names.add(id)
            taken.update(images)
    return found, _told_validation(len(found), unlabelled, repeated)


def _told_validation(found: int, unlabelled: list[str], repeated: int) -> list[str]:
    notes = []
    if found:
        notes.append(
            f"{found} labelled cases under validation in dataset.json are read like those of training, and folds are made of all; "
            "--hold-out FILE with their names keeps them apart"
        )
    if unlabelled:
        notes.append(
            f"{len(unlabelled)} cases under validation in dataset.json have no label here and take no part: {listed(unlabelled)}"
        )
    if repeated:
        notes.append(f"{repeated} entries under validation in dataset.json are listed before, too; each is read once")
    return notes


def _image_files(image: Path, channels: int) -> list[Path]:
    """The listed file, or its channel files `_0000` ... as nnU-Net v1 kept them beside the same list; else none."""
    if image.is_file():
        return [image]
    parts = [image.with_name(f"{stem_of(image)}_{channel:04d}{image.name[len(stem_of(image)) :]}") for channel in range(channels)]
    return parts if all(part.is_file() for part in parts) else []


def _notes(root: Path, declared: dict[str, object], channels: int, cases: list[Case], faults: list[Fault]) -> list[str]:
    notes = []
    training = declared.get("training")
    listed_number = len(training) if isinstance(training, list) else 0
    expected = declared.get("numTraining")
    if isinstance(expected, int) and expected != listed_number:
        notes.append(f"dataset.json says numTraining {expected} and lists {listed_number} cases")
    known = {image for case in cases for image in case.images} | {fault.case for fault in faults}
    known |= _of_validation(root, declared.get("validation"), channels)
    for folder in IMAGE_FOLDERS:
        names = {file.name: {relative(file, root), stem_of(file)} for file in files_in(root / folder)}
        unlisted = [name for name, called in names.items() if known.isdisjoint(called)]
        if unlisted:
            notes.append(
                f"{len(unlisted)} images of {folder} are not listed in dataset.json and take no part: {listed(unlisted)}"
            )
    return notes


def _of_validation(root: Path, validation: object, channels: int) -> set[str]:
    """Images of all entries under `validation`, of which something is said already."""
    entries = validation if isinstance(validation, list) else []
    images = [entry.get("image") if isinstance(entry, dict) else entry for entry in entries]
    return {relative(file, root) for image in images if isinstance(image, str) for file in _image_files(root / image, channels)}


LAYOUT = Layout("msd", 'dataset.json with "modality" and a "training" list of image and label pairs', recognise, read)
