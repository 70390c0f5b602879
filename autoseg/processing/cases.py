"""One case from disk: its image as the data set's channels say, its labels as internal values, and what is wrong with either.

A fault is a sentence with the cure, filed under the case; `DataError` carries one or several.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.processing.labels import decode_labels
from autoseg.records import Case, Dataset
from autoseg.volume.files import is_dicom, is_picture, read, split_suffix
from autoseg.volume.geometry import Geometry
from autoseg.volume.pictures import LOSSY_SUFFIXES
from autoseg.volume.volume import Volume

SPACING_TOLERANCE = 1e-3  # relative; headers round differently
PLACE_TOLERANCE = 1e-3  # of a voxel for the origin, and of the unit vectors' components
COLOUR_CHANNELS = 3
ALPHA_CHANNELS = (2, 4)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Internal label values, int16 `(*spatial)`, and where the label's file says that they lie."""

    labels: np.ndarray
    geometry: Geometry


def load_image(dataset: Dataset, case: Case) -> Volume:
    """A case's image, float32 `(C, *spatial)` with the channels that the data set declares.

    The spacing is the case's own (from a table), else the file's, else None.

    Raises:
        DataError: filed under the case: see `assemble_image`, and an image of another rank than the data set's.
    """
    paths = [dataset.path(file) for file in case.images]
    try:
        volume = assemble_image(paths, dataset.channels, case.spacing_mm, dataset.trust_file_spacing)
    except DataError as error:
        raise _filed(case.id, error) from error
    if volume.geometry.rank != dataset.rank:
        found, expected = f"{volume.geometry.rank}D", f"{dataset.rank}D"
        message = f"image of shape {_tuple(volume.shape)} is {found} in a {expected} data set; save it as {expected}"
        raise DataError([Fault(case.id, message)])
    return volume


def load_labels(dataset: Dataset, case: Case) -> np.ndarray:
    """A case's internal label values, int16 `(*spatial)`.

    Raises:
        DataError: as `load_label_map`.
    """
    return load_label_map(dataset, case).labels


def load_label_map(dataset: Dataset, case: Case) -> LabelMap:
    """A case's labels with their place.

    Raises:
        DataError: filed under the case: no label, a lossy or unreadable file, values or colours that are not declared.
    """
    if case.label is None:
        raise DataError([Fault(case.id, "has no label; add one, or keep the case among the images to predict")])
    path = dataset.path(case.label)
    encoding = dataset.encodings[case.encoding]
    if split_suffix(path)[1] in LOSSY_SUFFIXES:
        message = f"label {path.name} is a JPEG, which changes label values; save it from its source as PNG"
        raise DataError([Fault(case.id, message)])
    try:
        volume = read(path, expand_palette=encoding.kind == "colours")
        return LabelMap(decode_labels(volume.array, encoding, path.name), volume.geometry)
    except DataError as error:
        raise _filed(case.id, error) from error


def assemble_image(
    paths: Sequence[Path], channels: tuple[str, ...], spacing_mm: tuple[float, ...] | None, trust_file_spacing: bool = False
) -> Volume:
    """Read an image from one file per channel, or from one file with all channels: float32 `(C, *spatial)`.

    Alpha is dropped. Grey content stored as RGB becomes one channel where one is asked for, provided that the colours are
    equal; a grey picture in a set of three channels is repeated.

    Args:
        paths: in the order of `channels`.
        channels: names of the channels wanted.
        spacing_mm: overrules the files' spacing (array order); None leaves it to them.
        trust_file_spacing: whether a picture's resolution tag counts.

    Raises:
        DataError: a file that cannot be read, another number of channels, channels on different grids, or a bad spacing.
    """
    refuse_number_of_files(paths, channels)
    volumes = [read(path, trust_spacing=trust_file_spacing) for path in paths]
    return assembled(paths, volumes, channels, spacing_mm)


def refuse_number_of_files(paths: Sequence[Path], channels: tuple[str, ...]) -> None:
    """An image has one file with all channels, or one per channel.

    Raises:
        DataError: another number of files.
    """
    if len(paths) not in (1, len(channels)):
        declared = f"{len(channels)} channels ({', '.join(channels)})"
        message = f"{len(paths)} image files for {declared}; give one file per channel, or one with all"
        raise DataError([Fault(paths[0].name if paths else "image", message)])


def assembled(
    paths: Sequence[Path], volumes: Sequence[Volume], channels: tuple[str, ...], spacing_mm: tuple[float, ...] | None
) -> Volume:
    """What `assemble_image` makes of files that were read already, as they are stored.

    Raises:
        DataError: as `assemble_image`, but for what is told when a file is read.
    """
    refuse_number_of_files(paths, channels)
    wanted = len(channels) if len(paths) == 1 else 1
    parts = [_with_channels(path, volume, wanted) for path, volume in zip(paths, volumes, strict=True)]
    for path, part in zip(paths, parts, strict=True):
        if part.array.dtype.kind == "c":
            raise DataError([Fault(path.name, "holds complex numbers; save its magnitude")])
    first = parts[0]
    for path, part in zip(paths[1:], parts[1:], strict=True):
        faults = grid_faults(path.name, "channel", part.shape, part.geometry, paths[0].name, first.shape, first.geometry)
        if not faults and differently_placed(first.geometry, part.geometry):
            message = f"channel lies elsewhere or is turned against {paths[0].name} (origin or direction); resave it on the other's grid"
            faults = [Fault(path.name, message)]
        if faults:
            raise DataError(faults)
    geometry = first.geometry if spacing_mm is None else first.geometry.with_spacing(tuple(spacing_mm))
    if geometry.spacing_mm is not None:
        _check_spacing(paths[0].name, geometry)
    arrays = [part.array for part in parts]
    array = (arrays[0] if len(arrays) == 1 else np.concatenate(arrays)).astype(np.float32, copy=False)
    return Volume(array, geometry, tuple(dict.fromkeys(note for part in parts for note in part.notes)))


