"""How alike two pictures are whatever was done to their grey values: a perceptual hash to find candidates, and a correlation to judge them.

Pictures are thumbnails `(64, 64)` of uint8. The hash is that of the low frequencies of the discrete cosine transform (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010). Frames of one machine share sector, gain and layout, which is all that low frequencies
see; so candidates are compared by their fine structure, brought to one contrast everywhere (else the bright rim of a fundus would
decide), and without what all pictures of the set have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

SIDE = 64  # pixels of a thumbnail
LEAST_OWN = 0.2  # of a content of norm 1; a picture that has less of its own is the common one
HASH_SIDE = 8  # frequencies along each axis: 64 bits
HASHED_SIDE = 32  # the transform is taken of a picture of this size
BACKGROUND_SIGMA = 3.0  # pixels; brightness that varies more slowly than this is no content
CONTRAST_SIGMA = 4.0  # pixels over which contrast is evened out
LEAST_CONTRAST = 0.02  # of grey values from 0 to 1 (square root); less than this is noise, and is not raised
LARGEST_SHIFT = 3  # pixels of the thumbnail by which a copy may be moved, 5 % of the picture
_SHIFTS = np.r_[0 : LARGEST_SHIFT + 1, -LARGEST_SHIFT:0]
NEAR = np.ix_(_SHIFTS, _SHIFTS)  # of a correlation
SCALES = (1.0, 0.96, 0.92, 1.04, 1.09)  # what is left of a copy whose border was cut off, and the other way round
LEAST_AT_FIRST = 0.2  # without scaling; copies that were cropped have more
SURE = 0.98  # there is nothing more to be found
PAIRS_AT_ONCE = 2**21  # of hashes that are compared: 16 MB
BITS_OF_16 = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1, dtype=np.uint8)
LEAST_DETAIL = 0.01  # deviation of the fine structure, in the same unit; below it a picture shows nothing to compare


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


def close_pairs(hashes: np.ndarray, most_bits: int) -> np.ndarray:
    """All pairs of which every hash differs in so many bits at most, as places `(pairs, 2)` in the order of the first and then the second.

    All pairs are compared, in blocks: 14 bits of 64 are too many for tables of parts of the hash, which would hardly leave anything out.

    Args:
        hashes: uint64 `(pictures, planes)`.
        most_bits: in which two planes may differ.
    """
    first = np.ascontiguousarray(hashes[:, 0])
    rows = max(1, PAIRS_AT_ONCE // max(len(first), 1))
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(first), rows):
        apart = _bit_counts(first[start : start + rows, None] ^ first[None, start:])
        one, other = np.nonzero(apart <= most_bits)
        later = other > one
        found.append(np.stack([one[later], other[later]], axis=1) + start)
    pairs = np.concatenate(found)
    for plane in hashes.T[1:]:
        pairs = pairs[_bit_counts(plane[pairs[:, 0]] ^ plane[pairs[:, 1]]) <= most_bits]
    return pairs


def _bit_counts(numbers: np.ndarray) -> np.ndarray:
    """How many bits are set in each number (uint64, any shape)."""
    if hasattr(np, "bitwise_count"):  # since NumPy 2
        return np.asarray(np.bitwise_count(numbers))
    parts = np.ascontiguousarray(numbers).view(np.uint16).reshape(*numbers.shape, 4)
    return BITS_OF_16[parts].sum(axis=-1, dtype=np.uint8)


def common_content(thumbnails: Sequence[np.ndarray]) -> np.ndarray:
    """What the thumbnails of a set have in common: the mean of their contents, `(64, 64)`; zeros where none shows anything."""
    contents = [content for thumbnail in thumbnails if (content := content_of(thumbnail)) is not None]
    return np.mean(contents, axis=0) if contents else np.zeros((SIDE, SIDE), np.float32)


class Compared:
    """A thumbnail as it is compared with others: what it has of its own, at several scales, each worked out when it is first needed."""

    def __init__(self, thumbnail: np.ndarray, common: np.ndarray | None = None) -> None:
        self._thumbnail, self._common = thumbnail, common
        self._spectra: dict[float, np.ndarray | None] = {}

    def spectrum(self, scale: float) -> np.ndarray | None:
        """Of its own content at a scale, `(64, 33)` complex; None where there is nothing."""
        if scale not in self._spectra:
            shown = self._thumbnail if scale == 1 else _scaled(self._thumbnail, scale)
            content = _own(shown, self._common)
            self._spectra[scale] = None if content is None else np.fft.rfft2(content)
        return self._spectra[scale]

    def likeness(self, other: Compared) -> float:
        """See the function of this name."""
        reference = other.spectrum(1.0)
        if reference is None:
            return 0.0
        reference, best = np.conj(reference), 0.0
        for scale in SCALES:
            spectrum = self.spectrum(scale)
            if spectrum is None:
                return 0.0
            correlation = np.fft.irfft2(spectrum * reference, s=(SIDE, SIDE))
            best = max(best, float(correlation[NEAR].max()))
            if best < LEAST_AT_FIRST or best > SURE:
                break
        return min(best, 1.0)


def likeness(one: np.ndarray, other: np.ndarray, common: np.ndarray | None = None) -> float:
    """Correlation of the contents of two thumbnails, the largest over small shifts and scales; 0 where one shows nothing, 1 for copies.

    Shifts wrap around at the border, which costs a copy that was moved a little of its likeness.

    Args:
        one: a thumbnail.
        other: another.
        common: content that all pictures of the set have, see `common_content`; it is no evidence. None: nothing is known of the set.
    """
    return Compared(one, common).likeness(Compared(other, common))


def content_of(thumbnail: np.ndarray) -> np.ndarray | None:
    """Fine structure of a thumbnail, of one contrast everywhere, with mean 0 and norm 1; None where there is hardly any."""
    root = np.sqrt(thumbnail.astype(np.float32) / 255)  # so that dark parts count
    content = root - gaussian_filter(root, BACKGROUND_SIGMA)
    if float(content.std()) < LEAST_DETAIL:
        return None
    content /= np.sqrt(gaussian_filter(content**2, CONTRAST_SIGMA) + LEAST_CONTRAST**2)
    content -= content.mean()
    return content / np.linalg.norm(content)


def _own(thumbnail: np.ndarray, common: np.ndarray | None) -> np.ndarray | None:
    """Content without what is common, norm 1; None where nothing is left."""
    content = content_of(thumbnail)
    if content is None or common is None:
        return content
    rest = content - common
    norm = float(np.linalg.norm(rest))
    return rest / norm if norm > LEAST_OWN else None


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
