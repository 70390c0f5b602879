"""DICOM in: single frames as 2D images `(channel, y, x)`, series of slices and enhanced files as volumes `(channel, z, y, x)`.

For programs that build on it: `list_images` tells what a folder tree holds, `read` reads one of these, `take_frames` takes single
frames out of a cine. Nothing of the patient is read; cases are named by folders, files and series numbers. What the elements mean
stands in docs/dicom.md. pydicom is an extra, and is imported when a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.volume.dicom.facts import ImageFacts, image_facts
from autoseg.volume.dicom.listing import (
    SERIES,
    DicomImage,
    Listing,
    case_name,
    is_dicom,
    is_dicom_file,
    list_images,
    parts_of,
    slices_of,
    told_path,
)
from autoseg.volume.dicom.pixels import frames
from autoseg.volume.dicom.spacing import frame_spacing
from autoseg.volume.dicom.stack import Stack, stacked
from autoseg.volume.dicom.tags import SUFFIXES, fault
from autoseg.volume.geometry import Geometry
from autoseg.volume.header import Header
from autoseg.volume.volume import Volume

__all__ = [
    "SUFFIXES",
    "DicomImage",
    "Listing",
    "case_name",
    "is_dicom",
    "is_dicom_file",
    "list_images",
    "parts_of",
    "planes_of",
    "read",
    "read_header",
    "take_frames",
]

TAKE_FRAMES = "take frames out of it with `autoseg import SRC DST --from dicom`"


def read(path: Path) -> Volume:
    """A DICOM image: a file, a folder with one series, or `FOLDER/series@N`.

    Values are rescaled (Hounsfield units in CT); colours are RGB of eight bits; in a picture white is brighter than black.

    Returns:
        `(channel, y, x)` of a single frame, `(channel, z, y, x)` of a series or of a file with frames in space.

    Raises:
        DataError: damaged, without an image, compressed in a way that nothing here decodes, frames over time, or slices that do not
            make a volume.
    """
    facts, stack = _described(path)
    if stack is None:
        (only,) = facts
        spacing, notes = frame_spacing(only)
        return Volume(next(frames(only)), Geometry.plain(2, spacing), (*notes, *only.notes))
    if len(facts) == 1:
        planes = list(frames(facts[0]))
        planes = [planes[index] for index in stack.order]
    else:
        planes = [next(frames(facts[index])) for index in stack.order]
    dtype = np.result_type(*{plane.dtype for plane in planes})
    array = np.empty((planes[0].shape[0], len(planes), *planes[0].shape[1:]), dtype)
    for index, plane in enumerate(planes):
        array[:, index] = plane
    return Volume(array, stack.geometry, (*stack.notes, *_notes_of(facts)))


def read_header(path: Path) -> Header:
    """Shape, spacing, channels and place of what `read` returns, from the files' headers.

    Raises:
        DataError: as `read`, except that pixels may be missing or damaged without notice.
    """
    facts, stack = _described(path)
    first = facts[0]
    if stack is None:
        spacing, notes = frame_spacing(first)
        place = Geometry.plain(2, spacing)
        return Header((first.rows, first.columns), spacing, first.channels, place, (*notes, *first.notes))
    shape = (len(stack.order), first.rows, first.columns)
    return Header(shape, stack.geometry.spacing_mm, first.channels, stack.geometry, (*stack.notes, *_notes_of(facts)))


def take_frames(path: Path, *, every: int = 1, start: int = 0) -> Iterator[tuple[int, Volume]]:
    """Single frames of a file, as 2D images with their number (counted from 0); decoded one by one.

    Args:
        path: a cine, or any other file; of a single frame it is that.
        every: step from one frame that is taken to the next.
        start: the first frame that is taken.

    Raises:
        DataError: as `read`; or a step below 1.
    """
    if every < 1 or start < 0:
        raise DataError(f"frames are taken at a step of 1 or more, from 0 or later, not at a step of {every} from {start}")
    facts = image_facts(path)
    spacing, notes = frame_spacing(facts)
    notes = (*notes, *facts.notes)
    wanted = range(start, facts.frames, every)
    for index, array in zip(wanted, frames(facts, wanted), strict=True):
        yield index, Volume(array, Geometry.plain(2, spacing), notes)


def planes_of(path: Path) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    """The files of an image in the order of its slices; of one file with several frames, the number of the frame in each slice.

    Raises:
        DataError: as `read_header`.
    """
    facts, stack = _described(path)
    if stack is None:
        return (facts[0].path,), (0,)
    if len(facts) == 1:
        return (facts[0].path,), stack.order
    return tuple(facts[index].path for index in stack.order), (0,) * len(facts)


def _described(path: Path) -> tuple[Sequence[ImageFacts], Stack | None]:
    """The files of an image, and how they lie in space; None for a single frame."""
    if path.is_dir() or SERIES.fullmatch(path.name):
        facts = slices_of(path)
    else:
        facts = [image_facts(path)]
    first, case = facts[0], told_path(path)
    if len(facts) > 1:
        _refuse_other_sizes(facts, case)
        return facts, stacked([one.planes[0] for one in facts], [one.path.name for one in facts], case)
    if first.frames == 1:
        return facts, None
    if not first.is_volume:
        raise fault(first.path, f"holds {first.frames} frames without a place in space, a recording over time; {TAKE_FRAMES}")
    return facts, stacked(first.planes, [f"frame {index + 1}" for index in range(first.frames)], case)


def _notes_of(facts: Sequence[ImageFacts]) -> tuple[str, ...]:
    """Of slices together: what several say is said once."""
    return tuple(dict.fromkeys(note for one in facts for note in one.notes))


def _refuse_other_sizes(facts: Sequence[ImageFacts], case: str) -> None:
    first = facts[0]
    odd = [one for one in facts if (one.rows, one.columns, one.channels) != (first.rows, first.columns, first.channels)]
    if odd:
        told = f"{len(odd)} of {len(facts)} slices have another size ({odd[0].path.name}: {_size(odd[0])}) than {first.path.name} ({_size(first)})"
        raise DataError(
            [Fault(case, f"{told}; they are several series in one: export them apart, or take the others out of the folder")]
        )


def _size(facts: ImageFacts) -> str:
    return f"{facts.rows} x {facts.columns}, {facts.channels} channel{'s' if facts.channels > 1 else ''}"
