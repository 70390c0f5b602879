"""Run lengths: how COCO, CVAT and Datumaro write bitmaps down. Runs of background and inside take turns, background first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
        ValueError: it is no such text, or of another size.
    """
    from pycocotools import mask as coco

    try:
        text = counts.encode("ascii") if isinstance(counts, str) else counts
        found = coco.decode({"size": [height, width], "counts": text})
    except (TypeError, UnicodeEncodeError) as error:
        raise ValueError(f"no compressed run lengths ({error})") from error
    return np.asarray(found, bool)


def encode_compressed(mask: np.ndarray) -> str:
    """COCO's compressed text of a boolean `(height, width)`."""
    from pycocotools import mask as coco

    return str(coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode("ascii"))
