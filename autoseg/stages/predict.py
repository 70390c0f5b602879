"""Images -> masks: every image is read, prepared, predicted and written back on its own grid, one after another.

While the networks work on one case, a thread reads and prepares the next and another writes the previous; at most these
three are in memory, and fewer where they would not fit together. A file that fails is named in `predictions.json` and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.errors import AutosegError, DataError, DiskFull, Fault
from autoseg.inference.case import Job, PreparedCase, Segmentation, assumed_spacing, listed_spacing, prepare_case, write_case
from autoseg.inference.inputs import PredictionInput, check_distinct, find_inputs, image_names, readable
from autoseg.inference.ledger import Ledger
from autoseg.inference.memory import Capacity, Room, case_bytes, with_tiles
from autoseg.inference.networks import Networks
from autoseg.inference.profiles import applied_as
from autoseg.inference.trust import has_head, judged_again
from autoseg.parallel import overlap
from autoseg.records import InferenceProfile, PredictedCase, Predictions

__all__ = ["FirstStage", "PredictionInput", "Settings", "find_inputs", "predict_cases"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How to go about a prediction.

    Args:
        run: what the record names as the model's origin.
        profile: noted in the record; it is in the configuration already.
        overwrite: begin anew in a folder that holds something else.
        memory_bytes: what the program may take; None: what the machine has.
        engine: masks that were made by another one are made anew; None: it does not matter.
        tell: takes sentences for the user.
    """

    run: str
    profile: InferenceProfile | None = None
    overwrite: bool = False
    memory_bytes: int | None = None
    engine: str | None = None
    tell: Callable[[str], None] = log.info


@dataclass(frozen=True)
class FirstStage:
    """Where the second stage of a cascade finds the masks of the first.

    Args:
        name: of the first stage's configuration.
        identity: a digest of its networks and of how they were applied; predictions are not continued with masks of another.
        masks: called once with the inputs that are to be predicted; by id their masks, as the first stage wrote them on the
            images' own grids, or what became of those that it failed at. An input of which there is neither fails.
    """

    name: str
    identity: str
    masks: Callable[[Sequence[PredictionInput]], Mapping[str, Path | PredictedCase]]


def predict_cases(
    inputs: Sequence[PredictionInput],
    out: Path,
    job: Job,
    networks: Networks,
    *,
    folds: tuple[str, ...],
    settings: Settings,
    first_stage: FirstStage | None = None,
    on_case: Callable[[PredictedCase], None] | None = None,
) -> Predictions:
    """Predict every input into `out/<id><suffix>` and keep `out/predictions.json`.

    Cases that the same model finished there before are not done again. No input is no error: an empty record is written.

    Args:
        inputs: what to predict; see `find_inputs`, or made by hand.
        out: folder for masks, `predictions.json`, and their companions.
        job: the model's plan, spacings, and what to save.
        networks: the folds' networks.
        folds: their names, in the order of the networks.
        settings: how to go about it.
        first_stage: gives the masks that the second stage of a cascade sees; None for other networks.
        on_case: called with every case done or failed, those kept from before included, one at a time, possibly from another thread.

    Raises:
        DataError: two inputs would be written under one name.
        RunFolderError: `out` holds the work of another model, or a mask would replace an image.
        OutOfMemory: not even one tile fits into the device's memory; what was done before is kept.
    """
    plan, configuration = job.plan, job.configuration
    if (configuration.previous_stage is None) != (first_stage is None):
        raise ValueError(f"{configuration.name} takes masks of {configuration.previous_stage}, given are {first_stage}")
    check_distinct(inputs)
    header = Predictions(
        run=settings.run,
        configuration=configuration.name,
        folds=folds,
        weights=networks.weights,
        inference=_inference_identity(job, first_stage),
        device=str(networks.device),
        profile=settings.profile,
        postprocessing=tuple(step.told for step in job.postprocessing),
        trust="" if job.trust is None else job.trust.digest(),
        not_judged=job.not_judged,
        intervals={} if job.trust is None else job.trust.intervals,
        targets=plan.targets,
        derived=plan.derived,
        regions=plan.regions,
        cases=(),
    )
    ledger = Ledger.open(out, header, inputs, overwrite=settings.overwrite, on_case=on_case)
    waiting = waiting_cases(inputs, job, ledger, settings)
    try:
        if waiting and first_stage is not None:
            found = first_stage.masks(waiting)
            for item in waiting:
                if isinstance(failure := found.get(item.id), PredictedCase):
                    ledger.add(failure)
            waiting = [item for item in waiting if not isinstance(found.get(item.id), PredictedCase)]
            job = replace(job, masks={case: mask for case, mask in found.items() if isinstance(mask, Path)})
        if waiting:
            _predict(waiting, out, job, networks, ledger, settings.memory_bytes)
    finally:
        ledger.save(networks.parities)
    return ledger.predictions()


