"""Which images a folder (or a file) asks to be predicted, and under which name each result is written."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.volume.dicom import case_name, is_dicom, is_dicom_file, list_images
from autoseg.volume.files import READ_ONLY_SUFFIXES, READABLE_SUFFIXES, read_header, split_suffix

CHANNEL_SUFFIX = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")  # nnU-Net's file names: CASE_0000.nii.gz
HC18_ANNOTATION = "_Annotation"
MASKS_OF_DICOM = {2: ".png", 3: ".nii.gz"}  # by rank

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionInput:
    """One case: its result is `<id><suffix>`; `files` holds one file per channel, or one with all channels.

    A file may be a DICOM series, which is a folder, or a part of one (see `volume.dicom`).
    """

    id: str
    files: tuple[Path, ...]
    suffix: str

    @property
    def mask(self) -> str:
        """Name of the mask that will be written."""
        return self.id + self.suffix

    @classmethod
    def of(cls, id: str, files: Iterable[Path]) -> PredictionInput:
        """With the mask's format taken from the first file (JPEG, GIF and PPM become PNG, its letter case is kept)."""
        files = tuple(files)
        stem, suffix = split_suffix(files[0])
        return cls(id, files, ".png" if suffix in READ_ONLY_SUFFIXES else files[0].name[len(stem) :])


def find_inputs(path: Path, channels: Sequence[str]) -> tuple[PredictionInput, ...]:
    """The images of a folder, or one file, sorted by name. Folders in it are looked into only where they alone hold images, as DICOM.

    Hidden files are passed over, and so are HC18 outlines (`X_Annotation.png` beside `X.png`) and files that are no images
    (a log line says which). nnU-Net's channel ending `_0000` is dropped, and files of one case are joined, where every image
    has such an ending and its number is one of the model's channels; `frame_0123.png` keeps its name. Of DICOM, a series of slices is
    one image, named by its folder and masked as .nii.gz; a single frame is one, too, masked as .png; survey images are passed over.

    Raises:
        DataError: nothing there, no readable image, or two inputs that would be written under one name (each pair is named).
    """
    if not path.exists() and not is_dicom(path):
        raise DataError(f"{path} does not exist; give a folder of images or one image")
    images = _images_of(path) if path.is_dir() else _file_and_siblings(path, len(channels))
    inputs = _joined(images) if _have_channel_endings(images, len(channels)) else _one_each(images)
    if path.is_dir():
        inputs += _of_dicom_folder(path, len(channels), deeper=not images)
    elif is_dicom(path):
        inputs.append(_of_dicom(path))
    if not inputs:
        raise DataError(f"{path} holds no image; readable are {', '.join(READABLE_SUFFIXES)} and DICOM")
    check_distinct(inputs)
    return tuple(inputs)


def image_names(item: PredictionInput) -> tuple[str, ...]:
    """The input's files as they are recorded: absolute, so that the record can be read from anywhere."""
    return tuple(readable(str(file.absolute())) for file in item.files)


def readable(name: str) -> str:
    """A file's name as it can be written down; bytes that are not UTF-8 (of old archives and foreign disks) in hex."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def check_distinct(inputs: Sequence[PredictionInput]) -> None:
    """Refuse inputs whose results would bear one name (mask, overlay and record are found by it).

    Raises:
        DataError: naming the files of every clash.
    """
    by_id: dict[str, list[PredictionInput]] = defaultdict(list)
    for item in inputs:
        by_id[item.id].append(item)
    faults = [
        Fault(name, f"{' and '.join(item.files[0].name for item in items)} would be written under one name; rename or move one")
        for name, items in by_id.items()
        if len(items) > 1
    ]
    if faults:
        raise DataError(faults)


def _images_of(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if _is_meant(file))
    readable = [file for file in files if split_suffix(file)[1] in READABLE_SUFFIXES]
    names = {file.name for file in readable}
    outlines = [file for file in readable if _is_outline(file, names)]
    _log_ignored("no images", [file for file in files if file not in readable and not is_dicom_file(file)])
    _log_ignored("annotations beside their image", outlines)
    return [file for file in readable if file not in outlines]


def _of_dicom_folder(folder: Path, n_channels: int, *, deeper: bool) -> list[PredictionInput]:
    """What a folder holds of DICOM; images whose names all have a channel ending are the channels of cases."""
    found = list_images(folder, deeper=deeper)
    _log_ignored("survey images", found.localizers)
    _log_ignored("DICOM without an image", found.without_image)
    endings = [CHANNEL_SUFFIX.fullmatch(image.name) for image in found.images]
    if not all(match and int(match["channel"]) < n_channels for match in endings):
        return [PredictionInput(image.name, (image.path,), MASKS_OF_DICOM[image.rank]) for image in found.images]
    cases: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for image, match in zip(found.images, endings, strict=True):
        if match:
            cases[match["case"], MASKS_OF_DICOM[image.rank]].append(image.path)
    return [PredictionInput(case, tuple(paths), suffix) for (case, suffix), paths in cases.items()]


def _of_dicom(path: Path) -> PredictionInput:
    """One DICOM file, or one series of a folder.

    Raises:
        DataError: it cannot be read.
    """
    return PredictionInput(case_name(path), (path,), MASKS_OF_DICOM[len(read_header(path).shape)])


def _is_meant(file: Path) -> bool:
    """A file that is not hidden; or a link to one that is gone, which is to fail by its name."""
    return not file.name.startswith(".") and (file.is_file() or (file.is_symlink() and not file.exists()))


def _is_outline(file: Path, names: set[str]) -> bool:
    stem, _ = split_suffix(file)
    return stem.endswith(HC18_ANNOTATION) and stem.removesuffix(HC18_ANNOTATION) + file.name[len(stem) :] in names


def _log_ignored(what: str, files: Sequence[Path]) -> None:
    if files:
        names = ", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else "")
        log.info("%d files are ignored, being %s: %s", len(files), what, names)


def _file_and_siblings(file: Path, n_channels: int) -> list[Path]:
    """One file, with the case's other channels from the same folder when its name has a channel ending."""
    if split_suffix(file)[1] not in READABLE_SUFFIXES:
        return []
    if not _have_channel_endings([file], n_channels):
        return [file]
    case, _ = _case_and_channel(file)
    siblings = [file.with_name(f"{case}_{channel:04d}{file.name[len(split_suffix(file)[0]) :]}") for channel in range(n_channels)]
    return [sibling for sibling in siblings if sibling.is_file()]


def _case_and_channel(file: Path) -> tuple[str, int]:
    match = CHANNEL_SUFFIX.fullmatch(split_suffix(file)[0])
    return (match["case"], int(match["channel"])) if match else ("", -1)


def _have_channel_endings(files: Sequence[Path], n_channels: int) -> bool:
    """Whether every name ends in a channel number of this model."""
    return all(0 <= _case_and_channel(file)[1] < n_channels for file in files)


def _joined(files: Sequence[Path]) -> list[PredictionInput]:
    """Files of one case and format, in the order of their channels."""
    cases: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in files:
        cases[_case_and_channel(file)[0], split_suffix(file)[1]].append(file)
    return [PredictionInput.of(case, sorted(members)) for (case, _), members in cases.items()]


def _one_each(files: Sequence[Path]) -> list[PredictionInput]:
    return [PredictionInput.of(split_suffix(file)[0], [file]) for file in files]
