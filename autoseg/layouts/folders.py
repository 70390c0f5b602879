"""Plain folders: `images/` and `labels/` matched by name, an optional mm table (CSV) and an optional `dataset.json`.

An image is a file, a DICOM file among them, or a sub-folder that holds a DICOM series; its label is a file of another format.

`dataset.json` may hold name, channels, labels `{name: value or [values]}`, colours `{name: "r,g,b"}`, subjects (a regular
expression, or a table beside it), derived `{name: [names]}`, ignore, regions_class_order and trust_file_spacing; what it does not declare is read
from the files and said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from autoseg.annotations.reading import find_child
from autoseg.errors import DataError, Fault
from autoseg.layouts.base import (
    CHANNEL_SUFFIX,
    CheckedImages,
    Layout,
    LayoutResult,
    ReadOptions,
    Recognition,
    aliases,
    channel_names,
    check_images,
    files_in,
    image_stem,
    images_in,
    listed,
    load_json,
    relative,
    stem_of,
    with_spacings,
)
from autoseg.layouts.label_scan import scan_labels, scheme_from
from autoseg.layouts.label_scheme import LabelScheme, colour_scheme, declared_labels, derived_structures
from autoseg.layouts.mm_table import read_spacings, tables_of_sizes
from autoseg.layouts.subjects import EACH_ITS_OWN, assign_subjects, subject_in, told_copies
from autoseg.records import Case, Dataset, ValueEncoding
from autoseg.volume.files import is_dicom, is_picture
from autoseg.volume.files import read as read_volume

IMAGES = ("images",)
LABELS = ("labels", "masks")
KEYS = ("name", "channels", "labels", "colours", "subjects", "derived", "ignore", "regions_class_order", "trust_file_spacing")
DOCUMENTARY = ("description", "licence", "license", "reference", "release", "version", "url", "authors")
LABEL_TAIL = re.compile(r"[-_. ](masks?|labels?|lbl|seg|segm|segmentation|annotation|gt|groundtruth|manual)$", re.IGNORECASE)
IMAGE_TAIL = re.compile(r"[-_. ](image|img)$", re.IGNORECASE)
COLOUR_SAMPLE = 10  # images whose content is looked at to tell colour from grey stored as RGB


def recognise(path: Path) -> Recognition | None:
    """Folders `images` and `labels` (or `masks`) side by side."""
    images, labels = find_child(path, *IMAGES), find_child(path, *LABELS)
    if images is None or labels is None:
        return None
    extra = " and dataset.json" if (path / "dataset.json").is_file() else ""
    return Recognition(f"found the folders {images.name}/ and {labels.name}/{extra}")


def read(path: Path, options: ReadOptions) -> LayoutResult:
    """The data set and all its faults.

    Raises:
        DataError: no images, a `dataset.json` or a table that cannot be used, or labels whose meaning cannot be told.
    """
    images_folder, labels_folder = find_child(path, *IMAGES), find_child(path, *LABELS)
    if images_folder is None or labels_folder is None:
        raise DataError([Fault(path.name, "needs the folders images/ and labels/ (or masks/) side by side")])
    declared = load_json(path / "dataset.json") if (path / "dataset.json").is_file() else {}
    _check_keys(declared)
    faults: list[Fault] = []
    notes: list[str] = []
    cases = _match(path, images_folder, labels_folder, faults, notes)
    checked, more = check_images(path, cases)
    faults += more
    if checked.rank is None:
        return LayoutResult(None, tuple(faults))
    scheme = _scheme(path, declared, checked.cases, faults, later=options.checking)
    notes += [*checked.notes, *scheme.notes]
    cases_now = checked.cases if options.spacing_given else _spacings(path, checked, faults, notes)
    if not options.subjects_given:
        cases_now = _subjects(path, cases_now, declared, faults, notes)
    dataset = Dataset(
        name=str(declared.get("name") or path.name),
        layout="folders",
        root=str(path),
        rank=checked.rank,
        channels=_channels(path, declared, checked, notes),
        targets=scheme.targets,
        derived=derived_structures(declared["derived"], scheme.targets) if "derived" in declared else (),
        regions=scheme.regions,
        ignore_value=scheme.ignore_value,
        encodings={"default": scheme.encoding},
        trust_file_spacing=declared.get("trust_file_spacing") is True,
        cases=cases_now,
        notes=tuple(notes),
    )
    return LayoutResult(dataset, tuple(faults))


def _check_keys(declared: dict[str, object]) -> None:
    faults = []
    for key in declared:
        if key not in KEYS + DOCUMENTARY:
            close = difflib.get_close_matches(key, KEYS, 1)
            hint = f", did you mean '{close[0]}'?" if close else f"; known: {', '.join(KEYS)}"
            faults.append(Fault("dataset.json", f"unknown key '{key}'{hint}"))
    if faults:
        raise DataError(faults)


def _match(root: Path, images_folder: Path, labels_folder: Path, faults: list[Fault], notes: list[str]) -> list[Case]:
    """Pairs of images and labels; unmatched and doubled ones become faults."""
    images = images_in(images_folder)
    if not images:
        raise DataError(
            [
                Fault(
                    images_folder.name,
                    "holds no readable image (sub-folders are not searched, except as DICOM series); put the images there",
                )
            ]
        )
    labels: dict[str, list[Path]] = {}
    for file in files_in(labels_folder):
        labels.setdefault(stem_of(file), []).append(file)
    if not labels:
        told = "holds no readable label (sub-folders are not searched); put the masks there, named as their images"
        raise DataError([Fault(labels_folder.name, told)])
    names = _label_names(labels)
    by_id = _by_channel(images, names)
    channels = max(len(files) for files in by_id.values())
    cases: list[Case] = []
    unused, unlabelled = dict(labels), False
    for id, files in sorted(by_id.items()):
        chosen = [file for stem in _labels_of(id, names) for file in unused.pop(stem, labels[stem])]
        here = [f"has several images: {listed(file.name for file in same)}; keep one" for same in files.values() if len(same) > 1]
        if missing := [channel for channel in range(channels) if channel not in files]:
            lacking = ", ".join(f"_{channel:04d}" for channel in missing)
            here.append(f"lacks channel {lacking}; other cases have {channels} channels")
        if not chosen:
            unlabelled = True
            here.append(f"has no label; expected {labels_folder.name}/{id} with any readable suffix, or {id}_mask")
        elif len(chosen) > 1:
            here.append(f"has several labels: {listed(file.name for file in chosen)}; keep one")
        faults.extend(Fault(id, problem) for problem in here)
        if not here:
            files_of_case = tuple(relative(files[channel][0], root) for channel in sorted(files))
            cases.append(Case(id=id, subject=id, images=files_of_case, label=relative(chosen[0], root)))
    _orphans(unused, unlabelled, labels_folder.name, faults, notes)
    return cases


def _orphans(unused: dict[str, list[Path]], unlabelled: bool, folder: str, faults: list[Fault], notes: list[str]) -> None:
    """Labels without an image: a mistake where images lack labels too (a name misspelt), otherwise a remark."""
    if not unused:
        return
    if unlabelled:
        faults.extend(
            Fault(
                stem,
                f"has a label ({folder}/{files[0].name}) but no image of that name; correct the name, add the image, or take it away",
            )
            for stem, files in unused.items()
        )
    else:
        told = "1 label has no image and is" if len(unused) == 1 else f"{len(unused)} labels have no image and are"
        notes.append(f"{told} ignored: {listed(unused)}")


def _by_channel(images: Sequence[Path], labels: Mapping[str, Sequence[str]]) -> dict[str, dict[int, list[Path]]]:
    """Images by case id and channel. `_0000` counts as a channel only where the labels are named without it."""
    parts = {file: CHANNEL_SUFFIX.match(image_stem(file)) for file in images}
    stripped = sum(bool(_labels_of(match["id"], labels)) for match in parts.values() if match)
    whole = sum(bool(_labels_of(image_stem(file), labels)) for file in images)
    channels = all(parts.values()) and stripped > whole
    by_id: dict[str, dict[int, list[Path]]] = {}
    for file, match in parts.items():
        id, channel = (match["id"], int(match["channel"])) if channels and match else (image_stem(file), 0)
        by_id.setdefault(id, {}).setdefault(channel, []).append(file)
    return by_id


def _label_names(stems: Iterable[str]) -> dict[str, list[str]]:
    """Label stems by each name an image may have: the stem, and the stem without a tail such as `_mask`."""
    names: dict[str, list[str]] = {}
    for stem in stems:
        for name in {stem, LABEL_TAIL.sub("", stem)}:
            names.setdefault(name, []).append(stem)
    return names


def _labels_of(id: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Label stems that belong to an image, by its name or its name without a tail such as `_image`."""
    return sorted({stem for name in (id, IMAGE_TAIL.sub("", id)) for stem in names.get(name, ())})


