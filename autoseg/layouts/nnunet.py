"""nnU-Net v2's raw format: `dataset.json`, `imagesTr/CASE_0000.ext` with one file per channel, `labelsTr/CASE.ext`.

Regions, the ignore label and the `dataset` key with explicit paths are read as nnU-Net reads them; label values need not
be consecutive here.
"""

from __future__ import annotations

from pathlib import Path

from autoseg.annotations.reading import find_child
from autoseg.errors import DataError, Fault
from autoseg.layouts.base import (
    CHANNEL_SUFFIX,
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
from autoseg.layouts.label_scheme import LabelScheme, declared_labels
from autoseg.layouts.subjects import EACH_ITS_OWN
from autoseg.records import Case, Dataset
from autoseg.volume.files import READABLE_SUFFIXES, split_suffix


def recognise(path: Path) -> Recognition | None:
    """A `dataset.json` with channel_names or file_ending, beside `imagesTr` or with explicit paths."""
    if not (path / "dataset.json").is_file():
        return None
    declared = load_json(path / "dataset.json")
    keys = [key for key in ("channel_names", "file_ending") if key in declared]
    evidence = (("imagesTr", find_child(path, "imagesTr")), ("explicit paths", declared.get("dataset")))
    places = [name for name, there in evidence if there]
    if not keys or not places:
        return None
    return Recognition(f"found dataset.json with {' and '.join(keys)}, and {places[-1]}")


def read(path: Path, options: ReadOptions) -> LayoutResult:
    """The data set and all its faults.

    Raises:
        DataError: `dataset.json` itself cannot be used, or there are no images at all.
    """
    declared = load_json(path / "dataset.json")
    faults: list[Fault] = []
    channels, scheme, ending = _declaration(declared)
    explicit = declared.get("dataset")
    notes = list(scheme.notes)
    if explicit:
        cases = _explicit_cases(path, explicit, len(channels), faults)
    else:
        cases = _found_cases(path, ending, channels, faults, notes)
    checked, more = check_images(path, cases)
    faults += more
    notes += checked.notes
    expected = declared.get("numTraining")
    if isinstance(expected, int) and expected != len(cases):
        notes.append(f"dataset.json says numTraining {expected}, found {len(cases)} cases")
    if not options.subjects_given:
        notes.append(EACH_ITS_OWN)
    if checked.rank is None:
        return LayoutResult(None, tuple(faults))
    dataset = Dataset(
        name=str(declared.get("name") or path.name),
        layout="nnunet",
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


def _declaration(declared: dict[str, object]) -> tuple[tuple[str, ...], LabelScheme, str | None]:
    """Channels, labels and file ending; their faults are raised together."""
    faults: list[Fault] = []
    channels: tuple[str, ...] = ()
    scheme: LabelScheme | None = None
    try:
        channels = channel_names(declared.get("channel_names", declared.get("modality")), "dataset.json")
    except DataError as error:
        faults += error.faults
    try:
        scheme = declared_labels(declared.get("labels"), regions_class_order=declared.get("regions_class_order"))
    except DataError as error:
        faults += error.faults
    ending = declared.get("file_ending")
    if ending is not None and str(ending).casefold() not in READABLE_SUFFIXES:
        faults.append(Fault("dataset.json", f"file_ending {ending!r} is not a format read here: {', '.join(READABLE_SUFFIXES)}"))
    if faults or scheme is None:
        raise DataError(faults)
    return channels, scheme, None if ending is None else str(ending)


def _explicit_cases(root: Path, explicit: object, channels: int, faults: list[Fault]) -> list[Case]:
    """Cases of the `dataset` key: `{case: {"images": [...], "label": ...}}`, paths relative to `dataset.json` or absolute."""
    if not isinstance(explicit, dict):
        expected = 'expected "dataset" as {"case": {"images": [...], "label": ...}}'
        raise DataError([Fault("dataset.json", f"{expected}, found {explicit!r}")])
    cases: list[Case] = []
    for id, entry in explicit.items():
        images = entry.get("images") if isinstance(entry, dict) else None
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(images, list) or not isinstance(label, str) or not all(isinstance(image, str) for image in images):
            faults.append(Fault(id, 'its entry in dataset.json needs "images": [...] and "label": "..."'))
            continue
        absent = [file for file in (*images, label) if not (root / file).is_file()]
        here = [Fault(id, f"{file} in dataset.json does not exist; mend the path") for file in absent]
        if len(images) not in (1, channels):
            here.append(Fault(id, f"has {len(images)} images in dataset.json for {channels} channels"))
        faults += here
        if not here:
            files = tuple(relative((root / image).resolve(), root) for image in images)
            cases.append(Case(id=id, subject=id, images=files, label=relative((root / label).resolve(), root)))
    return cases


def _found_cases(root: Path, ending: str | None, channels: tuple[str, ...], faults: list[Fault], notes: list[str]) -> list[Case]:
    images_folder, labels_folder = find_child(root, "imagesTr"), find_child(root, "labelsTr")
    if images_folder is None:
        raise DataError([Fault(root.name, "has no folder imagesTr (nnU-Net keeps the training images there)")])
    everything = files_in(images_folder)
    images = [file for file in everything if ending is None or split_suffix(file)[1] == ending.casefold()]
    if not images:
        others = listed(sorted({split_suffix(file)[1] for file in everything}))
        found = f", though {len(everything)} of other formats ({others})" if everything else ""
        raise DataError([Fault("imagesTr", f"holds no {ending or 'readable'} images{found}; mend file_ending or the folder")])
    if len(everything) > len(images):
        notes.append(f"{len(everything) - len(images)} files of imagesTr do not end in {ending} and are ignored")
    labels: dict[str, Path] = {}
    for file in files_in(labels_folder, ending) if labels_folder else []:
        if stem_of(file) in labels:
            faults.append(Fault(stem_of(file), f"has two labels, {labels[stem_of(file)].name} and {file.name}; keep one"))
        labels[stem_of(file)] = file
    cases = []
    by_id = _by_channel(images, faults)
    for id, files in sorted(by_id.items()):
        problem = _channel_problem(files, channels)
        if problem:
            faults.append(Fault(id, problem))
        if id not in labels:
            faults.append(Fault(id, f"has no label; expected labelsTr/{id}{ending or split_suffix(files[min(files)])[1]}"))
        if not problem and id in labels:
            chosen = tuple(relative(files[channel], root) for channel in sorted(files))
            cases.append(Case(id=id, subject=id, images=chosen, label=relative(labels[id], root)))
    faults.extend(
        Fault(id, f"has a label (labelsTr/{file.name}) but no image; add imagesTr/{id}_0000{ending or ''} or take the label away")
        for id, file in labels.items()
        if id not in by_id
    )
    return cases


def _by_channel(images: list[Path], faults: list[Fault]) -> dict[str, dict[int, Path]]:
    by_id: dict[str, dict[int, Path]] = {}
    for file in images:
        match = CHANNEL_SUFFIX.match(stem_of(file))
        if match is None:
            faults.append(Fault(file.name, "does not end in a channel number; name it CASE_0000 for the first channel"))
            continue
        files = by_id.setdefault(match["id"], {})
        channel = int(match["channel"])
        if channel in files:
            faults.append(Fault(match["id"], f"has channel {channel} twice, {files[channel].name} and {file.name}; keep one"))
        files[channel] = file
    return by_id


def _channel_problem(files: dict[int, Path], channels: tuple[str, ...]) -> str | None:
    """What is wrong with a case's channel files; one file `_0000` may hold all channels (RGB)."""
    missing = [channel for channel in range(len(channels)) if channel not in files]
    extra = [channel for channel in files if channel >= len(channels)]
    if extra:
        return f"has a file for channel {listed(extra)}, but dataset.json names {len(channels)}; declare it or take it away"
    holds_all = list(files) == [0] and len(channels) in (3, 4) and split_suffix(files[0])[1] in RGB_SUFFIXES
    if missing and not holds_all:
        names = ", ".join(f"{channels[channel]} (_{channel:04d})" for channel in missing)
        return f"lacks channel {names}; add the file"
    return None


RGB_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")  # formats whose one file may hold red, green and blue

LAYOUT = Layout(
    "nnunet", "dataset.json with channel_names and file_ending, imagesTr/CASE_0000.ext and labelsTr/CASE.ext", recognise, read
)
