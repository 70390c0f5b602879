"""Tables that people keep beside their images: mm per pixel, and subjects, by image name.

Accepted: UTF-8 with or without a BOM (UTF-16 with one), `,` `;` or tab between cells, decimal commas where `;` or tab
separates, any spaces in headers. The name column is the first one whose cells match image names, with or without
suffix or folder. An empty number cell says "unknown"; an image without a row is a fault, since it may be an oversight.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.records import Spacing
from autoseg.volume.files import IMAGE_SUFFIXES, split_suffix

X_WORDS = frozenset({"x", "width", "col", "cols", "column", "columns", "horizontal"})
Y_WORDS = frozenset({"y", "height", "row", "rows", "vertical"})
UNIT_MM = {"um": 1e-3, "\u03bcm": 1e-3, "micron": 1e-3, "microns": 1e-3, "cm": 10.0}  # casefold turns the micro sign into mu
LEAST_MM, MOST_MM = 1e-6, 1000.0  # a nanometre, and a metre: what no pixel goes beyond
STRANGERS = "name no image of this set"  # in the note about such rows
NAMED_ROWS = 5
UNKNOWN = frozenset({"", "na", "n/a", "unknown"})  # cells that declare a spacing unknown


@dataclass(frozen=True)
class Table:
    """Cells of a CSV file, stripped; rows carry the line they begin on."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    delimiter: str

    def column(self, index: int) -> Iterator[str]:
        """Cells of a column; empty where a row is too short."""
        return (row[index] if index < len(row) else "" for _, row in self.rows)


@dataclass(frozen=True)
class TableResult:
    """What a table says per case id, the faults of its rows, and remarks."""

    values: dict[str, Spacing | None]
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_table(path: Path) -> Table:
    """Read a CSV file.

    Raises:
        DataError: missing, empty, or not text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError([Fault(path.name, f"cannot be read ({error.strerror}): {path}")]) from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # what spreadsheets write in Western Europe
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), None)
    if first is None or "\0" in text:
        raise DataError([Fault(path.name, "is empty or not a text table; expected a CSV with a header row")])
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader if any(cell.strip() for cell in row)]
    header = tuple(" ".join(cell.split()) for cell in rows[0][1])
    return Table(path, header, tuple(rows[1:]), delimiter)


def has_pixel_size(path: Path) -> bool:
    """Whether the table's header names a pixel size (and not, say, only ages)."""
    return bool(_size_columns(read_table(path)))


def tables_of_sizes(folder: Path) -> tuple[list[Path], list[Fault]]:
    """CSVs directly in a folder that have a pixel size, and faults of those that cannot be read; hidden ones are left out."""
    tables, faults = list[Path](), list[Fault]()
    for file in sorted(file for file in folder.iterdir() if file.suffix.casefold() == ".csv" and not file.name.startswith(".")):
        try:
            tables += [file] if has_pixel_size(file) else []
        except DataError as error:
            faults += error.faults
    return tables, faults


def read_spacings(path: Path, names: Mapping[str, Sequence[str]]) -> TableResult:
    """The mm per pixel of every case.

    Args:
        path: the CSV file.
        names: per case id the names under which the table may list it.

    Returns:
        spacing (y, x) in mm per case id (None where the cell is empty: unknown); faults: cases without a row, text in a
        number, numbers that are not positive, rows that contradict each other; notes: rows without an image.

    Raises:
        DataError: no column holds image names, or no pixel-size column can be told.
    """
    table = read_table(path)
    columns = _two_axes(table, _size_columns(table))
    known = _by_key(names)
    name_column = _name_column(table, known)
    result, strangers = TableResult({}), list[str]()
    for line, row in table.rows:
        id = known.get(name_key(row[name_column])) if name_column < len(row) else None
        if id is None:
            strangers += [row[name_column]] if name_column < len(row) else []
            continue
        spacing, fault = _row_spacing(table, line, row, columns)
        if fault:
            result.faults.append(Fault(id, fault))
        elif id in result.values and result.values[id] != spacing:
            result.faults.append(Fault(id, f"{path.name} has several rows with different pixel sizes; keep the right one"))
        result.values.setdefault(id, spacing)
    result.faults.extend(
        Fault(id, f"has no row in {path.name}; add one (leave the pixel size empty where it is unknown)")
        for id in names
        if id not in result.values
    )
    axes = " and ".join(table.header[column] for column, _ in dict.fromkeys(columns))
    result.notes.append(f"mm per pixel from {path.name}, column {axes}")
    if strangers:
        named = ", ".join(strangers[:NAMED_ROWS]) + (
            f" and {len(strangers) - NAMED_ROWS} more" if len(strangers) > NAMED_ROWS else ""
        )
        result.notes.append(f"{len(strangers)} rows of {path.name} {STRANGERS} and are ignored: {named}")
    if unknown := sum(spacing is None for spacing in result.values.values()):
        result.notes.append(f"{unknown} cases have an empty pixel size in {path.name}: unknown, left out of mm results")
    return result


