"""Which images a folder of DICOM files holds: series of slices, and single files. Named by folders, files and series numbers.

A series of slices is named by its folder; where a folder holds several, by `FOLDER/series@N`, N being the series' number (and
`series@N.2` the second one of that number). Such a name is no file, and is understood wherever an image is read.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoseg.errors import DataError, Fault
from autoseg.volume import itk, pictures
from autoseg.volume.dicom.facts import HoldsNoImage, ImageFacts, image_facts
from autoseg.volume.dicom.tags import SUFFIXES, begins_as_dicom, package

SERIES = re.compile(r"series@(?P<number>\d+)(?:\.(?P<repeat>\d+))?")
OTHER_FORMATS = itk.SUFFIXES + pictures.SUFFIXES
SLICES = ("CT", "MR", "PT")  # whose series are volumes, also where their files do not say where they lie
PICTURES = ("US", "IVUS", "CR", "DX", "RF", "XA", "MG", "OT", "SM", "ES", "XC", "OP")  # whose series are pictures, one by one

Kind = Literal["volume", "frame", "cine"]


@dataclass(frozen=True)
class DicomImage:
    """One image: `path` is what `read` takes, `name` what the case is called, which tells nothing of the patient.

    `kind`: a volume (a series of slices, or one file with frames in space), a single frame, or a cine (frames over time, which are
    taken out of it one by one). `files` are the files that hold it, `frames` the number of its slices or frames. `burned_in`: YES where
    a file says that the patient is named in the pixels, NO where all say that nobody is, else empty.
    """

    path: Path
    name: str
    kind: Kind
    files: tuple[Path, ...]
    frames: int
    modality: str
    series_number: int | None
    burned_in: str = ""

    @property
    def rank(self) -> int:
        """3 of a volume, 2 of pictures."""
        return 3 if self.kind == "volume" else 2


@dataclass(frozen=True)
class Listing:
    """What was found: images, survey images that are left out, DICOM files that hold no image, and files that are damaged (from the root)."""

    images: tuple[DicomImage, ...]
    localizers: tuple[Path, ...] = ()
    without_image: tuple[Path, ...] = ()
    damaged: tuple[Fault, ...] = ()


def is_dicom(path: Path | str) -> bool:
    """Whether a path names a DICOM image: a file (by suffix, or by its first bytes), a folder with such files, or a series in one."""
    path = Path(path)
    if path.name.lower().endswith(OTHER_FORMATS):
        return False
    if SERIES.fullmatch(path.name):
        return path.parent.is_dir()
    if path.is_dir():
        return next(_dicom_files(path), None) is not None
    return is_dicom_file(path)


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM by its suffix, or, with a suffix that says nothing, by its first bytes."""
    return path.suffix.lower() in SUFFIXES or (not path.name.lower().endswith(OTHER_FORMATS) and begins_as_dicom(path))


def case_name(path: Path) -> str:
    """What a case is called after its image: a file's name without a DICOM suffix (`1.2.840.17` keeps all of it), a folder's name, and
    `FOLDER_series_2` for `FOLDER/series@2`.
    """
    if SERIES.fullmatch(path.name) and path.parent.is_dir():
        return f"{path.parent.resolve().name}_{_spoken(path.name)}"
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def list_images(root: Path, *, deeper: bool = True) -> Listing:
    """The images below a folder, in the order of their folders and names; of a file, the image that it is.

    Args:
        root: a folder, or a file.
        deeper: whether to look into the folders in it, too.

    Raises:
        DataError: pydicom is not installed; or a single file is damaged, or holds no image.
    """
    if root.is_file():
        return Listing((_image([image_facts(root)], root, case_name(root)),))
    found = [_in_folder(folder, root) for folder in (_folders(root) if deeper else [root])]
    return Listing(
        tuple(image for one in found for image in one.images),
        tuple(path for one in found for path in one.localizers),
        tuple(path for one in found for path in one.without_image),
        tuple(fault for one in found for fault in one.damaged),
    )


def slices_of(path: Path) -> list[ImageFacts]:
    """The files of a series, as a folder or `series@N` names it, unsorted; or the only file of a folder.

    Raises:
        DataError: no image there, several, a damaged file among them, or a number that no series has.
    """
    match = SERIES.fullmatch(path.name)
    folder, case = (path.parent if match else path), told_path(path)
    facts, others, damaged = _facts_in(folder)
    if damaged:  # the slice may be of any series of the folder, and a volume without it would be another one
        raise DataError(Fault(one.case, f"{one.message}; no series of its folder is read without it") for one in damaged)
    volumes, singles = _grouped(facts)
    if match:
        if path.name not in volumes:
            raise DataError([Fault(case, f"there is no such series of slices; there are: {', '.join(volumes) or 'none'}")])
        return volumes[path.name]
    if len(volumes) == 1:
        return next(iter(volumes.values()))
    if not volumes and len(singles) == 1:
        return singles
    if volumes:
        listed = ", ".join(f"{case}/{address} ({len(group)} slices)" for address, group in volumes.items())
        raise DataError([Fault(case, f"holds {len(volumes)} series; give one of them: {listed}")])
    if singles:
        raise DataError([Fault(case, f"holds {len(singles)} single DICOM images and no series of slices; give one of the files")])
    told = f" ({len(others)} DICOM files hold none)" if others else ""
    raise DataError([Fault(case, f"holds no DICOM image{told}; give the folder of a series")])