def waiting_cases(inputs: Sequence[PredictionInput], job: Job, ledger: Ledger, settings: Settings) -> list[PredictionInput]:
    """What is not finished (by this engine, where it matters which one); the others are noted, judged by the rules that hold now."""
    _judge_again(ledger, job)
    waiting = []
    for item in inputs:
        spacing = listed_spacing(item, job) or (assumed_spacing(job) if job.plan.rank == 2 else None)
        done = ledger.finished(item, spacing, job.save, evidence=job.evidence, temperature=job.temperature)
        if done and _tells_all(done, job) and (settings.engine is None or done.engine in (settings.engine, None)):
            ledger.add(done)
        else:
            waiting.append(item)
    if len(waiting) < len(inputs):
        settings.tell(f"{len(inputs) - len(waiting)} of {len(inputs)} cases were predicted before in the same way and are kept")
    return waiting


def _judge_again(ledger: Ledger, job: Job) -> None:
    """Cases that are kept from before, also those that this call does not ask for, whose flags other rules have set."""
    rules = "" if job.trust is None else job.trust.digest()
    for case in ledger.kept():
        if case.judged_by != rules and _tells_all(case, job) and (ledger.out / str(case.mask)).is_file():
            ledger.judge(judged_again(case, ledger.out, job.plan, job.trust))


def _tells_all(case: PredictedCase, job: Job) -> bool:
    """Whether its evidence has what this version looks at."""
    return not (job.evidence and has_head(job.plan)) or (case.evidence is not None and case.evidence.ellipse_dice is not None)


def _predict(
    waiting: Sequence[PredictionInput], out: Path, job: Job, networks: Networks, ledger: Ledger, memory_bytes: int | None
) -> None:
    capacity = Capacity.measured(job, networks.begin(len(waiting)), memory_bytes)
    room = Room(capacity.bytes)
    planned = job.configuration.inference.tile_batch_size
    jobs: dict[str, Job] = {}  # of the cases under way

    def prepare(item: PredictionInput) -> PreparedCase:
        if readable(item.id) != item.id:
            raise DataError([Fault(item.id, "its name is not UTF-8, so it cannot be recorded; rename the file")])
        taken = case_bytes(item, job)
        capacity.refuse(item, taken)
        tiles = capacity.tiles_for(taken, planned)
        room.enter(item.id, taken + (tiles - 1) * capacity.tile_bytes)
        jobs[item.id] = with_tiles(job, tiles)
        return prepare_case(item, job)

    def write(item: PredictionInput, found: Segmentation) -> None:
        case = write_case(item, found, job, out)
        leave(item)
        ledger.add(case)

    def fail(item: PredictionInput, error: Exception) -> None:
        leave(item)
        if isinstance(error, DiskFull):  # so it would be for the others
            raise error
        ledger.add(failed_case(item, error))

    def leave(item: PredictionInput) -> None:
        jobs.pop(item.id, None)
        room.leave(item.id)

    overlap(
        waiting,
        before=prepare,
        during=lambda item, prepared: networks.segment(prepared, jobs[item.id], out),
        after=write,
        failed=fail,
        ended_early=room.close,
    )


def _inference_identity(job: Job, first_stage: FirstStage | None) -> str:
    parts = [applied_as(job.configuration)]
    if first_stage is not None:
        parts.append(f"after {first_stage.name} {first_stage.identity}")
    if job.postprocessing:
        parts.append(f"then {' '.join(step.digest() for step in job.postprocessing)}")
    return " ".join(parts)


def failed_case(item: PredictionInput, error: Exception) -> PredictedCase:
    """The record of a case that could not be predicted; it is told, too."""
    if isinstance(error, AutosegError):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "the memory of this machine does not suffice for this image"
    else:
        message = f"{type(error).__name__}: {error}"
        log.debug("%s failed", item.id, exc_info=error)
    name, message = readable(item.id), readable(message)
    message = message.removeprefix(f"{name}: ")
    log.warning("%s failed: %s", name, message)
    return PredictedCase(
        id=name,
        images=image_names(item),
        status="failed",
        error=message,
        reason="memory" if isinstance(error, MemoryError) else None,
    )
