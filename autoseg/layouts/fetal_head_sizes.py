"""Pixel sizes of the fetal-head set: each group's own table, and for the HC18 images in Diverse that of HC18.

The images of Diverse are those of HC18, stretched to 959x661, so that a pixel is no longer square. HC18's table tells the size of a pixel of the
original image; the original's number of pixels is read from it where it lies beside the table (or in `training_set`), and is else that of
most images of HC18.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.base import aliases, listed, stem_of, with_spacings
from autoseg.layouts.mm_table import read_spacings, read_table
from autoseg.records import Case, Spacing
from autoseg.volume.files import read_header

USUAL_SIZE = (540, 800)  # rows and columns of most images of HC18
TRAINING_SET = "training_set"


def is_of_hc18(table: Path) -> bool:
    """Whether a table is the one that HC18 publishes: it has the circumferences, too."""
    try:
        return any("circumference" in heading.casefold() for heading in read_table(table).header)
    except DataError:
        return False


def with_pixel_sizes(
    name: str,
    tables: Sequence[Path],
    hc18: Sequence[Path],
    root: Path,
    cases: tuple[Case, ...],
    faults: list[Fault],
    notes: list[str],
) -> tuple[Case, ...]:
    """A group's cases with their spacings.

    Args:
        name: of the group.
        tables: its own.
        hc18: those of HC18, for a group of its images that has none of its own.
        root: of the data set.
        cases: of the group.
        faults: gets what is wrong with a table.
        notes: gets what was taken from where.
    """
    chosen = tables or hc18
    if not chosen:
        notes.append(f"{name}: no pixel sizes, the mm per pixel of its {len(cases)} images is unknown")
        return cases
    if len(chosen) > 1:
        faults.append(Fault(name, f"has several pixel-size tables: {listed(chosen)}; keep one"))
    try:
        result = read_spacings(chosen[0], aliases(cases))
        spacings = result.values if tables else _stretched(chosen[0], root, cases, result.values, notes)
    except DataError as error:
        faults += error.faults
        return cases
    apart = {case.id for case in cases if case.label is None}  # take no part, with or without a row
    faults += [fault for fault in result.faults if fault.case not in apart]
    notes += result.notes
    return with_spacings(cases, spacings)


def _stretched(
    table: Path, root: Path, cases: tuple[Case, ...], sizes: dict[str, Spacing | None], notes: list[str]
) -> dict[str, Spacing | None]:
    """(y, x) in mm after the stretching: as many mm lie in fewer, or more, pixels."""
    found: dict[str, Spacing | None] = {}
    assumed = 0
    for case in cases:
        size = sizes.get(case.id)
        if size is None:
            continue
        now, original = read_header(root / case.images[0]).shape, _original(table, root / case.images[0])
        assumed += original is None
        before = original or USUAL_SIZE
        found[case.id] = (size[0] * before[0] / now[0], size[1] * before[1] / now[1])
    notes.append(f"mm per pixel of HC18's images from {table.name}, for each axis as they were stretched")
    if assumed:
        rows, columns = USUAL_SIZE
        notes.append(
            f"{assumed} of them are taken to have had {columns}x{rows} pixels; HC18's own images beside the table would tell"
        )
    return found


def _original(table: Path, stretched: Path) -> tuple[int, ...] | None:
    """Rows and columns of HC18's own image, where it is here; the stretched one may itself lie beside the table."""
    for folder in (table.parent, table.parent / TRAINING_SET):
        file = folder / f"{stem_of(stretched)}.png"
        if file.is_file() and not file.samefile(stretched):
            return read_header(file).shape
    return None
