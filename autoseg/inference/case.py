"""One case: read and prepared, segmented by the networks, and written back on its own grid."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from autoseg.engines import Engine
from autoseg.engines.weights import file_sha256
from autoseg.errors import DataError, Fault
from autoseg.inference.brightness import ImageSample
from autoseg.inference.decision import Decision
from autoseg.inference.evidence import output_groups
from autoseg.inference.export import count_pixels, mask_from_winners, save_probabilities
from autoseg.inference.inputs import PredictionInput, image_names
from autoseg.inference.overlay import save_overlay
from autoseg.inference.postprocessing import before_ellipses, postprocess
from autoseg.inference.sliding import Sliding
from autoseg.inference.trust import assess, with_shape
from autoseg.processing.cases import assemble_image
from autoseg.processing.prepare import Placement, prepare_image
from autoseg.processing.previous import one_hot, prepare_previous, read_previous
from autoseg.records import Configuration, Evidence, Extra, Plan, PostprocessingStep, PredictedCase, Spacing, Trust
from autoseg.volume.files import split_suffix, write_labels
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume
from autoseg.writing import telling_full_disk

# A grid may be 5 times coarser than its images, and these differ as much among themselves; beyond, a wrong unit is likely.
UNIT_MISTAKE = 50
OVERLAY_FOLDER = "overlays"
UNCERTAINTY_FOLDER = "uncertainty"
PROBABILITIES_SUFFIX = ".npz"
UTTERLY_UNCERTAIN = 255  # what an uncertainty of 1 is in the 8 bits of a map

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What holds for all cases of one prediction.

    `trust` tells what a mask is worth, from the evidence; `not_judged` is why it flags none for review.
    `evidence` asks for what the networks themselves say of their masks, see `inference.evidence`; unasked, it costs nothing.
    `temperature` divides the logits before they become the probabilities that are saved (Guo et al. 2017); labels do not depend on it.
    """

    plan: Plan
    configuration: Configuration
    spacings: Mapping[str, Spacing] = field(default_factory=dict)
    assume_spacing: float | None = None
    trust_file_spacing: bool = False
    unknown_spacing: Literal["fail", "keep"] = "fail"
    save: frozenset[Extra] = frozenset()
    masks: Mapping[str, Path] = field(default_factory=dict)  # of the first stage, by case id
    postprocessing: tuple[PostprocessingStep, ...] = ()
    evidence: bool = False
    temperature: float = 1.0
    trust: Trust | None = None
    not_judged: str | None = None

    @cached_property
    def sliding(self) -> Sliding:
        """How the networks slide."""
        return Sliding(
            patch_size=self.configuration.training.patch_size,
            inference=self.configuration.inference,
            n_outputs=self.configuration.network.out_channels,
            regions=self.plan.regions,
            slice_axis=self.configuration.slice_axis,
            disagreement="uncertainty" in self.save,
        )


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case on the network's grid, with what is needed to go back."""

    array: np.ndarray
    placement: Placement
    geometry: Geometry  # of the file, for the mask
    spacing_mm: Spacing | None  # that was used
    picture: np.ndarray | None  # the image as read, where an overlay is wanted
    warnings: tuple[str, ...]
    seconds: float
    sample: ImageSample | None = None  # of the image as read, where evidence is wanted


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the networks found, on the image's own grid; with the prepared case, whose array is given up.

    `winners` (*original) holds per pixel the output that won, see `export`; `probabilities` (K, *original) and `uncertainty`
    (*original) are float16 where they are wanted, else None.
    """

    winners: np.ndarray
    probabilities: np.ndarray | None
    uncertainty: np.ndarray | None
    prepared: PreparedCase
    engine: str
    seconds: float  # since the case was begun, reading included
    network_seconds: float
    evidence: Evidence | None = None


def prepare_case(item: PredictionInput, job: Job) -> PreparedCase:
    """Read a case and bring it onto the network's grid.

    Raises:
        DataError: it cannot be read, does not fit the model, or has an unknown spacing where one is needed.
    """
    started = time.perf_counter()
    channels = job.plan.channels
    if len(item.files) not in (1, len(channels)):
        names = ", ".join(file.name for file in item.files)
        raise DataError([Fault(item.id, f"{len(channels)} channels are wanted ({', '.join(channels)}), the case has {names}")])
    volume = assemble_image(item.files, channels, listed_spacing(item, job), job.trust_file_spacing)
    prepared = prepare_volume(item.id, volume, job, _previous_mask(item, job))
    return replace(prepared, seconds=time.perf_counter() - started)


def prepare_volume(case: str, volume: Volume, job: Job, previous: np.ndarray | None = None) -> PreparedCase:
    """Bring an image onto the network's grid.

    Args:
        case: its name, for errors and warnings.
        volume: float32.
        job: what it is prepared for.
        previous: for the second stage of a cascade, the first one's mask as internal label values `(*spatial)`.

    Raises:
        DataError: it does not fit the model, or has an unknown spacing where one is needed.
    """
    started, channels = time.perf_counter(), job.plan.channels
    array, geometry = volume.array, volume.geometry
    if geometry.rank != job.plan.rank:
        raise DataError([Fault(case, f"the image is {geometry.rank}D, the model was trained on {job.plan.rank}D images")])
    if len(array) != len(channels):
        raise DataError([Fault(case, f"{len(channels)} channels are wanted ({', '.join(channels)}), the image has {len(array)}")])
    if not np.isfinite(array).all():
        raise DataError([Fault(case, f"{np.count_nonzero(~np.isfinite(array))} values are NaN or infinite; replace them")])
    spacing = _used_spacing(case, geometry.spacing_mm, job)
    preparation = job.configuration.preparation
    sample = ImageSample.of(array) if job.evidence else None
    prepared, placement = prepare_image(replace(volume, geometry=geometry.with_spacing(spacing)), preparation)
    warnings = (*volume.notes, *_unit_mistakes(placement, preparation.spacing_mm))
    for warning in warnings:
        log.warning("%s: %s", case, warning)
    if previous is not None:
        mask = prepare_previous(previous, placement, preparation, case)
        prepared = np.concatenate([prepared, one_hot(mask, job.plan.targets)])
    picture = array if "overlay" in job.save else None
    seconds = time.perf_counter() - started
    return PreparedCase(prepared, placement, geometry, spacing, picture, warnings, seconds, sample)


def segment(prepared: PreparedCase, job: Job, engine: Engine, scratch: Path | None = None) -> Segmentation:
    """Let the networks slide over a prepared case, and decide.

    Args:
        prepared: of `prepare_case`.
        job: what it was prepared for.
        engine: the folds' networks.
        scratch: folder for a temporary file of probabilities, which may be larger than the memory; None keeps them in it.
    """
    started, sliding, placement = time.perf_counter(), job.sliding, prepared.placement
    probabilities = uncertainty = None
    if "probabilities" in job.save:
        probabilities = _room((sliding.n_outputs, *placement.shape), scratch)
    if sliding.disagreement:
        uncertainty = np.empty(placement.shape, np.float16)
    axis = sliding.grid(prepared.array.shape[1:]).axis
    decision = Decision(
        placement,
        axis,
        sliding.n_outputs,
        regions=sliding.regions,
        probabilities=probabilities,
        disagreement=uncertainty,
        temperature=job.temperature,
    )
    sums = sliding.sums_for(prepared.array.shape[1:]) if job.evidence else None
    waited = time.perf_counter()
    network_seconds = 0.0
    for block in sliding.blocks(prepared.array, engine, evidence=sums):
        network_seconds += time.perf_counter() - waited
        decision.add(block)
        waited = time.perf_counter()
    winners = decision.winners()
    seconds = prepared.seconds + time.perf_counter() - started
    given_up = replace(prepared, array=prepared.array[:0].copy(), sample=None)
    evidence = None
    if sums:
        groups = output_groups(job.plan.targets, job.plan.derived, sliding.regions)
        evidence = sums.evidence(groups, winners.shape, prepared.sample.medians(winners) if prepared.sample else None)
    return Segmentation(winners, probabilities, uncertainty, given_up, engine.name, seconds, network_seconds, evidence)


def write_case(item: PredictionInput, found: Segmentation, job: Job, out: Path) -> PredictedCase:
    """Write the mask, and what else is wanted, into `out`; the record of the case."""
    started, plan, prepared = time.perf_counter(), job.plan, found.prepared
    winners, evidence = finished(found, job)
    mask = mask_from_winners(winners, plan.targets, plan.regions)
    overlay = probabilities = uncertainty = None
    if found.probabilities is not None:
        probabilities = item.id + PROBABILITIES_SUFFIX
        save_probabilities(out / probabilities, found.probabilities)
    if found.uncertainty is not None:
        uncertainty = f"{UNCERTAINTY_FOLDER}/{item.mask}"
        scaled = np.rint(np.clip(found.uncertainty, 0, 1) * np.float16(UTTERLY_UNCERTAIN)).astype(np.uint8)
        write_labels(out / uncertainty, scaled, prepared.geometry)
    if prepared.picture is not None:
        overlay = f"{OVERLAY_FOLDER}/{item.id}.png"
        names = {target.output_value: target.name for target in plan.targets}
        save_overlay(out / overlay, prepared.picture, mask, names, prepared.spacing_mm)
    write_labels(out / item.mask, mask, prepared.geometry)  # last: where a mask is, its companions are
    case = PredictedCase(
        id=item.id,
        images=image_names(item),
        status="done",
        mask=item.mask,
        mask_sha256=file_sha256(out / item.mask),
        overlay=overlay,
        probabilities=probabilities,
        uncertainty=uncertainty,
        spacing_mm=prepared.spacing_mm,
        seconds=round(found.seconds + time.perf_counter() - started, 3),
        network_seconds=round(found.network_seconds, 3),
        engine=found.engine,
        warnings=prepared.warnings,
        pixels=count_pixels(winners, plan.targets, plan.derived, plan.regions),
        evidence=evidence,
        temperature=None if probabilities is None else job.temperature,
    )
    if job.trust is None or evidence is None:
        return case
    return assess(job.trust, evidence, winners, plan, prepared.spacing_mm).noted(case)


def finished(found: Segmentation, job: Job) -> tuple[np.ndarray, Evidence | None]:
    """What the networks found, after the steps that were selected, and the evidence with that of the head's shape before it is an ellipse."""
    plan, spacing = job.plan, found.prepared.spacing_mm
    apply = partial(postprocess, targets=plan.targets, regions=plan.regions, spacing_mm=spacing)
    winners, evidence = apply(found.winners, before_ellipses(job.postprocessing)), found.evidence
    if evidence is not None:
        evidence = with_shape(evidence, winners, plan.targets, plan.derived, regions=plan.regions, spacing_mm=spacing)
    last = tuple(step for step in job.postprocessing if step.kind == "ellipse")
    return apply(winners, last), evidence


