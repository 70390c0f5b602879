"""Palettes: how many bits their entries really have."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoseg.volume.dicom.tags import package

LARGEST_BYTE = 255


def holds_eight_bits(data: Any) -> bool:
    """Whether a palette of 16 bits has no entry above 255, so that its maker meant 8; False where it cannot be read.

    Bytes in the upper half, as the standard has them, are larger, unless the palette is black altogether.
    """
    try:
        entries, first, bits = (int(value) for value in data.RedPaletteColorLookupTableDescriptor)
        if bits <= 8:
            return False
        every = np.arange(entries or 1 << 16, dtype=np.int32) + first
        colours = package("pydicom.pixels").apply_color_lut(every, data)
    except Exception:  # of a damaged palette decoding tells
        return False
    return colours.dtype.itemsize > 1 and 0 < int(colours[:, :3].max()) <= LARGEST_BYTE