def read_subjects(path: Path, names: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], list[Fault]]:
    """Subject per case id from a CSV (name, subject); cases without a row, or with two subjects, are faults.

    Raises:
        DataError: no column holds image names, or no column is left for the subject.
    """
    table = read_table(path)
    known = _by_key(names)
    name_column = _name_column(table, known)
    others = [index for index in range(len(table.header)) if index != name_column]
    if not others:
        raise DataError([Fault(path.name, "has no column besides the image names; expected one with the subject")])
    called = [index for index in others if re.search("subject|patient", table.header[index], re.IGNORECASE)]
    column = (called or others)[0]
    subjects: dict[str, str] = {}
    faults: list[Fault] = []
    for name, subject in zip(table.column(name_column), table.column(column), strict=True):
        id = known.get(name_key(name))
        if id is None or not subject:
            continue
        if subjects.setdefault(id, subject) != subject:
            faults.append(Fault(id, f"{path.name} gives it two subjects, {subjects[id]} and {subject}; keep one"))
    faults += [Fault(id, f"has no subject in {path.name}; add a row") for id in names if id not in subjects]
    return subjects, faults


def name_key(name: str) -> str:
    """An image name reduced to what is compared: no folder, no suffix of a readable format, no case."""
    base = re.split(r"[/\\]", name.strip())[-1]
    stem, suffix = split_suffix(Path(base)) if base else ("", "")
    known = {readable.casefold() for readable in IMAGE_SUFFIXES}
    return (stem if suffix.casefold() in known else base).casefold()


def _by_key(names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Ids by what a table may call them; a name that several share (files in folders of their own) means none of them."""
    owners: dict[str, set[str]] = {}
    for id, several in names.items():
        for name in several:
            owners.setdefault(name_key(name), set()).add(id)
    return {key: next(iter(ids)) for key, ids in owners.items() if len(ids) == 1}


def _name_column(table: Table, known: Mapping[str, str]) -> int:
    for index in range(len(table.header)):
        if any(name_key(cell) in known for cell in table.column(index) if cell):
            return index
    example = next(iter(known), "image name")
    raise DataError(
        [Fault(table.path.name, f"no column holds image names (looked for '{example}' and others, with or without suffix)")]
    )


def _words(header: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)
    return [word for word in re.split(r"[^a-z\u03bc]+", spaced.casefold()) if word]


def _size_columns(table: Table) -> list[int]:
    """Pixel-size columns: those that say pixel or spacing; only where none does, those that say mm."""
    lower = [header.casefold() for header in table.header]
    named = [index for index, header in enumerate(lower) if "spacing" in header or "pixel" in header]
    sizes = [index for index in named if {"mm", "size", "spacing"}.intersection(_words(table.header[index]))]
    return sizes or named or [index for index, header in enumerate(table.header) if "mm" in _words(header)]


def _two_axes(table: Table, columns: list[int]) -> tuple[tuple[int, float], tuple[int, float]]:
    """((column of y, its unit in mm), (column of x, its unit in mm))."""
    units = {index: next((UNIT_MM[word] for word in _words(table.header[index]) if word in UNIT_MM), 1.0) for index in columns}
    if len(columns) == 1:
        return ((columns[0], units[columns[0]]),) * 2
    vertical = [index for index in columns if Y_WORDS.intersection(_words(table.header[index]))]
    horizontal = [index for index in columns if X_WORDS.intersection(_words(table.header[index]))]
    if len(vertical) == 1 and len(horizontal) == 1 and vertical != horizontal:
        return (vertical[0], units[vertical[0]]), (horizontal[0], units[horizontal[0]])
    raise DataError(
        [
            Fault(
                table.path.name,
                "expected one pixel-size column (its header says pixel, spacing or mm) or two that say x and y, "
                f"found the columns {', '.join(map(repr, table.header))}; rename them",
            )
        ]
    )


def _row_spacing(
    table: Table, line: int, row: tuple[str, ...], columns: tuple[tuple[int, float], tuple[int, float]]
) -> tuple[Spacing | None, str | None]:
    if len(row) > len(table.header) and any(row[len(table.header) :]):
        return None, (
            f"line {line} of {table.path.name} has {len(row)} cells under {len(table.header)} headers; "
            "a decimal comma needs ; between cells"
        )
    values: list[float] = []
    for index, unit in columns:
        cell = row[index] if index < len(row) else ""
        if cell.casefold() in UNKNOWN:
            continue
        number = _number(cell, table.delimiter)
        if number is None or not LEAST_MM <= number * unit <= MOST_MM:
            expected = f"a positive number of mm, from {LEAST_MM:g} to {MOST_MM:g}"
            return None, f"line {line} of {table.path.name}: expected {expected}, found '{cell}'"
        values.append(number * unit)
    if len(values) == 1:
        return None, f"line {line} of {table.path.name} gives one of two pixel sizes; give both or none"
    return (values[0], values[1]) if values else None, None


def _number(cell: str, delimiter: str) -> float | None:
    try:
        return float(cell.replace(",", ".") if delimiter != "," else cell)
    except ValueError:
        return None
