"""The fetal-head set of Zenodo 8265464 as downloaded: four groups of ultrasound frames with Brain, CSP and LV.

Names differ between the groups, so everything is found by pattern, ignoring case, in nested folders and zips. Read are the
images at 959x661, the segmentation-mask export (`labelmap.txt`, `SegmentationClass/`), or where a group has none another of its exports
(`fetal_head_exports`), and the pixel sizes (`fetal_head_sizes`). The images at their original size are left alone. CSP and LV are painted
over Brain, so the head is the union.
Archives that are still packed are unpacked into `<DATASET>.unpacked` beside the data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autoseg.annotations.reading import find_child
from autoseg.errors import DataError, Fault
from autoseg.layouts.archives import JUNK, extract_more, files_below, find_archives, members_of, unpack_archives, unpack_one
from autoseg.layouts.base import (
    Layout,
    LayoutResult,
    ReadOptions,
    Recognition,
    check_images,
    listed,
    relative,
    stem_of,
)
from autoseg.layouts.fetal_head_exports import boxes_only, draw_labels, exports_of
from autoseg.layouts.fetal_head_sizes import TRAINING_SET, is_of_hc18, with_pixel_sizes
from autoseg.layouts.label_scheme import parse_colour
from autoseg.layouts.subjects import hc18_subject
from autoseg.records import Case, ColourEncoding, Dataset, LabelEncoding, Structure, ValueEncoding

NAMES = ("Brain", "CSP", "LV")
TARGETS = tuple(Structure(name=name, values=(value,), output_value=value) for value, name in enumerate(NAMES, start=1))
DRAWN_ENCODING = ValueEncoding(values={value: value for value in range(len(NAMES) + 1)})
HEAD = Structure(name="head", values=(1, 2, 3), output_value=4)

GROUPS = {"thalamic": "Trans-thalamic", "ventric": "Trans-ventricular", "cerebel": "Trans-cerebellum", "diverse": "Diverse"}
PLANE_NAME = re.compile(r"^(?P<subject>.+?)_Plane\d", re.IGNORECASE)
PIXEL_SIZES = re.compile(r"pixel[-_ ]*size.*\.csv$", re.IGNORECASE)
MASKS = "segmentationclass"
BARE_SHARE = 0.05  # of a group's images; more are a sign that masks are missing
# Exports and sizes that are not read, as the archive spells them ("CitySpaces", "orginal").
FOREIGN = re.compile(
    r"pascal|\bvoc\b|city[-_ ]?s[cp]a[pc]es|yolo|coco|cvat|datumaro|icdar|label-?me|open-?images|tf-?record"
    r"|ori?ginal[-_ ]+(size|images?\b)",
    re.IGNORECASE,
)


@dataclass
class Group:
    """What was found of one group, by image stem."""

    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)  # stems named in the mask export's own list
    labelmaps: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    drawn: bool = False  # masks are label maps that were drawn from another export


def recognise(path: Path) -> Recognition | None:
    """A group's images beside a mask export or pixel sizes, or archives with the names of the groups."""
    archives = [path] if path.is_file() else find_archives(path, _wanted)
    packed = [archive.name for archive in archives if any(_group_of(name) for name in (archive.name, *members_of(archive)))]
    files = [file.relative_to(path) for file in files_below(path)]
    files = [file for file in files if _wanted(file.as_posix())]
    planes = next((file.name for file in files if file.suffix.casefold() == ".png" and _is_image_name(file.stem)), None)
    maps = (file for file in files if file.name.casefold() == "labelmap.txt" and find_child(path / file.parent, MASKS))
    masks = next((file.as_posix() for file in maps), None)
    grouped = next((file.as_posix() for file in files if _group_of(file.as_posix())), None)
    exports = next(
        (file.as_posix() for file in files_below(path) if planes and FOREIGN.search(file.relative_to(path).as_posix())), None
    )
    evidence = [name for name in (planes, masks) if name]
    if (planes and masks) or (masks and grouped):
        return Recognition(f"found {' and '.join(evidence)}")
    if planes and exports and grouped:
        return Recognition(f"found {planes} and {Path(exports).relative_to(path).parts[0]}")
    if packed:
        return Recognition(f"found the archives {listed(packed)}")
    return None


