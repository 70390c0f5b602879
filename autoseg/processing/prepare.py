"""From a case as it lies on disk to the network's grid, and the exact way back.

Order: orient, transpose, crop to non-zero, normalise, resample. A `Placement` holds all that is needed to return; labels and
scores go back through it onto the original grid, voxel for voxel (logits in `inference.decision`).
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import ValidationError

from autoseg.errors import DataError, RecordError
from autoseg.processing.crop import Box, full_box, nonzero_box, nonzero_mask, paste
from autoseg.processing.normalise import normalise
from autoseg.processing.orient import Reorientation, to_canonical
from autoseg.processing.resample import resample, resample_labels, separate_axis
from autoseg.records import Part, Preparation, Shape
from autoseg.records.base import Spacing
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume


class Placement(Part):
    """Where a prepared array came from.

    `shape` and `geometry` are the original's. `transpose`, `crop` ((start, stop) per axis), `spacing_mm` (before resampling)
    and `prepared_spacing_mm` count axes as they are after orientation and transposition; spacings are None where unknown.
    """

    shape: Shape
    geometry: Geometry
    reorientation: Reorientation
    transpose: tuple[int, ...]
    crop: tuple[tuple[int, int], ...]
    spacing_mm: Spacing | None
    prepared_shape: Shape
    prepared_spacing_mm: Spacing | None

    @property
    def box(self) -> Box:
        """The crop as slices."""
        return tuple(slice(start, stop) for start, stop in self.crop)

    @property
    def cropped_shape(self) -> Shape:
        """The shape before resampling."""
        return tuple(stop - start for start, stop in self.crop)

    @property
    def turned_shape(self) -> Shape:
        """The shape after orientation and transposition, before the crop."""
        oriented = [self.shape[axis] for axis in self.reorientation.permutation]
        return tuple(oriented[axis] for axis in self.transpose)

    def axis_forth(self) -> int | None:
        """The axis to resample apart on the way to the network's grid."""
        return _separate(self.spacing_mm, self.prepared_spacing_mm)

    def axis_back(self) -> int | None:
        """The axis to resample apart on the way back."""
        return _separate(self.prepared_spacing_mm, self.spacing_mm)

    def turn(self, array: np.ndarray) -> np.ndarray:
        """Orient and transpose `(..., *spatial)`; a view."""
        return _transposed(self.reorientation.apply(array), self.transpose)

    def turn_back(self, array: np.ndarray) -> np.ndarray:
        """The inverse of `turn`; a view."""
        return self.reorientation.undo(_transposed(array, tuple(int(axis) for axis in np.argsort(self.transpose))))

    def to_json(self) -> str:
        """As one line of JSON; numbers survive bit for bit."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            RecordError: it is something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise RecordError(f"not a valid placement: {error}") from error


def prepare_image(volume: Volume, preparation: Preparation) -> tuple[np.ndarray, Placement]:
    """Bring an image onto the network's grid.

    Args:
        volume: `(C, *spatial)`; it is not changed. An image that is zero throughout is not cropped.
        preparation: what to do. Axes whose target spacing is None, and all axes of a case whose spacing is unknown, keep
            their size.

    Returns:
        float32 `(C, *prepared)`, contiguous, and the way back.

    Raises:
        DataError: `rgb_to_0_1` met values outside 0..255.
        ValueError: the preparation is for another rank or number of channels.
    """
    rank = volume.geometry.rank
    if len(preparation.transpose) != rank or (preparation.spacing_mm and len(preparation.spacing_mm) != rank):
        raise ValueError(f"the preparation is for {len(preparation.transpose)} axes, the image has {rank}")
    geometry, reorientation, array = volume.geometry, Reorientation.none(rank), volume.array
    if preparation.canonical_orientation:
        array, geometry, reorientation = to_canonical(array, geometry)
    array = _transposed(array, preparation.transpose)
    box = nonzero_box(array) if preparation.crop_to_nonzero else full_box(array.shape[1:])
    spacing = geometry.spacing_mm and tuple(geometry.spacing_mm[axis] for axis in preparation.transpose)
    shape, new_spacing = _target(tuple(part.stop - part.start for part in box), spacing, preparation)
    placement = Placement(
        shape=volume.shape,
        geometry=volume.geometry,
        reorientation=reorientation,
        transpose=preparation.transpose,
        crop=tuple((part.start, part.stop) for part in box),
        spacing_mm=spacing,
        prepared_shape=shape,
        prepared_spacing_mm=new_spacing,
    )
    cropped = np.array(array[(slice(None), *box)], dtype=np.float32, order="C")
    mask = nonzero_mask(cropped) if any(scheme.use_mask for scheme in preparation.normalization) else None
    normal = normalise(cropped, preparation.normalization, mask, in_place=True)
    return resample(
        normal, shape, preparation.image_order, separate_axis=placement.axis_forth(), antialias=preparation.antialias
    ), placement


def prepared_shape(shape: Shape, geometry: Geometry, preparation: Preparation) -> Shape:
    """The shape that `prepare_image` brings an image `(*spatial)` to, were nothing cropped; the arguments are the image's own."""
    array = np.broadcast_to(np.float32(0), (1, *shape))  # of no size in memory
    if preparation.canonical_orientation:
        array, geometry, _ = to_canonical(array, geometry)
    spacing = geometry.spacing_mm and tuple(geometry.spacing_mm[axis] for axis in preparation.transpose)
    return _target(tuple(_transposed(array, preparation.transpose).shape[1:]), spacing, preparation)[0]


