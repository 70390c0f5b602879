"""How alike two pictures are whatever was done to their grey values: a perceptual hash to find candidates, and a correlation to judge them.

Pictures are thumbnails `(64, 64)` of uint8. The hash is that of the low frequencies of the discrete cosine transform (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010). Ultrasound frames share sector, gain and layout, which is all that low frequencies see;
so candidates are compared by what is left without them.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

SIDE = 64  # pixels of a thumbnail
HASH_SIDE = 8  # frequencies along each axis: 64 bits
HASHED_SIDE = 32  # the transform is taken of a picture of this size
BACKGROUND_SIGMA = 3.0  # pixels; brightness that varies more slowly than this is no content
LARGEST_SHIFT = 3  # pixels of the thumbnail by which a copy may be moved, 5 % of the picture
SCALES = (1.0, 0.96, 0.92, 1.04, 1.09)  # what is left of a copy whose border was cut off, and the other way round
LEAST_AT_FIRST = 0.35  # of copies that were cropped by 4 %, compared without scaling, half have 0.6 and all have more than 0.45
SURE = 0.98  # there is nothing more to be found
LEAST_DETAIL = (
    0.02  # deviation of the content, of grey values from 0 to 1 (square root); below it a picture shows nothing to compare
)


def hash_of(thumbnail: np.ndarray) -> int:
    """64 bits that hardly change with brightness, contrast, noise, compression and size. A picture of one grey value has none set."""
    small = np.asarray(Image.fromarray(thumbnail).resize((HASHED_SIDE, HASHED_SIDE), Image.Resampling.BOX), np.float32)
    frequencies = dctn(small, norm="ortho")[1 : HASH_SIDE + 1, 1 : HASH_SIDE + 1].ravel()
    bits = frequencies > np.median(frequencies)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def bits_apart(hashes: np.ndarray, other: int) -> np.ndarray:
    """In how many of their 64 bits each of the hashes (uint64, any shape) differs from another one."""
    different = np.ascontiguousarray(hashes ^ np.uint64(other))
    return np.unpackbits(different.view(np.uint8).reshape(*different.shape, 8), axis=-1).sum(axis=-1, dtype=np.int64)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the content of two thumbnails, the largest over small shifts and scales; 0 where one shows nothing, 1 for copies.

    Shifts wrap around at the border, which costs a copy that was moved a little of its likeness.
    """
    reference = content_of(other)
    if reference is None:
        return 0.0
    spectrum = np.conj(np.fft.rfft2(reference))
    best = 0.0
    for scale in SCALES:
        content = content_of(one if scale == 1 else _scaled(one, scale))
        if content is None:
            return 0.0
        correlation = np.fft.irfft2(np.fft.rfft2(content) * spectrum, s=(SIDE, SIDE))
        near = np.r_[0 : LARGEST_SHIFT + 1, -LARGEST_SHIFT:0]
        best = max(best, float(correlation[np.ix_(near, near)].max()))
        if best < LEAST_AT_FIRST or best > SURE:
            break
    return min(best, 1.0)


def content_of(thumbnail: np.ndarray) -> np.ndarray | None:
    """Fine structure of a thumbnail with mean 0 and norm 1; None where there is hardly any."""
    root = np.sqrt(thumbnail.astype(np.float32) / 255)  # so that dark parts count
    content = root - gaussian_filter(root, BACKGROUND_SIGMA)
    content -= content.mean()
    if float(content.std()) < LEAST_DETAIL:
        return None
    return content / np.linalg.norm(content)


def thumbnail_of(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """`(64, 64)` uint8 of a plane `(h, w)`; grey values from `low` to `high` become 0 to 255. The mean of the pixels that one replaces."""
    if plane.dtype != np.uint8:
        plane = np.nan_to_num(plane.astype(np.float32), nan=low, posinf=high, neginf=low)
    elif low == 0 and high == 255:
        return np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BOX))
    small = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX))
    return (np.clip((small - low) / max(high - low, 1e-12), 0, 1) * 255 + 0.5).astype(np.uint8)


def _scaled(thumbnail: np.ndarray, scale: float) -> np.ndarray:
    """The middle of a thumbnail, `scale` of its width, drawn as large as it was; above 1 with a border of its own edge around it."""
    picture = Image.fromarray(thumbnail)
    if scale > 1:
        margin = round(SIDE * (scale - 1) / 2)
        return np.asarray(Image.fromarray(np.pad(thumbnail, margin, mode="edge")).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    margin_share = SIDE * (1 - scale) / 2
    box = (margin_share, margin_share, SIDE - margin_share, SIDE - margin_share)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))