def read(path: Path, options: ReadOptions) -> LayoutResult:
    """The data set and all its faults; unpacks what is packed.

    Raises:
        DataError: an archive is damaged, a labelmap or a table cannot be used, or there are no images.
    """
    places, archives = unpack_archives(path, wanted=_wanted)
    root = path if path.is_dir() else places[0]
    faults: list[Fault] = []
    notes: list[str] = []
    if archives:
        notes.append(f"{len(archives)} archives are unpacked in {places[-1]} (the download is left as it is)")
    groups, skipped = _discover(places, faults)
    if not any(group.images for group in groups.values()):
        raise DataError([Fault(path.name, "holds no image PatientNNNNN_PlaneN_I_of_N.png or NNN_HC.png of the four groups")])
    if skipped:
        notes.append(f"left alone (other export formats, original sizes): {listed(skipped)}")
    hc18 = [table for group in groups.values() for table in group.tables if is_of_hc18(table)]
    encodings: dict[str, LabelEncoding] = {}
    cases: list[Case] = []
    repeated = {stem for stem, times in Counter(stem for group in groups.values() for stem in group.images).items() if times > 1}
    for name, group in sorted(groups.items()):
        if group.masks and not group.images:
            faults.append(Fault(name, f"has {len(group.masks)} masks but no images; unpack the group's images too"))
        if group.images:
            if not group.masks and not group.labelmaps:
                alone = sum(bool(one.images) for one in groups.values()) == 1
                if not _draw_from_export(name, group, path, places, archives, alone, faults, notes):
                    continue  # one fault says why none of its images has a mask
            encodings[name] = DRAWN_ENCODING if group.drawn else _encoding(name, group, faults, notes)
            cases += _group_cases(name, group, root, repeated, hc18, options, faults, notes)
    checked, more = check_images(root, cases)
    faults += more
    if not options.subjects_given:
        number = len({case.subject for case in checked.cases})
        rule = "subjects by the name before '_Plane' (Diverse: HC18's number), over all groups"
        notes.append(f"{rule}: {number} in {len(checked.cases)} images")
    if checked.rank is None:
        return LayoutResult(None, tuple(faults))
    dataset = Dataset(
        name="fetal-head",
        layout="fetal-head",
        root=str(root),
        rank=checked.rank,
        channels=("ultrasound",),
        targets=TARGETS,
        derived=(HEAD,),
        encodings=encodings,
        cases=checked.cases,
        notes=tuple(notes),
    )
    return LayoutResult(dataset, tuple(faults))


def _wanted(path: str) -> bool:
    """Whether a path inside the data set is of use."""
    return not FOREIGN.search(path) and JUNK not in path and not any(part.startswith(".") for part in path.split("/"))


def _is_image_name(stem: str) -> bool:
    return bool(PLANE_NAME.match(stem) or hc18_subject(stem))


def _group_of(path: str) -> str | None:
    """The group that a path names, its deepest part first."""
    for part in reversed(path.split("/")):
        for sign, name in GROUPS.items():
            if sign in part.casefold():
                return name
    return None


def _group_in(file: Path, place: Path, stem: str) -> str:
    """A file's group: Diverse by HC18 names, else by its path inside the data set, else the folder it lies in."""
    if hc18_subject(stem):
        return GROUPS["diverse"]
    path = file.relative_to(place).as_posix()
    return _group_of(path) or _group_of(place.name) or (file.relative_to(place).parts[0] if "/" in path else place.name)