def prepare_labels(labels: np.ndarray, placement: Placement, preparation: Preparation) -> np.ndarray:
    """Bring the label map of a prepared image onto the same grid.

    Args:
        labels: integers >= 0, `(*spatial)` on the original grid.
        placement: from `prepare_image` of the case's image.
        preparation: the same one.

    Returns:
        int16 `(*prepared)`, contiguous.

    Raises:
        DataError: the labels have another shape than the image.
    """
    if labels.shape != placement.shape:
        raise DataError(
            f"the label has shape {labels.shape}, its image {placement.shape}; resave one of them on the other's grid"
        )
    cropped = np.array(placement.turn(labels)[placement.box], dtype=np.int16, order="C")
    return resample_labels(cropped, placement.prepared_shape, order=preparation.label_order, separate_axis=placement.axis_forth())


def restore_labels(labels: np.ndarray, placement: Placement) -> np.ndarray:
    """Bring a label map `(*prepared)` of integers >= 0 back: int16 `(*spatial)` on the original grid, 0 outside the crop."""
    _check_grid(labels.shape, placement)
    cropped = resample_labels(labels, placement.cropped_shape, separate_axis=placement.axis_back())
    return _to_original(cropped, placement)


def _to_original(cropped: np.ndarray, placement: Placement) -> np.ndarray:
    return np.ascontiguousarray(placement.turn_back(paste(cropped, placement.box, placement.turned_shape)))


def _check_grid(shape: tuple[int, ...], placement: Placement) -> None:
    if shape != placement.prepared_shape:
        raise ValueError(f"an array of shape {shape} does not lie on the prepared grid of shape {placement.prepared_shape}")


def _target(shape: Shape, spacing: Spacing | None, preparation: Preparation) -> tuple[Shape, Spacing | None]:
    """Shape and spacing to resample to: round(old / new * size), as nnU-Net, at least one voxel."""
    if spacing is None or preparation.spacing_mm is None:
        return shape, spacing
    new = tuple(own if wanted is None else wanted for own, wanted in zip(spacing, preparation.spacing_mm, strict=True))
    return tuple(max(round(s / n * size), 1) for s, n, size in zip(spacing, new, shape, strict=True)), new


def _separate(spacing: Spacing | None, new_spacing: Spacing | None) -> int | None:
    return None if spacing is None or new_spacing is None else separate_axis(spacing, new_spacing)


def _transposed(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    leading = array.ndim - len(order)
    return array.transpose(*range(leading), *(leading + axis for axis in order))
