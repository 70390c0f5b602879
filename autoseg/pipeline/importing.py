"""Sets of other programs -> data sets that `plan` reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from autoseg.annotations import FORMATS, AnnotationSet
from autoseg.annotations.decoding import UNKNOWNS, Naming, Unknown
from autoseg.annotations.listing import read_listing
from autoseg.annotations.painting import OVERLAPS, Overlap
from autoseg.errors import DataError, Fault, RunFolderError
from autoseg.layouts import LAYOUTS
from autoseg.layouts.archives import DAMAGED, extract
from autoseg.pipeline.preparing import worker_count
from autoseg.pipeline.recognising import recognised
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Dataset, FailedCase, ImportReport, Spacing
from autoseg.stages.importing import (
    REPORT,
    Choice,
    Source,
    Written,
    choice_of,
    declaration,
    declaration_of,
    hidden,
    import_cases,
    import_dicom,
    keep_one_rank,
    matched,
    naming,
    options_of,
    own_names,
    renamed,
    report_of,
    save_dataset,
    save_import_sheet,
    sizes_of,
    sources_of,
    spacings_of,
    subjects_of,
    without_chosen_mask,
)
from autoseg.stages.index import index_dataset
from autoseg.writing import holds_something, part_folder, refuse_unwritable, remove_folder, replace_folder

AUTO, PATTERNS, DICOM = "auto", "patterns", "dicom"
Missing = Literal["refuse", "empty"]
MISSING: tuple[Missing, ...] = get_args(Missing)
PREVIEW = "preview.png"


@dataclass(frozen=True)
class ImportWish:
    """What the user says of a set; see `import_dataset`."""

    structures: Mapping[str, Sequence[int]] | None = None
    colours: bool = False
    only: Choice = field(default_factory=dict)
    overlap: Overlap = "order"
    unknown: Unknown = "refuse"
    spacing: str | Path | float | None = None
    subjects: str | Path | None = None
    images_folder: Path | None = None
    folders_are_labels: bool = False
    missing: Missing = "refuse"


def import_dataset(
    source: str | Path,
    out: str | Path,
    *,
    format: str = AUTO,
    structures: Mapping[str, Sequence[int]] | None = None,
    colours: Mapping[str, Sequence[int]] | None = None,
    only: Sequence[str] | Mapping[str, str | Sequence[str]] = (),
    overlap: Overlap = "order",
    unknown: Unknown = "refuse",
    images: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    images_folder: str | Path | None = None,
    folders_are_labels: bool = False,
    missing: Missing = "refuse",
    spacing: str | Path | float | None = None,
    subjects: str | Path | None = None,
    every: int = 1,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a data set of the layout `folders` from annotations, or from a set in another layout; the source is not changed.

    Args:
        source: folder (or file) of the set.
        out: a new folder.
        format: a name of `autoseg.annotations.FORMATS` or of `autoseg.layouts.LAYOUTS`, "patterns" (which `images` and `labels` imply),
            "dicom" (images without labels), or "auto".
        structures: values of label maps by name; what shares values with others is learned as an overlapping region.
        colours: colours (red, green, blue) of label maps by name.
        only: labels to take, in this order, or by a name of your own the label, or several that become one; none takes all.
        overlap: what counts where shapes lie over one another: see `autoseg.annotations.painting`.
        unknown: what becomes of values and colours that nobody named: the case is refused, they are background, or they count as the
            nearest colour that is named.
        images: patterns by channel, see `autoseg.annotations.listing`.
        labels: patterns by structure.
        images_folder: where the images lie, if not below `source`.
        folders_are_labels: of binary masks, the label is the name of their folder, and not the end of their own.
        missing: what a mask means that is not there where a whole file is expected: the case is refused, or nothing is on the image.
        spacing: CSV of pixel sizes, or one number, in mm, for pictures.
        subjects: which cases belong to one person, as in `plan`.
        every: of DICOM recordings over time, take every so many frames.
        overwrite: replace what is in `out`.
        workers: processes; None takes the cores at hand.
        progress: listener.

    Returns:
        What was imported, and which cases failed.

    Raises:
        DataError: the set is not recognised, or cannot be read at all.
        RunFolderError: `out` is not empty.
    """
    wish = ImportWish(
        structures=structures if colours is None else {name: tuple(colour) for name, colour in colours.items()},
        colours=colours is not None,
        only=choice_of(only),
        overlap=overlap,
        unknown=unknown,
        spacing=spacing,
        subjects=subjects,
        images_folder=None if images_folder is None else Path(images_folder),
        folders_are_labels=folders_are_labels,
        missing=missing,
    )
    root, place, progress = Path(source).expanduser().resolve(), Path(out), progress or SilentProgress()
    _check(root, place, wish, overwrite)
    progress.stage("reading the set")
    with part_folder(place) as part:
        if format == DICOM:
            report = _images_of_dicom(root, part, every)
        else:
            with _opened(root, part, format) as folder:
                kind, found = _read(folder, format, wish, images, labels)
                report = _Import(folder, kind, part, place.name, wish, worker_count(workers), progress).of(found, named=root)
        replace_folder(part, place)
    return report


