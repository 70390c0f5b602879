"""What is taken from a DICOM file besides its pixels: numbers and words in `ImageFacts`, and nothing of the patient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoseg.errors import DataError, Fault
from autoseg.volume.dicom.other_objects import what_else
from autoseg.volume.dicom.palette import holds_eight_bits
from autoseg.volume.dicom.tags import PALETTE_TAGS, fault, header, quietly, unreadable

IMAGE_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "BurnedInAnnotation",
    *PALETTE_TAGS,
)
NO_PIXELS = "has no pixels in it (no PixelData); it is a header alone, or truncated: copy it again from its source"
BYTE_PALETTE = "its palette declares 16 bits and has no entry above 255; its entries are taken for 8 bits"
FLAT_SCALE = "its RescaleSlope is 0, which would make all values the same; 1 is taken, so values may not be in their unit"


class HoldsNoImage(DataError):
    """A DICOM object that is in order, and no image."""


@dataclass(frozen=True)
class Plane:
    """Where a frame lies, and what its stored values mean; None where the file does not say.

    `position` (x, y, z) mm of the first pixel's centre, `orientation` the unit vectors along a row and along a column, both in the
    patient's LPS; `spacing_mm` (y, x). A stored value v stands for `slope * v + intercept`.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Region:
    """A calibrated part of an ultrasound picture: corners in pixels, steps in `units` (3: cm), its format (1: 2D) and data (1: tissue)."""

    corners: tuple[float, float, float, float]  # x0, y0, x1, y1
    steps: tuple[float, float]  # y, x
    units: tuple[int, int]  # y, x
    spatial_format: int
    data_type: int

    @property
    def area(self) -> float:
        """In pixels."""
        x0, y0, x1, y1 = self.corners
        return max(x1 - x0 + 1, 0) * max(y1 - y0 + 1, 0)


@dataclass(frozen=True)
class ImageFacts:
    """One file. `planes` has one entry for each frame; the UIDs tell files apart and are neither shown nor recorded."""

    path: Path
    modality: str
    image_type: tuple[str, ...]
    series_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    frames: int
    channels: int  # after palettes are expanded
    photometric: str
    bits_stored: int
    signed: bool
    planes: tuple[Plane, ...]
    pixel_spacing_mm: tuple[float, ...] | None
    imager_spacing_mm: tuple[float, ...] | None
    regions: tuple[Region, ...]
    series_uid: str = field(repr=False)
    instance_uid: str = field(repr=False)
    burned_in: str = ""  # YES or NO: whether the pixels hold words that identify the patient; empty where the file does not say
    byte_palette: bool = False  # whether a palette declares 16 bits and uses 8 of them
    flat_scale: bool = False  # whether a RescaleSlope is 0, in whose place 1 is taken

    @property
    def is_volume(self) -> bool:
        """Whether the frames of this one file have places in space."""
        return self.frames > 1 and all(plane.position and plane.orientation for plane in self.planes)

    @property
    def is_localizer(self) -> bool:
        """Whether it is a survey image from which others were planned."""
        return "LOCALIZER" in self.image_type

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of its values."""
        return ((BYTE_PALETTE,) if self.byte_palette else ()) + ((FLAT_SCALE,) if self.flat_scale else ())


def image_facts(path: Path) -> ImageFacts:
    """What a file says of its image.

    Raises:
        DataError: no DICOM file, damaged, or an object that holds no image.
    """
    data, has_pixels = header(path, IMAGE_TAGS)
    try:
        with quietly():
            return _facts_of(path, data, has_pixels)
    except DataError:
        raise
    except Exception:  # a value that pydicom cannot take apart; the text may quote it
        raise unreadable(path) from None


def _facts_of(path: Path, data: Any, has_pixels: bool) -> ImageFacts:
    """Where a file ends before its pixels, its last element may be cut, and later ones be missing: nothing of it counts."""
    modality, kind = _word(data, "Modality"), _class_uid(data)
    if told := what_else(kind, modality):
        raise HoldsNoImage([Fault(path.name, told)])
    rows, columns = _whole(data, "Rows"), _whole(data, "Columns")
    if not rows or not columns:
        name = str(getattr(kind, "name", "") or "")
        if "Image" in name.split() or not data.get("SOPClassUID"):  # which every object has
            raise fault(path, "has no Rows and Columns, so it is a header alone, or truncated: copy it again from its source")
        raise HoldsNoImage([Fault(path.name, f"holds no image{f', being of the class {name}' if name else ''}; leave it out")])
    if not has_pixels:
        raise fault(path, NO_PIXELS)
    photometric = _word(data, "PhotometricInterpretation")
    frames = max(_whole(data, "NumberOfFrames") or 1, 1)
    samples = _whole(data, "SamplesPerPixel") or 1
    planes = tuple(_planes(path, data, frames))
    return ImageFacts(
        path=path,
        modality=modality,
        image_type=tuple(str(word).upper() for word in data.get("ImageType") or ()),
        series_number=_whole(data, "SeriesNumber"),
        instance_number=_whole(data, "InstanceNumber"),
        rows=rows,
        columns=columns,
        frames=frames,
        channels=3 if samples >= 3 or photometric == "PALETTE COLOR" else samples,
        photometric=photometric,
        bits_stored=_whole(data, "BitsStored") or _whole(data, "BitsAllocated") or 8,
        signed=_whole(data, "PixelRepresentation") == 1,
        planes=tuple(replace(plane, slope=plane.slope or 1.0) for plane in planes),
        pixel_spacing_mm=_numbers(path, data, "PixelSpacing", 2),
        imager_spacing_mm=_numbers(path, data, "ImagerPixelSpacing", 2),
        regions=tuple(_region(path, item) for item in data.get("SequenceOfUltrasoundRegions") or ()),
        series_uid=str(data.get("SeriesInstanceUID") or ""),
        instance_uid=str(data.get("SOPInstanceUID") or ""),
        burned_in=_word(data, "BurnedInAnnotation"),
        byte_palette=photometric == "PALETTE COLOR" and holds_eight_bits(data),
        flat_scale=not data.get("ModalityLUTSequence") and any(plane.slope == 0 for plane in planes),
    )


def _class_uid(data: Any) -> Any:
    """As the file's own header names it, which is whole even where the file is cut soon after."""
    named = data.file_meta.get("MediaStorageSOPClassUID") if hasattr(data, "file_meta") else None
    return named or data.get("SOPClassUID")


