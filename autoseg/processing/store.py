"""Prepared cases on disk, so that a patch is read without reading its case.

A case `<id>` is four files in a folder:

    <id>.image.b2nd      float16 (float32 where that would lose too much) (C, *spatial), blosc2, in chunks of blocks
    <id>.labels.b2nd     int8 or int16 (*spatial), in the same chunks
    <id>.locations.npz   for each label value that occurs, int32 (n, rank) voxels of it; `annotated` where a label is ignored
    <id>.json            shape, placement, a digest, and the sizes of the other files; written last, so a case that has it is whole

blosc2 reads a chunk as a whole once a patch needs more than a quarter of its blocks (measured), so the size of chunks decides
on how much is read, see `chunk_shape`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import blosc2
import numpy as np

from autoseg.errors import RecordError, RunFolderError
from autoseg.processing.prepare import Placement
from autoseg.processing.resample import label_boxes
from autoseg.records import Record, Shape

if TYPE_CHECKING:
    from autoseg.processing.previous import PreviousMask

FEWEST_LOCATIONS, SHARE_OF_LOCATIONS = 10_000, 0.01  # nnU-Net's numbers
LARGEST_HALF = 60_000.0  # float16 ends at 65,504
LARGEST_ROUNDING = 0.002  # of a channel's deviation, root mean square: far below any noise that can be trained away
MOST_LOCATIONS = 100_000  # bounds memory on large organs; a patch centre drawn from these is as good
LOCATION_SEED = 1234
ANNOTATED = -1  # key of the sample of all voxels whose label is not ignored, in sets with an ignore label
LARGEST_OVERHEAD = 3.75  # bytes in the chunks that a patch touches, per byte of the patch
_SMALL_BLOCK_BYTES, _SMALL_CHUNK_BYTES, _LARGE_CHUNK_BYTES = 16 * 1024, 16 * 1024, 1024 * 1024
_SMALL_CASE_BYTES = 512 * 1024  # a case up to this size is one chunk
_MEDIUM_CASE_BYTES = 4 * 1024 * 1024  # and one up to this if the patch is a good part of it
_DEFAULT_PATCH = {2: (512, 512), 3: (128, 128, 128)}
_LEFTOVER_AFTER_SECONDS = 600  # a temporary file this old belongs to no living writer
_ANNOTATED_NAME = "annotated"
_FILES = (".image.b2nd", ".labels.b2nd", ".locations.npz")


class CaseRecord(Record):
    """`<id>.json`; `made_from` is a digest of what the case was made from, and how."""

    FORMAT: ClassVar[int] = 3
    format: int = 3
    made_from: str
    bytes: tuple[int, int, int]  # of the files in `_FILES`: a copy that was cut short shows
    channels: int
    shape: Shape
    placement: Placement


class PreparedCase:
    """One case, read in patches from disk, or held in memory after `load_into_memory`. It may cross process borders."""

    def __init__(self, folder: Path, case: str, record: CaseRecord):
        self.folder, self.id, self.record = folder, case, record
        self._image: blosc2.NDArray | np.ndarray | None = None
        self._labels: blosc2.NDArray | np.ndarray | None = None
        self.previous: PreviousMask | None = None  # of a cascade's first stage, on the same grid

    @property
    def shape(self) -> Shape:
        """Spatial shape."""
        return self.record.shape

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return self.record.channels

    @property
    def placement(self) -> Placement:
        """The way back to the original grid."""
        return self.record.placement

    @property
    def nbytes(self) -> int:
        """Bytes that image and labels take in memory."""
        image, labels = self._arrays()
        previous = self.previous.nbytes if self.previous is not None else 0
        return prod(self.shape) * (self.channels * image.dtype.itemsize + labels.dtype.itemsize) + previous

    @cached_property
    def locations(self) -> dict[int, np.ndarray]:
        """Sampled voxels int32 (n, rank) per label value that occurs, and under `ANNOTATED` where a label is ignored."""
        with np.load(self.folder / f"{self.id}.locations.npz", allow_pickle=False) as file:
            return {ANNOTATED if name == _ANNOTATED_NAME else int(name): file[name] for name in file.files}

    def read(self, slices: Sequence[slice]) -> tuple[np.ndarray, np.ndarray]:
        """A patch: image (C, *patch), float16 or float32 as it is stored, and labels (*patch); with a first stage's mask, (2, *patch):
        labels, and that mask.


        Args:
            slices: one per spatial axis, inside the case, step 1.

        Returns:
            Views into memory if the case is held there: do not write into them.
        """
        image, labels = self._arrays()
        box = tuple(slices)
        marks = labels[box] if self.previous is None else np.stack([labels[box], self.previous.read(box)])
        return image[(slice(None), *box)], marks

    def load_all(self) -> tuple[np.ndarray, np.ndarray]:
        """The whole image and labels, without keeping them."""
        return self.read(tuple(slice(0, size) for size in self.shape))

    def load_into_memory(self) -> Self:
        """Hold image and labels in memory from now on."""
        self._image, self._labels = (array[...] for array in self._arrays())
        if self.previous is not None:
            self.previous.load_into_memory()
        return self

    def _arrays(self) -> tuple[blosc2.NDArray | np.ndarray, blosc2.NDArray | np.ndarray]:
        if self._image is None or self._labels is None:
            self._image, self._labels = self._open("image"), self._open("labels")
        return self._image, self._labels

    def _open(self, part: str) -> blosc2.NDArray:
        return open_array(self.folder / f"{self.id}.{part}.b2nd")

    def __getstate__(self) -> dict[str, object]:
        # An open blosc2 file belongs to its process; the copy opens its own.
        on_disk = {name: None for name in ("_image", "_labels") if not isinstance(getattr(self, name), np.ndarray)}
        return self.__dict__ | on_disk


def write_case(
    folder: Path,
    case: str,
    image: np.ndarray,
    labels: np.ndarray,
    locations: dict[int, np.ndarray],
    placement: Placement,
    *,
    digest: str = "",
    patch: Shape | None = None,
) -> None:
    """Store a case; an older one of that name is replaced, and never taken for whole in between.

    Args:
        folder: made if it does not exist.
        case: its id, any characters that a file name may hold.
        image: `(C, *spatial)`, stored as float16 where that is safe (see `as_stored`).
        labels: `(*spatial)` integers within int16; stored as int8 where they fit.
        locations: from `sample_locations`.
        placement: from `prepare_image`.
        digest: what the case was made from; `is_complete` compares it.
        patch: the patch that training will read, which decides on the chunks; with a 2D network on 3D data it has 1 in the
            slice axis. None: 128 per axis in 3D, 512 in 2D.

    Raises:
        ValueError: image and labels differ in shape, or a label does not fit int16.
    """
    if image.shape[1:] != labels.shape:
        raise ValueError(f"image {image.shape[1:]} and labels {labels.shape} differ in shape")
    narrow = _narrowed(labels)
    shape: Shape = tuple(int(size) for size in labels.shape)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{case}.json").unlink(missing_ok=True)
    chunk = chunk_shape(shape, patch or _DEFAULT_PATCH[len(shape)])
    image = as_stored(image)
    _write(folder / f"{case}.image.b2nd", lambda path: _write_array(path, image, (1, *chunk), (1, *block_shape(chunk))))
    _write(folder / f"{case}.labels.b2nd", lambda path: _write_array(path, narrow, chunk, block_shape(chunk)))
    _write(folder / f"{case}.locations.npz", lambda path: _write_locations(path, locations))
    image_bytes, label_bytes, location_bytes = ((folder / f"{case}{suffix}").stat().st_size for suffix in _FILES)
    sizes = (image_bytes, label_bytes, location_bytes)
    record = CaseRecord(made_from=digest, bytes=sizes, channels=len(image), shape=shape, placement=placement)
    write_record(folder / f"{case}.json", record)


def as_stored(image: np.ndarray) -> np.ndarray:
    """The image (C, *spatial) in the type it is kept in, on disk and in memory alike.

    float16 has 11 bits: a value z standard deviations from 0 is off by at most z / 2048 of them. float32 where values are not finite
    or reach beyond 60,000, or where float16 would change a channel by more than 0.2 % of its deviation (far from 0, or tiny).
    """
    whole = np.ascontiguousarray(image, dtype=np.float32)
    if not whole.size or not np.isfinite(whole).all() or np.abs(whole).max() >= LARGEST_HALF:
        return whole
    half = whole.astype(np.float16)
    for channel, rounded in zip(whole, half, strict=True):
        difference = (channel - rounded).ravel()
        rounding = np.sqrt(np.mean(np.square(difference, dtype=np.float64)))
        if rounding > LARGEST_ROUNDING * channel.std(dtype=np.float64):
            return whole
    return half


def open_case(folder: Path, case: str) -> PreparedCase:
    """Open a stored case; nothing but its record is read yet.

    Raises:
        RunFolderError: the case is not there, or was not written to its end.
        RecordError: its record is damaged.
    """
    path = folder / f"{case}.json"
    if not path.is_file():
        raise RunFolderError(f"{case} is not prepared in {folder}; start the training again, which prepares what is missing")
    return PreparedCase(folder, case, CaseRecord.load(path))


def write_label_map(path: Path, labels: np.ndarray, patch: Shape | None = None) -> None:
    """Write one more map of integers (within int16) of a case, in the chunks of its labels; atomically."""
    chunk = chunk_shape(tuple(int(size) for size in labels.shape), patch or _DEFAULT_PATCH[labels.ndim])
    _write(path, lambda temporary: _write_array(temporary, _narrowed(labels), chunk, block_shape(chunk)))


def write_record(path: Path, record: Record) -> None:
    """Write a record about a case; atomically, by way of a short name."""
    _write(path, lambda temporary: temporary.write_text(record.model_dump_json() + "\n", encoding="utf-8"))


def open_array(path: Path) -> blosc2.NDArray:
    """An array as it lies on disk; training workers are one per core already, so each decompresses with one thread."""
    return blosc2.open(str(path), mode="r", dparams=blosc2.DParams(nthreads=1))


def is_complete(folder: Path, case: str, digest: str) -> bool:
    """Whether the case is there as a whole and was made from what `digest` says."""
    files = [folder / f"{case}{suffix}" for suffix in _FILES]
    try:
        record = CaseRecord.load(folder / f"{case}.json")
        return record.made_from == digest and all(
            file.stat().st_size == size for file, size in zip(files, record.bytes, strict=True)
        )
    except (RecordError, FileNotFoundError):
        return False


def is_stale(folder: Path, case: str, digest: str) -> bool:
    """Whether the case had been stored as a whole, but was made from something else."""
    try:
        return CaseRecord.load(folder / f"{case}.json").made_from != digest
    except RecordError:
        return False


def remove_leftovers(folder: Path, older_than_seconds: float = _LEFTOVER_AFTER_SECONDS) -> int:
    """Delete temporary files that an interrupted writer left behind; younger ones may belong to another process at work.

    Returns:
        How many were deleted; 0 if the folder does not exist.
    """
    removed = 0
    for path in folder.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime >= older_than_seconds:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # its writer finished meanwhile
    return removed


def sample_locations(labels: np.ndarray, *, ignore_value: int | None = None, seed: int = LOCATION_SEED) -> dict[int, np.ndarray]:
    """Choose voxels of every value that occurs, background left out.

    Per value 10,000 or one per cent, whichever is more (nnU-Net's rule), at most 100,000, without replacement.

    Args:
        labels: integers >= 0, `(*spatial)`.
        ignore_value: left out; with it, voxels of any other label, background included, are sampled under `ANNOTATED`.
        seed: the same labels give the same sample.

    Returns:
        int32 (n, rank) per value, rows in the array's order; empty without foreground.
    """
    random = np.random.default_rng(seed)
    locations = {
        value: _chosen(labels[box] == value, random) + np.asarray([part.start for part in box], dtype=np.int32)
        for value, box in label_boxes(labels)
        if value != ignore_value
    }
    return locations if ignore_value is None else locations | {ANNOTATED: _chosen(labels != ignore_value, random)}


@lru_cache(maxsize=16)
def chunk_shape(shape: Shape, patch: Shape) -> Shape:
    """The chunks to store a grid in: small against the patch, so that little is read besides it, yet few.

    A patch of p voxels touches at most ceil((p - 1) / c) + 1 chunks of c along an axis, wherever it lies. Of all chunks with
    edges of powers of two that hold 16 KiB to 1 MiB (of float32), the largest is taken that keeps what a patch touches within
    `LARGEST_OVERHEAD` times the patch; where none does (patches below some 100 KiB), the one that comes closest: even
    smaller ones would be too many, as writing slows with the square of their number. A case of up to 512 KiB is one chunk,
    and one of up to 4 MiB if it is at most `LARGEST_OVERHEAD` times the patch.
    """
    size = prod(shape) * 4
    if size <= _SMALL_CASE_BYTES or (size <= _MEDIUM_CASE_BYTES and prod(shape) <= LARGEST_OVERHEAD * prod(patch)):
        return shape
    edges = [[1 << power for power in range((extent - 1).bit_length() + 1)] for extent in shape]
    chunks = [chunk for chunk in product(*edges) if _SMALL_CHUNK_BYTES <= prod(chunk) * 4 <= _LARGE_CHUNK_BYTES]
    overhead = {chunk: worst_overhead(chunk, patch) for chunk in chunks}
    fitting = [chunk for chunk in chunks if overhead[chunk] <= LARGEST_OVERHEAD]
    chosen = max(fitting, key=lambda chunk: (prod(chunk), -overhead[chunk]), default=None) or min(
        chunks, key=overhead.__getitem__
    )
    return tuple(min(edge, extent) for edge, extent in zip(chosen, shape, strict=True))


def block_shape(chunk: Shape) -> Shape:
    """What is decompressed and, where a patch needs little of a chunk, read at a time: half a chunk along every axis."""
    block = tuple(max(edge // 2, 1) for edge in chunk)
    return block if prod(block) * 4 >= _SMALL_BLOCK_BYTES else chunk


def worst_overhead(chunk: Sequence[int], patch: Sequence[int]) -> float:
    """Voxels of all chunks that a patch can touch at worst, per voxel of the patch."""
    return prod((ceil((p - 1) / c) + 1) * c / p for c, p in zip(chunk, patch, strict=True))


def _narrowed(labels: np.ndarray) -> np.ndarray:
    lowest, highest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    for dtype in (np.int8, np.int16):
        if np.iinfo(dtype).min <= lowest and highest <= np.iinfo(dtype).max:
            return np.ascontiguousarray(labels, dtype=dtype)
    raise ValueError(f"labels reach from {lowest} to {highest}; at most {np.iinfo(np.int16).max} can be stored")


def _chosen(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    flat = np.flatnonzero(mask)
    wanted = min(len(flat), MOST_LOCATIONS, max(FEWEST_LOCATIONS, ceil(SHARE_OF_LOCATIONS * len(flat))))
    if wanted < len(flat):
        flat = flat[np.sort(random.choice(len(flat), wanted, replace=False))]
    return np.stack(np.unravel_index(flat, mask.shape), axis=1).astype(np.int32)


def _write_array(path: Path, array: np.ndarray, chunk: Shape, block: Shape) -> None:
    # Shuffled LZ4: normalised intensities compress little with any codec, and this one decompresses fastest.
    compression = blosc2.CParams(codec=blosc2.Codec.LZ4, clevel=5, filters=[blosc2.Filter.SHUFFLE], nthreads=1)
    blosc2.asarray(array, urlpath=str(path), mode="w", chunks=chunk, blocks=block, cparams=compression)


def _write_locations(path: Path, locations: dict[int, np.ndarray]) -> None:
    names = {value: _ANNOTATED_NAME if value == ANNOTATED else str(value) for value in locations}
    arrays = {names[value]: np.asarray(voxels, dtype=np.int32) for value, voxels in locations.items()}
    with path.open("wb") as file:  # a name would get the suffix .npz appended
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Atomically; the temporary name does not hold the case's, which may be as long as a name can be."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
