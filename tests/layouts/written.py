"""Small files that the layout tests write; made with Pillow and SimpleITK alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image


def picture(path: Path, values: np.ndarray | int = 90, *, mode: str | None = None, size: tuple[int, int] = (12, 16)) -> Path:
    """A picture from values `(y, x[, channel])`, or of one value of the given size (y, x)."""
    array = np.full(size, values) if isinstance(values, int) else values
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array.astype(np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def mask(path: Path, *values: int, size: tuple[int, int] = (12, 16)) -> Path:
    """A grey mask of zeros with one pixel row per value."""
    array = np.zeros(size, np.uint8)
    for row, value in enumerate(values):
        array[row + 1] = value
    return picture(path, array)


def volume(
    path: Path, values: int = 3, *, shape: tuple[int, ...] = (4, 5, 6), spacing_xyz: tuple[float, ...] = (1.0, 1.0, 2.0)
) -> Path:
    """A 3D file of one value; shape (z, y, x)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.full(shape, values, np.uint8))
    image.SetSpacing(spacing_xyz)
    sitk.WriteImage(image, str(path))
    return path


def declare(folder: Path, **content: object) -> Path:
    """`dataset.json`."""
    path = folder / "dataset.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
