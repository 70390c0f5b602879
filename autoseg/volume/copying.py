"""An image under another name, with all the files that it consists of."""

from __future__ import annotations

import shutil
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.volume import companions, dicom
from autoseg.volume.files import IMAGE_SUFFIXES, is_dicom, split_suffix
from autoseg.writing import telling_full_disk

PACKED = (".gz", ".bz2")  # endings of data files that stand behind another one
DATA = (".raw", ".zraw", ".img", ".bin", ".dat")  # and what they stand behind
ENDINGS = frozenset(IMAGE_SUFFIXES) | {f"{data}{packed}" for data in DATA for packed in ("", *PACKED)}


def refuse_uncopyable(path: Path) -> None:
    """Nothing where `copy_image` can copy an image.

    Raises:
        DataError: its values lie in several files, or their file is missing.
    """
    if is_dicom(path):
        return
    for data in companions.data_files(path):
        if not data.is_file():
            raise DataError([Fault(path.name, f"its values are in {data.name}, which is not there; restore it")])


def copy_image(source: Path, target: Path) -> Path:
    """Copy an image or a label map byte by byte; the suffix is the source's.

    Args:
        source: a file of any readable format; or DICOM: a file, a folder with a series, FOLDER/series@N.
        target: the copy's path without suffix; its folder is made where it is missing.

    Returns:
        The copy: a file, or for a series a folder, of the files of that series only where the source names one. A header gets a data file of
        its own name beside it.

    Raises:
        DataError: as `refuse_uncopyable`; or a DICOM folder that holds damaged files, or no such series.
        DiskFull: there is no room.
    """
    with telling_full_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_dicom(source):
            return _copy_dicom(source, target)
        refuse_uncopyable(source)
        copy = target.with_name(target.name + source.name[len(split_suffix(source)[0]) :])
        for data in companions.data_files(source):
            ending = _data_ending(data)
            beside = copy.with_name(target.name + (ending if ending != copy.suffix else f"{ending}.raw"))
            shutil.copyfile(data, beside)
            copy.write_bytes(companions.renamed(source, beside.name))
            return copy
        shutil.copyfile(source, copy)
        return copy


def remove_copy(target: Path) -> None:
    """Remove whatever `copy_image` made, or began to make, for a target; `a` is not `a.b`, which is a name of its own."""
    if not target.parent.is_dir():
        return
    for file in target.parent.iterdir():
        ending = file.name.removeprefix(target.name)
        if file.name == target.name and file.is_dir():
            shutil.rmtree(file)
        elif ending != file.name and ending.lower() in ENDINGS:
            file.unlink()


def _copy_dicom(source: Path, target: Path) -> Path:
    if source.is_file():
        suffix = source.suffix if source.suffix.lower() in dicom.SUFFIXES else ".dcm"  # a name with dots may end in anything
        copy = target.with_name(target.name + suffix)
        shutil.copyfile(source, copy)
        return copy
    files = dicom.parts_of(source) if source.is_dir() else dicom.planes_of(source)[0]
    target.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(file, target / file.name)
    return target


def _data_ending(data: Path) -> str:
    """The suffix of a data file, `.raw.gz` as a whole."""
    return "".join(data.suffixes[-2:]) if data.suffix.lower() in PACKED else data.suffix or ".raw"
