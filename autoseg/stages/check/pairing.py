"""Images without label, labels without image, names that differ by case only, and what could not be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from autoseg.errors import Fault
from autoseg.layouts.base import listed, relative, stem_of
from autoseg.layouts.mm_table import STRANGERS
from autoseg.records import CheckFinding, CheckKind, Dataset
from autoseg.stages.check.facts import counted, finding
from autoseg.volume.files import READABLE_SUFFIXES, split_suffix

# The words by which a fault is told, and its kind; the first that fits.
KINDS: tuple[tuple[tuple[str, ...], CheckKind], ...] = (
    (("NaN or infinite",), "not finite"),
    (("JPEG",), "JPEG labels"),
    (
        (
            "has no label",
            "no image",
            "has no mask",
            "lacks its image",
            "lacks channel",
            "several labels",
            "several images",
            "listed twice",
        ),
        "pairing",
    ),
    (
        ("has no row in", "tables with a pixel size", "different pixel sizes", " of two pixel sizes", "a positive number of mm"),
        "pixel-size table",
    ),
    (("D while ", "partly 2D and partly 3D", "on the other's grid"), "grid"),
    (("cannot be read", "is empty (0 bytes)", "no such file"), "unreadable"),
)


def of_faults(faults: Iterable[Fault], of_the_set: str | None = None) -> list[CheckFinding]:
    """Everything that indexing and reading found wrong, as errors; what a name in upper or lower case explains is told once.

    Faults filed under `of_the_set`, the name of its folder, concern no case.
    """
    faults = tuple(dict.fromkeys(faults))
    names = names_by_case(faults)
    explained = {name for one in names for name in one.cases}
    rest = [fault for fault in faults if fault.case not in explained or kind_of(fault.message) != "pairing"]
    told = [
        finding(kind_of(fault.message), "error", fault.message, [] if fault.case == of_the_set else [fault.case])
        for fault in rest
    ]
    return [*names, *told]


def kind_of(message: str) -> CheckKind:
    """What a fault's sentence is about."""
    return next((kind for words, kind in KINDS if any(word in message for word in words)), "case fault")


def names_by_case(faults: Iterable[Fault]) -> list[CheckFinding]:
    """Cases at fault whose names are equal but for upper and lower case: an image and a label that belong together."""
    groups: dict[str, dict[str, None]] = {}
    for fault in faults:
        if kind_of(fault.message) == "pairing":
            groups.setdefault(fault.case.casefold(), {})[fault.case] = None
    return [
        finding(
            "names", "error", f"the names {' and '.join(names)} differ by upper and lower case only; rename one of them", names
        )
        for names in groups.values()
        if len(names) > 1
    ]


def of_notes(notes: Sequence[str]) -> list[CheckFinding]:
    """Rows of a pixel-size table without an image, which reading the set tells in a note."""
    return [
        finding("pixel-size table", "note", f"{note}; a name misspelt, or images that are missing?")
        for note in notes
        if STRANGERS in note
    ]


def unused_files(dataset: Dataset, faults: Sequence[Fault]) -> list[CheckFinding]:
    """Readable files that lie among the images or labels of the set and belong to no case, folder by folder."""
    found = []
    for folder, strays in unused_by_folder(dataset, faults).items():
        one = len(strays) == 1
        told = f"{counted(len(strays), 'file')} of {folder} {'belongs' if one else 'belong'} to no case and {'takes' if one else 'take'} no part"
        told += f": {listed(Path(file).name for file in strays)}; add what is missing (the image of a label), or take them away"
        found.append(finding("unused files", "warning", told, map(stem_of, strays)))
    return found


def unused_by_folder(dataset: Dataset, faults: Sequence[Fault]) -> dict[str, list[str]]:
    """The files that `unused_files` tells, relative to the root, by the folder in which they lie."""
    root = Path(dataset.root)
    used = {file for case in dataset.cases for file in (*case.images, case.label) if file is not None}
    at_fault = {fault.case.casefold() for fault in faults}
    found = {}
    for folder in dict.fromkeys((root / file).parent for file in sorted(used)):
        here = [relative(file, root) for file in sorted(folder.iterdir()) if _is_readable(file)]
        if strays := strays_of(here, used, at_fault):
            found[relative(folder, root)] = strays
    return found


def strays_of(files: Sequence[str], used: Collection[str], at_fault: Collection[str]) -> list[str]:
    """Files that no case uses and no fault speaks of (by the name of the file, or of the case whose name it begins with)."""
    return [
        file
        for file in files
        if file not in used
        and (stem := stem_of(file).casefold()) not in at_fault
        and not any(stem.startswith((f"{name}_", f"{name}-", f"{name}.")) for name in at_fault)
    ]


def _is_readable(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and split_suffix(path)[1] in READABLE_SUFFIXES
