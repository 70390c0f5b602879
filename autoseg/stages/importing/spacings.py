"""The pixel sizes of imported pictures; volumes carry their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.mm_table import read_spacings, tables_of_sizes
from autoseg.records import Spacing
from autoseg.stages.importing.matching import Source
from autoseg.volume.files import is_picture


def spacings_of(
    sources: Sequence[Source], given: str | Path | float | None, root: Path
) -> tuple[dict[str, Spacing], list[Fault], list[str]]:
    """Millimetres by case, in the order of the array's axes; faults of cases, and notes.

    Args:
        sources: the cases.
        given: by the user: one number, or a CSV, whose missing rows are faults. Without it the format tells, else the one CSV in the set that
            has pixel sizes, whose missing rows are not.
        root: of the set.
    """
    if isinstance(given, (int, float)):
        return {one.id: (float(given), float(given)) for one in sources}, [], []
    if given is not None:
        values, faults = _read(Path(given), sources)
        return values, faults, []
    told = {one.id: one.image.spacing_mm for one in sources if one.image.spacing_mm is not None}
    if told or not root.is_dir() or not all(is_picture(file) for one in sources for file in one.files):
        return told, [], []
    tables, _ = tables_of_sizes(root)
    if len(tables) != 1:
        several = ", ".join(table.name for table in tables)
        return {}, [], [f"{several} all have pixel sizes, and none is taken; choose one with --spacing"] if tables else []
    try:
        values, _ = _read(tables[0], sources)
    except DataError as error:
        return {}, [], [f"{tables[0].name} has pixel sizes that cannot be read, and is not taken: {error}"]
    if not values:
        return {}, [], []
    return values, [], [f"mm per pixel from {tables[0].name}, which has them of {len(values)} of {len(sources)} images"]


def _read(table: Path, sources: Sequence[Source]) -> tuple[dict[str, Spacing], list[Fault]]:
    found = read_spacings(table, {one.id: (one.id, *(file.name for file in one.files)) for one in sources})
    return {id: value for id, value in found.values.items() if value is not None}, list(found.faults)
