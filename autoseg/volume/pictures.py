"""PNG, JPEG, TIFF, BMP, PPM and PGM, and GIF of one frame: 2D images `(channel, y, x)`.

Values are returned as stored: 8 or 16 bit integers, or the floats of a TIFF. Channels are grey, grey + alpha, RGB or RGB +
alpha. A 1-bit picture holds 0 and 1 (never 255), so that a binary mask means the same whoever wrote it. A rotation tag
(EXIF) is not applied: masks are drawn on the stored grid.

The palette of a GIF is its encoder's choice, so its indices mean nothing: a GIF is its colours, and one grey channel where they are grey.

Pillow reads everything but colours of 16 bits, which it would reduce to 8; SimpleITK reads those. The greys of a PGM whose largest
possible value is another one than 255 or 65535 are stretched by Pillow, which is undone here.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import ExifTags, Image, UnidentifiedImageError

from autoseg.errors import DataError, Fault
from autoseg.volume.geometry import Geometry
from autoseg.volume.header import Header
from autoseg.volume.volume import Volume

NETPBM_SUFFIXES = (".ppm", ".pgm", ".pnm")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", *NETPBM_SUFFIXES)
LOSSY_SUFFIXES = (".jpg", ".jpeg")
READ_ONLY_SUFFIXES = (*LOSSY_SUFFIXES, ".gif", *NETPBM_SUFFIXES)

MM_PER_INCH = 25.4
CHANNELS = {"1": 1, "L": 1, "I": 1, "I;16": 1, "I;16L": 1, "I;16B": 1, "I;16N": 1, "F": 1, "LA": 2, "RGB": 3, "RGBA": 4}
PALETTES = ("P", "PA")
CONVERTED = {"P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB"}
TIFF_BITS_PER_SAMPLE = 258
UPRIGHT = 1  # of the orientation tag
PNG_COLOUR_TYPES_OF_ONE_CHANNEL = (0, 3)  # grey, palette
PNG_GREY_WITH_ALPHA = 4

# What Pillow and its decoders raise on damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError)


def read(path: Path, *, trust_spacing: bool = False, expand_palette: bool = True) -> Volume:
    """The picture as `(channel, y, x)`; see `files.read`."""
    with _opened(path) as image:
        spacing = _tagged_spacing(image) if trust_spacing else None
        if _has_deep_colours(path, image):
            image.load()  # Pillow refuses truncated data, where ITK may fill in zeros
            array = _read_with_itk(path)
        else:
            array = _values(image, expand_palette)
    return Volume(array, Geometry.plain(2, spacing))


def read_header(path: Path, trust_spacing: bool = False) -> Header:
    """Shape, spacing and channels without decoding; see `files.read_header`."""
    with _opened(path) as image:
        spacing = _tagged_spacing(image) if trust_spacing else None
        channels = 1 if _is_grey_gif(image) else CHANNELS.get(CONVERTED.get(image.mode, image.mode), 1)
        return Header((image.height, image.width), spacing, channels, Geometry.plain(2, spacing))


def is_turned(path: Path) -> bool:
    """Whether a tag (EXIF) asks programs to turn or mirror a picture before they show it.

    Raises:
        DataError: it cannot be read.
    """
    with _opened(path) as image:
        return image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) not in (0, UPRIGHT)


def write_labels(path: Path, labels: np.ndarray, geometry: Geometry) -> None:
    """Write uint8 or uint16 labels `(y, x)`, without loss; see `files.write_labels`."""
    suffix = path.suffix.lower()
    if suffix in LOSSY_SUFFIXES:
        raise DataError([Fault(path.name, "JPEG changes values, so it cannot hold labels; write PNG instead")])
    if suffix in READ_ONLY_SUFFIXES:
        raise DataError([Fault(path.name, f"{suffix[1:].upper()} is read but not written; write PNG instead")])
    if labels.ndim != 2:
        message = f"a picture cannot hold labels with {labels.ndim} axes; write NIfTI, NRRD or MHA instead"
        raise DataError([Fault(path.name, message)])
    if suffix == ".bmp" and labels.dtype != np.uint8:
        raise DataError([Fault(path.name, "a BMP holds labels up to 255; write PNG instead")])
    options = {"compression": "tiff_adobe_deflate"} if suffix in (".tif", ".tiff") else {}
    Image.fromarray(labels).save(path, **options)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture of one page; whatever goes wrong with its data on the way is a `DataError` that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and raises where values are concerned
            with Image.open(path) as image:
                _refuse_pages(path, image)
                yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(path, "not a picture of a known kind, or damaged at its beginning") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        told = f"holds more than the {most:.0f} million pixels that are read at once; cut it into tiles, or save it smaller"
        raise DataError([Fault(path.name, told)]) from error
    except DAMAGE as error:
        raise _unreadable(path, str(error)) from error


def _values(image: Image.Image, expand_palette: bool) -> np.ndarray:
    largest = _largest_possible(image)  # known before the values are decoded
    if _is_grey_gif(image):
        image = image.convert("RGB").getchannel(0)
    elif image.mode in CONVERTED and not (image.mode in PALETTES and not expand_palette and image.format != "GIF"):
        image = image.convert(CONVERTED[image.mode])
    elif image.mode == "PA":
        image.load()
        image = image.getchannel(0)
    mode, suffix_is_png, is_netpbm = image.mode, image.format == "PNG", image.format == "PPM"
    array = np.array(image)  # a copy: it decodes, and raises where the data end early
    if mode == "1":
        array = array.astype(np.uint8)
    elif mode == "I" and (suffix_is_png or is_netpbm):
        array = array.astype(np.uint16)  # Pillow hands these over as int32
    if largest is not None:
        array = np.rint(array * (largest / np.iinfo(array.dtype).max)).astype(array.dtype)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _is_grey_gif(image: Image.Image) -> bool:
    """Whether all colours of a GIF's palette are grey."""
    palette = np.array(image.getpalette() or (), np.uint8).reshape(-1, 3) if image.format == "GIF" and image.mode == "P" else None
    return palette is not None and bool((palette == palette[:, :1]).all())


