"""Headers that name another file for their values: MetaImage (`.mhd` with `.raw`) and NRRD (`.nhdr` with `.raw`, `.raw.gz`, ...)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError, Fault

META, NRRD = (".mhd", ".mha"), (".nhdr", ".nrrd")
SUFFIXES = META + NRRD  # a .mha or .nrrd mostly holds its values itself, and need not
IN_ITSELF = ("LOCAL",)
LIST = "LIST"
MOST_BYTES = 2**20  # of a header; beyond that it is none


@dataclass(frozen=True)
class Reference:
    """The line of a header that names the file of the values: where it begins and ends in the header's bytes, and the name in it."""

    start: int
    end: int
    name: str


def data_files(path: Path) -> tuple[Path, ...]:
    """The files beside a header that hold its values; none where it holds them itself, or is of another format.

    Raises:
        DataError: the header spreads the values over several files.
        OSError: it cannot be read.
    """
    found = _reference(path)
    return () if found is None else (path.parent / found.name,)


def renamed(path: Path, name: str) -> bytes:
    """The header's bytes, with another name of the file that holds the values.

    Raises:
        DataError: as `data_files`.
    """
    content, found = path.read_bytes(), _reference(path)
    if found is None:
        return content
    return content[: found.start] + name.encode() + content[found.end :]


def _reference(path: Path) -> Reference | None:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return None
    is_nrrd = suffix in NRRD
    place = 0
    with path.open("rb") as file:
        while place < MOST_BYTES and (line := file.readline(MOST_BYTES)).strip():
            key, separator, value = line.partition(b":" if is_nrrd else b"=")
            wanted = (b"data file", b"datafile") if is_nrrd else (b"elementdatafile",)
            if separator and key.strip().lower() in wanted:
                return _named(path, place + len(line) - len(value), value)
            place += len(line)
    return None


def _named(path: Path, place: int, value: bytes) -> Reference | None:
    name = value.strip().decode("utf-8", "surrogateescape")
    if name.upper() in IN_ITSELF:
        return None
    if not name or name.split()[0].upper() == LIST or "%" in name:
        told = "its values lie in several files, which its header lists; save it as one (.nrrd, .mha)"
        raise DataError([Fault(path.name, told)])
    start = place + len(value) - len(value.lstrip())
    return Reference(start, start + len(value.strip()), name)
