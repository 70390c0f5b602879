"""What is measured on one case for the fingerprint; runs in worker processes, so imports stay light and memory bounded.

Sizes are in mm2 (2D) or ml (3D), thicknesses in pixels of the finest axis, intensities as stored.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, find_objects

from autoseg.errors import DataError, Fault
from autoseg.processing.cases import LabelMap, case_faults, differently_placed, load_image, load_label_map
from autoseg.processing.crop import nonzero_box
from autoseg.records import Case, CaseFacts, Dataset, Intensities, StructureSize
from autoseg.volume.files import is_dicom
from autoseg.volume.geometry import MM3_PER_ML, Geometry
from autoseg.volume.volume import Volume

SAMPLE_SEED = 1234
CASE_SAMPLE = 50_000  # values that a case's percentiles are taken from
COUNTED_AT_ONCE = 1 << 22  # labels counted in one go; numpy widens them to 64 bits
LONGEST_SIDE_2D = 256  # a 2D distance map beyond this takes longer than reading the image
MOST_VOXELS_3D = 2_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Exact mean and mean of squared deviations (population variance) of a case's foreground, one entry per channel."""

    mean: np.ndarray
    variance: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray


@dataclass(frozen=True, eq=False)
class MeasuredCase:
    """A case's facts, None where faults forbid them; `sample` is (C, n) foreground values."""

    id: str
    facts: CaseFacts | None
    faults: tuple[Fault, ...] = ()
    sample: np.ndarray | None = None
    moments: Moments | None = None
    displaced: bool = False  # image and label claim different places in space


@dataclass(frozen=True)
class Task:
    """One case, with its data set less the other cases (what a worker is sent), and how many values it returns per channel."""

    dataset: Dataset
    case: Case
    sample_size: int


def measure_case(task: Task) -> MeasuredCase:
    """Read a case and measure it; whatever is wrong with its files is returned as faults, image and label alike."""
    dataset, case = task.dataset, task.case
    faults: list[Fault] = []
    image = label = None
    try:
        image = load_image(dataset, case)
    except DataError as error:
        faults += error.faults
    try:
        label = load_label_map(dataset, case)
    except DataError as error:
        faults += error.faults
    if image is not None:
        faults += case_faults(case, image, label)
    if not faults and image is not None and label is not None and _lies_elsewhere(dataset.path(case.images[0]), image, label):
        told = (
            "the label lies elsewhere or is turned against its DICOM series (origin or direction); resave it on the series' grid"
        )
        faults.append(Fault(case.id, told))
    if faults or image is None or label is None:
        return MeasuredCase(case.id, None, tuple(faults))
    foreground = label.labels > 0
    if dataset.ignore_value is not None:
        foreground &= label.labels != dataset.ignore_value
    sample, moments, intensities = _intensities(image.array, foreground, task.sample_size)
    box = nonzero_box(image.array)
    facts = CaseFacts(
        id=case.id,
        shape=image.shape,
        spacing_mm=image.geometry.spacing_mm,
        orientation=orientation(image.geometry),
        shape_after_crop=tuple(part.stop - part.start for part in box),
        structures=structure_sizes(dataset, label.labels, image.geometry.spacing_mm),
        intensities=intensities,
        content_hash=content_hash(image),
    )
    return MeasuredCase(case.id, facts, (), sample, moments, differently_placed(image.geometry, label.geometry))


def _lies_elsewhere(path: Path, image: Volume, label: LabelMap) -> bool:
    """Of a DICOM series and a label file: converters turn axes, so that arrays of one size need not correspond."""
    return image.geometry.rank == 3 and is_dicom(path) and differently_placed(image.geometry, label.geometry)


def orientation(geometry: Geometry) -> str | None:
    """Towards which the axes x, y, z run, in DICOM's terms: "LPS" for the identity. None in 2D."""
    if geometry.rank != 3:
        return None
    return str(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(geometry.direction))


def content_hash(image: Volume) -> str:
    """SHA-256 of shape and values; equal for exact duplicates, whatever their file format."""
    digest = hashlib.sha256(repr(image.array.shape).encode())
    digest.update(np.ascontiguousarray(image.array).data)
    return digest.hexdigest()


