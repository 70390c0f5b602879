"""CamVid: pairs of an image and a picture in colours, listed in `<subset>.txt`, and `label_colors.txt` that names the colours.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-camvid/.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Format, ReadOptions
from autoseg.annotations.colours import ColourTable, colour_first_entries, table_of, with_options
from autoseg.annotations.reading import lines_of, once, pictures_under, within
from autoseg.errors import DataError, Fault

TABLE = "label_colors.txt"
MASKS_END = "annot"
QUOTED = re.compile(r'"([^"]+)"|([^\s"]+)')
BETWEEN_PATHS = re.compile(r"\s+(?=/)")  # a path may hold spaces, and begins with a slash


def recognise(path: Path) -> str | None:
    """`label_colors.txt` beside a folder whose name ends in `annot`."""
    folders = _mask_folders(path)
    return f"found {TABLE} and {folders[0].name}/" if folders and (path / TABLE).is_file() else None


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All pairs of all lists, or all masks where there is no list. A line with an image alone says that nothing is on it.

    Raises:
        DataError: no masks, or colours that nobody names.
    """
    folders = _mask_folders(path)
    if not folders:
        raise DataError(f"{path} holds no folder whose name ends in {MASKS_END}; give the folder of an export as 'CamVid 1.0'")
    if not (path / TABLE).is_file() and not options.colours and not options.values:
        raise DataError(
            f"{path} holds no {TABLE}; add it with a line 'r g b name' for each label, or name them with --structure NAME=R,G,B"
        )
    entries = table_of(colour_first_entries(path / TABLE), TABLE) if (path / TABLE).is_file() else ColourTable()
    table = with_options(entries, options)
    faults: list[Fault] = []
    images: list[AnnotatedImage] = []
    lists = [file for file in sorted(path.glob("*.txt")) if file.name != TABLE and not file.name.startswith(".")]
    for file in lists:
        for line in lines_of(file):
            image, mask = _pair(line)
            name = _name(image, file.stem)
            found = _mask(path, mask) if mask else None
            if mask and found is None:
                faults.append(Fault(name, f"its mask {mask}, listed in {file.name}, is missing; export again"))
            else:
                images.append(AnnotatedImage(name, None, label_map=found))
    if not lists:
        masks = ((mask, folder) for folder in folders for mask in pictures_under(folder))
        images = [AnnotatedImage(mask.relative_to(folder).as_posix(), None, label_map=mask) for mask, folder in masks]
    kept, twice = once(images)
    return AnnotationSet("camvid", table.labels, kept, table.colours, table.values, (*faults, *twice))


def _mask_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [
        one for one in sorted(path.iterdir()) if one.is_dir() and one.name.endswith(MASKS_END) and not one.name.startswith(".")
    ]


def _pair(line: str) -> tuple[str, str]:
    """Path of the image, and of its mask ("" where there is none)."""
    if line.count('"') in (2, 4):
        parts = [quoted or bare for quoted, bare in QUOTED.findall(line)]
    else:
        parts = BETWEEN_PATHS.split(line) if line.startswith("/") else line.split()
    return parts[0], parts[1] if len(parts) > 1 else ""


def _name(image: str, subset: str) -> str:
    """What follows the subset's folder."""
    parts = PurePosixPath(image).parts
    return "/".join(parts[parts.index(subset) + 1 :] if subset in parts[:-1] else parts[-1:])


def _mask(path: Path, listed: str) -> Path | None:
    """Below the folder of the export, or by the last two parts of its path where the list was written elsewhere."""
    return within(path, listed) or within(path, "/".join(PurePosixPath(listed).parts[-2:]))


FORMAT = Format("camvid", "label_colors.txt, and folders <subset> and <subset>annot", recognise, read)
