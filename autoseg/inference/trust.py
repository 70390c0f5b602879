"""What is told beside a mask: the Dice to be expected, whether a person should look at it, and whether the image is like those of the training.

The rules are learned by `select` on cases that the networks had not seen, and are part of the model. Here they are applied, in the same
way to those cases and to new ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.inference.export import painted_targets, winners_from_mask
from autoseg.metrics.biometry import HEAD, HeadFit, fit_head
from autoseg.metrics.familiarity import image_facts, strange_facts
from autoseg.metrics.overlap import count, dice
from autoseg.metrics.predicted_dice import predict_dice
from autoseg.metrics.review import suspicious
from autoseg.metrics.structures import painted_structures
from autoseg.records import Evidence, Plan, PredictedCase, Structure, StructureEvidence, Trust
from autoseg.volume.ellipse import fill_ellipse
from autoseg.volume.files import read

PREDICTED = "predicted Dice"
SHAPE = "shape of the head"
NO_ELLIPSE = "the head is not an ellipse"
NOTHING = "nothing was found"


@dataclass(frozen=True)
class Assessment:
    """Of one mask. `predicted_dice` by target, `review` None where no flag is given, `reasons` sentences."""

    predicted_dice: dict[str, float]
    review: bool | None
    reasons: tuple[str, ...]
    judged_by: str = ""

    def noted(self, case: PredictedCase) -> PredictedCase:
        """The case's record with all of it."""
        told = {
            "predicted_dice": {name: round(value, 4) for name, value in self.predicted_dice.items()},
            "review": self.review,
            "review_reasons": self.reasons,
            "judged_by": self.judged_by,
        }
        return case.model_copy(update=told)


def assess(trust: Trust, evidence: Evidence, winners: np.ndarray, plan: Plan, spacing_mm: Sequence[float] | None) -> Assessment:
    """Apply the rules to a case.

    Args:
        trust: of the model.
        evidence: of the case, with that of the head's shape.
        winners: `(*spatial)`, as they are written.
        plan: of the model.
        spacing_mm: in the order of the axes; None: unknown.
    """
    misfit = misfit_of(evidence)
    predicted = predicted_dices(trust, evidence, misfit)
    facts = image_facts(evidence.shape or winners.shape, spacing_mm, evidence.medians, plan.channels)
    reasons = list(strange_facts(trust.familiar, facts))
    digest = trust.digest()
    if trust.review is None:
        return Assessment(predicted, None, tuple(reasons), digest)
    if not winners.any():
        reasons += [NOTHING] if trust.empty_is_suspicious else []
        return Assessment(predicted, bool(reasons), tuple(reasons), digest)
    scores = suspicions(predicted, misfit)
    reasons += [_told(name, scores[name], trust.review.thresholds[name]) for name in suspicious(trust.review, scores)]
    if misfit == math.inf:
        reasons.append(NO_ELLIPSE)
    return Assessment(predicted, bool(reasons), tuple(reasons), digest)


def judged_again(case: PredictedCase, folder: Path, plan: Plan, trust: Trust | None) -> PredictedCase:
    """A case that was predicted before, judged by the rules that hold now (None: there are none any more)."""
    if trust is None or case.evidence is None:
        return Assessment({}, None, ()).noted(case)
    winners = winners_from_mask(read(folder / str(case.mask)).array[0], plan.targets, plan.regions)
    return assess(trust, case.evidence, winners, plan, case.spacing_mm).noted(case)


def with_shape(
    evidence: Evidence,
    winners: np.ndarray,
    targets: Sequence[Structure],
    derived: Sequence[Structure],
    *,
    regions: bool,
    spacing_mm: Sequence[float] | None,
) -> Evidence:
    """The evidence with that of the head's shape, which is the one before an ellipse is put in its place.

    Args:
        evidence: of the case.
        winners: `(*spatial)`, after the steps of `before_ellipses`.
        targets: of the model.
        derived: of the model.
        regions: whether targets overlap.
        spacing_mm: in the order of the axes; None: unknown.
    """
    mask = _head_mask(winners, targets, derived, regions=regions)
    if mask is None:
        return evidence
    fit = fit_head(mask, spacing_mm or (1.0, 1.0))
    return evidence.model_copy(update={"ellipse_dice": _likeness(mask, fit, spacing_mm), "doubts": fit.warnings})


