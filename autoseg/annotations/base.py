"""What every annotation format is read into: images by name, with labelled shapes or with a label map in colours.

An annotation format is one way in which programs for drawing labels hand them over. Each has its own module with `recognise`, which looks at
names and says why it believes the folder is its own, and `read`, which turns it into an `AnnotationSet`; some have `write`. Nothing is
drawn here: see `painting`.

Coordinates are those of COCO and CVAT: x to the right and y down from the upper left corner of the picture, so that the centre of the
first pixel is (0.5, 0.5) and a shape that covers it alone goes from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from autoseg.annotations.nested import Unions
from autoseg.errors import Fault
from autoseg.records import Spacing

Size = tuple[int, ...]  # height, width; of volumes, whose labels are files, depth, height, width
Colour = tuple[int, int, int]
BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__", "bg", "unlabeled", "unlabelled"})


@dataclass(frozen=True, eq=False)
class Polygon:
    """Closed rings, each float `(n, 2)` of x and y. A point is inside where an odd number of rings encloses it: a ring in a ring is a hole."""

    rings: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Bitmap:
    """A part of the picture: boolean `(height, width)`, whose first pixel is at row `top` and column `left`."""

    mask: np.ndarray
    top: int = 0
    left: int = 0


@dataclass(frozen=True)
class MaskFile:
    """A picture, or a volume, of the image's size, that is not 0 inside the shape; of greys and probabilities, at least half of the largest."""

    path: Path


Shape = Polygon | Bitmap | MaskFile


@dataclass(frozen=True)
class Annotation:
    """One labelled shape. Those with a higher `z_order` lie above; of the same, later ones lie above earlier ones."""

    label: str
    shape: Shape
    z_order: int = 0


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of the set.

    Args:
        name: of its file as the format writes it, perhaps with folders.
        size: (height, width); None where the format does not tell.
        annotations: shapes; none: nothing of what was looked for is there.
        label_map: a picture in the set's `colours` (or grey values), in the place of shapes.
        files: of the image, one for each channel, where the format knows where they lie; else they are found by `name`.
        subject: whose it is, where the format tells.
        spacing_mm: in the order of the array's axes, likewise.
        told_in: the file that tells of this image alone, of formats with one for each.
    """

    name: str
    size: Size | None
    annotations: tuple[Annotation, ...] = ()
    label_map: Path | None = None
    files: tuple[Path, ...] = ()
    subject: str | None = None
    spacing_mm: Spacing | None = None
    told_in: Path | None = None


@dataclass(frozen=True)
class AnnotationSet:
    """All images of a set that has been read.

    Args:
        format: its name.
        labels: names of the labels in the format's own order, without the background.
        images: in the format's own order.
        colours: of label maps in colours, by colour; the background is ""; a colour that is missing is not declared.
        values: of label maps in grey values, likewise; empty where nobody declared them.
        faults: what could not be read, by image.
        notes: what was left out or assumed, in sentences.
        channels: names, where the format tells.
        unions: structures that are made of several labels, or share some: see `nested`.
    """

    format: str
    labels: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    colours: Mapping[Colour, str] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    unions: Unions = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledImage:
    """What is to be written: a label map `(height, width)` of the values of its set, and the image that it belongs to."""

    name: str  # of the image's file
    labels: np.ndarray


@dataclass(frozen=True)
class ReadOptions:
    """What the caller says himself; a format that has no use for it leaves it alone.

    Args:
        colours: names of colours in label maps; they count more than what the format's own table says, and "" is the background.
        values: names of grey values in label maps, likewise.
        folders_are_labels: whether the label of a binary mask is the name of its folder, and not the end of its own name.
        empty: whether an image without a mask has nothing on it; else that is a fault.
        boxes: whether a box is a rectangle that somebody drew around nothing more than the structure. Turned ones always are.
    """

    colours: Mapping[Colour, str] = field(default_factory=dict)
    values: Mapping[int, str] = field(default_factory=dict)
    folders_are_labels: bool = False
    boxes: bool = False
    empty: bool = False


DEFAULTS = ReadOptions()


class Reader(Protocol):
    """Reads what lies at a path."""

    def __call__(self, path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
        """The whole set; raises a `DataError` where nothing of it can be read."""


@dataclass(frozen=True)
class Format:
    """One annotation format; `looks_for` is what a user must provide to be recognised, `recognise` answers with what was found."""

    name: str
    looks_for: str
    recognise: Callable[[Path], str | None]
    read: Reader


def is_background(label: str) -> bool:
    """Whether a label is one of the names that programs give to what is nothing."""
    return label.strip().casefold() in BACKGROUND_NAMES