def case_faults(case: Case, image: Volume, label: LabelMap | None) -> list[Fault]:
    """Everything wrong with a case whose files could be read; empty where all is well."""
    faults = image_faults(case, image)
    if label is not None:
        spacing_from_table = case.spacing_mm is not None
        image_geometry = image.geometry.with_spacing(None) if spacing_from_table else image.geometry
        faults += grid_faults(case.id, "label", label.labels.shape, label.geometry, "image", image.shape, image_geometry)
    return faults


def image_faults(case: Case, image: Volume) -> list[Fault]:
    """NaN, infinite or constant images, as faults of the case."""
    array = image.array
    if array.size == 0:
        return [Fault(case.id, f"image of shape {_tuple(image.shape)} holds no pixel; restore it or take it out")]
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not math.isfinite(float(array.sum()))
    if suspicious and (count := array.size - int(np.isfinite(array).sum())):
        message = f"{count} value{'s' if count > 1 else ''} of the image {'are' if count > 1 else 'is'} NaN or infinite"
        return [Fault(case.id, f"{message}; replace by finite numbers, or take the case out")]
    if all(channel.min() == channel.max() for channel in array):
        message = f"the image is empty: {array.flat[0]:g} everywhere; restore it from its source, or take the case out"
        return [Fault(case.id, message)]
    return []


def grid_faults(
    name: str,
    what: str,
    shape: tuple[int, ...],
    geometry: Geometry,
    other: str,
    other_shape: tuple[int, ...],
    other_geometry: Geometry,
) -> list[Fault]:
    """Sizes or spacings that differ between two arrays that should share a grid; unknown spacings are not compared."""
    cure = "resave one of them on the other's grid"
    if shape != other_shape:
        return [Fault(name, f"{what} size {_tuple(shape)}, {other} size {_tuple(other_shape)}; {cure}")]
    spacing, other_spacing = geometry.spacing_mm, other_geometry.spacing_mm
    if spacing and other_spacing and not np.allclose(spacing, other_spacing, rtol=SPACING_TOLERANCE, atol=0):
        return [Fault(name, f"{what} spacing {_tuple(spacing)} mm, {other} spacing {_tuple(other_spacing)} mm; {cure}")]
    return []


def differently_placed(image: Geometry, label: Geometry) -> bool:
    """Whether image and label of one size and spacing claim different places in space (by origin or direction).

    Worth a note and no more: sets whose label headers were lost are common, and their arrays do correspond.
    """
    if image.rank != label.rank:
        return False
    voxel = min(image.spacing_mm or (1.0,))
    moved = float(np.abs(np.subtract(image.origin, label.origin)).max()) > PLACE_TOLERANCE * voxel
    turned = float(np.abs(np.subtract(image.direction, label.direction)).max()) > PLACE_TOLERANCE
    return moved or turned


def _with_channels(path: Path, volume: Volume, wanted: int) -> Volume:
    array = volume.array
    if is_picture(path) and len(array) in ALPHA_CHANNELS:
        array = array[:-1]
    found = len(array)
    if found == wanted:
        return replace(volume, array=array)
    if wanted == 1 and found == COLOUR_CHANNELS:
        if any((channel != array[0]).any() for channel in array[1:]):
            message = "is in colour, where one grey channel is expected; convert it to grey, or declare three channels"
            raise DataError([Fault(path.name, message)])
        return replace(volume, array=array[:1])
    if found == 1 and wanted == COLOUR_CHANNELS and (is_picture(path) or (volume.geometry.rank == 2 and is_dicom(path))):
        return replace(volume, array=np.repeat(array, wanted, axis=0))
    message = f"holds {found} channel{'s' if found > 1 else ''}, expected {wanted}; correct the file or the data set's channels"
    raise DataError([Fault(path.name, message)])


def _check_spacing(name: str, geometry: Geometry) -> None:
    spacing = geometry.spacing_mm or ()
    if len(spacing) != geometry.rank or not all(math.isfinite(step) and step > 0 for step in spacing):
        message = f"spacing {_tuple(spacing)} mm for a {geometry.rank}D image; give one positive number per axis"
        raise DataError([Fault(name, message)])


def _filed(case: str, error: DataError) -> DataError:
    return DataError(Fault(case, f"{fault.case}: {fault.message}") for fault in error.faults)


def _tuple(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:.6g}' for number in numbers)})"
