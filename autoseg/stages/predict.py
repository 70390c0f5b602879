"""Images -> masks: every image is read, prepared, predicted and written back on its own grid, one after another.

While the networks work on one case, a thread reads and prepares the next and another writes the previous; at most these
three are in memory. A file that fails is named in `predictions.json` and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from autoseg.engines import Engine
from autoseg.errors import AutosegError
from autoseg.inference.case import Job, assumed_spacing, listed_spacing, prepare_case, segment, write_case
from autoseg.inference.inputs import PredictionInput, check_distinct, find_inputs, image_names
from autoseg.inference.ledger import Ledger
from autoseg.parallel import overlap
from autoseg.records import Configuration, Extra, InferenceProfile, Plan, PredictedCase, Predictions, Spacing

__all__ = ["FirstStage", "PredictionInput", "find_inputs", "predict_cases"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstStage:
    """Where the second stage of a cascade finds the masks of the first.

    Args:
        name: of the first stage's configuration.
        identity: a digest of its networks and of how they were applied; predictions are not continued with masks of another.
        masks: called once with the inputs that are to be predicted; their masks by id, as the first stage wrote them on the
            images' own grids. An input of which there is none fails.
    """

    name: str
    identity: str
    masks: Callable[[Sequence[PredictionInput]], Mapping[str, Path]]


def predict_cases(  # noqa: PLR0913  what a caller may wish of a prediction, each with a name
    inputs: Sequence[PredictionInput],
    out: Path,
    plan: Plan,
    configuration: Configuration,
    engine: Engine,
    *,
    run: str,
    folds: tuple[str, ...],
    spacings: Mapping[str, Spacing] | None = None,
    assume_spacing: float | None = None,
    trust_file_spacing: bool = False,
    unknown_spacing: Literal["fail", "keep"] = "fail",
    save: Collection[Extra] = (),
    profile: InferenceProfile | None = None,
    overwrite: bool = False,
    first_stage: FirstStage | None = None,
    on_case: Callable[[PredictedCase], None] | None = None,
) -> Predictions:
    """Predict every input into `out/<id><suffix>` and keep `out/predictions.json`.

    Cases that the same model finished there before are not done again. No input is no error: an empty record is written.

    Args:
        inputs: what to predict; see `find_inputs`, or made by hand.
        out: folder for masks, `predictions.json`, and `overlays/`.
        plan: what the model was made for.
        configuration: one of the plan's, the one of the engine's networks.
        engine: the folds' networks.
        run: what the record names as the model's origin.
        folds: their names, in the engine's order.
        spacings: (y, x) pixel sizes in mm by case id, file name or file name without suffix; they go before a 2D file's own.
        assume_spacing: pixel size in mm for 2D images whose own is unknown.
        trust_file_spacing: whether a picture's resolution tag counts.
        unknown_spacing: what happens to a 2D image of unknown pixel size when the model works in mm: it fails, or keeps its
            size (as such images did in training).
        save: what else to write: `overlay` (`overlays/<id>.png`), `probabilities` (`<id>.npz`, float16 (K, *original)),
            `uncertainty` (`uncertainty/<id><suffix>`: how far folds and mirrors disagree, 0 to 255).
        profile: noted in the record; it is in the configuration already.
        overwrite: begin anew in a folder that holds something else.
        first_stage: gives the masks that the second stage of a cascade sees; None for other networks.
        on_case: called with every case done or failed, those kept from before included, one at a time, possibly from another thread.

    Raises:
        DataError: two inputs would be written under one name.
        RunFolderError: `out` holds the work of another model, or a mask would replace an image.
        OutOfMemory: not even one tile fits into the device's memory; what was done before is kept.
    """
    if (configuration.previous_stage is None) != (first_stage is None):
        raise ValueError(f"{configuration.name} takes masks of {configuration.previous_stage}, given are {first_stage}")
    check_distinct(inputs)
    job = Job(plan, configuration, spacings or {}, assume_spacing, trust_file_spacing, unknown_spacing, frozenset(save))
    header = Predictions(
        run=run,
        configuration=configuration.name,
        folds=folds,
        weights=engine.weights,
        inference=_inference_identity(configuration, first_stage),
        device=str(engine.device),
        profile=profile,
        targets=plan.targets,
        derived=plan.derived,
        regions=plan.regions,
        cases=(),
    )
    ledger = Ledger.open(out, header, inputs, overwrite=overwrite, on_case=on_case)
    waiting = []
    for item in inputs:
        spacing = listed_spacing(item, job) or (assumed_spacing(job) if plan.rank == 2 else None)
        done = ledger.finished(item, spacing, job.save)
        if done:
            ledger.add(done)
        else:
            waiting.append(item)
    if len(waiting) < len(inputs):
        log.info("%d of %d cases were predicted before by the same model and are kept", len(inputs) - len(waiting), len(inputs))
    try:
        if first_stage is not None and waiting:
            job = replace(job, masks=first_stage.masks(waiting))
        overlap(
            waiting,
            before=lambda item: prepare_case(item, job),
            during=lambda item, prepared: segment(prepared, job, engine, out),
            after=lambda item, predicted: ledger.add(write_case(item, predicted, job, out)),
            failed=lambda item, error: ledger.add(_failed(item, error)),
        )
    finally:
        ledger.save()
    return ledger.predictions()


def _inference_identity(configuration: Configuration, first_stage: FirstStage | None) -> str:
    own = f"{configuration.inference.digest()} {'x'.join(map(str, configuration.training.patch_size))}"
    return own if first_stage is None else f"{own} after {first_stage.name} {first_stage.identity}"


def _failed(item: PredictionInput, error: Exception) -> PredictedCase:
    if isinstance(error, AutosegError):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "the memory of this machine does not suffice for this image"
    else:
        message = f"{type(error).__name__}: {error}"
        log.debug("%s failed", item.id, exc_info=error)
    log.warning("%s failed: %s", item.id, message.removeprefix(f"{item.id}: "))
    return PredictedCase(id=item.id, images=image_names(item), status="failed", error=message.removeprefix(f"{item.id}: "))