def told_path(path: Path) -> str:
    """How errors name an image: by its file or folder, and a series with its folder."""
    return f"{path.parent.name}/{path.name}" if SERIES.fullmatch(path.name) else path.name


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files that make up an image, sorted by name: those of a DICOM folder, or the file itself. They tell whether it has changed."""
    folder = path.parent if SERIES.fullmatch(path.name) and path.parent.is_dir() else path
    return tuple(_dicom_files(folder)) if folder.is_dir() else (path,)


def _folders(root: Path) -> Iterator[Path]:
    for place, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(place)


def _dicom_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if not file.name.startswith(".") and file.is_file() and is_dicom_file(file):
            yield file


def _facts_in(folder: Path) -> tuple[list[ImageFacts], list[Path], list[Fault]]:
    """Of all DICOM files of a folder: images, files without one, and damaged ones."""
    facts: list[ImageFacts] = []
    others: list[Path] = []
    damaged: list[Fault] = []
    files = list(_dicom_files(folder))
    if files:
        package("pydicom")
    for file in files:
        try:
            facts.append(image_facts(file))
        except HoldsNoImage:
            others.append(file)
        except DataError as error:
            damaged += error.faults
    return facts, others, damaged


def _in_folder(folder: Path, root: Path) -> Listing:
    facts, others, damaged = _facts_in(folder)
    localizers = tuple(one.path for one in facts if one.is_localizer)
    inside = folder.relative_to(root).parts
    name = "_".join(inside) or root.resolve().name
    volumes, singles = _grouped([one for one in facts if not one.is_localizer])
    alone = len(volumes) == 1
    images = [
        _image(group, folder if alone else folder / address, name if alone else f"{name}_{_spoken(address)}")
        for address, group in volumes.items()
    ]
    images += [_image([one], one.path, "_".join((*inside, case_name(one.path)))) for one in singles]
    if not volumes:  # in a series they are told when it is read
        for fault in damaged:
            file = folder / fault.case
            images.append(DicomImage(file, "_".join((*inside, case_name(file))), "frame", (file,), 1, "", None))
    placed = tuple(Fault("/".join((*inside, fault.case)), fault.message) for fault in damaged)
    return Listing(tuple(sorted(images, key=lambda image: image.name)), localizers, tuple(others), placed)


def _grouped(facts: Sequence[ImageFacts]) -> tuple[dict[str, list[ImageFacts]], list[ImageFacts]]:
    """Series of slices by the name by which each is found in its folder, in the order of their numbers; and single files.

    Survey images are passed over, unless there is nothing else.
    """
    by_uid: dict[str, list[ImageFacts]] = defaultdict(list)
    singles: list[ImageFacts] = []
    for one in [one for one in facts if not one.is_localizer] or facts:
        if one.frames > 1:
            singles.append(one)
        else:
            by_uid[one.series_uid].append(one)
    volumes: dict[str, list[ImageFacts]] = {}
    seen: dict[int, int] = defaultdict(int)
    for uid in sorted(by_uid, key=lambda uid: (by_uid[uid][0].series_number or 0, uid)):
        group = by_uid[uid]
        if len(group) == 1 or not _is_stack(group):
            singles += group
            continue
        number = group[0].series_number or 0
        seen[number] += 1
        volumes[f"series@{number}" + (f".{seen[number]}" if seen[number] > 1 else "")] = group
    return volumes, sorted(singles, key=lambda one: one.path)


def _is_stack(group: Sequence[ImageFacts]) -> bool:
    """Whether the files of a series are slices of a volume, and not pictures, one by one."""
    modality = group[0].modality
    return modality in SLICES or (modality not in PICTURES and any(one.planes[0].position for one in group))


def _image(group: Sequence[ImageFacts], path: Path, name: str) -> DicomImage:
    first = group[0]
    frames = len(group) if len(group) > 1 else first.frames
    kind: Kind = "volume" if len(group) > 1 or first.is_volume else "frame" if first.frames == 1 else "cine"
    said = {one.burned_in for one in group}
    burned_in = "YES" if "YES" in said else "NO" if said == {"NO"} else ""
    files = tuple(sorted(one.path for one in group))
    return DicomImage(path, name, kind, files, frames, first.modality, first.series_number, burned_in)


def _spoken(address: str) -> str:
    return address.replace("@", "_").replace(".", "_")
