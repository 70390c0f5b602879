"""Images -> masks: every image is read, prepared, predicted and written back on its own grid, one after another.

While the networks work on one case, a thread reads and prepares the next and another writes the previous; at most these
three are in memory. A file that fails is named in `predictions.json` and the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from autoseg.engines import Engine
from autoseg.errors import AutosegError, DataError, Fault
from autoseg.inference.export import count_pixels, mask_from_winners, save_probabilities
from autoseg.inference.inputs import PredictionInput, check_distinct, find_inputs
from autoseg.inference.ledger import OVERLAY_FOLDER, PROBABILITIES_SUFFIX, Ledger, image_names
from autoseg.inference.overlay import save_overlay
from autoseg.inference.sliding import predict_scores
from autoseg.parallel import overlap
from autoseg.processing.cases import assemble_image
from autoseg.processing.prepare import Placement, prepare_image, restore_scores
from autoseg.processing.previous import one_hot, prepare_previous, read_previous
from autoseg.records import Configuration, Plan, PredictedCase, Predictions, Spacing
from autoseg.volume.files import split_suffix, write_labels
from autoseg.volume.geometry import Geometry

__all__ = ["FirstStage", "PredictionInput", "find_inputs", "predict_cases"]

# A grid may be 5 times coarser than its images, and these differ as much among themselves; beyond, a wrong unit is likely.
UNIT_MISTAKE = 50

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


@dataclass(frozen=True)
class _Job:
    """What holds for all cases of one prediction."""

    plan: Plan
    configuration: Configuration
    spacings: Mapping[str, Spacing]
    assume_spacing: float | None
    trust_file_spacing: bool
    unknown_spacing: Literal["fail", "keep"]
    overlay: bool
    probabilities: bool
    masks: Mapping[str, Path] = field(default_factory=dict)  # of the first stage, by case id


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A case on the network's grid, with what is needed to go back."""

    array: np.ndarray
    placement: Placement
    geometry: Geometry  # of the file, for the mask
    spacing_mm: Spacing | None  # that was used
    picture: np.ndarray | None  # the image as read, where an overlay is wanted
    seconds: float


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Probabilities (K, *prepared), and what is needed to go back: the prepared case, its array given up."""

    scores: np.ndarray
    prepared: _Prepared
    seconds: float


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
    overlay: bool = False,
    probabilities: bool = False,
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
        overlay: also write `overlays/<id>.png`.
        probabilities: also write `<id>.npz`, float16 (K, *original).
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
    job = _Job(plan, configuration, spacings or {}, assume_spacing, trust_file_spacing, unknown_spacing, overlay, probabilities)
    header = Predictions(
        run=run,
        configuration=configuration.name,
        folds=folds,
        weights=engine.weights,
        inference=_inference_identity(configuration, first_stage),
        device=str(engine.device),
        targets=plan.targets,
        derived=plan.derived,
        regions=plan.regions,
        cases=(),
    )
    ledger = Ledger.open(out, header, inputs, overwrite=overwrite, on_case=on_case)
    waiting = []
    for item in inputs:
        spacing = _listed_spacing(item, job) or (_assumed_spacing(job) if plan.rank == 2 else None)
        done = ledger.finished(item, spacing, overlay=overlay, probabilities=probabilities)
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
            before=lambda item: _prepare(item, job),
            during=lambda item, prepared: _predict(prepared, job, engine),
            after=lambda item, predicted: ledger.add(_write(item, predicted, job, out)),
            failed=lambda item, error: ledger.add(_failed(item, error)),
        )
    finally:
        ledger.save()
    return ledger.predictions()


def _inference_identity(configuration: Configuration, first_stage: FirstStage | None) -> str:
    own = f"{configuration.inference.digest()} {'x'.join(map(str, configuration.training.patch_size))}"
    return own if first_stage is None else f"{own} after {first_stage.name} {first_stage.identity}"


def _prepare(item: PredictionInput, job: _Job) -> _Prepared:
    started = time.perf_counter()
    channels = job.plan.channels
    if len(item.files) not in (1, len(channels)):
        names = ", ".join(file.name for file in item.files)
        raise DataError([Fault(item.id, f"{len(channels)} channels are wanted ({', '.join(channels)}), the case has {names}")])
    volume = assemble_image(item.files, channels, _listed_spacing(item, job), job.trust_file_spacing)
    array, geometry = volume.array, volume.geometry
    if geometry.rank != job.plan.rank:
        raise DataError([Fault(item.id, f"the image is {geometry.rank}D, the model was trained on {job.plan.rank}D images")])
    if len(array) != len(channels):
        raise DataError(
            [Fault(item.id, f"{len(channels)} channels are wanted ({', '.join(channels)}), the image has {len(array)}")]
        )
    if not np.isfinite(array).all():
        raise DataError([Fault(item.id, f"{np.count_nonzero(~np.isfinite(array))} values are NaN or infinite; replace them")])
    spacing = _used_spacing(item, geometry.spacing_mm, job)
    prepared, placement = prepare_image(replace(volume, geometry=geometry.with_spacing(spacing)), job.configuration.preparation)
    _warn_of_unit_mistake(item.id, placement, job.configuration.preparation.spacing_mm)
    if job.configuration.previous_stage is not None:
        prepared = np.concatenate([prepared, _mask_channels(item, placement, job)])
    picture = array if job.overlay else None
    return _Prepared(prepared, placement, geometry, spacing, picture, time.perf_counter() - started)


def _mask_channels(item: PredictionInput, placement: Placement, job: _Job) -> np.ndarray:
    """The first stage's mask on the grid of the prepared image, (T, *prepared).

    Raises:
        DataError: there is none, or it does not belong to the image.
    """
    if item.id not in job.masks:
        raise DataError([Fault(item.id, f"{job.configuration.previous_stage}, the first stage, made no mask of it")])
    mask = read_previous(job.masks[item.id], job.plan.targets, job.plan.regions)
    return one_hot(prepare_previous(mask, placement, job.configuration.preparation, item.id), job.plan.targets)


def _listed_spacing(item: PredictionInput, job: _Job) -> Spacing | None:
    """What the table says about a 2D case: by its id, its file's name, or that without the suffix; volumes know theirs."""
    for key in (item.id, item.files[0].name, split_suffix(item.files[0])[0]):
        if job.plan.rank == 2 and key in job.spacings:
            return job.spacings[key]
    return None


