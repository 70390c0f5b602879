"""Pictures in colour that are stored as volumes of three slices, as sets of fetal heads in the birth canal (FH-PS-AOP, PSFHS) have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.errors import DataError, Fault
from autoseg.volume.files import is_picture, read, read_header
from autoseg.writing import whole_file

RED_GREEN_BLUE = 3


def is_colour_in_slices(files: Sequence[Path], labels: Sequence[Path]) -> bool:
    """Whether an image is a volume of three slices whose labels are a single one of their size: then the slices are red, green and blue."""
    if len(files) != 1 or not labels or is_picture(files[0]):
        return False
    shape = read_header(files[0]).shape
    return len(shape) == RED_GREEN_BLUE and shape[0] == RED_GREEN_BLUE and read_header(labels[0]).shape == shape[1:]


def save_as_picture(file: Path, target: Path) -> None:
    """Write the slices of a volume as one PNG in colour.

    Args:
        file: the volume, of 8 bits.
        target: the PNG without its suffix.

    Raises:
        DataError: its values are of another kind.
    """
    array = read(file).array[0]
    if array.dtype != np.uint8:
        told = f"its three slices are red, green and blue of a picture, as its label has one, but hold {array.dtype} and not 8 bits; save it as PNG"
        raise DataError([Fault(file.name, told)])
    with whole_file(target.with_name(f"{target.name}.png")) as temporary:
        Image.fromarray(np.ascontiguousarray(np.moveaxis(array, 0, -1))).save(temporary, format="PNG")
