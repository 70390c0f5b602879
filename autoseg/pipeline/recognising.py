"""Which format or layout a set is of; where it is of none, what would help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from autoseg.annotations import FORMATS, PLAIN, boxes, colour_masks
from autoseg.annotations.path_groups import files_looked_at
from autoseg.annotations.reading import json_files, json_in, sorted_out
from autoseg.annotations.suggesting import example, suggested
from autoseg.annotations.unread import told_images_or_labels_unread
from autoseg.errors import DataError, Fault
from autoseg.layouts import LAYOUTS
from autoseg.stages.index import index_dataset

FOLDERS = "folders"  # what is made of the others
MOST_TRIED = 30  # folders within the set
SHOWN = 3


def recognised(root: Path) -> str:
    """The one format that recognises the set, else the one layout, else plain folders of pictures.

    Raises:
        DataError: nothing does, or several do; with what to export instead where there are boxes alone.
    """
    every = {name: why for name, one in FORMATS.items() if (why := one.recognise(root)) is not None}
    found = {name: why for name, why in every.items() if name not in PLAIN}
    if not found:
        layouts = {name: layout.recognise(root) for name, layout in LAYOUTS.items()}
        found = {name: recognition.why for name, recognition in layouts.items() if recognition is not None and name != FOLDERS}
    if not found and _declares_values(root):
        return FOLDERS
    found = found or every
    if len(found) > 1 and set(found) == PLAIN and not colour_masks.names_colours(root):
        del found[colour_masks.FORMAT.name]  # masks that say by their names what they are of need no colours
    if len(found) == 1:
        return next(iter(found))
    if found:
        listed = "\n".join(f"  {name}: {why}" for name, why in found.items())
        raise DataError(f"{root} can be read in {len(found)} ways:\n{listed}\nchoose one with --from {' or '.join(found)}")
    raise _refusal(root)


def _declares_values(root: Path) -> bool:
    """Whether a `dataset.json` names the values of the labels, as that of `export-masks --to labels` does; nothing else reads it so."""
    declared = json_in(root / "dataset.json")
    return (
        isinstance(declared, dict) and isinstance(declared.get("labels"), dict) and LAYOUTS[FOLDERS].recognise(root) is not None
    )


def _refusal(root: Path) -> DataError:
    """Why nothing recognises a set, from the surest cure to what can always be done."""
    if (told := boxes.recognise(root)) is not None:
        return DataError(f"{root}: {told}")
    if damaged := sorted_out(json_files(root, "annotations"), lambda _: False)[1]:
        return DataError([*damaged, Fault(root.name, "holds nothing else that is recognised")])
    if _is_read_by_plan(root):
        return DataError(f"{root} is read by `autoseg plan` as it lies; `--from {FOLDERS}` copies it")
    lines = [f"{root} is not recognised (known: {', '.join((*FORMATS, *LAYOUTS))}; --from NAME tells what it looks for)"]
    within = _folders_within(root)
    patterns = suggested(root)
    if patterns is not None:
        return DataError("\n".join([*lines, *within, f"or name the files by patterns: {patterns}"]))
    if within:
        return DataError("\n".join([*lines, *within]))
    if (unread := told_images_or_labels_unread(root)) is not None:
        lines.append(f"it holds {unread}")
    return DataError("\n".join([*lines, f"or name the files by patterns of your own, such as {example(root)}"]))


def _is_read_by_plan(root: Path) -> bool:
    """Whether the layout that imports have recognises a set and finds nothing wrong with it."""
    if LAYOUTS[FOLDERS].recognise(root) is None:
        return False
    try:
        dataset, faults = index_dataset(root, layout=FOLDERS)
    except DataError:
        return False
    return dataset is not None and not faults


def _folders_within(root: Path) -> list[str]:
    """A line for each of the first folders below that something recognises."""
    if not root.is_dir():
        return []
    found: dict[Path, str] = {}
    for folder in islice(_below(root), MOST_TRIED):
        if not any(above in found for above in folder.parents) and (name := _only_one(folder, root)) is not None:
            found[folder] = name
    shown = [
        f"{root.name}/{folder.relative_to(root).as_posix()} is read as {name}: give that folder"
        for folder, name in list(found.items())[:SHOWN]
    ]
    return shown + ([f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])


def _below(root: Path) -> Iterator[Path]:
    """Folders in a folder, then those in them."""
    children = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    yield from children
    for child in children:
        yield from sorted(one for one in child.iterdir() if one.is_dir() and not one.name.startswith("."))


def _only_one(folder: Path, root: Path) -> str | None:
    """What recognises a folder, if one thing does; plain pictures count where all of the set's lie in it."""
    start = f"{folder.relative_to(root).as_posix()}/"
    try:
        formats = [name for name, one in FORMATS.items() if one.recognise(folder) is not None]
        layouts = [name for name, one in LAYOUTS.items() if name != FOLDERS and one.recognise(folder) is not None]
        if set(formats) <= PLAIN and not layouts:
            return recognised(folder) if formats and all(path.startswith(start) for path in files_looked_at(root)) else None
    except (DataError, OSError):
        return None
    sure = [name for name in formats if name not in PLAIN] or layouts
    return sure[0] if len(sure) == 1 else None
