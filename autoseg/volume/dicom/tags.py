"""The one place that opens files with pydicom.

Only the elements that are asked for are read, so that a patient's name or number is not even in memory; what pydicom would warn of or
log is kept back, since it quotes values.
"""

from __future__ import annotations

import logging
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
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
PIXEL_TAGS = (
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
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
    pydicom = package("pydicom")
    if not path.is_file():
        raise fault(path, f"no such file in {path.parent}; restore it or take it out of the data set")
    if path.stat().st_size == 0:
        raise fault(path, "the file is empty (0 bytes); copy it again from its source")
    pixels = tags is not None and "PixelData" in tags
    try:
        with quietly():
            data = pydicom.dcmread(
                path, force=True, stop_before_pixels=not pixels, specific_tags=None if tags is None else list(tags)
            )
            syntax = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
            if not syntax:  # an old file without a header of its own
                data.ensure_file_meta()
                data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
            known = bool(data.get("SOPClassUID") or data.get("Rows") or begins_as_dicom(path))
    except Exception:  # pydicom raises what its parts raise; the text may quote values
        raise unreadable(path) from None
    if not known:
        raise fault(path, "is no DICOM file, or damaged at its beginning; copy it again from its source, or take it out")
    return data


def fault(path: Path, message: str) -> DataError:
    """An error about a file, by its name."""
    return DataError([Fault(path.name, message)])


def unreadable(path: Path) -> DataError:
    """An error about a damaged file."""
    return fault(path, "cannot be read as DICOM; the file is damaged or truncated: copy it again from its source")


def _guessed_syntax(data: Any) -> str:
    implicit, little = data.original_encoding
    if implicit is False:
        return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
    return IMPLICIT_LITTLE_ENDIAN
