"""`fingerprint.json`: what was measured on every case, and over the set."""

from __future__ import annotations

from autoseg.records.base import Part, Record, Shape, Spacing


class Intensities(Part):
    """Foreground intensities of one channel (label > 0, ignore label left out)."""

    mean: float
    median: float
    std: float
    min: float
    max: float
    percentile_00_5: float
    percentile_99_5: float


class StructureSize(Part):
    """How much of a structure a case holds.

    `size` is in mm2 (2D) or ml (3D), None where the spacing is unknown. `thickness` is the diameter of the largest
    inscribed ball, in pixels of the case's finest axis (0 where absent): it tells how far the grid may be coarsened.
    """

    pixels: int
    size: float | None
    thickness: float


class CaseFacts(Part):
    """One case as measured. Shapes and spacings are in array order: (z, y, x) or (y, x)."""

    id: str
    shape: Shape
    spacing_mm: Spacing | None
    orientation: str | None  # three letters for 3D, towards which the axes x, y, z run (DICOM terms: "LPS")
    shape_after_crop: Shape
    structures: dict[str, StructureSize]  # targets and derived; a structure that is absent has 0 pixels
    intensities: tuple[Intensities, ...] | None  # per channel; None without foreground
    content_hash: str  # of the image's values; equal for exact duplicates


class Fingerprint(Record):
    """Facts of a data set. `cases` covers those with labels, in the data set's order."""

    cases: tuple[CaseFacts, ...]
    intensities: tuple[Intensities, ...]  # per channel, over the foreground of all cases
    median_relative_size_after_crop: float
    duplicates: tuple[tuple[str, ...], ...] = ()
    spacing_outliers: tuple[str, ...] = ()  # sentences: case, spacing, factor from the median
    notes: tuple[str, ...] = ()
