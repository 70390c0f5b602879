"""DICOM images without labels -> pictures and volumes that `predict` takes and that people annotate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from autoseg.errors import AutosegError, DataError, Fault
from autoseg.layouts.base import CHANNEL_SUFFIX
from autoseg.layouts.written_tables import PIXEL_SIZES, save_pixel_sizes
from autoseg.records import Spacing
from autoseg.stages.importing.writing import IMAGES
from autoseg.volume.dicom import DicomImage, Listing, list_images, read, take_frames
from autoseg.volume.nifti import is_orthonormal, write_sheared
from autoseg.volume.volume import Volume
from autoseg.writing import whole_file

PICTURES = (np.uint8, np.uint16)
LARGEST = np.iinfo(np.uint16).max


def import_dicom(root: Path, out: Path, *, every: int = 1) -> tuple[list[str], list[Fault], list[str]]:
    """Write every image below a folder: volumes as NIfTI, frames as PNG (or TIFF, where a PNG cannot hold the values), pixel sizes as a table.

    Args:
        root: a folder, or one file.
        out: folder of the data set.
        every: of a recording over time, take the first frame, and every so many after it.

    Returns:
        Names of the images, what failed, and what is to be said.

    Raises:
        DataError: there is no DICOM image.
    """
    listing = list_images(root)
    if not listing.images:
        raise DataError(list(listing.damaged) or f"{root} holds no DICOM image")
    damaged = {root / one.case: one for one in listing.damaged}
    found, failed = _Outcome(), []
    named = [replace(image, name=_without_channel(image)) for image in listing.images]
    if channels := [(one.name, new.name) for one, new in zip(listing.images, named, strict=True) if one.name != new.name]:
        found.notes.append(
            f"names that would end as those of channels do have a hyphen: {len(channels)}, such as {channels[0][1]} for {channels[0][0]}"
        )
    for image in named:
        called = replace(image, name=_distinct(image.name, found.taken))
        if called.name != image.name:
            place = image.path.relative_to(root).as_posix()
            found.notes.append(f"{image.name} is the name of several images; the one of {place} is called {called.name}")
        try:
            _take(called, out, every, found)
        except (AutosegError, OSError) as error:
            failed.append(Fault(called.name, str(error).removeprefix(f"{image.name}: ")))
            for one in error.faults if isinstance(error, DataError) else ():
                damaged.pop(image.files[0].parent / one.case, None)  # told with its image
    faults = [*damaged.values(), *failed]
    if not found.names:
        raise DataError(faults)
    if found.spacings:
        save_pixel_sizes(out / PIXEL_SIZES, found.names, found.spacings)
    return found.names, faults, [*found.notes, *_told(listing, found.done)]


@dataclass
class _Outcome:
    """What was written so far; `taken` are names in small letters."""

    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spacings: dict[str, Spacing] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    done: list[DicomImage] = field(default_factory=list)


def _take(image: DicomImage, out: Path, every: int, found: _Outcome) -> None:
    for part, volume in _parts(image, every):
        name = part if part == image.name else _distinct(part, found.taken)
        _write(out / IMAGES / name, volume)
        found.names.append(name)
        found.notes += [f"{name}: {note}" for note in volume.notes]
        if volume.geometry.rank == 2 and volume.geometry.spacing_mm is not None:
            found.spacings[name] = volume.geometry.spacing_mm
    found.done.append(image)


def _told(listing: Listing, done: Sequence[DicomImage]) -> list[str]:
    """What is to be said of all files together."""
    notes = []
    if listing.localizers:
        notes.append(f"{len(listing.localizers)} survey images are left out")
    if listing.without_image:
        notes.append(f"{len(listing.without_image)} DICOM files hold no image")
    yes, silent = (sum(image.burned_in == said for image in done) for said in ("YES", ""))
    if yes or silent:
        notes.append(
            f"the pixels of {yes + silent} of {len(done)} images were not searched for names burned into them (BurnedInAnnotation is YES in {yes}, "
            f"and not told in {silent}); look at them before you hand them on"
        )
    return notes


def _without_channel(image: DicomImage) -> str:
    """The image's name, with a hyphen where a folder and a file `0000` in it would look like a channel; a file that is called so stays."""
    looks_so = CHANNEL_SUFFIX.fullmatch(image.name)
    if image.kind == "cine" or looks_so is None or any(map(CHANNEL_SUFFIX.fullmatch, (image.path.name, image.path.stem))):
        return image.name
    return f"{looks_so['id']}-{looks_so['channel']}"


def _distinct(name: str, taken: set[str]) -> str:
    """The name, or with the first number that nobody has; entered into `taken`, in which upper and lower case are one."""
    found, number = name, 1
    while found.casefold() in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found.casefold())
    return found


def _parts(image: DicomImage, every: int) -> Iterator[tuple[str, Volume]]:
    """The image, or the frames that are taken of a recording; a name with `_f12` is no channel."""
    if image.kind != "cine":
        yield image.name, read(image.path)
        return
    for number, frame in take_frames(image.path, every=every):
        yield f"{image.name}_f{number}", frame


def _write(path: Path, volume: Volume) -> None:
    """The suffix follows from what is to be held."""
    if volume.geometry.rank == 3:
        _write_volume(path.with_name(f"{path.name}.nii.gz"), volume)
        return
    array = volume.array
    if array.dtype not in PICTURES and np.issubdtype(array.dtype, np.integer) and array.min() >= 0 and array.max() <= LARGEST:
        array = array.astype(np.uint16)
    if len(array) == 3 and array.dtype == np.uint8:
        picture, suffix = Image.fromarray(np.ascontiguousarray(np.moveaxis(array, 0, -1))), ".png"
    elif len(array) == 1:
        plain = array[0] if array.dtype in PICTURES else array[0].astype(np.float32)
        picture, suffix = Image.fromarray(plain), ".png" if array.dtype in PICTURES else ".tif"
    else:
        raise DataError([Fault(path.name, f"{len(array)} channels of {array.dtype} fit into no picture")])
    with whole_file(path.with_name(path.name + suffix)) as temporary:
        picture.save(temporary, format="PNG" if suffix == ".png" else "TIFF")


def _write_volume(path: Path, volume: Volume) -> None:
    if len(volume.array) > 1:
        raise DataError(
            [Fault(path.name, f"a volume of {len(volume.array)} colours; autoseg reads volumes of one channel a file")]
        )
    geometry = volume.geometry
    with whole_file(path) as temporary:
        ending = temporary.with_name(f"{temporary.name}.nii.gz")  # the format is chosen by the name
        if is_orthonormal(geometry):
            image = sitk.GetImageFromArray(volume.array[0])
            image.SetSpacing(tuple(reversed(geometry.spacing_mm or (1.0,) * 3)))
            image.SetOrigin(geometry.origin)
            image.SetDirection(geometry.direction)
            sitk.WriteImage(image, str(ending), useCompression=True)
        else:
            write_sheared(ending, volume.array[0], geometry)
        ending.replace(temporary)