def _largest_possible(image: Image.Image) -> int | None:
    """What a PPM or PGM calls its largest possible value, where Pillow stretches values for it."""
    tiles = getattr(image, "tile", None)
    if image.format != "PPM" or not tiles or not isinstance(tiles[0].args, tuple) or image.mode == "F":
        return None
    largest = int(tiles[0].args[-1])
    return None if largest == (65535 if image.mode == "I" else 255) else largest


def _has_deep_colours(path: Path, image: Image.Image) -> bool:
    """Whether there are several channels of more than 8 bits, which Pillow would cut to 8."""
    if image.format == "PNG":
        with path.open("rb") as file:
            start = file.read(26)  # signature, then IHDR: bit depth at byte 24, colour type at 25
        if start[24] == 16 and start[25] == PNG_GREY_WITH_ALPHA:
            raise DataError([Fault(path.name, "16-bit grey with alpha is not read; save it without alpha")])
        return start[24] == 16 and start[25] not in PNG_COLOUR_TYPES_OF_ONE_CHANNEL
    if image.format == "PPM" and image.mode == "RGB" and (_largest_possible(image) or 0) > 255:
        raise DataError([Fault(path.name, "a PPM with colours of more than 8 bits is not read; save it as PNG")])
    if image.format == "TIFF":
        bits = image.tag_v2.get(TIFF_BITS_PER_SAMPLE, (8,))  # type: ignore[attr-defined]
        return len(bits) > 1 and max(bits) > 8
    return False


def _read_with_itk(path: Path) -> np.ndarray:
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise _unreadable(path, str(error).strip().splitlines()[-1]) from error
    return np.ascontiguousarray(np.moveaxis(array, -1, 0)) if array.ndim == 3 else array[None]


def _refuse_pages(path: Path, image: Image.Image) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        message = f"holds {pages} pages; save a stack as NIfTI, NRRD or MHA, or every page as a picture of its own"
        raise DataError([Fault(path.name, message)])


def _tagged_spacing(image: Image.Image) -> tuple[float, float] | None:
    """(y, x) in mm from the resolution tag; None where the file gives only an aspect ratio, or nothing."""
    dots = image.info.get("dpi")
    if not dots or min(dots) <= 0:
        return None
    return MM_PER_INCH / float(dots[1]), MM_PER_INCH / float(dots[0])


def _unreadable(path: Path, why: str) -> DataError:
    message = f"cannot be read ({why}); the file is damaged or truncated: copy it again from its source"
    return DataError([Fault(path.name, message)])
