"""Stored pixels -> values `(channel, y, x)`: decoded, in RGB or grey, and rescaled to what they stand for.

pydicom decodes what is stored plainly or by run lengths; Pillow, which is here anyway, JPEG and JPEG 2000; pyjpegls, which highdicom
brings along, JPEG-LS. For the other kinds of JPEG, ITK's own decoders are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from autoseg.errors import DataError
from autoseg.volume.dicom.facts import IMAGE_TAGS, NO_PIXELS, ImageFacts, Plane
from autoseg.volume.dicom.tags import PIXEL_TAGS, PIXELS, fault, opened, package, quietly, without_stderr

QUANTITIES = ("CT", "PT", "MR")  # whose values mean something, however they are to be shown
DECODED_BY_ITK = {  # the kinds of JPEG that pydicom needs a package under the GPL for
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
}
PACKAGES = dict.fromkeys(  # that decode what nothing here does: High-Throughput JPEG 2000
    ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"), "pylibjpeg-openjpeg"
)
PALETTE_BITS = 8  # of the pictures that palettes become


def frames(facts: ImageFacts, wanted: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """The frames of a file, one after another (`wanted`: these, counted from 0), each `(channel, y, x)`.

    Raises:
        DataError: no pixels, an encoding for which there is no decoder, or damaged.
    """
    path = facts.path
    data = opened(path, (*IMAGE_TAGS, *PIXEL_TAGS))
    if not any(name in data for name in PIXELS.values()):
        raise fault(path, NO_PIXELS)
    by_itk = None if _decodable(path, data) else _decoded_by_itk(facts)
    for index in range(facts.frames) if wanted is None else wanted:
        plane = facts.planes[index]
        if by_itk is not None:
            yield _upright(facts, by_itk[index], plane)
            continue
        stored = _decoded(facts, data, index)
        if data.get("ModalityLUTSequence"):
            yield _channels_first(_with_lut(facts, stored, data))
        else:
            yield _upright(facts, rescaled(stored, plane.slope, plane.intercept), plane)


def rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """`slope * stored + intercept`: whole numbers where both are whole, else float32; the array itself where nothing changes."""
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if float(slope).is_integer() and float(intercept).is_integer() and stored.dtype.kind in "iu":
        values = stored.astype(np.int64) * int(slope) + int(intercept)
        for dtype in (np.int16, np.int32):
            if np.iinfo(dtype).min <= values.min(initial=0) and values.max(initial=0) <= np.iinfo(dtype).max:
                return values.astype(dtype)
        return values
    return (stored * np.float64(slope) + intercept).astype(np.float32)


def inverted(values: np.ndarray, bits: int, signed: bool, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """Rescaled values of a picture in which 0 is white, with black and white exchanged: the lowest that can be stored becomes the highest."""
    ends = -1 if signed else (1 << bits) - 1  # the lowest and the highest stored value, added up
    total = slope * ends + 2 * intercept
    if values.dtype.kind in "iu" and float(total).is_integer():
        turned = int(total) - values.astype(np.int64)
        return turned.astype(values.dtype if turned.min(initial=0) >= np.iinfo(values.dtype).min else np.int32)
    return (total - values.astype(np.float64)).astype(np.float32)


def _is_turned(facts: ImageFacts) -> bool:
    """Whether 0 is white, in a picture: quantities keep their values."""
    return facts.photometric == "MONOCHROME1" and facts.modality not in QUANTITIES


def _upright(facts: ImageFacts, values: np.ndarray, plane: Plane) -> np.ndarray:
    """Channels first; white brighter than black in pictures."""
    if _is_turned(facts):
        values = inverted(values, facts.bits_stored, facts.signed, plane.slope, plane.intercept)
    return _channels_first(values)


def _channels_first(values: np.ndarray) -> np.ndarray:
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _decodable(path: Path, data: Any) -> bool:
    """Whether pydicom can decode it here; False where ITK is to be asked.

    Raises:
        DataError: neither can.
    """
    syntax = data.file_meta.TransferSyntaxUID
    try:
        available = bool(package("pydicom.pixels").get_decoder(syntax).is_available)
    except NotImplementedError:
        available = False
    if available and str(syntax) == "1.2.840.10008.1.2.4.51" and int(data.get("BitsStored") or 8) > 8:
        available = False  # Pillow decodes JPEG of eight bits alone
    if available:
        return True
    if str(syntax) in DECODED_BY_ITK:
        return False
    name, needed = getattr(syntax, "name", str(syntax)), PACKAGES.get(str(syntax))
    if needed:
        raise fault(path, f"is compressed as {name}, which needs the package {needed}: pip install {needed}")
    cure = "save it uncompressed with the program that it comes from (or dcmdjpeg, gdcmconv --raw)"
    raise fault(path, f"is compressed as {name}, for which there is no decoder here; {cure}")


def _decoded(facts: ImageFacts, data: Any, index: int) -> np.ndarray:
    """Stored values of a frame `(y, x[, 3])` in this machine's byte order, colours as RGB."""
    pixels = package("pydicom.pixels")
    try:
        with quietly():
            stored = pixels.pixel_array(data, index=index)
            if facts.photometric == "PALETTE COLOR":
                stored = pixels.apply_color_lut(stored, data)[..., :3]
                if facts.byte_palette:
                    stored = stored.astype(np.uint8)
                elif stored.dtype.itemsize > 1:
                    stored = (stored >> (8 * stored.dtype.itemsize - PALETTE_BITS)).astype(np.uint8)
    except MemoryError:
        raise
    except Exception:  # decoders raise what they like
        raise _undecodable(facts) from None
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _with_lut(facts: ImageFacts, stored: np.ndarray, data: Any) -> np.ndarray:
    """Values of a table; where 0 is white, the table's lowest and highest change places."""
    try:
        with quietly():
            looked_up = package("pydicom.pixels").apply_modality_lut
            values = looked_up(stored, data)
            if _is_turned(facts):
                entries, first = (int(value) for value in data.ModalityLUTSequence[0].LUTDescriptor[:2])
                table = looked_up(np.arange(entries or 1 << 16, dtype=np.int32) + first, data)
                values = (int(table.min()) + int(table.max()) - values.astype(np.int64)).astype(table.dtype)
    except Exception:
        raise fault(facts.path, "its ModalityLUTSequence cannot be used; export the image again") from None
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _decoded_by_itk(facts: ImageFacts) -> np.ndarray:
    """All frames, rescaled already, `(frame, y, x[, 3])`."""
    try:
        with without_stderr():  # of JPEG they try one kind after another, and write what fits not
            image = sitk.ReadImage(str(facts.path), imageIO="GDCMImageIO")
    except RuntimeError:
        raise _undecodable(facts) from None
    array = sitk.GetArrayFromImage(image)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _undecodable(facts: ImageFacts) -> DataError:
    told = "its pixels cannot be decoded; the file is damaged, truncated, or compressed in an unusual way"
    return fault(facts.path, f"{told}: copy it again from its source, or save it uncompressed")
