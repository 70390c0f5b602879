"""The size of a pixel of a single frame, from the element that knows it best. Arithmetic on `ImageFacts`."""

from __future__ import annotations

import math

from autoseg.volume.dicom.facts import ImageFacts, Region
from autoseg.volume.dicom.tags import fault

CENTIMETRES = 3  # code of a region's units (PS3.3, C.8.5.5.1.15)
TWO_DIMENSIONAL, TISSUE = 1, 1  # codes of a region's format and of its data (C.8.5.5.1.1 and C.8.5.5.1.2)
MM_PER_CM = 10.0
SAME_SCALE = 0.01  # relative

Spacing2D = tuple[float, float]


def frame_spacing(facts: ImageFacts) -> tuple[Spacing2D | None, tuple[str, ...]]:
    """(y, x) in mm, None where the file does not tell; and what is worth knowing about it.

    In this order: the calibrated regions of an ultrasound picture, PixelSpacing (of the file, or of its functional groups), and
    ImagerPixelSpacing, which is measured at the detector. Several regions of one picture may have different scales; the largest 2D
    region counts, and of two that are as large that of tissue.

    Raises:
        DataError: a size of zero, or below.
    """
    plane = facts.planes[0].spacing_mm if facts.planes else None
    stored = _positive(facts, "PixelSpacing", facts.pixel_spacing_mm or plane)
    scale, notes = _region_scale(facts)
    if scale is not None:
        if stored is not None and not _same(scale, stored):
            told = f"its ultrasound regions say {_told(scale)} mm per pixel, PixelSpacing says {_told(stored)}; the regions count"
            notes = (*notes, told)
        return scale, notes
    imager = _positive(facts, "ImagerPixelSpacing", facts.imager_spacing_mm)
    if stored is not None:
        if imager is not None and imager == stored:
            notes = (*notes, _at_the_detector(stored))
        return stored, notes
    if imager is not None:
        return imager, (*notes, _at_the_detector(imager))
    return None, notes


def _region_scale(facts: ImageFacts) -> tuple[Spacing2D | None, tuple[str, ...]]:
    """Of the region that shows most; None where no region is 2D and measured in cm."""
    usable = [region for region in facts.regions if region.spatial_format == TWO_DIMENSIONAL and _in_centimetres(region)]
    if not usable:
        return None, ()
    chosen = max(usable, key=lambda region: (region.area, region.data_type == TISSUE))
    scale = _scale(chosen)
    others = [region for region in usable if not _same(_scale(region), scale)]
    if not others:
        return scale, ()
    listed = " and ".join(sorted({_told(_scale(region)) for region in others}))
    share = 100 * chosen.area / (facts.rows * facts.columns)
    told = f"its regions differ in scale; that of the largest ({share:.0f} % of the picture), {_told(scale)} mm per pixel, counts, not {listed}"
    return scale, (told,)


def _in_centimetres(region: Region) -> bool:
    return region.units == (CENTIMETRES, CENTIMETRES) and all(region.steps) and all(map(math.isfinite, region.steps))


def _scale(region: Region) -> Spacing2D:
    down, right = region.steps  # a step may be negative, where an axis runs the other way
    return abs(down) * MM_PER_CM, abs(right) * MM_PER_CM


def _positive(facts: ImageFacts, name: str, spacing: tuple[float, ...] | None) -> Spacing2D | None:
    if spacing is None:
        return None
    if min(spacing) <= 0:
        raise fault(
            facts.path, f"its {name} is {_told(spacing)} mm; correct the file, or give --spacing CSV|MM with PNG copies of it"
        )
    return spacing[0], spacing[1]


def _same(one: Spacing2D, other: Spacing2D) -> bool:
    return all(math.isclose(a, b, rel_tol=SAME_SCALE) for a, b in zip(one, other, strict=True))


def _at_the_detector(spacing: Spacing2D) -> str:
    return f"its {_told(spacing)} mm per pixel are measured at the detector; what lies in front of it is smaller"


def _told(spacing: tuple[float, ...]) -> str:
    rounded = [f"{step:.4g}" for step in spacing]
    return rounded[0] if len(set(rounded)) == 1 else " x ".join(rounded)
