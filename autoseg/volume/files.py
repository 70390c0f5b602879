"""Reading and writing images and label maps, whatever their format: the one door to files.

Formats: NIfTI, NRRD, MHA/MHD (`itk.py`), PNG, JPEG (read only), TIFF, BMP, GIF, PPM and PGM (read only) (`pictures.py`), DICOM (read only,
`dicom/`). Labels are written atomically.
A file that cannot be read whole is a `DataError`, never a half-read array.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.volume import companions, dicom, itk, pictures
from autoseg.volume.dicom import is_dicom
from autoseg.volume.geometry import Geometry
from autoseg.volume.header import Header
from autoseg.volume.pictures import is_turned
from autoseg.volume.volume import Volume
from autoseg.writing import part_of, telling_full_disk

__all__ = [
    "IMAGE_SUFFIXES",
    "LOSSY_SUFFIXES",
    "READABLE_SUFFIXES",
    "READ_ONLY_SUFFIXES",
    "Header",
    "is_dicom",
    "is_picture",
    "is_turned",
    "is_volume",
    "parts_of",
    "read",
    "read_header",
    "split_suffix",
    "write_labels",
]

READABLE_SUFFIXES = itk.SUFFIXES + pictures.SUFFIXES
IMAGE_SUFFIXES = READABLE_SUFFIXES + dicom.SUFFIXES  # of names; DICOM files have others, too, or none
LOSSY_SUFFIXES = pictures.LOSSY_SUFFIXES
READ_ONLY_SUFFIXES = pictures.READ_ONLY_SUFFIXES


def split_suffix(path: Path | str) -> tuple[str, str]:
    """The file's name without its suffix, and the suffix in lower case with its dot.

    `.nii.gz` is one suffix: `Case.1.NII.GZ` gives `("Case.1", ".nii.gz")`. Without a suffix the second is empty.
    """
    name = Path(path).name
    suffix = ".nii.gz" if name.lower().endswith(".nii.gz") else Path(name).suffix.lower()
    return name[: len(name) - len(suffix)], suffix


def is_picture(path: Path | str) -> bool:
    """Whether the file is a PNG, JPEG, TIFF, BMP, GIF, PPM or PGM: 2D, with alpha as a channel, and without a trustworthy spacing."""
    return split_suffix(path)[1] in pictures.SUFFIXES


def is_volume(path: Path) -> bool:
    """Whether the format is one that carries a spacing of its own."""
    return split_suffix(path)[1] in itk.SUFFIXES


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files that make up an image: those of a DICOM folder, a header and the file with its values, or the file itself.

    They tell whether the image has changed; of a header that cannot be read, or spreads its values over several files, that is the header alone.
    """
    if is_dicom(path):
        return dicom.parts_of(path)
    try:
        return (path, *companions.data_files(path))
    except (DataError, OSError):
        return (path,)


def read(path: Path, *, trust_spacing: bool = False, expand_palette: bool = True) -> Volume:
    """Read an image or a label map as it is stored: `(channel, *spatial)`, its own number type.

    Args:
        path: a file with one of `READABLE_SUFFIXES`; or DICOM: a file, a folder with one series, or FOLDER/series@N.
        trust_spacing: whether a picture's resolution tag counts as its spacing; otherwise a picture's spacing is None.
        expand_palette: whether a palette picture is returned in its colours (RGB); otherwise as its indices, one channel.

    Channels: colours and alpha of a picture; the components of a vector image; the last axis of a 4D file. A 3D file with one
    slice stays 3D. A 1-bit picture holds 0 and 1. DICOM is 2D for a single frame, 3D for a series of slices.

    Raises:
        DataError: missing, of an unknown format, damaged, truncated, or of more than 3 spatial axes.
    """
    if is_dicom(path):
        return dicom.read(path)
    _check(path)
    if is_picture(path):
        return pictures.read(path, trust_spacing=trust_spacing, expand_palette=expand_palette)
    return itk.read(path)


def read_header(path: Path, trust_spacing: bool = False) -> Header:
    """Shape, spacing, channels and place of what `read` would return (palettes expanded), without reading the values.

    Raises:
        DataError: as `read`, except that a truncated file may go unnoticed.
    """
    if is_dicom(path):
        return dicom.read_header(path)
    _check(path)
    return pictures.read_header(path, trust_spacing) if is_picture(path) else itk.read_header(path)


def write_labels(path: Path, labels: np.ndarray, geometry: Geometry) -> None:
    """Write a label map `(*spatial)` of non-negative integers, atomically, in the format that the suffix names.

    Written as uint8, or as uint16 where a value exceeds 255. Spacing, origin and direction are what `read_header` returned for
    the image; pictures hold none.

    Raises:
        DataError: the format cannot hold these labels (JPEG, GIF, PPM, a 3D picture, values over 65535, or over 255 in a BMP).
        DiskFull: there is no room.
    """
    name, suffix = split_suffix(path)
    if suffix not in READABLE_SUFFIXES:
        message = f"cannot write {suffix or 'a file without a suffix'}; use one of {', '.join(READABLE_SUFFIXES)}"
        raise DataError([Fault(path.name, message)])
    highest = int(labels.max(initial=0))
    if highest > np.iinfo(np.uint16).max or int(labels.min(initial=0)) < 0:
        raise DataError([Fault(path.name, f"labels from {int(labels.min())} to {highest}; a mask holds 0 to 65535")])
    stored = np.ascontiguousarray(labels, dtype=np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
    folder = part_of(path)
    try:
        with telling_full_disk(path):
            folder.mkdir(parents=True, exist_ok=True)
            final = folder / (name + suffix)
            (pictures.write_labels if suffix in pictures.SUFFIXES else itk.write_labels)(final, stored, geometry)
            for part in sorted(folder.iterdir(), key=lambda part: part == final):  # an .mhd goes last, after its data file
                os.replace(part, path if part == final else path.with_name(part.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(path: Path) -> None:
    suffix = split_suffix(path)[1]
    if suffix not in READABLE_SUFFIXES:
        message = f"format {suffix or '(no suffix)'} is not read; save it as one of {', '.join(READABLE_SUFFIXES)}, or DICOM"
        raise DataError([Fault(path.name, message)])
    if not path.is_file():
        raise DataError([Fault(path.name, f"no such file in {path.parent}; restore it or take it out of the data set")])
    if path.stat().st_size == 0:
        raise DataError([Fault(path.name, "the file is empty (0 bytes); copy it again from its source")])
    if not os.access(path, os.R_OK):
        raise DataError([Fault(path.name, f"cannot be read: you lack the right to read {path}; change its permissions")])
