"""One case, read once: small facts of image and label, from which everything else is decided. Runs in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.metrics.picture_hash import hash_of, thumbnail_of
from autoseg.processing.burned_in import Box, bright_rows, islands_beside
from autoseg.processing.cases import assembled
from autoseg.processing.facts import content_hash, orientation
from autoseg.processing.labels import decode_labels
from autoseg.records import Case, Dataset, OutlineEncoding
from autoseg.stages.check.label_look import LabelLook, look_at_label
from autoseg.volume.files import LOSSY_SUFFIXES, is_picture, read, read_header, split_suffix
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

PERCENTILES = (0.5, 99.5)  # of a thumbnail's grey values, and what is called bright
SAMPLE = 100_000  # values that percentiles are taken from
FEW_VALUES = 16  # a picture with fewer grey values looks like a label
COLOURS = 3  # red, green, blue
PALETTE_CHANNELS = (3, 4)  # of a palette picture, once its colours are looked up


@dataclass(frozen=True)
class ChannelLook:
    """Grey values of one channel as stored; `bright` is the 99.5th percentile."""

    low: float
    high: float
    bright: float


@dataclass(frozen=True)
class TextBox:
    """A rectangle that looks like text, and the share of it that is labelled; a faint one counts only where other pictures have it, too."""

    box: Box
    labelled: float
    faint: bool


@dataclass(frozen=True, eq=False)
class ImageLook:
    """An image: `thumbnails` (1, 64, 64), or (3, 64, 64) through the middle of a volume; `spacing_mm` where it is known."""

    shape: tuple[int, ...]
    geometry: Geometry
    spacing_mm: tuple[float, ...] | None
    spacing_from_table: bool
    orientation: str | None
    dtype: str
    stored_channels: int
    coloured: bool  # a picture whose red, green and blue differ
    channels: tuple[ChannelLook, ...]
    identical: tuple[tuple[int, int], ...]
    not_finite: int
    distinct: int  # grey values of the first channel, counted up to FEW_VALUES
    content_hash: str | None  # None where the image is not usable as it is
    thumbnails: np.ndarray
    hashes: tuple[int, ...]
    text: tuple[TextBox, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseLook:
    """One case; image or label is None where it could not be read, and `faults` say why."""

    case: Case
    image: ImageLook | None
    label: LabelLook | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class LookTask:
    """One case, with its data set less the other cases: what a worker is sent."""

    dataset: Dataset
    case: Case


def look_at_case(task: LookTask) -> CaseLook:
    """Read image and label, and note what is there; what cannot be read becomes faults."""
    dataset, case = task.dataset, task.case
    faults: list[Fault] = []
    image = label = None
    stored: np.ndarray | None = None
    if case.label is not None:
        try:
            label, stored = _label(dataset, case)
        except DataError as error:
            faults += [Fault(case.id, f"label {fault}") for fault in error.faults]
    try:
        image, more = _image(dataset, case, stored)
        faults += more
    except DataError as error:
        faults += [Fault(case.id, str(fault)) for fault in error.faults]
    return CaseLook(case, image, label, tuple(faults))


def _label(dataset: Dataset, case: Case) -> tuple[LabelLook, np.ndarray]:
    """The facts, and the label `(C, *spatial)` that they are of."""
    path = dataset.path(str(case.label))
    encoding = dataset.encodings[case.encoding]
    volume = read(path, expand_palette=encoding.kind == "colours")
    array = volume.array
    palette = is_picture(path) and len(array) == 1 and read_header(path).channels in PALETTE_CHANNELS
    if is_picture(path) and len(array) in (2, 4):
        array = array[:-1]  # alpha says nothing about the class
    if len(array) not in (1, 3) or (len(array) == 3 and array.ndim != 3):
        raise DataError([Fault(path.name, f"holds {len(array)} channels; save one value per pixel")])
    lossy = split_suffix(path)[1] in LOSSY_SUFFIXES
    if isinstance(encoding, OutlineEncoding) and not lossy:
        array = decode_labels(array, encoding, path.name)[None].astype(np.uint8)
    return look_at_label(array, volume.geometry, palette=palette, lossy=lossy), array


def _image(dataset: Dataset, case: Case, stored_label: np.ndarray | None) -> tuple[ImageLook, list[Fault]]:
    paths = [dataset.path(file) for file in case.images]
    stored = [read(path, trust_spacing=dataset.trust_file_spacing) for path in paths]
    faults: list[Fault] = []
    whole: Volume | None = None
    try:
        whole = assembled(paths, stored, dataset.channels, case.spacing_mm)
    except DataError as error:
        faults = [Fault(case.id, str(fault)) for fault in error.faults]
    arrays = [channel for volume in stored for channel in _without_alpha(volume)]
    bare = _without_values(stored[0], case, len(arrays))
    if arrays[0].size == 0 or arrays[0].dtype.kind == "c":
        return bare, faults or [Fault(case.id, "image holds no pixel; restore it or take it out")]
    of_colours = len(paths) == 1 and is_picture(paths[0]) and len(arrays) == COLOURS
    coloured = of_colours and not (np.array_equal(arrays[0], arrays[1]) and np.array_equal(arrays[0], arrays[2]))
    grey_thrice = of_colours and not coloured
    channels = [_channel(arrays[0])] * len(arrays) if grey_thrice else [_channel(channel) for channel in arrays]
    shown = np.asarray(np.mean(arrays, axis=0, dtype=np.float32)) if coloured else arrays[0]
    low, high = (0.0, 255.0) if arrays[0].dtype == np.uint8 else _window(shown)
    thumbnails = np.stack([thumbnail_of(plane, low, high) for plane in _planes(shown)])
    look = replace(
        bare,
        coloured=coloured,
        channels=tuple(channels),
        identical=_identical(arrays, channels) if len(dataset.channels) > 1 and not of_colours else (),
        not_finite=sum(channel.size - int(np.isfinite(channel).sum()) for channel in arrays if channel.dtype.kind == "f"),
        distinct=min(len(np.unique(_sample(arrays[0]))), FEW_VALUES),
        content_hash=None if whole is None else content_hash(_as_stored(whole, arrays)),
        thumbnails=thumbnails,
        hashes=tuple(hash_of(one) for one in thumbnails),
        text=_text(arrays, stored_label, coloured) if bare.geometry.rank == 2 else (),
    )
    return look, faults


def _without_values(volume: Volume, case: Case, channels: int) -> ImageLook:
    spacing = case.spacing_mm or volume.geometry.spacing_mm
    return ImageLook(
        shape=volume.shape,
        geometry=volume.geometry,
        spacing_mm=None if spacing is None else tuple(spacing),
        spacing_from_table=case.spacing_mm is not None,
        orientation=orientation(volume.geometry),
        dtype=str(volume.array.dtype),
        stored_channels=channels,
        coloured=False,
        channels=(),
        identical=(),
        not_finite=0,
        distinct=0,
        content_hash=None,
        thumbnails=np.zeros((0, 1, 1), np.uint8),
        hashes=(),
    )


def _as_stored(volume: Volume, arrays: Sequence[np.ndarray]) -> Volume:
    """In the number type of all its channels, which is smaller mostly: there is less to hash."""
    kinds = {channel.dtype for channel in arrays}
    return Volume(volume.array.astype(kinds.pop()), volume.geometry) if len(kinds) == 1 else volume


def _without_alpha(volume: Volume) -> np.ndarray:
    return volume.array[:-1] if volume.geometry.rank == 2 and len(volume.array) in (2, 4) else volume.array


def _channel(array: np.ndarray) -> ChannelLook:
    finite = array if array.dtype.kind != "f" or np.isfinite(array).all() else array[np.isfinite(array)]
    if not finite.size:
        return ChannelLook(0.0, 0.0, 0.0)
    return ChannelLook(float(finite.min()), float(finite.max()), float(np.percentile(_sample(finite), PERCENTILES[1])))


def _sample(array: np.ndarray) -> np.ndarray:
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE)]


def _window(array: np.ndarray) -> tuple[float, float]:
    sample = _sample(array)
    finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(finite, PERCENTILES))
    return (low, high) if high > low else (low, low + 1)


def _planes(array: np.ndarray) -> list[np.ndarray]:
    """The picture itself, or the middle of a volume across each axis."""
    return [array] if array.ndim == 2 else [np.take(array, size // 2, axis) for axis, size in enumerate(array.shape)]


def _identical(arrays: Sequence[np.ndarray], looks: Sequence[ChannelLook]) -> tuple[tuple[int, int], ...]:
    """Pairs of channels that are equal and not constant."""
    return tuple(
        (one, other)
        for one in range(len(arrays))
        for other in range(one + 1, len(arrays))
        if looks[one] == looks[other] and looks[one].low < looks[one].high and np.array_equal(arrays[one], arrays[other])
    )


def _text(arrays: Sequence[np.ndarray], label: np.ndarray | None, coloured: bool) -> tuple[TextBox, ...]:
    if any(channel.dtype != np.uint8 for channel in arrays):
        return ()
    grey = arrays[0]
    if coloured:
        grey = np.maximum(np.maximum(arrays[0], arrays[1]), arrays[2])  # coloured letters are bright in one of them
    found = []
    for box, faint in (*((box, False) for box in bright_rows(grey)), *((box, True) for box in islands_beside(grey))):
        share = 0.0
        if label is not None and label.shape[1:] == grey.shape:
            share = float((label[:, box[0] : box[2], box[1] : box[3]] != 0).any(axis=0).mean())
        found.append(TextBox(box, share, faint))
    return tuple(found)
