"""Annotated images -> a data set in the layout `folders`: images as they are, label maps, `dataset.json`, pixel sizes and subjects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.annotations.base import MaskFile
from autoseg.annotations.decoding import Naming, Unknown, decode
from autoseg.annotations.painting import Overlap, paint
from autoseg.errors import AutosegError, DataError, Fault
from autoseg.layouts.written_tables import PIXEL_SIZES, SUBJECTS, save_pixel_sizes, save_subjects
from autoseg.parallel import map_cases
from autoseg.processing.cases import differently_placed, grid_faults, load_labels
from autoseg.records import Dataset, Spacing, write_text
from autoseg.stages.importing.matching import Source
from autoseg.stages.importing.slices import is_colour_in_slices, save_as_picture
from autoseg.volume.copying import copy_image, remove_copy
from autoseg.volume.files import Header, is_picture, is_turned, read_header, write_labels
from autoseg.volume.geometry import Geometry

IMAGES, LABELS = "images", "labels"
REPORT = "import.json"
PICTURE_LABEL, VOLUME_LABEL = ".png", ".nii.gz"
SHOWN = 5
IN_SLICES = "the three slices of the volume are red, green and blue of a picture, as its label has one; written as PNG, without pixel size"
HARDLY = 0.05  # of a structure's pixels: vessels reach a little beyond a mask of the field of view
MOST_OF_RIM = 0.9  # of the outermost pixels, and of the images: what is all around in all of them may be the background


@dataclass(frozen=True)
class Work:
    """What holds for all cases of an import; see `import_cases`."""

    names: Naming
    overlap: Overlap
    unknown: Unknown
    out: Path
    dataset: Dataset | None = None  # without cases: of the sources that are cases of one


@dataclass(frozen=True)
class Written:
    """What came of one case: pixels by label value and by label, what lies over what, what nobody named, and a note on where its labels lie.

    `rim` are the structures that fill the rim of a picture, `joined` the numbers of values of masks that are label maps.
    """

    id: str
    pixels: Mapping[int, int] = field(default_factory=dict)
    by_label: Mapping[str, int] = field(default_factory=dict)
    covered: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    note: str | None = None
    rank: int = 0
    rim: tuple[str, ...] = ()
    joined: Mapping[str, int] = field(default_factory=dict)


def import_cases(
    sources: Sequence[Source],
    names: Naming,
    out: Path,
    *,
    overlap: Overlap = "order",
    unknown: Unknown = "refuse",
    dataset: Dataset | None = None,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> list[Written]:
    """Write image and label map of every case; one that fails leaves nothing, and the others go on.

    Args:
        sources: with their files.
        names: of the labels.
        out: folder of the data set.
        overlap: what counts where shapes lie over one another.
        unknown: what becomes of values and colours that nobody named.
        dataset: that the sources are cases of, if they are.
        workers: processes.
        on_done: called with the number of cases done so far.
    """
    for folder in (IMAGES, LABELS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    known = None if dataset is None else dataset.model_copy(update={"cases": ()})  # sent along with every case
    work = partial(_written, work=Work(names, overlap, unknown, out, known))
    return list(map_cases(work, sources, name=lambda source: source.id, workers=workers, on_done=on_done))


def keep_one_rank(written: Sequence[Written], sources: Sequence[Source], out: Path) -> list[Written]:
    """The cases of the rank that most have; the others are taken away again, since a data set holds pictures or volumes."""
    ranks = Counter(one.rank for one in written if one.error is None)
    if len(ranks) < 2:
        return list(written)
    most = max(ranks, key=lambda rank: (ranks[rank], rank))
    kept = []
    for one, source in zip(written, sources, strict=True):
        if one.error is None and one.rank != most:
            _take_away(source, out)
            told = f"is {one.rank}D while {ranks[most]} of {sum(ranks.values())} cases are {most}D; a data set holds one kind"
            one = Written(one.id, error=told)
        kept.append(one)
    return kept


def save_dataset(
    out: Path,
    content: dict[str, object],
    written: Sequence[Written],
    *,
    subjects: Mapping[str, str],
    spacings: Mapping[str, Spacing],
    faults: Sequence[Fault] = (),
) -> None:
    """Write `dataset.json` with this content, and tables of subjects and pixel sizes where something is known of them.

    Raises:
        DataError: no labelled pixel is in any case; with the faults of images that did not become cases.
    """
    done = [one.id for one in written if one.error is None]
    if not any(one.pixels for one in written):
        nothing = Fault("data set", "no case has a labelled pixel; are these the right labels, and is --only right?")
        reasons = [Fault(one.id, one.error) for one in written if one.error is not None]
        raise DataError([*faults, *(reasons or [nothing])])
    content = dict(content)
    if len({subjects[id] for id in done}) < len(done):
        content["subjects"] = SUBJECTS
        save_subjects(out / SUBJECTS, {id: subjects[id] for id in done})
    if any(id in spacings for id in done):
        save_pixel_sizes(out / PIXEL_SIZES, done, spacings)
    write_text(out / "dataset.json", json.dumps(content, indent=1) + "\n")


def hidden(labels: Sequence[str], written: Iterable[Written]) -> tuple[str, str] | None:
    """A label of which others left hardly a pixel, and the one that covers most of it; None where there is none."""
    done = [one for one in written if one.error is None]
    covered: Counter[tuple[str, str]] = Counter()
    for one in done:
        covered.update(one.covered)
    left = sizes_of(done)
    for (below, above), _ in covered.most_common():
        lost = sum(pixels for (name, _), pixels in covered.items() if name == below)
        if below in labels and left.get(below, 0) <= HARDLY * (left.get(below, 0) + lost):
            return below, above
    return None


def sizes_of(written: Sequence[Written]) -> dict[str, int]:
    """Pixels of each label over all cases."""
    sizes: Counter[str] = Counter()
    for one in written:
        sizes.update(one.by_label)
    return sizes


def _written(source: Source, *, work: Work) -> Written:
    try:
        return _write(source, work)
    except (AutosegError, OSError, ValueError) as error:
        _take_away(source, work.out)
        return Written(source.id, error=str(error).removeprefix(f"{source.id}: "))


def _take_away(source: Source, out: Path) -> None:
    for suffix in (PICTURE_LABEL, VOLUME_LABEL):
        (out / LABELS / f"{source.id}{suffix}").unlink(missing_ok=True)
    for target in _image_targets(source, out):
        remove_copy(target)


def _write(source: Source, work: Work) -> Written:
    header, files = read_header(source.files[0]), _label_files(source, work.dataset)
    if turned := [file.name for file in source.files if is_picture(file) and is_turned(file)]:
        raise DataError(
            f"{turned[0]} is to be shown turned (by its EXIF tag), and programs differ in where its labels lie then; save image and labels upright"
        )
    in_slices = is_colour_in_slices(source.files, files)
    note, size = (IN_SLICES, header.shape[1:]) if in_slices else (_other_place(header, files), header.shape)
    drawn = _drawn(source, size, work)
    if drawn.unknown and work.unknown == "refuse":
        values = ", ".join(list(drawn.unknown)[:SHOWN])
        told = (
            f"its label map holds {len(drawn.unknown)} values or colours that nobody named ({values}); name them with --structure"
        )
        return Written(source.id, unknown=drawn.unknown, error=f"{told}, or give --unknown background or nearest")
    labels = drawn.labels.astype(np.uint16, copy=False)
    if in_slices:
        write_labels(work.out / LABELS / f"{source.id}{PICTURE_LABEL}", labels, Geometry.plain(2, None))
        save_as_picture(source.files[0], _image_targets(source, work.out)[0])
    else:
        _save(source, labels, header.geometry, work.out)
    present, counts = np.unique(labels, return_counts=True)
    pixels = {int(value): int(count) for value, count in zip(present, counts, strict=True) if value}
    by_label, rim = _by_label(pixels, work), tuple(_by_label(_on_rim(labels), work))
    return Written(source.id, pixels, by_label, drawn.covered, drawn.unknown, None, note, len(size), rim, drawn.joined)


@dataclass(frozen=True)
class _Drawn:
    """The label map of one case, and what `Written` tells of it."""

    labels: np.ndarray
    covered: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    joined: Mapping[str, int] = field(default_factory=dict)


def _drawn(source: Source, size: tuple[int, ...], work: Work) -> _Drawn:
    """Of an image of this size.

    Raises:
        DataError: it was annotated at another size, or its label map has another.
    """
    image = source.image
    if image.size is not None and tuple(image.size) != tuple(size):
        raise DataError(
            f"was annotated at {_told(image.size)} pixels, and its image has {_told(size)}; take the image that was annotated"
        )
    if source.case is not None and work.dataset is not None:
        return _Drawn(load_labels(work.dataset, source.case))
    if image.label_map is not None:
        decoded = decode(image.label_map, work.names, work.unknown)
        if decoded.labels.shape != size:
            raise DataError(
                f"its label map has {_told(decoded.labels.shape)} pixels, its image {_told(size)}; resave one of them on the other's grid"
            )
        return _Drawn(decoded.labels, unknown=decoded.unknown)
    chosen = [one for one in image.annotations if one.label in work.names.labels]
    painted = paint(chosen, size, work.names.labels, work.overlap)
    return _Drawn(painted.labels, painted.covered, joined=painted.joined)


def _on_rim(labels: np.ndarray) -> dict[int, int]:
    """The value that nearly all outermost pixels of a picture have, and their number; nothing where that is the background."""
    if labels.ndim != 2:
        return {}
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    values, counts = np.unique(rim, return_counts=True)
    most = int(counts.argmax())
    return {int(values[most]): int(counts[most])} if values[most] and counts[most] >= MOST_OF_RIM * len(rim) else {}


def _by_label(pixels: Mapping[int, int], work: Work) -> dict[str, int]:
    if work.dataset is not None:
        totals = {one.name: sum(pixels.get(value, 0) for value in one.values) for one in work.dataset.targets}
        return {name: total for name, total in totals.items() if total}
    if work.overlap != "regions" or work.names.unions:
        found = {work.names.labels[value - 1]: count for value, count in pixels.items()}
        totals = {name: sum(found.get(label, 0) for label in labels) for name, labels in work.names.structures().items()}
        return {name: total for name, total in totals.items() if total}
    return {
        name: total
        for place, name in enumerate(work.names.labels)
        if (total := sum(count for value, count in pixels.items() if value >> place & 1))
    }


def _save(source: Source, labels: np.ndarray, geometry: Geometry, out: Path) -> None:
    """The label map first: where an image is, its label is."""
    write_labels(_label_file(source, out), labels, geometry)
    for file, target in zip(source.files, _image_targets(source, out), strict=True):
        copy_image(file, target)


def _label_file(source: Source, out: Path) -> Path:
    return out / LABELS / (source.id + (PICTURE_LABEL if is_picture(source.files[0]) else VOLUME_LABEL))


def _image_targets(source: Source, out: Path) -> list[Path]:
    """Without suffixes."""
    several = len(source.files) > 1
    return [out / IMAGES / f"{source.id}{f'_{channel:04d}' if several else ''}" for channel in range(len(source.files))]


def _label_files(source: Source, dataset: Dataset | None) -> list[Path]:
    image = source.image
    if source.case is not None and source.case.label is not None and dataset is not None:
        return [dataset.path(source.case.label)]
    masks = [one.shape.path for one in image.annotations if isinstance(one.shape, MaskFile)]
    return masks if image.label_map is None else [image.label_map]


def _other_place(header: Header, files: Iterable[Path]) -> str | None:
    """Labels of volumes are written where their image lies; what is said where they claimed another place.

    Raises:
        DataError: they have voxels of another size.
    """
    for file in files:
        if is_picture(file):
            continue
        label = read_header(file)
        if label.shape == header.shape and (
            faults := grid_faults(file.name, "label", label.shape, label.geometry, "image", header.shape, header.geometry)
        ):
            raise DataError(faults)
        if differently_placed(header.geometry, label.geometry):
            return "the label's header says that it lies elsewhere than its image (origin or direction); its voxels are taken for the image's"
    return None


def _told(size: Sequence[int]) -> str:
    return "x".join(map(str, reversed(size)))