def _discover(places: Iterable[Path], faults: list[Fault]) -> tuple[dict[str, Group], list[str]]:
    """Groups by name, and the names of what was left alone."""
    groups: dict[str, Group] = {}
    skipped: dict[str, None] = {}
    for place in places:
        for file in files_below(place):
            path = file.relative_to(place)
            if not _wanted(path.as_posix()):
                foreign = next((part for part in path.parts if FOREIGN.search(part)), None)
                skipped.update({foreign: None} if foreign else {})
                continue
            _sort_in(file, place, groups, faults)
    return groups, list(skipped)


def _sort_in(file: Path, place: Path, groups: dict[str, Group], faults: list[Fault]) -> None:
    """Put one file where it belongs in its group; anything unknown is passed over."""
    stem, folders = stem_of(file), [part.casefold() for part in file.relative_to(place).parts[:-1]]
    if PIXEL_SIZES.search(file.name):
        groups.setdefault(_group_in(file, place, ""), Group()).tables.append(file)
    elif file.name.casefold() == "labelmap.txt":
        mask = next((mask for mask in sorted(file.parent.glob("*/*.png")) if mask.parent.name.casefold() == MASKS), None)
        groups.setdefault(_group_in(file, place, stem_of(mask) if mask else ""), Group()).labelmaps.append(file)
    elif file.name.casefold() == "default.txt" and "segmentation" in folders:
        for stem in file.read_text(encoding="utf-8-sig", errors="replace").split():
            groups.setdefault(_group_in(file, place, stem), Group()).exported.add(stem)
    elif (
        file.suffix.casefold() == ".png" and _is_image_name(stem) and TRAINING_SET not in folders
    ):  # HC18's own tell their size alone
        group = groups.setdefault(_group_in(file, place, stem), Group())
        if folders and folders[-1] == MASKS:
            group.masks.setdefault(stem, file)
        elif "segmentationobject" not in folders:
            first = group.images.setdefault(stem, file)
            if first != file:
                faults.append(Fault(stem, f"lies twice in its group, in {first.parent} and {file.parent}; keep one"))


def _draw_from_export(
    name: str,
    group: Group,
    root: Path,
    places: Sequence[Path],
    archives: Sequence[Path],
    alone: bool,
    faults: list[Fault],
    notes: list[str],
) -> bool:
    """Masks of a group from the best other export that is here, if one can be read; a group that is alone owns whatever lies here."""

    def group_of(path: str) -> str | None:
        return _group_of(path) or (name if alone else None)

    for archive in archives:  # the groups' own archives, which hold the exports
        inside = partial(_is_export_of, archive.name, name, group_of)
        extract_more(archive, unpack_one(archive, root), inside)
    exports, boxes = exports_of(name, places, group_of)
    damaged: list[Fault] = []
    for export in exports:
        drawn, wrong, told = draw_labels(name, export, root, group.images, NAMES)
        if drawn:
            group.masks, group.drawn = drawn, True
            named = {fault.case for fault in wrong}
            group.exported = set(drawn) | named
            group.images = {stem: file for stem, file in group.images.items() if stem not in named}
            faults += wrong
            notes += [*told, *(f"{name}: passed over: {fault}" for fault in damaged)]
            return True
        damaged += wrong
    if damaged:
        faults += damaged
    elif boxes:
        faults.append(boxes_only(name, boxes))
    else:
        faults.append(Fault(name, "has no labelmap.txt; unpack the group's segmentation-mask archive beside its images"))
    return False


def _is_export_of(archive: str, group: str, group_of: Callable[[str], str | None], member: str) -> bool:
    return bool(FOREIGN.search(member)) and group_of(f"{archive}/{member}") == group


def _encoding(name: str, group: Group, faults: list[Fault], notes: list[str]) -> ColourEncoding:
    """The colours of a group's label map; without one a fault and no colours."""
    encodings = [_read_labelmap(path, name, faults, notes) for path in group.labelmaps]
    if not encodings:
        faults.append(Fault(name, "has no labelmap.txt; unpack the group's segmentation-mask archive beside its images"))
        return ColourEncoding(colours={"0,0,0": 0})
    if any(encoding != encodings[0] for encoding in encodings):
        faults.append(Fault(name, f"has label maps that differ: {listed(group.labelmaps)}; keep the masks' own"))
    colours = ", ".join(f"{NAMES[value - 1]} {colour}" for colour, value in encodings[0].colours.items() if value)
    notes.append(f"{name}: {len(group.images)} images, colours {colours}")
    return encodings[0]


