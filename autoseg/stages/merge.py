"""Predictions of one or several configurations -> the masks that the selected model gives: averaged, and processed.

Several configurations vote with the probabilities that each of them has written beside its masks, as nnU-Net ensembles them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.engines.weights import file_sha256
from autoseg.errors import DataError
from autoseg.inference.export import count_pixels, mask_from_winners, winners_from_mask
from autoseg.inference.merging import merged_winners, save_mean
from autoseg.inference.postprocessing import before_ellipses, postprocess
from autoseg.inference.trust import Assessment, with_shape
from autoseg.parallel import map_cases
from autoseg.records import PREDICTIONS_FILE, Evidence, PostprocessingStep, PredictedCase, Predictions, Spacing
from autoseg.volume.files import read, write_labels

JOINED = "+"  # between the names of configurations that vote together


@dataclass(frozen=True)
class Member:
    """What one configuration predicted, and where its files are."""

    predictions: Predictions
    folder: Path


def merge(
    members: Sequence[Member],
    out: Path,
    steps: Sequence[PostprocessingStep] = (),
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Predictions:
    """Write the mask of every case that all members have into `out`, with `predictions.json`.

    Cases that a member failed at, or has not predicted, are left out but for their failure, which is recorded.

    Args:
        members: of one model; several have saved probabilities.
        out: folder for masks, named as the first member's but for folders in front.
        steps: what is done to every mask.
        workers: processes.
        on_done: called with the number of cases done so far.
    """
    header = merged_header([member.predictions for member in members], steps)
    by_id = [{case.id: case for case in member.predictions.cases} for member in members]
    cases = [tuple(known[id] for known in by_id) for id in by_id[0] if all(id in known for known in by_id)]
    function = partial(merge_case, folders=[member.folder for member in members], header=header, steps=tuple(steps), out=out)
    done = list(map_cases(function, cases, name=lambda case: case[0].id, workers=workers, on_done=on_done))
    predictions = header.model_copy(update={"cases": tuple(done)})
    predictions.save(out / PREDICTIONS_FILE)
    return predictions


def merged_header(members: Sequence[Predictions], steps: Sequence[PostprocessingStep]) -> Predictions:
    """The record of what members make together, without cases."""
    first = members[0]
    inference = [member.inference for member in members] + [step.digest() for step in steps]
    return first.model_copy(
        update={
            "configuration": JOINED.join(member.configuration for member in members),
            "weights": tuple(sha256 for member in members for sha256 in member.weights),
            "inference": " and ".join(inference),
            "postprocessing": tuple(step.told for step in steps),
            "parity": (),
            "cases": (),
        }
    )


def merge_case(
    cases: Sequence[PredictedCase],
    *,
    folders: Sequence[Path],
    header: Predictions,
    steps: Sequence[PostprocessingStep],
    out: Path,
    save_probabilities: bool = False,
    assess: Callable[[Evidence, np.ndarray, Spacing | None], Assessment] | None = None,
) -> PredictedCase:
    """One case from what every member made of it; the failure of one is that of all. Evidence is the first member's, but for the head's shape."""
    first = cases[0]
    for case in cases:
        if case.status == "failed":
            return case
    spacing = next((case.spacing_mm for case in cases if case.spacing_mm is not None), None)
    mask = read(folders[0] / str(first.mask))
    if len(cases) == 1:
        winners = winners_from_mask(mask.array[0], header.targets, header.regions)
    else:
        files = [folder / _probabilities(case) for folder, case in zip(folders, cases, strict=True)]
        winners = merged_winners(files, regions=header.regions)
    apply = partial(postprocess, targets=header.targets, regions=header.regions, spacing_mm=spacing)
    winners, evidence = apply(winners, before_ellipses(steps)), first.evidence
    if evidence is not None:
        evidence = with_shape(evidence, winners, header.targets, header.derived, regions=header.regions, spacing_mm=spacing)
    winners = apply(winners, tuple(step for step in steps if step.kind == "ellipse"))
    name = Path(str(first.mask)).name
    probabilities = f"{first.id}.npz" if save_probabilities else None
    if probabilities is not None:
        save_mean([folder / _probabilities(case) for folder, case in zip(folders, cases, strict=True)], out / probabilities)
    write_labels(out / name, mask_from_winners(winners, header.targets, header.regions), mask.geometry)
    merged = first.model_copy(
        update={
            "mask": name,
            "mask_sha256": file_sha256(out / name),
            "overlay": None,
            "uncertainty": None,
            "probabilities": probabilities,
            "spacing_mm": spacing,
            "seconds": sum(case.seconds or 0.0 for case in cases),
            "network_seconds": sum(case.network_seconds or 0.0 for case in cases),
            "warnings": tuple(dict.fromkeys(warning for case in cases for warning in case.warnings)),
            "pixels": count_pixels(winners, header.targets, header.derived, header.regions),
            "evidence": evidence,
        }
    )
    return merged if assess is None or evidence is None else assess(evidence, winners, spacing).noted(merged)


def _probabilities(case: PredictedCase) -> str:
    if case.probabilities is None:
        raise DataError(f"{case.id}: no probabilities were saved, so configurations cannot vote on it; predict it again")
    return case.probabilities
