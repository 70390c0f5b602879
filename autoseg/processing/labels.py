"""From what a label file holds (grey values, colours, or an outline) to internal label values.

Whatever a file holds that its encoding does not declare is an error, so that a stray value never becomes background in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.records import ColourEncoding, LabelEncoding, OutlineEncoding, ValueEncoding
from autoseg.volume.ellipse import Ellipse, fill_ellipse, fit_ellipse

UNDECLARED = np.iinfo(np.int16).min
WIDEST_TABLE = 1 << 20  # a look-up table of this many values still costs nothing
MOST_NAMED = 12  # undeclared values named in one message
ALPHA_CHANNELS = (2, 4)
OUTLINE_TOLERANCE = 0.15  # of the minor semi-axis, or OUTLINE_TOLERANCE_PIXELS where that is more
OUTLINE_TOLERANCE_PIXELS = 4.0
OUTLINE_SHARE = 0.8  # of the points must lie that close to the fitted ellipse


def decode_labels(array: np.ndarray, encoding: LabelEncoding, name: str = "label") -> np.ndarray:
    """Internal label values, int16 `(*spatial)`, of a label file as `volume.files.read` returned it, `(C, *spatial)`.

    Args:
        array: one channel of values; colours (2 or 4 channels: the last is alpha, and is dropped); or an outline.
            Floats are accepted where they hold whole numbers, colours where they are grey.
        encoding: what the values mean. An outline without a single pixel decodes to background: the structure is absent.
        name: what errors are filed under.

    Raises:
        DataError: values or colours that are not declared, each with its pixel count; numbers that are not whole; an outline
            that is no ellipse.
    """
    if array.shape[0] in ALPHA_CHANNELS and array.ndim == 3:
        array = array[:-1]
    if isinstance(encoding, ColourEncoding):
        return _decode_colours(array, encoding.colours, name)
    if isinstance(encoding, ValueEncoding):
        return _decode_values(_one_channel(array, name), encoding.values, name)
    return _decode_outline(array, encoding, name)


def _one_channel(array: np.ndarray, name: str) -> np.ndarray:
    if any((channel != array[0]).any() for channel in array[1:]):
        message = f"holds {len(array)} different channels, where values are declared; declare colours, or save one channel"
        raise DataError([Fault(name, message)])
    return array[0]


def _decode_values(array: np.ndarray, values: Mapping[int, int], name: str) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.integer):
        array = _whole_numbers(array, name)
    if array.size == 0:
        return np.zeros(array.shape, dtype=np.int16)
    low, high = (0, 255) if array.dtype == np.uint8 else (int(array.min()), int(array.max()))
    if high - low >= WIDEST_TABLE:  # only stray numbers lie so far apart
        found, counts = np.unique(array, return_counts=True)
        strays = [(str(value), int(n)) for value, n in zip(found.tolist(), counts, strict=True) if value not in values]
        raise _undeclared(name, "value", strays, map(str, values))
    table = np.full(high - low + 1, UNDECLARED, dtype=np.int16)
    for stored, internal in values.items():
        if low <= stored <= high:
            table[stored - low] = internal
    decoded = np.take(table, array if low == 0 else array.astype(np.int64) - low)
    if decoded.min() == UNDECLARED:
        found, counts = np.unique(array[decoded == UNDECLARED], return_counts=True)
        raise _undeclared(name, "value", [(str(v), int(n)) for v, n in zip(found, counts, strict=True)], map(str, values))
    return decoded


def _whole_numbers(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    whole = np.rint(array)
    wrong = ~(np.isfinite(array) & (whole == array))
    if wrong.any():
        example = float(array[wrong][0])
        message = f"{int(wrong.sum())} pixels hold numbers that are not whole, such as {example:g}; save the labels as integers"
        raise DataError([Fault(name, message)])
    return whole.astype(np.int64)


def _decode_colours(array: np.ndarray, colours: Mapping[str, int], name: str) -> np.ndarray:
    if array.ndim != 3 or len(array) not in (1, 3):
        raise DataError([Fault(name, f"shape {array.shape} is no colour picture; save the mask as an RGB PNG")])
    if not np.issubdtype(array.dtype, np.integer) or array.max(initial=0) > np.iinfo(np.uint8).max:
        raise DataError([Fault(name, "colours of more than 8 bits; save the mask as an RGB PNG of 8 bits per colour")])
    red, green, blue = (array[0],) * 3 if len(array) == 1 else array  # a mask without colour may have been saved as grey
    packed = red.astype(np.int32) << 16
    packed |= green.astype(np.int32) << 8
    packed |= blue
    decoded = np.full(packed.shape, UNDECLARED, dtype=np.int16)
    for colour, internal in colours.items():
        r, g, b = (int(part) for part in colour.split(","))
        decoded[packed == (r << 16 | g << 8 | b)] = internal
    if decoded.min(initial=0) == UNDECLARED:
        found, counts = np.unique(packed[decoded == UNDECLARED], return_counts=True)
        strays = [(f"{c >> 16},{c >> 8 & 255},{c & 255}", int(n)) for c, n in zip(found.tolist(), counts, strict=True)]
        raise _undeclared(name, "colour", strays, colours)
    return decoded


def _decode_outline(array: np.ndarray, encoding: OutlineEncoding, name: str) -> np.ndarray:
    if array.ndim != 3:
        raise DataError([Fault(name, "an outline is a 2D picture; save it as PNG")])
    drawn = array[0] > 0 if len(array) == 1 else (array > 0).any(axis=0)
    points = np.stack(np.divmod(np.flatnonzero(drawn), drawn.shape[1]), axis=1)
    decoded = np.zeros(drawn.shape, dtype=np.int16)
    if len(points) == 0:
        return decoded
    try:
        ellipse = fit_ellipse(points)
    except DataError as error:
        raise DataError([Fault(name, str(error))]) from error
    if _share_near(points, ellipse) < OUTLINE_SHARE:
        message = "is declared as an elliptic outline and is none; if it is a filled mask, declare its values instead"
        raise DataError([Fault(name, message)])
    decoded[fill_ellipse(drawn.shape, ellipse)] = encoding.value
    return decoded


def _share_near(points_yx: np.ndarray, ellipse: Ellipse) -> float:
    """The share of points close to the ellipse, measured along the radius; a filled mask has few."""
    y, x = (points_yx - np.array(ellipse.centre_yx)).T
    cosine, sine = np.cos(ellipse.angle_rad), np.sin(ellipse.angle_rad)
    major, minor = ellipse.semi_axes
    radius = np.hypot((x * cosine + y * sine) / major, (y * cosine - x * sine) / minor)
    tolerance = max(OUTLINE_TOLERANCE, OUTLINE_TOLERANCE_PIXELS / minor)
    return float((np.abs(radius - 1) <= tolerance).mean())


def _undeclared(name: str, kind: str, strays: Sequence[tuple[str, int]], declared: Iterable[str]) -> DataError:
    named = ", ".join(f"{stray} ({count} pixel{'s' if count > 1 else ''})" for stray, count in strays[:MOST_NAMED])
    more = f" and {len(strays) - MOST_NAMED} more" if len(strays) > MOST_NAMED else ""
    message = (
        f"label {kind}{'s' if len(strays) > 1 else ''} not declared: {named}{more}; declared: {'; '.join(declared) or 'none'}; "
        f"correct the mask, or declare the {kind} in the data set's description"
    )
    return DataError([Fault(name, message)])