def _planes(path: Path, data: Any, frames: int) -> Iterator[Plane]:
    """Of every frame; of a file without functional groups, the file's own for all."""
    own = (data, data, data, data)
    shared = next(iter(data.get("SharedFunctionalGroupsSequence") or ()), None)
    each = list(data.get("PerFrameFunctionalGroupsSequence") or ())
    if not each and shared is None:
        plane = _plane(path, own)
        alone = plane if frames == 1 else Plane(None, None, plane.spacing_mm, plane.slope, plane.intercept)
        yield from [alone] * frames
        return
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence")
    for index in range(frames):
        groups = [group for group in (each[index] if index < len(each) else None, shared) if group is not None]
        found = (next((item for group in groups for item in group.get(name) or ()), None) for name in names)
        yield _plane(path, tuple(found))


def _plane(path: Path, parts: tuple[Any, ...]) -> Plane:
    position, orientation, measures, values = parts
    slope = _numbers(path, values, "RescaleSlope", 1)
    intercept = _numbers(path, values, "RescaleIntercept", 1)
    return Plane(
        _numbers(path, position, "ImagePositionPatient", 3),
        _numbers(path, orientation, "ImageOrientationPatient", 6),
        _numbers(path, measures, "PixelSpacing", 2),
        slope[0] if slope else 1.0,
        intercept[0] if intercept else 0.0,
    )


def _region(path: Path, item: Any) -> Region:
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    x0, y0, x1, y1 = (float(_whole(item, name) or 0) for name in names)
    steps = [(_numbers(path, item, name, 1) or (0.0,))[0] for name in ("PhysicalDeltaY", "PhysicalDeltaX")]
    units = [_whole(item, name) or 0 for name in ("PhysicalUnitsYDirection", "PhysicalUnitsXDirection")]
    return Region(
        (x0, y0, x1, y1),
        (steps[0], steps[1]),
        (units[0], units[1]),
        _whole(item, "RegionSpatialFormat") or 0,
        _whole(item, "RegionDataType") or 0,
    )


def _numbers(path: Path, data: Any, name: str, count: int) -> tuple[float, ...] | None:
    """So many finite numbers; None where the element is missing or empty."""
    try:
        value = None if data is None else data.get(name)
        if value is None or value == "":
            return None
        found = tuple(float(number) for number in ([value] if isinstance(value, (str, int, float)) else value))
    except (TypeError, ValueError):
        found = ()
    if len(found) != count or not all(map(math.isfinite, found)):
        raise fault(path, f"its {name} is not {count} number{'s' if count > 1 else ''}; correct the file, or export it again")
    return found


def _whole(data: Any, name: str) -> int | None:
    try:
        value = data.get(name)
        return None if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        return None


def _word(data: Any, name: str) -> str:
    return str(data.get(name) or "").strip().upper()
