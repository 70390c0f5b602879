"""Files of formats that are not read: which there are, and what to make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from autoseg.volume.files import IMAGE_SUFFIXES, split_suffix

FEWEST = 2  # files that are part of a set
SLIDES = "cut the slides into tiles, and save these as PNG"
SHAPES = "draw its shapes as masks, one a picture, and save these as PNG"
VALUES = "save each array as NIfTI, or as PNG where it is 2D"
CURES = {
    ".img": "values without a header: save them as PNG, or as NIfTI where they are volumes",
    ".svs": SLIDES,
    ".ndpi": SLIDES,
    ".mrxs": SLIDES,
    ".xml": SHAPES,
    ".npy": VALUES,
    ".npz": VALUES,
    ".mat": VALUES,
    ".h5": VALUES,
    ".hdf5": VALUES,
    ".dcm": "make pictures or volumes of them with `autoseg import SRC DST --from dicom`",
}
OTHERS = "save them as PNG, or as NIfTI where they are volumes"


def told_unread(paths: Iterable[Path]) -> str | None:
    """How many files are of a format that is not read, with the cure: the most common one; None where all are read."""
    found = Counter(suffix for path in paths if (suffix := whole_suffix(path)) and suffix not in IMAGE_SUFFIXES)
    if not found:
        return None
    suffix, number = found.most_common(1)[0]
    return f"{number} files of {suffix}, which is not read; {cure(suffix)}"


def told_images_or_labels_unread(root: Path) -> str | None:
    """The same of a whole set, where these may be its images or its labels: text and tables are not meant."""
    every = [path for path in root.rglob("*") if not path.name.startswith(".") and path.is_file()]
    number = Counter(whole_suffix(path) for path in every)
    return told_unread(path for path in every if number[whole_suffix(path)] >= FEWEST and _may_hold_pixels(whole_suffix(path)))


def whole_suffix(path: Path) -> str:
    """Of a packed file the suffix below, too: `.ppm.gz`."""
    stem, suffix = split_suffix(path)
    return Path(stem).suffix.lower() + suffix if suffix == ".gz" else suffix


def cure(suffix: str) -> str:
    """What to make of files of a format that is not read."""
    return "unpack them (gunzip)" if suffix.endswith(".gz") else CURES.get(suffix, OTHERS)


def _may_hold_pixels(suffix: str) -> bool:
    return suffix != ".dcm" and (suffix in CURES or (suffix.endswith(".gz") and suffix != ".nii.gz"))
