"""Intensity normalisation, channel by channel; the schemes are nnU-Net's.

ct            clip to the data set's foreground percentiles, minus its foreground mean, divided by its standard deviation
zscore        minus the image's mean, divided by its standard deviation; inside the non-zero mask only where so planned
rescale_to_0_1  the image's own minimum and maximum become 0 and 1
rgb_to_0_1    divided by 255
none          as it is
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.errors import DataError
from autoseg.records import Normalization

SMALLEST_DIVISOR = 1e-8  # as nnU-Net: a constant image becomes zero rather than infinite
_CHUNK = 1 << 20  # values turned to float64 at a time


def normalise(
    array: np.ndarray, schemes: Sequence[Normalization], mask: np.ndarray | None = None, *, in_place: bool = False
) -> np.ndarray:
    """Normalise `(C, *spatial)`.

    Args:
        array: any number type.
        schemes: one per channel.
        mask: bool `(*spatial)`; for channels with `use_mask`, statistics come from inside it and values outside stay.
        in_place: write into `array` where it is float32 already.

    Returns:
        float32 `(C, *spatial)`.

    Raises:
        ValueError: not one scheme per channel, or `use_mask` without a mask.
        DataError: `rgb_to_0_1` met values outside 0..255.
    """
    if len(schemes) != len(array):
        raise ValueError(f"{len(array)} channels, but {len(schemes)} normalisation schemes")
    if mask is None and any(scheme.use_mask for scheme in schemes):
        raise ValueError("a scheme normalises inside the non-zero mask, but no mask was given")
    result = np.ascontiguousarray(array, dtype=np.float32) if in_place else np.array(array, dtype=np.float32, order="C")
    for channel, scheme in zip(result, schemes, strict=True):
        _normalise_channel(channel, scheme, mask if scheme.use_mask else None)
    return result


def _normalise_channel(channel: np.ndarray, scheme: Normalization, mask: np.ndarray | None) -> None:
    if channel.size == 0:
        return
    if scheme.scheme == "ct":
        np.clip(channel, scheme.lower, scheme.upper, out=channel)
        channel -= np.float32(scheme.mean)
        channel /= np.float32(max(scheme.std, SMALLEST_DIVISOR))
    elif scheme.scheme == "zscore":
        if mask is None:
            _standardise(channel)
        elif mask.any():
            values = channel[mask]
            _standardise(values)
            channel[mask] = values
    elif scheme.scheme == "rescale_to_0_1":
        lowest, highest = float(channel.min()), float(channel.max())
        channel -= np.float32(lowest)
        channel /= np.float32(max(highest - lowest, SMALLEST_DIVISOR))
    elif scheme.scheme == "rgb_to_0_1":
        lowest, highest = float(channel.min()), float(channel.max())
        if lowest < 0 or highest > 255:
            raise DataError(
                f"an RGB channel must hold values 0 to 255, found {lowest:g} to {highest:g}; convert the image to 8 bit, "
                "or give the channel another name (then it is z-scored)"
            )
        channel /= np.float32(255)


def _standardise(values: np.ndarray) -> None:
    """Zero mean, unit standard deviation (population), in place; the statistics are accumulated in float64."""
    mean, deviation = _mean_and_deviation(values.reshape(-1))
    values -= np.float32(mean)
    values /= np.float32(max(deviation, SMALLEST_DIVISOR))


def _mean_and_deviation(flat: np.ndarray) -> tuple[float, float]:
    parts = [flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK)]
    mean = sum(float(part.sum(dtype=np.float64)) for part in parts) / flat.size
    squares = sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in parts)
    return mean, float(np.sqrt(squares / flat.size))
