"""Cityscapes as CVAT writes it: `gtFine/<subset>/**/<name>_gtFine_color.png`, and `label_colors.txt` that names the colours.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cityscapes/. `*_labelIds.png` is read where there are no colours, or where
the caller names values; `*_instanceIds.png` tells single objects apart and is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.colours import ColourTable, colour_first_entries, table_of, with_options
from autoseg.annotations.reading import find_child, once, pictures_under
from autoseg.errors import DataError, Fault

TABLE = "label_colors.txt"
MASKS = "gtFine"
COLOURS = re.compile(r"(_gtFine)?_color$")
VALUES = re.compile(r"(_gtFine)?_labelIds$")
IMAGE = re.compile(r"_leftImg8bit$")


def recognise(path: Path) -> str | None:
    """A folder `gtFine` with masks in colours or in values."""
    folder = find_child(path, MASKS)
    masks = _masks(folder) if folder else {}
    return f"found {MASKS}/ with {next(iter(masks.values())).name}" if masks else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All masks of all subsets. An image without one is a fault: CVAT writes none where nothing is drawn, but a mask can also have been lost.

    Raises:
        DataError: no masks, or colours that nobody names.
    """
    folder = find_child(path, MASKS)
    masks = _masks(folder, values_count=bool(options.values)) if folder else {}
    if not masks:
        raise DataError(
            f"{path} holds no {MASKS}/ with *_color.png or *_labelIds.png; give the folder of an export as 'Cityscapes 1.0'"
        )
    if not (path / TABLE).is_file() and not options.colours and not options.values:
        raise DataError(
            f"{path} holds no {TABLE}; add it with a line 'r g b name' for each label, "
            "or name them with --structure NAME=R,G,B, or with --structure NAME=VALUE of *_labelIds.png"
        )
    entries = table_of(colour_first_entries(path / TABLE), TABLE) if (path / TABLE).is_file() else ColourTable()
    table = with_options(entries, options)
    pictures = _images(path)
    kept, faults = once(
        AnnotatedImage(name, None, label_map=file, files=(pictures[subset, name],) if (subset, name) in pictures else ())
        for (subset, name), file in masks.items()
    )
    faults += [
        Fault(name, f"has no mask in {MASKS}/{subset}/; give it a black one if nothing is on it, or export again")
        for subset, name in pictures
        if (subset, name) not in masks
    ]
    return AnnotationSet("cityscapes", table.labels, kept, table.colours, table.values, tuple(faults))


def _masks(folder: Path, values_count: bool = False) -> dict[tuple[str, str], Path]:
    """By subset and name; where there are both, those in colours count, or those in values."""
    files = pictures_under(folder)
    in_values = {_placed(file, folder, VALUES): file for file in files if VALUES.search(file.stem)}
    in_colours = {_placed(file, folder, COLOURS): file for file in files if COLOURS.search(file.stem)}
    both = {**in_colours, **in_values} if values_count else {**in_values, **in_colours}
    return dict(sorted(both.items()))


def _images(path: Path) -> dict[tuple[str, str], Path]:
    """Images by subset and name, where the export holds them; their own names end in `_leftImg8bit`, and those of masks do not."""
    place = find_child(path, "imgsFine") or path
    folder = find_child(place, "leftImg8bit")
    files = [file for file in pictures_under(folder) if IMAGE.search(file.stem)] if folder else []
    return {_placed(file, folder, IMAGE): file for file in files} if folder else {}


def _placed(file: Path, folder: Path, ending: re.Pattern[str]) -> tuple[str, str]:
    """The subset (the first folder), and the name in it without the ending."""
    *folders, _ = file.relative_to(folder).parts
    return (folders or [""])[0], "/".join([*folders[1:], ending.sub("", file.stem)])


FORMAT = Format("cityscapes", "gtFine/ with masks in colours, and label_colors.txt", recognise, read)