def _scheme(root: Path, declared: dict[str, object], cases: Sequence[Case], faults: list[Fault], *, later: bool) -> LabelScheme:
    labels, colours, ignore = declared.get("labels"), declared.get("colours"), declared.get("ignore")
    if colours is not None:
        if not isinstance(colours, dict):
            raise DataError([Fault("dataset.json", f'expected colours as {{"name": "r,g,b"}}, found {colours!r}')])
        output = {name: value for name, value in labels.items() if isinstance(value, int)} if isinstance(labels, dict) else {}
        return colour_scheme(colours, output_values=output, ignore=None if ignore is None else str(ignore))
    if labels is not None:
        if ignore is not None and not isinstance(ignore, int):
            raise DataError([Fault("dataset.json", f"ignore must be a label value, found {ignore!r}")])
        order = declared.get("regions_class_order")
        return declared_labels(labels, regions_class_order=order, ignore=ignore, lists_are_regions=order is not None)
    if later:
        return LabelScheme((), ValueEncoding(values={0: 0}))
    found = scan_labels((case.id, root / case.label) for case in cases if case.label)
    faults += found.faults
    if found.unreadable:
        raise DataError(faults)
    try:
        return scheme_from(found)
    except DataError as error:
        raise DataError([*faults, *error.faults]) from error


