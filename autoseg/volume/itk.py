"""NIfTI, NRRD, MHA and MHD through SimpleITK, with the geometry kept as the file has it.

ITK reads a truncated NIfTI without a word (the rest of the array is whatever lay in memory) and turns NaN into 0, so the data
of a NIfTI file are checked here first. NIfTI files whose axes are not at right angles, which ITK refuses, are read
with nibabel.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from autoseg.errors import DataError, Fault
from autoseg.volume.geometry import Geometry
from autoseg.volume.header import Header
from autoseg.volume.nifti import NIFTI_SUFFIXES, check_content, read_sheared, sheared_header, voxel_size_notes, write_nifti
from autoseg.volume.volume import Volume

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what matters is raised; the rest would garble the progress line


def read(path: Path) -> Volume:
    """The file as `(channel, *spatial)`; see `files.read`."""
    nifti = path.name.lower().endswith(NIFTI_SUFFIXES)
    try:
        if nifti:
            check_content(path)
        image = sitk.ReadImage(str(path))
    except FloatingPointError as error:
        raise DataError([Fault(path.name, str(error))]) from error
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise _unreadable(path, str(error)) from error
    except RuntimeError as error:
        if nifti and "orthonormal" in str(error):
            return read_sheared(path)
        raise _unreadable(path, _last_line(error)) from error
    geometry, _ = _place(path, image)
    array = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)  # components lie last in memory
    elif image.GetDimension() == geometry.rank:
        array = array[None]
    return Volume(np.ascontiguousarray(array), geometry, voxel_size_notes(path) if nifti else ())


def read_header(path: Path) -> Header:
    """What the file says of itself; see `files.read_header`."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    nifti = path.name.lower().endswith(NIFTI_SUFFIXES)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if nifti and "orthonormal" in str(error):
            return sheared_header(path)
        raise _unreadable(path, _last_line(error)) from error
    geometry, channels = _place(path, reader)
    shape = tuple(int(size) for size in reversed(reader.GetSize()[: geometry.rank]))
    return Header(shape, geometry.spacing_mm, channels, geometry, voxel_size_notes(path) if nifti else ())


def write_labels(path: Path, labels: np.ndarray, geometry: Geometry) -> None:
    """Write uint8 or uint16 labels `(*spatial)`, compressed; see `files.write_labels`."""
    image = sitk.GetImageFromArray(labels)
    spacing = geometry.spacing_mm or (1.0,) * geometry.rank  # these formats have no word for "unknown"
    image.SetSpacing(tuple(reversed(spacing)))
    image.SetOrigin(geometry.origin)
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        write_nifti(path, image, labels, geometry)
        return
    image.SetDirection(geometry.direction)
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:  # it does not tell why
        if shutil.disk_usage(path.parent).free < labels.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _place(path: Path, image: sitk.Image | sitk.ImageFileReader) -> tuple[Geometry, int]:
    """Geometry without the channel axis, and the number of channels, of an image or of a header that was read."""
    axes = image.GetDimension()
    header_only = isinstance(image, sitk.ImageFileReader)
    components = image.GetNumberOfComponents() if header_only else image.GetNumberOfComponentsPerPixel()
    if axes not in (2, 3, 4) or (axes == 4 and components > 1):
        raise DataError([Fault(path.name, f"has {axes} axes and {components} components; save one 3D image per channel instead")])
    rank = min(axes, 3)  # the fourth axis of a file holds channels
    direction = np.asarray(image.GetDirection(), dtype=np.float64).reshape(axes, axes)[:rank, :rank]
    spacing = tuple(float(step) for step in reversed(image.GetSpacing()[:rank]))
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise DataError([Fault(path.name, f"spacing {spacing} mm; every axis needs a positive number: correct the header")])
    origin = tuple(float(value) for value in image.GetOrigin()[:rank])
    channels = components if axes < 4 else int(image.GetSize()[3])
    return Geometry(rank, spacing, origin, tuple(float(value) for value in direction.ravel())), channels


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"


def _unreadable(path: Path, why: str) -> DataError:
    message = f"cannot be read ({why}); the file is damaged or truncated: copy it again from its source"
    return DataError([Fault(path.name, message)])