@contextmanager
def _opened(root: Path, part: Path, format: str) -> Iterator[Path]:
    """The set's folder; what was downloaded as a zip is unpacked meanwhile, but for layouts that do so themselves."""
    if root.suffix.casefold() != ".zip" or not root.is_file() or format in LAYOUTS:
        yield root
        return
    place = part.with_name(f"{part.name}.source")
    try:
        try:
            extract(root, place, lambda _: True)
        except DAMAGED as error:
            raise DataError([Fault(root.name, f"cannot be unpacked ({error}); download it again")]) from error
        inside = [child for child in place.iterdir() if not child.name.startswith(".")]
        yield inside[0] if len(inside) == 1 and inside[0].is_dir() and not _is_known(place) else place
    finally:
        remove_folder(place)


def _is_known(folder: Path) -> bool:
    return any(one.recognise(folder) is not None for one in FORMATS.values())


def _images_of_dicom(root: Path, out: Path, every: int) -> ImportReport:
    names, faults, notes = import_dicom(root, out, every=every)
    failed = tuple(FailedCase(id=fault.case, reason=fault.message) for fault in faults)
    report = ImportReport(
        source=str(root),
        kind=DICOM,
        cases=len(names),
        subjects=len(names),
        empty=0,
        labels=(),
        overlap="order",
        failed=failed,
        notes=tuple(dict.fromkeys(notes)),
    )
    report.save(out / REPORT)
    return report


def _check(root: Path, out: Path, wish: ImportWish, overwrite: bool) -> None:
    if not root.exists():
        raise DataError(f"{root} does not exist; give the folder of the set")
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file; give a new folder")
    if holds_something(out):
        if not overwrite:
            raise RunFolderError(f"{out} is not empty; give a new folder, or --overwrite")
        if not (out / REPORT).is_file():
            raise RunFolderError(f"{out} was not made by `autoseg import`, so it is not overwritten; give a new folder")
    refuse_unwritable(out)
    if root == out.resolve() or root in out.resolve().parents:
        raise RunFolderError(f"{out} lies inside the set; give a folder beside it")
    for needed in (root, *([] if wish.images_folder is None else [wish.images_folder.expanduser().resolve()])):
        if out.resolve() in (needed, *needed.parents):
            raise RunFolderError(f"{needed} lies inside {out}, which would be replaced; give another folder to write to")
    if wish.overlap not in OVERLAPS or wish.unknown not in UNKNOWNS or wish.missing not in MISSING:
        choices = {"overlap": OVERLAPS, "unknown": UNKNOWNS, "missing": MISSING}
        raise DataError(", ".join(f"{name} is one of {', '.join(several)}" for name, several in choices.items()))


def _read(
    root: Path, format: str, wish: ImportWish, images: Mapping[str, str] | None, labels: Mapping[str, str] | None
) -> tuple[str, AnnotationSet | Dataset]:
    """The set's format, and its annotations, or the data set that a layout reads."""
    if images or labels or format == PATTERNS:
        if format not in (AUTO, PATTERNS):
            raise DataError(f"patterns of images and labels are a format of their own; leave --from {format} out")
        if wish.images_folder is not None:
            raise DataError("patterns say where the images lie, from SRC on; leave --images out, or name a folder above both")
        return PATTERNS, read_listing(root, images or {}, labels or {}, empty=wish.missing == "empty")
    if format == AUTO:
        format = recognised(root)
    if format in FORMATS:
        return format, FORMATS[format].read(
            root, options_of(wish.structures, wish.colours, wish.folders_are_labels, wish.missing == "empty")
        )
    if format in LAYOUTS:
        return format, _of_layout(root, format, wish)
    known = (AUTO, *FORMATS, *LAYOUTS, PATTERNS, DICOM)
    close = difflib.get_close_matches(format, known, 1)
    raise DataError(f"unknown format {format!r}{f', did you mean {close[0]!r}?' if close else ''} (known: {', '.join(known)})")


