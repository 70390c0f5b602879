"""A label as runs of equal values, of which a mask has few: all that is counted of labels is counted on these."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Runs:
    """A label as runs of equal values: `codes` index `keys` (0 is not special)."""

    shape: tuple[int, ...]
    keys: tuple[str, ...]
    codes: np.ndarray
    lengths: np.ndarray

    def counts(self) -> dict[str, int]:
        """Pixels of each value, in the order of the values."""
        found = np.bincount(self.codes, self.lengths, len(self.keys)).astype(np.int64)
        return dict(zip(self.keys, found.tolist(), strict=True))

    def digest(self) -> str:
        """Equal for labels of one size with the same values in the same places, however they are stored."""
        digest = hashlib.sha256(repr((self.shape, self.keys)).encode())
        digest.update(np.ascontiguousarray(self.codes, np.int32).data)
        digest.update(np.ascontiguousarray(self.lengths, np.int64).data)
        return digest.hexdigest()

    @property
    def background(self) -> int | None:
        """The code of 0 or black; None where the label has none."""
        return next((code for code, key in enumerate(self.keys) if key in ("0", "0,0,0")), None)

    def map(self) -> np.ndarray:
        """Codes `(*spatial)`, in two bytes each where that is enough."""
        codes = self.codes.astype(np.int16) if len(self.keys) <= np.iinfo(np.int16).max else self.codes
        return np.repeat(codes, self.lengths).reshape(self.shape)


def runs_of(values: np.ndarray, *, coloured: bool = False) -> Runs:
    """Runs along the last axis of values `(*spatial)`; colours, of 8 bits in int32 or 16 bits in int64, are told as "r,g,b"."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.size == 0:
        return Runs(values.shape, (), np.zeros(0, np.int64), np.zeros(0, np.int64))
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    found, codes = np.unique(flat[starts], return_inverse=True)
    lengths = np.diff(np.concatenate((starts, [flat.size])))
    keys = tuple(
        _colour(int(value), 8 if values.dtype == np.int32 else 16) if coloured else told_value(value) for value in found.tolist()
    )
    return Runs(values.shape, keys, codes.reshape(-1), lengths)


def runs_of_colours(array: np.ndarray) -> Runs:
    """Runs of colours `(3, *spatial)`, as `runs_of` tells them of `packed_colours`, which are not made for every pixel here."""
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    if flat.size == 0:
        return runs_of(packed_colours(array), coloured=True)
    changes = np.logical_or.reduce([channel[1:] != channel[:-1] for channel in flat])
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(np.concatenate((starts, [flat.shape[1]])))
    each = runs_of(packed_colours(flat[:, starts]), coloured=True)
    return Runs(array.shape[1:], each.keys, np.repeat(each.codes, each.lengths), lengths)


def told_value(value: float) -> str:
    """A label's value as text; whole numbers are told the same however they are stored."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.10g}"


def packed_colours(array: np.ndarray) -> np.ndarray:
    """Colours `(3, *spatial)` as one number each, `(*spatial)`: see `runs_of`."""
    bits = 8 if array.dtype == np.uint8 else 16
    packed = array[0].astype(np.int32 if bits == 8 else np.int64) << 2 * bits
    packed |= array[1].astype(packed.dtype) << bits
    return packed | array[2].astype(packed.dtype)


def _colour(packed: int, bits: int) -> str:
    largest = (1 << bits) - 1
    return f"{packed >> 2 * bits},{packed >> bits & largest},{packed & largest}"
