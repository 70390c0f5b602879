"""Masks of a cascade's first stage on the grid of its second: read from a prediction, brought there as labels are, and stored.

The mask of case `<id>` is two files in a folder of its own kind, beside the prepared cases whose grid it shares:

    <id>.previous.b2nd   int8 or int16 (*spatial), internal label values, in the chunks of the case's labels
    <id>.previous.json   a digest of what it was made from, its shape and size; written last
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import blosc2
import numpy as np

from autoseg.errors import DataError, Fault, RecordError, RunFolderError
from autoseg.processing.labels import decode_labels
from autoseg.processing.prepare import Placement, prepare_labels
from autoseg.processing.store import open_array, write_label_map, write_record
from autoseg.records import Preparation, Record, Shape, Structure, ValueEncoding
from autoseg.volume.files import read

_ARRAY, _RECORD = ".previous.b2nd", ".previous.json"


class PreviousRecord(Record):
    """`<id>.previous.json`; `made_from` is a digest of the mask, the network that made it, and the grid."""

    made_from: str
    shape: Shape
    bytes: int  # of the array's file: a copy that was cut short shows


class PreviousMask:
    """The stored mask of one case, read in patches from disk, or held in memory. It may cross process borders."""

    def __init__(self, path: Path, shape: Shape):
        self.path, self.shape = path, shape
        self._mask: blosc2.NDArray | np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        return int(np.prod(self.shape)) * int(self._array().dtype.itemsize)

    def read(self, slices: Sequence[slice]) -> np.ndarray:
        """A patch `(*patch)` of internal label values; a view if the mask is held in memory."""
        return self._array()[tuple(slices)]

    def load_into_memory(self) -> None:
        """Hold it in memory from now on."""
        self._mask = self.read(tuple(slice(0, size) for size in self.shape))

    def _array(self) -> blosc2.NDArray | np.ndarray:
        if self._mask is None:
            self._mask = open_array(self.path)
        return self._mask

    def __getstate__(self) -> dict[str, object]:
        # An open blosc2 file belongs to its process; the copy opens its own.
        return self.__dict__ if isinstance(self._mask, np.ndarray) else self.__dict__ | {"_mask": None}


def encoding_of_masks(targets: Sequence[Structure], regions: bool) -> ValueEncoding:
    """What the values of a predicted mask mean as internal label values.

    A painted region stands for its values that no later region covers (of whole tumour = 1, 2, 3 and core = 2, 3 what stays painted
    as whole tumour is value 1). Where regions overlap without one holding the other, a mask cannot tell all that was predicted;
    the later region is kept.
    """
    values = {0: 0}
    for position, target in enumerate(targets):
        later = {value for other in targets[position + 1 :] for value in other.values} if regions else set()
        values[target.output_value] = min(set(target.values) - later or set(target.values))
    return ValueEncoding(values=values)


def read_previous(path: Path, targets: Sequence[Structure], regions: bool) -> np.ndarray:
    """A mask as a first stage wrote it, as internal label values: int16 `(*spatial)` on the image's grid.

    Raises:
        DataError: it cannot be read, or holds values of no target.
    """
    return decode_labels(read(path).array, encoding_of_masks(targets, regions), path.name)


def prepare_previous(mask: np.ndarray, placement: Placement, preparation: Preparation, case: str) -> np.ndarray:
    """Bring a mask to the grid of its prepared image, as labels are brought there: int16 `(*prepared)`.

    Raises:
        DataError: filed under the case: it has another size than the image.
    """
    if mask.shape != placement.shape:
        message = f"the first stage's mask has shape {mask.shape}, the image {placement.shape}; predict it anew"
        raise DataError([Fault(case, message)])
    return prepare_labels(mask, placement, preparation)


def one_hot(mask: np.ndarray, targets: Sequence[Structure]) -> np.ndarray:
    """One channel per target, 1 where the mask holds one of its values: float32 `(T, *mask.shape)`; as training has it."""
    return np.stack([np.isin(mask, target.values) for target in targets]).astype(np.float32)


def write_previous(folder: Path, case: str, mask: np.ndarray, *, digest: str, patch: Shape | None = None) -> None:
    """Store a mask on its prepared grid; an older one is replaced, and never taken for whole in between.

    Args:
        folder: made if it does not exist.
        case: its id.
        mask: `(*prepared)` integers within int16.
        digest: what it was made from; `is_previous_complete` compares it.
        patch: that training will read, as for the case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (case + _RECORD)).unlink(missing_ok=True)
    path = folder / (case + _ARRAY)
    write_label_map(path, mask, patch)
    shape = tuple(int(size) for size in mask.shape)
    write_record(folder / (case + _RECORD), PreviousRecord(made_from=digest, shape=shape, bytes=path.stat().st_size))


def is_previous_complete(folder: Path, case: str, digest: str) -> bool:
    """Whether the mask is there as a whole and was made from what `digest` says."""
    try:
        record = PreviousRecord.load(folder / (case + _RECORD))
        return record.made_from == digest and (folder / (case + _ARRAY)).stat().st_size == record.bytes
    except (RecordError, FileNotFoundError):
        return False


def open_previous(folder: Path, case: str) -> PreviousMask:
    """Open a stored mask; only its record is read yet.

    Raises:
        RunFolderError: it is not there, or was not written to its end.
        RecordError: its record is damaged.
    """
    record = folder / (case + _RECORD)
    if not record.is_file():
        raise RunFolderError(
            f"the first stage's mask of {case} is not prepared in {folder}; start the training again, which prepares what is missing"
        )
    return PreviousMask(folder / (case + _ARRAY), PreviousRecord.load(record).shape)
