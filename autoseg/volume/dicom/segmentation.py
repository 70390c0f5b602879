"""DICOM out: a mask as a DICOM-SEG object, one segment for each structure, laid over the images that it was made from.

highdicom writes it. A DICOM-SEG names the patient and the study, as the standard wants, since it belongs into the same archive as
its images; nothing else that autoseg writes does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.volume.dicom.codes import LEARNED, LONGEST_MEANING, Concept, property_of
from autoseg.volume.dicom.tags import opened, package, quietly
from autoseg.writing import whole_file

EMPTY_WHERE_MISSING = (  # elements that an object must have, with a value or without
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "Modality",
)
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName", "StudyInstanceUID")
SERIES_AFTER = 1000  # added to the number of the images' series
NO_SERIES_NUMBER = 1
NO_THICKNESS = 1.0  # mm; a picture has none, and the element must be there
MAKER = "autoseg"


@dataclass(frozen=True)
class Origin:
    """What made the mask: autoseg's version, the model's digest, and whether someone corrected the mask afterwards."""

    version: str
    model: str
    configuration: str
    corrected: bool = False


def write_segmentation(
    path: Path,
    labels: np.ndarray,
    structures: Mapping[str, Sequence[int]],
    files: Sequence[Path],
    order: Sequence[int],
    *,
    origin: Origin,
    spacing_mm: tuple[float, ...] | None = None,
) -> None:
    """Write a mask as DICOM-SEG, atomically.

    Args:
        path: file to write.
        labels: `(y, x)` of a single frame, `(z, y, x)` of a volume, on the images' own grid.
        structures: the values in `labels` that belong to each structure; structures may overlap, and may be empty.
        files: the images' files in the order of z; or the one file of all frames.
        order: the number of the frame in each slice, where one file has them all; see `volume.dicom.planes_of`.
        origin: what made the mask.
        spacing_mm: that the mask was measured with, in the order of its axes. Of a picture it goes before what the file says, which
            may contradict its ultrasound regions; of a volume it counts where the files say nothing.

    Raises:
        DataError: highdicom is not installed, the mask has another size than the images, or the images lack what a DICOM-SEG
            refers to.
        DiskFull: there is no room.
    """
    highdicom = package("highdicom")
    sources = [_source(file, spacing_mm) for file in files]
    with quietly():
        _share_direction(sources)
    planes = labels[None] if labels.ndim == 2 else labels
    _refuse_other_size(path, planes, sources[0], len(order))
    by_frame = planes[np.argsort(np.asarray(order), kind="stable")] if len(files) == 1 else planes
    segments = np.stack([np.isin(by_frame, list(values)) for values in structures.values()], axis=-1).astype(np.uint8)
    try:
        with quietly():
            made = highdicom.seg.Segmentation(
                source_images=sources,
                pixel_array=segments,
                segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_described(number, name, origin) for number, name in enumerate(structures, start=1)],
                series_instance_uid=highdicom.UID(),
                series_number=_series_number(sources[0]),
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer=MAKER,
                manufacturer_model_name=MAKER,
                software_versions=origin.version,
                device_serial_number=origin.model,
                content_label="AUTOSEG",
                content_description="Structures found by a network" + (", corrected by hand" if origin.corrected else ""),
                series_description="autoseg segmentation",
                omit_empty_frames=bool(segments.any()),
            )
    except MemoryError:
        raise
    except Exception as error:  # highdicom raises what its parts raise
        told = _without_patient(str(error), sources)
        raise DataError(
            [Fault(path.stem, f"a DICOM-SEG cannot refer to its images: {told}; export them again from their source")]
        ) from None
    with whole_file(path) as temporary, quietly():
        made.save_as(temporary)


def _source(file: Path, spacing_mm: tuple[float, ...] | None) -> Any:
    """The image without its pixels, with what every DICOM object has, and what a DICOM-SEG says of the size of its pixels."""
    data = opened(file, None)
    with quietly():
        for name in EMPTY_WHERE_MISSING:
            if name not in data:
                setattr(data, name, "")
        measures = data
        if "SharedFunctionalGroupsSequence" in data:
            measures = _shared_group(data, "PixelMeasuresSequence")
        if spacing_mm is not None and (len(spacing_mm) == 2 or "PixelSpacing" not in measures):
            measures.PixelSpacing = [package("pydicom.valuerep").DSfloat(step, auto_format=True) for step in spacing_mm[-2:]]
        if not measures.get("SliceThickness") and "PixelSpacing" in measures:
            measures.SliceThickness = spacing_mm[0] if spacing_mm is not None and len(spacing_mm) == 3 else NO_THICKNESS
        measures.pop("SpacingBetweenSlices", None)  # highdicom works it out of the positions, where scanners are often wrong
    return data


def _shared_group(data: Any, name: str) -> Any:
    """An item of the groups that all frames share; taken from the first frame where files repeat it for each."""
    shared = data.SharedFunctionalGroupsSequence[0]
    if name not in shared:
        each = data.get("PerFrameFunctionalGroupsSequence") or ()
        own = next((group.get(name) for group in each if group.get(name)), None)
        if own is None:
            return package("pydicom").Dataset()
        setattr(shared, name, own)
    return shared.get(name)[0]


def _share_direction(sources: Sequence[Any]) -> None:
    """Directions that differ in the last digits are one; whether they differ by more was asked when the image was read."""
    first = sources[0]
    if "SharedFunctionalGroupsSequence" in first:
        _shared_group(first, "PlaneOrientationSequence")
    for source in sources[1:]:
        if "ImageOrientationPatient" in first:
            source.ImageOrientationPatient = first.ImageOrientationPatient


def _refuse_other_size(path: Path, planes: np.ndarray, source: Any, n_planes: int) -> None:
    expected = (n_planes, int(source.Rows), int(source.Columns))
    if planes.shape != expected:
        told = f"the mask has {_told(planes.shape)} pixels, its images have {_told(expected)}; predict them again"
        raise DataError([Fault(path.stem, told)])


def _described(number: int, name: str, origin: Origin) -> Any:
    highdicom = package("highdicom")
    kind = property_of(name)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=MAKER,
        family=_coded(LEARNED),
        version=origin.version,
        parameters={"configuration": origin.configuration, "model": origin.model},
    )
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:LONGEST_MEANING],
        segmented_property_category=_coded(kind.category),
        segmented_property_type=_coded(kind.type),
        algorithm_type="SEMIAUTOMATIC" if origin.corrected else "AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=highdicom.UID(),
        tracking_id=f"{MAKER} {number} {name}"[:LONGEST_MEANING],
    )
    if kind.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_coded(kind.side)]
    return description


def _coded(concept: Concept) -> Any:
    return package("highdicom.sr").CodedConcept(concept.value, concept.scheme, concept.meaning)


def _series_number(source: Any) -> int:
    return SERIES_AFTER + int(getattr(source, "SeriesNumber", None) or NO_SERIES_NUMBER)


def _without_patient(text: str, sources: Sequence[Any]) -> str:
    """What a library says, unless it quotes the patient."""
    for source in sources:
        for name in PATIENT:
            value = str(getattr(source, name, "") or "")
            if any(len(part) > 2 and part in text for part in (value, *value.replace("^", " ").split())):
                return "highdicom refuses them"
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "highdicom refuses them"


def _told(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
