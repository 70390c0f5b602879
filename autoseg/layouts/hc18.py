"""HC18 (Zenodo 1327317): fetal heads in ultrasound, `NNN_HC.png`, `NNN_HC_Annotation.png` (an elliptic outline), a mm table.

Several frames of one subject (`_2HC`, `_3HC` ...) share the number before `_`.
"""

from __future__ import annotations

import re
from pathlib import Path

from autoseg.annotations.reading import find_child
from autoseg.errors import DataError, Fault
from autoseg.layouts.base import (
    Layout,
    LayoutResult,
    ReadOptions,
    Recognition,
    aliases,
    check_images,
    files_in,
    relative,
    stem_of,
    with_spacings,
)
from autoseg.layouts.mm_table import read_spacings
from autoseg.layouts.subjects import hc18_subject
from autoseg.records import Case, Dataset, OutlineEncoding, Structure

ANNOTATION = "_Annotation"
TABLE = re.compile(r"pixel.?size.*\.csv$", re.IGNORECASE)
HEAD_VALUE = 255  # in predicted masks: a picture that can be looked at


def recognise(path: Path) -> Recognition | None:
    """Files `NNN_HC_Annotation.png` in the folder or its `training_set`."""
    folder = _image_folder(path)
    if folder is None:
        return None
    table = _table(path, folder)
    return Recognition(f"found {f'{table.name} and ' if table else ''}*{ANNOTATION}.png")


def read(path: Path, options: ReadOptions) -> LayoutResult:
    """The data set and all its faults.

    Raises:
        DataError: no annotated images, or the mm table cannot be used.
    """
    folder = _image_folder(path)
    if folder is None:
        raise DataError([Fault(path.name, f"holds no NNN_HC{ANNOTATION}.png, nor does a folder training_set in it")])
    faults: list[Fault] = []
    checked, more = check_images(path, _cases(path, folder, faults))
    faults += more
    if checked.rank is None:
        return LayoutResult(None, tuple(faults))
    notes = [f"labels are elliptic outlines, filled to their centre line; predicted masks hold {HEAD_VALUE} for the head"]
    cases = checked.cases
    table = _table(path, folder)
    if table and not options.spacing_given:
        result = read_spacings(table, aliases(cases))
        faults += result.faults
        notes += result.notes
        cases = with_spacings(cases, result.values)
    elif not options.spacing_given:
        notes.append("no pixel-size CSV found: the images' mm per pixel is unknown (give --spacing CSV|MM)")
    if not options.subjects_given:
        notes.append(f"subjects by the number before '_': {len({case.subject for case in cases})} in {len(cases)} images")
    dataset = Dataset(
        name="HC18",
        layout="hc18",
        root=str(path),
        rank=checked.rank,
        channels=("ultrasound",),
        targets=(Structure(name="head", values=(1,), output_value=HEAD_VALUE),),
        encodings={"default": OutlineEncoding(value=1)},
        cases=cases,
        notes=tuple(notes),
    )
    return LayoutResult(dataset, tuple(faults))


def _image_folder(path: Path) -> Path | None:
    for folder in (find_child(path, "training_set"), path):
        if folder and any(_annotated_stem(file) for file in files_in(folder, ".png")):
            return folder
    return None


def _annotated_stem(file: Path) -> str | None:
    """The image's stem where the file is the annotation of an HC18 image."""
    stem = stem_of(file)
    image = stem[: -len(ANNOTATION)] if stem.casefold().endswith(ANNOTATION.casefold()) else None
    return image if image and hc18_subject(image) else None


def _table(path: Path, folder: Path) -> Path | None:
    """The training set's table, beside the images or one level up."""
    places = dict.fromkeys((folder, path, *((folder.parent,) if folder == path else ())))
    files = (file for place in places for file in sorted(place.iterdir()) if TABLE.search(file.name))
    return next((file for file in files if not file.name.startswith((".", "test"))), None)


def _cases(root: Path, folder: Path, faults: list[Fault]) -> list[Case]:
    files = files_in(folder, ".png")
    annotations = {stem: file for file in files if (stem := _annotated_stem(file))}
    images = {stem_of(file): file for file in files if hc18_subject(stem_of(file))}
    unlabelled = [stem for stem in images if stem not in annotations]
    faults.extend(Fault(stem, f"has no label; expected {stem}{ANNOTATION}.png beside it") for stem in unlabelled)
    faults.extend(
        Fault(stem, f"has an annotation ({file.name}) but no image; add {stem}.png or take the annotation away")
        for stem, file in annotations.items()
        if stem not in images
    )
    return [
        Case(id=stem, subject=hc18_subject(stem) or stem, images=(relative(file, root),), label=relative(annotations[stem], root))
        for stem, file in images.items()
        if stem in annotations
    ]


LOOKS_FOR = f"NNN_HC.png with NNN_HC{ANNOTATION}.png, in the folder or its training_set, and the pixel-size CSV"
LAYOUT = Layout("hc18", LOOKS_FOR, recognise, read)