def listed_spacing(item: PredictionInput, job: Job) -> Spacing | None:
    """What the table says about a 2D case: by its id, its file's name, or that without the suffix; volumes know theirs."""
    names = (item.id, *(name for file in item.files[:1] for name in (file.name, split_suffix(file)[0])))
    for key in names:
        if job.plan.rank == 2 and key in job.spacings:
            return job.spacings[key]
    return None


def assumed_spacing(job: Job) -> Spacing | None:
    """Of images whose own is unknown."""
    return None if job.assume_spacing is None else (job.assume_spacing,) * job.plan.rank


def _previous_mask(item: PredictionInput, job: Job) -> np.ndarray | None:
    """The first stage's mask as internal label values, on the image's own grid; None where there is no such stage.

    Raises:
        DataError: there should be one, and is none.
    """
    if job.configuration.previous_stage is None:
        return None
    if item.id not in job.masks:
        raise DataError([Fault(item.id, f"{job.configuration.previous_stage}, the first stage, made no mask of it")])
    return read_previous(job.masks[item.id], job.plan.targets, job.plan.regions)


def _used_spacing(case: str, spacing: Spacing | None, job: Job) -> Spacing | None:
    """The spacing to prepare with; the assumed one where it is unknown.

    Raises:
        DataError: it is unknown and the model works in mm.
    """
    wanted = job.configuration.preparation.spacing_mm
    spacing = spacing or assumed_spacing(job)
    if spacing is None:
        if wanted is not None and job.unknown_spacing == "fail":
            sentence = "its pixel size is unknown and this model works in mm; give --spacing CSV|MM or --assume-spacing MM"
            raise DataError([Fault(case, sentence)])
        return None
    return spacing


def _unit_mistakes(placement: Placement, wanted: Sequence[float | None] | None) -> tuple[str, ...]:
    """Compare the spacing with the model's, both in the axis order of the prepared array."""
    for own, model in zip(placement.spacing_mm or (), wanted or (), strict=False):
        if model is not None and not 1 / UNIT_MISTAKE < own / model < UNIT_MISTAKE:
            return (f"its spacing of {own:g} mm is far from the model's {model:g} mm; is the unit right?",)
    return ()


def _room(shape: tuple[int, ...], scratch: Path | None) -> np.ndarray:
    """An array of float16; in a file without a name, which goes with the array, where there is a folder for it."""
    if scratch is None:
        return np.empty(shape, np.float16)
    with tempfile.TemporaryFile(dir=scratch) as file, telling_full_disk(scratch):
        if hasattr(os, "posix_fallocate"):  # a full disk would else end the program when a page is written
            os.posix_fallocate(file.fileno(), 0, prod(shape) * np.dtype(np.float16).itemsize)
        return np.memmap(file, np.float16, "w+", shape=shape)
