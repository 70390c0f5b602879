"""The one place that opens files with pydicom.

Only the elements that are asked for are read, so that a patient's name or number is not even in memory; what pydicom would warn of or
log is kept back, since it quotes values.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from autoseg.errors import DataError, Fault

INSTALL = "pip install 'autoseg-toolkit[dicom]'"
SUFFIXES = (".dcm", ".dicom", ".ima")
MAGIC, MAGIC_AT = b"DICM", 128  # Part 10 of the standard: after a preamble of 128 bytes
TALKATIVE = ("pydicom", "highdicom")
STDERR = 2  # its number, in every program
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
PIXEL_TAGS = (*PIXELS.values(), "ExtendedOffsetTable", "ExtendedOffsetTableLengths")
PALETTE_TAGS = (
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
)
_quietly = threading.RLock()


def package(name: str) -> Any:
    """pydicom, or highdicom, or a module of either.

    Raises:
        DataError: it is not installed; the sentence names the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        missing = name.split(".", maxsplit=1)[0]
        raise DataError(f"DICOM needs the package {missing}, which is not installed here: {INSTALL}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back what the libraries would say: it quotes values, of which some are the patient's. One thread at a time."""
    with _quietly, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        levels = {name: logging.getLogger(name).level for name in TALKATIVE}
        for name in levels:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def begins_as_dicom(path: Path) -> bool:
    """Whether a file has the four letters of DICOM where they belong; False where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
    except OSError:
        return False


def opened(path: Path, tags: Sequence[str] | None) -> Any:
    """A pydicom data set with these elements (None: with all but the pixels).

    Raises:
        DataError: missing, no DICOM file, or damaged.
    """
    return _opened(path, tags)[0]


def header(path: Path, tags: Sequence[str]) -> tuple[Any, bool]:
    """As `opened`, of elements before the pixels; and whether the file goes on to pixels, or ends before them."""
    return _opened(path, tags)


def _opened(path: Path, tags: Sequence[str] | None) -> tuple[Any, bool]:
    package("pydicom")
    if not path.is_file():
        raise fault(path, f"no such file in {path.parent}; restore it or take it out of the data set")
    if path.stat().st_size == 0:
        raise fault(path, "the file is empty (0 bytes); copy it again from its source")
    try:
        with quietly():
            data, goes_on = _parsed(path, tags)
            syntax = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
            if not syntax:  # an old file without a header of its own
                data.ensure_file_meta()
                data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
            known = bool(data.get("SOPClassUID") or data.get("Rows") or begins_as_dicom(path))
    except Exception:  # pydicom raises what its parts raise; the text may quote values
        raise unreadable(path) from None
    if not known:
        raise fault(path, "is no DICOM file, or damaged at its beginning; copy it again from its source, or take it out")
    return data, goes_on


def _parsed(path: Path, tags: Sequence[str] | None) -> tuple[Any, bool]:
    """What pydicom reads, up to the pixels if these are not asked for; and whether it met pixels."""
    reached: list[int] = []

    def at_pixels(tag: int, *_: Any) -> bool:
        if tag in PIXELS:
            reached.append(tag)
        return bool(reached) and not (tags is not None and "PixelData" in tags)

    wanted = None if tags is None else [package("pydicom.tag").Tag(name) for name in tags]
    with path.open("rb") as file:
        data = package("pydicom.filereader").read_partial(file, at_pixels, force=True, specific_tags=wanted)
    return data, bool(reached)


def fault(path: Path, message: str) -> DataError:
    """An error about a file, by its name."""
    return DataError([Fault(path.name, message)])


def unreadable(path: Path) -> DataError:
    """An error about a damaged file."""
    return fault(path, "cannot be read as DICOM; the file is damaged or truncated: copy it again from its source")


@contextmanager
def without_stderr() -> Iterator[None]:
    """Keep back what decoders in C write to the terminal; what others write there at the same moment goes with it."""
    with _quietly:
        try:
            kept = os.dup(STDERR)
        except OSError:  # a program without a terminal may have closed it
            yield
            return
        try:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)


def _guessed_syntax(data: Any) -> str:
    implicit, little = data.original_encoding
    if implicit is False:
        return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
    return IMPLICIT_LITTLE_ENDIAN