def _of_layout(root: Path, layout: str, wish: ImportWish) -> Dataset:
    if wish.structures is not None or wish.only or wish.images_folder is not None:
        raise DataError(f"the layout {layout} knows its images and labels; leave --structure, --only and --images out")
    dataset, faults = index_dataset(root, layout=layout, subjects=wish.subjects, spacing=wish.spacing)
    if dataset is None or faults:
        raise DataError(faults or f"{root} holds no case")
    return dataset


@dataclass(frozen=True)
class _Import:
    """One import into a folder that is not in its place yet."""

    root: Path
    kind: str
    out: Path
    name: str
    wish: ImportWish
    workers: int
    progress: Progress

    def of(self, found: AnnotationSet | Dataset, named: Path) -> ImportReport:
        """Write the data set, its report (which calls the source as the user does) and its sheet."""
        report = self._of_dataset(found) if isinstance(found, Dataset) else self._of_annotations(found)
        report = report.model_copy(update={"source": str(named)})
        report.save(self.out / REPORT)
        return report

    def _of_dataset(self, dataset: Dataset) -> ImportReport:
        names = Naming(tuple(target.name for target in dataset.targets), {}, {})
        content = {"name": dataset.name, **declaration_of(dataset), "channels": list(dataset.channels)}
        sources = sources_of(dataset)
        subjects = {case.id: case.subject for case in dataset.cases}
        spacings = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None}
        written = self._written(sources, names, dataset)
        return self._finished(content, written, names, subjects, spacings, (), dataset.notes)

    def _of_annotations(self, found: AnnotationSet) -> ImportReport:
        wish = self.wish
        sources, faults, notes = matched(found, self.root, wish.images_folder)
        names = naming(found, wish.structures, wish.only, colours=wish.colours)
        if not names.values and not names.colours and (maps := [one.image.label_map for one in sources if one.image.label_map]):
            self.progress.stage("looking at label maps", len(maps))
            own = own_names(maps, self.workers, self.progress.advance)
            names = naming(replace(found, values=own.values), None, wish.only)
            notes = [*notes, *own.notes]
        if not names.labels:
            raise DataError(f"{self.root}: nothing says what the labels are called; name them with --structure NAME=VALUE")
        chosen = [old for olds in wish.only.values() for old in olds] or names.labels
        sources, without = (sources, []) if wish.missing == "empty" else without_chosen_mask(sources, chosen)
        if not sources:
            raise DataError((*found.faults, *faults, *without))
        sources = renamed(sources, wish.only) if wish.only else sources
        subjects, more = subjects_of(sources, wish.subjects, self.root)
        spacings, wrong, told = spacings_of(sources, wish.spacing, self.root)
        written = self._written(sources, names, None)
        if (lost := hidden(names.labels, written)) is not None:
            below, above = lost
            raise DataError(
                f"{below} lies below {above}, all of it or nearly so, and nothing to learn from would be left; "
                f"give --overlap smaller or regions, or choose with --only {below}"
            )
        values = sorted({value for one in written for value in one.pixels})
        content: dict[str, object] = {"name": self.name, **declaration(names, wish.overlap, values, sizes_of(written))}
        content |= {"channels": list(found.channels)} if found.channels else {}
        every = (*found.faults, *faults, *without, *wrong)
        return self._finished(content, written, names, subjects, spacings, every, (*found.notes, *notes, *more, *told))

    def _written(self, sources: Sequence[Source], names: Naming, dataset: Dataset | None) -> list[Written]:
        self.progress.stage("importing", len(sources))
        written = import_cases(
            sources,
            names,
            self.out,
            overlap=self.wish.overlap,
            unknown=self.wish.unknown,
            dataset=dataset,
            workers=self.workers,
            on_done=self.progress.advance,
        )
        return keep_one_rank(written, sources, self.out)

    def _finished(
        self,
        content: dict[str, object],
        written: Sequence[Written],
        names: Naming,
        subjects: Mapping[str, str],
        spacings: Mapping[str, Spacing],
        faults: Sequence[Fault],
        notes: Sequence[str],
    ) -> ImportReport:
        save_dataset(self.out, content, written, subjects=subjects, spacings=spacings, faults=faults)
        report = report_of(
            str(self.root), self.kind, written, names, self.wish.overlap, subjects=subjects, faults=faults, notes=notes
        )
        self.progress.stage("drawing the preview")
        dataset, wrong = index_dataset(self.out, layout="folders")
        if dataset is None or wrong:  # what is written here is to be read by `plan`
            raise DataError(wrong)
        save_import_sheet(self.out / PREVIEW, dataset, {one.id for one in written if one.pixels})
        return report
