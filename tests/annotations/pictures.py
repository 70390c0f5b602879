"""Pictures for tests of readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.annotations.base import AnnotationSet
from autoseg.annotations.decoding import Decoded, Naming, Unknown, decode


def save(path: Path, rows: object, palette: list[int] | None = None) -> Path:
    """Grey values, colours, or places in a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.array(rows, np.uint8))
    if palette is not None:
        picture = Image.fromarray(np.array(rows, np.uint8), "P")
        picture.putpalette(palette)
    picture.save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def decoded(file: Path, found: AnnotationSet, unknown: Unknown = "refuse") -> Decoded:
    """A label map of a set, as an import reads it."""
    return decode(file, Naming(found.labels, found.values, found.colours), unknown)
