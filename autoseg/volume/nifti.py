"""What NIfTI needs beyond ITK: whether the file is whole and finite, and says its voxel size; exact geometry on writing; axes not at right angles."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import SimpleITK as sitk

from autoseg.volume.geometry import Geometry
from autoseg.volume.header import Header
from autoseg.volume.volume import Volume

NIFTI_SUFFIXES = (".nii", ".nii.gz")
CHUNK_BYTES = 1 << 20
HEADER_BYTES = 544  # of NIfTI-2 and its extension flag; NIfTI-1 needs 352
NIFTI_1, NIFTI_2 = 348, 540  # the first number of a file, which also tells the byte order
SFORM_CODE_AT, SFORM_AT, SFORM_ROW_BYTES = 254, 280, 16  # in NIfTI-1: two bytes; three rows of four floats
AXES_AT, VOXEL_SIZES_AT = 40, 80  # in NIfTI-1: two bytes; three floats
LENGTHS_TRIED = 16  # single-precision steps about the spacing
COMPRESSION = 6
FLOAT_KINDS = (16, 64)  # NIfTI's codes of single and double precision
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])


def check_content(path: Path) -> None:
    """Raise if the file ends before its data do, fails its gzip checksum, or holds numbers that are not finite.

    ITK (5.4) reads each of these without a word: NaN becomes 0.

    Raises:
        EOFError, OSError, zlib.error, struct.error: with a sentence for the user.
        FloatingPointError: the same, for numbers that are not finite.
    """
    with _opened(path) as file:
        start = file.read(HEADER_BYTES)
        layout = _layout(start)
        start += file.read(max(0, layout.offset - len(start)))  # header extensions are no voxels
        found, strange, rest = len(start), 0, start[layout.offset :]
        while chunk := file.read(CHUNK_BYTES):
            left = layout.offset + layout.data_bytes - found
            found += len(chunk)
            if layout.floats is not None and left > 0:
                rest += chunk[:left]
                whole = len(rest) // layout.floats.itemsize * layout.floats.itemsize
                values = np.frombuffer(rest[:whole], layout.floats)
                strange += values.size - int(np.isfinite(values).sum())
                rest = rest[whole:]
    if found < layout.offset + layout.data_bytes:
        raise EOFError(f"the header promises {layout.offset + layout.data_bytes} bytes, the file holds {found}")
    if strange:
        found_words = f"{strange} values are" if strange > 1 else "a value is"
        raise FloatingPointError(f"{found_words} NaN or infinite; replace by finite numbers, or take the case out")


def voxel_size_notes(path: Path) -> tuple[str, ...]:
    """What is said where a header that ITK has read (NIfTI-1) gives no voxel size along an axis: ITK (5.4) takes 1 mm without a word."""
    try:
        with _opened(path) as file:
            start = file.read(HEADER_BYTES)
        order = "<" if struct.unpack_from("<i", start)[0] == NIFTI_1 else ">"
        (axes,), sizes = struct.unpack_from(f"{order}h", start, AXES_AT), struct.unpack_from(f"{order}3f", start, VOXEL_SIZES_AT)
    except (EOFError, OSError, zlib.error, struct.error):
        return ()  # whoever reads the values reports it
    named = list(zip("xyz", sizes, strict=True))[:axes]
    missing = [f"{size:g} along {axis}" for axis, size in named if size == 0 or not math.isfinite(size)]
    return (f"its header gives no voxel size ({', '.join(missing)}); 1 mm is taken",) if missing else ()


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb"))


@dataclass(frozen=True)
class _Layout:
    """Where the data of a file begin, how long they are, and their type where that can hold NaN."""

    offset: int
    data_bytes: int
    floats: np.dtype | None


def _layout(start: bytes) -> _Layout:
    for order in "<>":
        size = struct.unpack_from(order + "i", start)[0]
        if size == NIFTI_1:
            axes = struct.unpack_from(order + "8h", start, 40)
            kind, bits = struct.unpack_from(order + "2h", start, 70)
            offset = struct.unpack_from(order + "f", start, 108)[0]
            break
        if size == NIFTI_2:
            axes = struct.unpack_from(order + "8q", start, 16)
            kind, bits = struct.unpack_from(order + "2h", start, 12)
            offset = struct.unpack_from(order + "q", start, 168)[0]
            break
    else:
        raise OSError("not a NIfTI file")
    if not 1 <= axes[0] <= 7:
        raise OSError(f"the header speaks of {axes[0]} axes")
    data_bytes = math.prod(max(int(size), 1) for size in axes[1 : axes[0] + 1]) * bits // 8
    floats = np.dtype(f"{order}f{bits // 8}") if kind in FLOAT_KINDS else None
    return _Layout(int(offset), data_bytes, floats)


def write_nifti(path: Path, image: sitk.Image, labels: np.ndarray, geometry: Geometry) -> None:
    """Write labels so that ITK reads the very numbers of `geometry` back, where NIfTI can hold them.

    The direction is stored twice, as a quaternion and as a matrix, both in single precision. ITK writes both, and on reading
    takes the matrix and divides each column by its length; since that length need not be the stored spacing to the last bit,
    what ITK writes reads back with an error of about 1e-8. So variants are tried, and the one that reads back exactly is kept.
    """
    if not is_orthonormal(geometry):
        write_sheared(path, labels, geometry)
        return
    image.SetDirection(geometry.direction)
    plain = path.with_name("whole.nii")
    sitk.WriteImage(image, str(plain), useCompression=False)
    content = bytearray(plain.read_bytes())
    plain.unlink()
    content[: NIFTI_1 + 4] = _exact_header(bytes(content[: NIFTI_1 + 4]), path.with_name("header.nii"), geometry)
    path.write_bytes(gzip.compress(content, COMPRESSION, mtime=0) if path.name.endswith(".gz") else content)


def _exact_header(header: bytes, scratch: Path, geometry: Geometry) -> bytes:
    """The header in the variant that brings the geometry back: as ITK writes it, with a fitting matrix, or quaternion only."""
    fitting = bytearray(header)
    if geometry.rank == 3:
        for row, values in enumerate(_fitting_matrix(geometry)):
            struct.pack_into("<3f", fitting, SFORM_AT + row * SFORM_ROW_BYTES, *values)
    quaternion = bytearray(header)
    quaternion[SFORM_CODE_AT : SFORM_CODE_AT + 2] = b"\0\0"
    best, best_error = header, math.inf
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(scratch))
    for trial in (header, bytes(fitting), bytes(quaternion)):
        scratch.write_bytes(trial)
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            continue
        found = np.concatenate([reader.GetDirection(), reader.GetOrigin()])
        error = float(np.abs(found - np.concatenate([geometry.direction, geometry.origin])).max())
        if error < best_error:
            best, best_error = trial, error
        if error == 0:
            break
    scratch.unlink()
    return best


def _fitting_matrix(geometry: Geometry) -> np.ndarray:
    """Single-precision RAS matrix whose columns, divided by their lengths as ITK does, come closest to the direction.

    The length of a column is free within the rounding of the spacing, so a few lengths about it are tried.
    """
    direction = np.reshape(geometry.direction, (3, 3))
    spacing = np.array((geometry.spacing_mm or (1.0,) * 3)[::-1])
    matrix = np.empty((3, 3), dtype=np.float32)
    for axis in range(3):
        unit = direction[:, axis]
        largest = int(np.argmax(np.abs(unit)))
        start = np.float32(unit[largest] * spacing[axis])
        lengths = (float(start) + np.arange(-LENGTHS_TRIED, LENGTHS_TRIED + 1) * float(np.spacing(start))) / unit[largest]
        columns = (unit * lengths[:, None]).astype(np.float32)
        wide = columns.astype(np.float64)
        error = np.abs(wide / np.linalg.norm(wide, axis=1, keepdims=True) - unit).max(axis=1)
        matrix[:, axis] = columns[int(np.argmin(error))]
    return (RAS_FROM_LPS @ matrix).astype(np.float32)


def is_orthonormal(geometry: Geometry) -> bool:
    """Whether the axes are at right angles, to ITK's tolerance for NIfTI."""
    direction = np.reshape(geometry.direction, (geometry.rank, geometry.rank))
    return bool(np.allclose(direction @ direction.T, np.eye(geometry.rank), atol=1e-4))