def misfit_of(evidence: Evidence) -> float | None:
    """How far the head is from an ellipse, 1 - Dice of the two; infinity where there is none, None where the model has no head."""
    if evidence.ellipse_dice is None:
        return None
    return math.inf if evidence.ellipse_dice == 0 else 1 - evidence.ellipse_dice


def predicted_dices(trust: Trust, evidence: Evidence, misfit: float | None) -> dict[str, float]:
    """By target, where it was found."""
    found = {}
    for name, model in trust.predicted_dice.items():
        figures = evidence.structures.get(name)
        value = None if figures is None else predict_dice(model, features_of(name, figures, misfit))
        if value is not None:
            found[name] = value
    return found


def features_of(name: str, figures: StructureEvidence, misfit: float | None) -> dict[str, float | None]:
    """What the Dice of a structure is predicted from; that of a head from its shape, too."""
    features = {"soft_dice": figures.soft_dice, "mirror_dice": figures.mirror_dice}
    if name.casefold() == HEAD and misfit is not None:
        features["ellipse_dice"] = max(0.0, 1 - misfit)
    return features


def suspicions(predicted: Mapping[str, float], misfit: float | None) -> dict[str, float | None]:
    """Scores of suspicion, higher is worse; None where there is none: nothing was found, or no head can be told, which is judged apart.

    The shape of a head counts for itself where it is a union of what was learned; else the predicted Dice rests on it already.
    """
    learned = any(name.casefold() == HEAD for name in predicted)
    shape = None if learned or misfit is None or math.isinf(misfit) else misfit
    return {PREDICTED: 1 - float(np.mean(list(predicted.values()))) if predicted else None, SHAPE: shape}


def head_misfit(
    winners: np.ndarray,
    targets: Sequence[Structure],
    derived: Sequence[Structure],
    *,
    regions: bool,
    spacing_mm: Sequence[float] | None,
) -> float | None:
    """How far the head of a mask is from an ellipse, see `misfit_of`; None in 3D, too."""
    mask = _head_mask(winners, targets, derived, regions=regions)
    if mask is None:
        return None
    likeness = _likeness(mask, fit_head(mask, spacing_mm or (1.0, 1.0)), spacing_mm)
    return math.inf if likeness == 0 else 1 - likeness


def has_head(plan: Plan) -> bool:
    """Whether masks of the model show a head whose ellipse can be sought."""
    return plan.rank == 2 and any(one.name.casefold() == HEAD for one in (*plan.targets, *plan.derived))


def _head_mask(
    winners: np.ndarray, targets: Sequence[Structure], derived: Sequence[Structure], *, regions: bool
) -> np.ndarray | None:
    structures = painted_structures(targets, derived)
    values = next((found for name, found in structures.items() if name.casefold() == HEAD), None)
    if values is None or winners.ndim != 2:
        return None
    return np.isin(winners, [winner for winner, target in painted_targets(targets, regions) if target.output_value in values])


def _likeness(mask: np.ndarray, fit: HeadFit, spacing_mm: Sequence[float] | None) -> float:
    """Dice with the ellipse, 0 where there is none."""
    if fit.ellipse is None:
        return 0.0
    return dice(count(mask, fill_ellipse(mask.shape, fit.ellipse, spacing_mm or (1.0, 1.0)))) or 0.0


def _told(name: str, score: float | None, threshold: float) -> str:
    value = score or 0.0
    if name == PREDICTED:
        return f"a Dice of {1 - value:.3f} is expected, below the threshold of {1 - threshold:.3f}"
    return f"the head differs from an ellipse by {100 * value:.1f} %, good ones by at most {100 * threshold:.1f} %"