def structure_sizes(dataset: Dataset, labels: np.ndarray, spacing_mm: tuple[float, ...] | None) -> dict[str, StructureSize]:
    """Pixels, size and thickness of every target and derived structure; zeros where it is absent."""
    highest = max((value for part in (*dataset.targets, *dataset.derived) for value in part.values), default=0)
    counts = _counts(labels, highest)
    boxes = find_objects(labels, max_label=highest) if highest else []
    pixel = math.prod(spacing_mm) / (1.0 if len(spacing_mm) == 2 else MM3_PER_ML) if spacing_mm else None
    sizes = {}
    for structure in (*dataset.targets, *dataset.derived):
        pixels = int(sum(counts[value] for value in structure.values))
        thick = 0.0
        if pixels:
            box = _union([boxes[value - 1] for value in structure.values])
            thick = thickness(_members(labels[box], structure.values), spacing_mm)
        sizes[structure.name] = StructureSize(pixels=pixels, size=None if pixel is None else pixels * pixel, thickness=thick)
    return sizes


def thickness(mask: np.ndarray, spacing_mm: tuple[float, ...] | None) -> float:
    """Twice the largest distance from a voxel of the mask to the outside, in voxels of the finest axis; 0 for an empty mask.

    What lies beyond the array is outside. Masks whose longest side exceeds 256 (2D), or of more than 2 million voxels (3D), are
    measured on every second, third ... voxel, which is right to within that step.
    """
    if mask.ndim == 2:
        step = math.ceil(max(mask.shape) / LONGEST_SIDE_2D)
    else:
        step = max(1, math.ceil((mask.size / MOST_VOXELS_3D) ** (1 / mask.ndim)))
    coarse = mask[(slice(None, None, step),) * mask.ndim] if step > 1 else mask
    if not coarse.any():
        return float(step) if mask.any() else 0.0  # thinner than the step
    sampling = np.asarray(spacing_mm) / min(spacing_mm) if spacing_mm else None
    return 2.0 * step * float(distance_transform_edt(np.pad(coarse, 1), sampling=sampling).max())


def _counts(labels: np.ndarray, highest: int) -> np.ndarray:
    flat = labels.reshape(-1)
    counts = np.zeros(highest + 1, dtype=np.int64)
    for start in range(0, flat.size, COUNTED_AT_ONCE):
        counts += np.bincount(flat[start : start + COUNTED_AT_ONCE], minlength=highest + 1)[: highest + 1]
    return counts


def _union(boxes: list[tuple[slice, ...] | None]) -> tuple[slice, ...]:
    present = [box for box in boxes if box is not None]
    return tuple(slice(min(part.start for part in axis), max(part.stop for part in axis)) for axis in zip(*present, strict=True))


def _members(labels: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    mask = labels == values[0]
    for value in values[1:]:
        mask |= labels == value
    return mask


def _intensities(
    array: np.ndarray, foreground: np.ndarray, sample_size: int
) -> tuple[np.ndarray | None, Moments | None, tuple[Intensities, ...] | None]:
    """A sample without replacement, exact moments, and the record; mean, std, min and max are exact, percentiles the sample's."""
    where = np.flatnonzero(foreground)
    if where.size == 0:
        return None, None, None
    random = np.random.default_rng(SAMPLE_SEED)
    picked = random.choice(where.size, CASE_SAMPLE, replace=False, shuffle=False) if where.size > CASE_SAMPLE else None
    samples, per_channel = [], []
    for channel in array:
        values = channel.reshape(-1)[where]
        some = values if picked is None else values[picked]
        low, median, high = np.percentile(some, (0.5, 50, 99.5))
        mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        per_channel.append(
            Intensities(
                mean=mean,
                median=float(median),
                std=std,
                min=float(values.min()),
                max=float(values.max()),
                percentile_00_5=float(low),
                percentile_99_5=float(high),
            )
        )
        samples.append(some)
    sample = np.stack(samples)
    if sample.shape[1] > sample_size:
        sample = sample[:, random.choice(sample.shape[1], sample_size, replace=False, shuffle=False)]
    columns = np.array([(part.mean, part.std**2, part.min, part.max) for part in per_channel]).T
    return sample, Moments(*columns), tuple(per_channel)