def read_sheared(path: Path) -> Volume:
    """Read with nibabel: `(channel, z, y, x)`, values scaled as the header says."""
    import nibabel

    image = nibabel.load(path)
    scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
    array = np.asarray(image.dataobj, dtype=np.float32) if scaled else np.asarray(image.dataobj)
    array = np.ascontiguousarray(array.T)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Volume(array[None] if array.ndim == 3 else array, _sheared_geometry(image.affine))


def sheared_header(path: Path) -> Header:
    """As `read_sheared`, without the values."""
    import nibabel

    image = nibabel.load(path)
    geometry = _sheared_geometry(image.affine)
    return Header(tuple(reversed(image.shape[:3])), geometry.spacing_mm, image.shape[3] if len(image.shape) > 3 else 1, geometry)


def _sheared_geometry(affine: np.ndarray) -> Geometry:
    """LPS geometry of a RAS affine; the columns of the direction have length 1 but are not at right angles."""
    matrix = RAS_FROM_LPS @ affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    direction = matrix / spacing
    origin = RAS_FROM_LPS @ affine[:3, 3]
    return Geometry(3, tuple(spacing[::-1].tolist()), tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def write_sheared(path: Path, values: np.ndarray, geometry: Geometry) -> None:
    """Write `(z, y, x)` with axes that are not at right angles, of which ITK would make right ones."""
    import nibabel

    spacing = np.array((geometry.spacing_mm or (1.0,) * geometry.rank)[::-1])
    affine = np.eye(4)
    affine[:3, :3] = RAS_FROM_LPS @ (np.reshape(geometry.direction, (3, 3)) * spacing)
    affine[:3, 3] = RAS_FROM_LPS @ np.array(geometry.origin)
    image = nibabel.Nifti1Image(values.T, affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
