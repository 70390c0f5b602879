"""DICOM files as a scanner might write them, of a patient whose name must turn up nowhere else. Written with pydicom alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PATIENT_NAME, PATIENT_ID, BIRTH_DATE = "Plantedname^Quirina", "PLANTEDNUMBER4711", "19030227"
PLANTED = ("Plantedname", "Quirina", PATIENT_ID, BIRTH_DATE, "PLANTEDACCESSION", "PlantedDescription")

CT_CLASS, MR_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
US_CLASS, US_CINE_CLASS = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
CR_CLASS, ENHANCED_CT_CLASS = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CENTIMETRES, TWO_DIMENSIONAL, TISSUE = 3, 1, 1


def write_series(
    folder: Path,
    array: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (2.5, 0.6, 0.8),
    origin: Sequence[float] = (-10.0, -20.0, 30.0),
    orientation: Sequence[float] = AXIAL,
    step: Sequence[float] | None = None,
    names: Sequence[str] | None = None,
    number: int = 3,
    intercept: float = -1024,
    **elements: Any,
) -> list[Path]:
    """Slices `(z, y, x)` of stored values as a CT series, one file each; `step` (x, y, z) leads from one to the next."""
    normal = np.cross(orientation[:3], orientation[3:])
    step = normal * spacing[0] if step is None else np.asarray(step)
    series, frame, study = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for index, values in enumerate(array):
        data = _image(CT_CLASS, "CT", values.astype(np.int16), study=study, series=series)
        data.FrameOfReferenceUID = frame
        data.SeriesNumber, data.InstanceNumber = number, index + 1
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.ImagePositionPatient = [float(value) for value in np.asarray(origin) + index * step]
        data.ImageOrientationPatient = list(orientation)
        data.PixelSpacing = list(spacing[1:])
        data.SliceThickness = 99.0  # not to be used
        data.RescaleSlope, data.RescaleIntercept = 1, intercept
        _save(folder / (names[index] if names else f"IM{index:03d}.dcm"), data, elements)
        paths.append(folder / (names[index] if names else f"IM{index:03d}.dcm"))
    return paths


def write_frame(
    path: Path,
    array: np.ndarray,
    *,
    regions: Sequence[dict[str, Any]] = (),
    uid: str = US_CLASS,
    modality: str = "US",
    **elements: Any,
) -> Path:
    """A single picture `(y, x)`, or `(y, x, 3)` in RGB; with `region` one may give millimetres."""
    data = _image(uid, modality, array)
    data.SeriesNumber = 7
    if regions:
        data.SequenceOfUltrasoundRegions = [_region(**region) for region in regions]
    return _save(path, data, elements)


def write_cine(path: Path, array: np.ndarray, **elements: Any) -> Path:
    """Frames over time `(t, y, x)`."""
    data = _image(US_CINE_CLASS, "US", array[0])
    data.NumberOfFrames, data.FrameTime = len(array), 40
    data.PixelData = np.ascontiguousarray(array).tobytes()
    data.SequenceOfUltrasoundRegions = [_region(0.02, 0.02, (0, 0, array.shape[2] - 1, array.shape[1] - 1))]
    return _save(path, data, elements)


def write_enhanced(
    path: Path,
    array: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (3.0, 0.5, 0.5),
    origin: Sequence[float] = (5.0, 6.0, 7.0),
    order: Sequence[int] | None = None,
) -> Path:
    """Slices `(z, y, x)` in one file; its frame i is slice `order[i]`."""
    order = range(len(array)) if order is None else order
    data = _image(ENHANCED_CT_CLASS, "CT", array[0].astype(np.int16))
    data.NumberOfFrames, data.FrameOfReferenceUID = len(array), generate_uid()
    data.PixelData = np.ascontiguousarray(array[list(order)].astype(np.int16)).tobytes()
    shared, measures, orientation, values = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing[1:]), 99.0
    orientation.ImageOrientationPatient = list(AXIAL)
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 2, -10, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    data.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for place in order:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [origin[0], origin[1], origin[2] + place * spacing[0]]
        group.PlanePositionSequence = [position]
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence = groups
    return _save(path, data, {})


def region(step_y_cm: float, step_x_cm: float, corners: Sequence[int], **codes: int) -> dict[str, Any]:
    """Of an ultrasound picture, for `write_frame`."""
    return {"step_y_cm": step_y_cm, "step_x_cm": step_x_cm, "corners": corners, **codes}


def _region(
    step_y_cm: float,
    step_x_cm: float,
    corners: Sequence[int],
    *,
    spatial_format: int = TWO_DIMENSIONAL,
    data_type: int = TISSUE,
    units: int = CENTIMETRES,
) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, data_type, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = corners
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = step_x_cm, step_y_cm
    return item


def _image(uid: str, modality: str, array: np.ndarray, *, study: str = "", series: str = "") -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = uid, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = study or generate_uid(), series or generate_uid()
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = PATIENT_NAME, PATIENT_ID, BIRTH_DATE, "F"
    data.AccessionNumber, data.StudyID = "PLANTEDACCESSION", "1"
    data.StudyDate, data.StudyTime, data.ReferringPhysicianName = "20260101", "120000", "Plantedname^Referrer"
    data.SeriesDescription, data.Modality = "PlantedDescription", modality
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = 3 if array.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * array.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    data.PixelData = np.ascontiguousarray(array).tobytes()
    return data


def _save(path: Path, data: Dataset, elements: dict[str, Any]) -> Path:
    """`elements` replaces what is there; None takes it out."""
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path
