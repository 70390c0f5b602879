"""Preprocessing: every case onto the network's grid, stored for reading in patches.

Cases that are prepared already, from the same files in the same way, are left as they are; an interrupted run continues.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import AutosegError, CaseError, DataError
from autoseg.parallel import map_cases
from autoseg.processing.cases import load_image, load_labels
from autoseg.processing.prepare import prepare_image, prepare_labels
from autoseg.processing.previous import is_previous_complete, prepare_previous, read_previous, write_previous
from autoseg.processing.store import is_complete, is_stale, open_case, remove_leftovers, sample_locations, write_case
from autoseg.records import Case, Configuration, Dataset, Plan, Preparation, Shape, Structure
from autoseg.volume.files import parts_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What a worker needs for one case: the data set holds that case only, so that little crosses to the process."""

    dataset: Dataset
    preparation: Preparation
    patch: Shape
    folder: Path
    digest: str

    @property
    def case(self) -> Case:
        return self.dataset.cases[0]


def preprocess(
    dataset: Dataset,
    cases: Sequence[str],
    configuration: Configuration,
    folder: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> tuple[str, ...]:
    """Prepare cases and store them in `folder`, where `processing.store.open_case` finds them.

    Args:
        dataset: where the files lie.
        cases: ids; each needs a label. None: nothing happens.
        configuration: its preparation is applied; its patch decides only on how cases are cut into blocks on disk.
        folder: for this preparation alone; made if it does not exist.
        workers: processes; 0 prepares in this one.
        on_done: called with the number of cases done so far, those that were prepared before included.

    Returns:
        Cases that had been prepared before, from files that were changed since: they were prepared anew.

    Raises:
        DataError: ids that the data set does not hold, or cases without a label.
        CaseError: a case could not be prepared; it is named, the others done so far stay.
    """
    jobs = _jobs(dataset, cases, configuration, folder)
    remove_leftovers(folder)
    pending = [job for job in jobs if not is_complete(folder, job.case.id, job.digest)]
    stale = tuple(job.case.id for job in pending if is_stale(folder, job.case.id, job.digest))
    before = len(jobs) - len(pending)
    if before:
        log.info("%d of %d cases are prepared already", before, len(jobs))
        if on_done:
            on_done(before)
    count = (lambda done: on_done(before + done)) if on_done else None
    for _ in map_cases(_prepare, pending, name=lambda job: job.case.id, workers=workers, on_done=count):
        pass
    return stale


def network_patch(configuration: Configuration) -> Shape:
    """The patch at the rank of the data: a 2D network on 3D data reads one slice."""
    patch, axis = configuration.training.patch_size, configuration.slice_axis
    return patch if axis is None else (*patch[:axis], 1, *patch[axis:])


def _jobs(dataset: Dataset, cases: Sequence[str], configuration: Configuration, folder: Path) -> list[_Job]:
    by_id = {case.id: case for case in dataset.cases}
    unknown = [case for case in cases if case not in by_id]
    if unknown:
        raise DataError(f"{dataset.name} holds no case named {', '.join(unknown)}; index the data set again")
    unlabelled = [case for case in cases if by_id[case].label is None]
    if unlabelled:
        raise DataError(f"{', '.join(unlabelled)}: no label to train with; leave them out of the folds or add labels")
    return [
        _Job(
            dataset.model_copy(update={"cases": (by_id[case],), "notes": ()}),
            configuration.preparation,
            network_patch(configuration),
            folder,
            case_digest(dataset, by_id[case], configuration.preparation),
        )
        for case in cases
    ]


def case_digest(dataset: Dataset, case: Case, preparation: Preparation) -> str:
    """Twelve hex digits of all that decides on a prepared case: the preparation, the case's entry, how its labels are read,
    and size and time of its files (a file that was changed is prepared anew).
    """
    encoding = dataset.encodings.get(case.encoding)
    parts = [
        preparation.digest(),
        case.digest(),
        encoding.digest() if encoding else "",
        *dataset.channels,
        str((dataset.rank, dataset.ignore_value, dataset.trust_file_spacing)),
        *(_stamp(dataset.path(file)) for file in (*case.images, case.label) if file is not None),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _stamp(path: Path) -> str:
    try:
        stats = [part.stat() for part in parts_of(path)]  # a DICOM series has many
    except OSError:
        return "absent"  # loading the case says so, with the case's name
    return " ".join(f"{status.st_size} {status.st_mtime_ns}" for status in stats)


def _prepare(job: _Job) -> None:
    case = job.case.id
    if is_complete(job.folder, case, job.digest):  # another process, training another fold, was quicker
        return
    try:
        image, placement = prepare_image(load_image(job.dataset, job.case), job.preparation)
        labels = prepare_labels(load_labels(job.dataset, job.case), placement, job.preparation)
        locations = sample_locations(labels, ignore_value=job.dataset.ignore_value)
        write_case(job.folder, case, image, labels, locations, placement, digest=job.digest, patch=job.patch)
    except AutosegError as error:
        raise CaseError(case, str(error).removeprefix(f"{case}: ")) from error


@dataclass(frozen=True)
class StageMask:
    """A mask that a cascade's first stage predicted, and `origin`: what tells the network and the settings that made it."""

    file: Path
    origin: str


@dataclass(frozen=True)
class _MaskJob:
    """What a worker needs for one mask."""

    case: str
    file: Path
    targets: tuple[Structure, ...]
    regions: bool
    preparation: Preparation
    patch: Shape
    prepared: Path
    folder: Path
    digest: str


def preprocess_previous(
    masks: Mapping[str, StageMask],
    plan: Plan,
    configuration: Configuration,
    prepared: Path,
    folder: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> None:
    """Bring the first stage's masks to the grid of prepared cases; those that were brought there before are left as they are.

    Args:
        masks: by case id.
        plan: what the masks' values mean.
        configuration: the second stage.
        prepared: where `preprocess` has put the cases themselves.
        folder: for the masks of this first stage alone; `processing.previous.open_previous` finds them there.
        workers: processes; 0 prepares in this one.
        on_done: called with the number of masks done so far.

    Raises:
        CaseError: a mask could not be prepared; the others done so far stay.
    """
    remove_leftovers(folder)
    jobs = [
        _MaskJob(
            case,
            mask.file,
            plan.targets,
            plan.regions,
            configuration.preparation,
            network_patch(configuration),
            prepared,
            folder,
            _mask_digest(mask, plan, open_case(prepared, case).record.made_from),
        )
        for case, mask in masks.items()
    ]
    pending = [job for job in jobs if not is_previous_complete(folder, job.case, job.digest)]
    before = len(jobs) - len(pending)
    if before and on_done:
        on_done(before)
    count = (lambda done: on_done(before + done)) if on_done else None
    for _ in map_cases(_prepare_mask, pending, name=lambda job: job.case, workers=workers, on_done=count):
        pass


def _mask_digest(mask: StageMask, plan: Plan, case: str) -> str:
    """Twelve hex digits of all that decides on a prepared mask; `case` is the digest of the case that it belongs to."""
    meaning = [(target.values, target.output_value) for target in plan.targets]
    parts = (case, mask.origin, _stamp(mask.file), str((meaning, plan.regions)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _prepare_mask(job: _MaskJob) -> None:
    if is_previous_complete(job.folder, job.case, job.digest):  # another process, training another fold, was quicker
        return
    try:
        mask = read_previous(job.file, job.targets, job.regions)
        grid = prepare_previous(mask, open_case(job.prepared, job.case).placement, job.preparation, job.case)
        write_previous(job.folder, job.case, grid, digest=job.digest, patch=job.patch)
    except AutosegError as error:
        raise CaseError(job.case, str(error).removeprefix(f"{job.case}: ")) from error
