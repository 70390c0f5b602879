"""Run lengths: how COCO, CVAT and Datumaro write bitmaps down. Runs of background and inside take turns, background first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from autoseg.annotations.base import Size

FIRST_LETTER = 48  # of compressed text
BITS = 5  # of a number in one letter


def decode_runs(counts: Sequence[int], height: int, width: int, *, column_major: bool) -> np.ndarray:
    """Boolean `(height, width)`.

    Raises:
        ValueError: the runs do not fill the picture exactly, or one is negative.
    """
    runs = np.asarray(counts, np.int64)
    if runs.size and (runs.min() < 0 or int(runs.sum()) != height * width):
        raise ValueError(f"runs of {int(runs.sum())} pixels for a mask of {height} x {width}")
    if not runs.size and height * width:
        raise ValueError(f"no runs for a mask of {height} x {width}")
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return flat.reshape(width, height).T if column_major else flat.reshape(height, width)


def encode_runs(mask: np.ndarray, *, column_major: bool) -> list[int]:
    """The runs of a boolean `(height, width)`; empty for a mask without pixels."""
    flat = (mask.T if column_major else mask).ravel()
    if not flat.size:
        return []
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.r_[0, ends, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def decode_compressed(counts: str | bytes, height: int, width: int) -> np.ndarray:
    """Boolean `(height, width)` from COCO's compressed text.

    Raises:
        ValueError: it is no such text, or its runs do not fill the picture exactly.
    """
    return decode_runs(_uncompressed(counts), height, width, column_major=True)


def decode_sized(counts: object, size: object, image: Size | None) -> np.ndarray:
    """Boolean `(height, width)` from run lengths by columns, as numbers or compressed, that tell their own size.

    Args:
        counts: list of numbers, or text.
        size: `[height, width]` as it stands beside them.
        image: (height, width) of the image; None where it is not known.

    Raises:
        ValueError: they are damaged, or of another size than the image, which no mask of it can be.
    """
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2 or counts is None:
        raise ValueError("run lengths have no size or no counts")
    try:
        height, width = int(size[0]), int(size[1])
        if image is not None and tuple(image) != (height, width):
            raise ValueError(f"its run lengths are of {width}x{height} pixels, and its image has {image[1]}x{image[0]}")
        if isinstance(counts, str | bytes):
            return decode_compressed(counts, height, width)
        return decode_runs(cast(Sequence[int], counts), height, width, column_major=True)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"its run lengths are no numbers ({error})") from error


def encode_compressed(mask: np.ndarray) -> str:
    """COCO's compressed text of a boolean `(height, width)`."""
    from pycocotools import mask as coco

    return str(coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode("ascii"))


def _uncompressed(counts: str | bytes) -> list[int]:
    """Runs from COCO's text: five bits a letter, low ones first; from the fourth run on, how much longer than the last but one it is.

    COCO's own tools fill up what runs too short leave open, and say nothing; so they are not asked.
    """
    text = counts.encode("utf-8") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = letter - FIRST_LETTER
        if not 0 <= bits < 1 << BITS + 1:
            raise ValueError(f"no compressed run lengths (the letter {chr(letter)!r} is none of theirs)")
        value |= (bits & (1 << BITS) - 1) << shift
        shift += BITS
        if bits >> BITS:
            continue
        if bits >> BITS - 1:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("no compressed run lengths (they end within a number)")
    return runs