def _assumed_spacing(job: _Job) -> Spacing | None:
    return None if job.assume_spacing is None else (job.assume_spacing,) * job.plan.rank


def _used_spacing(item: PredictionInput, spacing: Spacing | None, job: _Job) -> Spacing | None:
    """The spacing to prepare with; the assumed one where it is unknown.

    Raises:
        DataError: it is unknown and the model works in mm.
    """
    wanted = job.configuration.preparation.spacing_mm
    spacing = spacing or _assumed_spacing(job)
    if spacing is None:
        if wanted is not None and job.unknown_spacing == "fail":
            sentence = "its pixel size is unknown and this model works in mm; give --spacing CSV|MM or --assume-spacing MM"
            raise DataError([Fault(item.id, sentence)])
        return None
    return spacing


def _warn_of_unit_mistake(id: str, placement: Placement, wanted: Sequence[float | None] | None) -> None:
    """Compare the spacing with the model's, both in the axis order of the prepared array."""
    for own, model in zip(placement.spacing_mm or (), wanted or (), strict=False):
        if model is not None and not 1 / UNIT_MISTAKE < own / model < UNIT_MISTAKE:
            log.warning("%s: its spacing of %g mm is far from the model's %g mm; is the unit right?", id, own, model)
            return


def _predict(prepared: _Prepared, job: _Job, engine: Engine) -> _Predicted:
    started = time.perf_counter()
    scores = predict_scores(
        prepared.array,
        engine,
        patch_size=job.configuration.training.patch_size,
        inference=job.configuration.inference,
        n_outputs=job.configuration.network.out_channels,
        regions=job.plan.regions,
        slice_axis=job.configuration.slice_axis,
    )
    seconds = prepared.seconds + time.perf_counter() - started
    return _Predicted(scores, replace(prepared, array=prepared.array[:0].copy()), seconds)


def _write(item: PredictionInput, predicted: _Predicted, job: _Job, out: Path) -> PredictedCase:
    """Back to the original grid and onto the disk."""
    started = time.perf_counter()
    plan, scores, prepared = job.plan, predicted.scores, predicted.prepared
    winners = restore_scores(scores, prepared.placement, regions=plan.regions)
    mask = mask_from_winners(winners, plan.targets, plan.regions)
    if job.probabilities:
        save_probabilities(out / (item.id + PROBABILITIES_SUFFIX), scores, prepared.placement, plan.regions)
    overlay = None
    if prepared.picture is not None:
        overlay = f"{OVERLAY_FOLDER}/{item.id}.png"
        names = {target.output_value: target.name for target in plan.targets}
        save_overlay(out / overlay, prepared.picture, mask, names, prepared.spacing_mm)
    write_labels(out / item.mask, mask, prepared.geometry)  # last: where a mask is, its companions are
    return PredictedCase(
        id=item.id,
        images=image_names(item),
        status="done",
        mask=item.mask,
        overlay=overlay,
        spacing_mm=prepared.spacing_mm,
        seconds=round(predicted.seconds + time.perf_counter() - started, 3),
        pixels=count_pixels(winners, plan.targets, plan.derived, plan.regions),
    )


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