def _spacings(root: Path, checked: CheckedImages, faults: list[Fault], notes: list[str]) -> tuple[Case, ...]:
    """Spacings from the one CSV in the root that has a pixel size; other CSVs are left alone."""
    tables, unreadable = tables_of_sizes(root)
    faults += unreadable
    if checked.rank == 3:
        notes.extend(f"{file.name} is not used: 3D files carry their own spacing" for file in tables)
        return checked.cases
    if len(tables) > 1:
        names = listed(file.name for file in tables)
        faults.append(Fault(root.name, f"has several tables with a pixel size ({names}); choose one with --spacing"))
        return checked.cases
    if not tables:
        if any(is_picture(image) for case in checked.cases for image in case.images):
            notes.append("no CSV with pixel sizes found: the images' mm per pixel is unknown (give --spacing CSV|MM)")
        return checked.cases
    try:
        result = read_spacings(tables[0], aliases(checked.cases))
    except DataError as error:
        faults += error.faults
        return checked.cases
    faults += result.faults
    notes += result.notes
    return with_spacings(checked.cases, result.values)


def _subjects(
    root: Path, cases: tuple[Case, ...], declared: dict[str, object], faults: list[Fault], notes: list[str]
) -> tuple[Case, ...]:
    expression = declared.get("subjects")
    if not isinstance(expression, str):
        copies = told_copies(case.id for case in cases)
        notes += copies or [EACH_ITS_OWN]
        return tuple(case.model_copy(update={"subject": subject_in(case.id) or case.id}) for case in cases) if copies else cases
    table = root / expression
    cases, more, note = assign_subjects(cases, table if expression.endswith(".csv") and table.is_file() else expression)
    faults += more
    notes.append(note)
    return cases


def _channels(root: Path, declared: dict[str, object], checked: CheckedImages, notes: list[str]) -> tuple[str, ...]:
    """Declared channels, else one per channel file, else what the pictures show."""
    if "channels" in declared:
        return channel_names(declared["channels"], "dataset.json")
    number = max(len(case.images) for case in checked.cases)
    if number > 1:
        return tuple(f"channel_{index}" for index in range(number))
    if checked.rank == 3 or not any(is_picture(case.images[0]) or is_dicom(root / case.images[0]) for case in checked.cases):
        components = max(checked.components[case.id] for case in checked.cases)
        return ("image",) if components == 1 else tuple(f"channel_{index}" for index in range(components))
    colour = [case for case in checked.cases if checked.components[case.id] >= 3]
    step = max(1, len(colour) // COLOUR_SAMPLE)
    if any(_shows_colour(root / case.images[0]) for case in colour[::step][:COLOUR_SAMPLE]):
        if len(colour) < len(checked.cases):
            notes.append(f"{len(checked.cases) - len(colour)} of {len(checked.cases)} images are grey among coloured ones")
        return ("red", "green", "blue")
    if colour:
        notes.append(f"{len(colour)} images are stored as RGB but show no colour: read as one grey channel")
    return ("grey",)


def _shows_colour(path: Path) -> bool:
    """Whether red, green and blue differ anywhere; alpha does not count."""
    try:
        red, green, blue = read_volume(path).array[:3]
    except DataError:
        return False  # whoever reads the whole image reports it
    return not (np.array_equal(red, green) and np.array_equal(red, blue))


LAYOUT = Layout("folders", "images/ and labels/ (or masks/) with the same file names", recognise, read)