def _read_labelmap(path: Path, group: str, faults: list[Fault], notes: list[str]) -> ColourEncoding:
    """Lines `name:r,g,b:parts:actions`, `#` begins a comment."""
    values = {name.casefold(): value for value, name in enumerate(NAMES, start=1)} | {"background": 0}
    colours: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        cells = line.split(":")
        if len(cells) < 2 or line.lstrip().startswith("#"):
            continue
        name, colour = cells[0].strip(), parse_colour(cells[1], f"{group} labelmap.txt", faults)
        if name.casefold() not in values:
            notes.append(f"{group}: labelmap.txt names {name} ({colour}), which is not read; masks that use it are faults")
        elif colours.setdefault(colour, values[name.casefold()]) != values[name.casefold()]:
            faults.append(Fault(f"{group} labelmap.txt", f"gives the colour {colour} to two structures; mend {path}"))
    colours.setdefault("0,0,0", 0)
    return ColourEncoding(colours={colour: value for colour, value in colours.items() if colour})


def _group_cases(
    name: str,
    group: Group,
    root: Path,
    repeated: set[str],
    hc18: Sequence[Path],
    options: ReadOptions,
    faults: list[Fault],
    notes: list[str],
) -> tuple[Case, ...]:
    """A group's cases with their masks and pixel sizes; an image that the export does not list takes no part."""
    without = [stem for stem in group.images if stem not in group.masks]
    unlisted = [stem for stem in without if group.exported and stem not in group.exported]
    if unlisted:
        notes.append(f"{name}: {len(unlisted)} images are not in the mask export and take no part: {listed(unlisted)}")
    lacking = [stem for stem in without if stem not in unlisted]
    if lacking and len(lacking) <= BARE_SHARE * len(
        group.images
    ):  # CVAT lists images on which nothing was drawn, and writes no mask
        notes.append(f"{name}: {len(lacking)} images are listed without a mask and take no part: {listed(lacking)}")
        unlisted += lacking
    else:
        faults.extend(
            Fault(stem, f"has no mask in {name}'s SegmentationClass; unpack the archive whole, or take the image away")
            for stem in lacking
        )
    orphans = [stem for stem in group.masks if stem not in group.images]
    if len(without) > len(unlisted):  # both sides lack something: a renamed file rather than a part of the set
        faults.extend(Fault(stem, f"has a mask in {name} but no image; add the image or take the mask away") for stem in orphans)
    elif orphans:
        notes.append(f"{name}: {len(orphans)} masks have no image here and are ignored: {listed(orphans)}")
    cases = tuple(
        Case(
            id=f"{name}_{stem}" if stem in repeated else stem,
            subject=_subject(stem),
            images=(relative(file, root),),
            label=relative(group.masks[stem], root) if stem in group.masks else None,
            group=name,
            encoding=name,
        )
        for stem, file in group.images.items()
        if stem in group.masks or stem in unlisted
    )
    if options.spacing_given:
        return cases
    own = [table for table in group.tables if not is_of_hc18(table)]
    return with_pixel_sizes(name, own, hc18 if name == GROUPS["diverse"] else (), root, cases, faults, notes)


def _subject(stem: str) -> str:
    match = PLANE_NAME.match(stem)
    number = hc18_subject(stem)
    return match["subject"] if match else f"HC18-{number}" if number else stem


LAYOUT = Layout(
    "fetal-head",
    "the groups of Zenodo 8265464: images PatientNNNNN_PlaneN_I_of_N.png, *Pixel-Size.csv, *Segmentation*.zip or labelmap.txt",
    recognise,
    read,
)
