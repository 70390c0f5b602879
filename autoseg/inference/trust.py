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

from autoseg.inference.evidence import output_groups
from autoseg.inference.export import winners_from_mask
from autoseg.metrics.biometry import HEAD
from autoseg.metrics.ellipse_agreement import ellipse_dice
from autoseg.metrics.familiarity import image_facts, strange_facts
from autoseg.metrics.predicted_dice import predict_dice
from autoseg.metrics.review import suspicious
from autoseg.records import Evidence, Plan, PredictedCase, StructureEvidence, Trust
from autoseg.volume.files import read

PREDICTED = "predicted Dice"
SHAPE = "shape of the head"
NO_ELLIPSE = "the head is not an ellipse"


@dataclass(frozen=True)
class Assessment:
    """Of one mask. `predicted_dice` by target, `review` None where no flag is given, `reasons` sentences."""

    predicted_dice: dict[str, float]
    review: bool | None
    reasons: tuple[str, ...]

    def noted(self, case: PredictedCase) -> PredictedCase:
        """The case's record with all of it."""
        rounded = {name: round(value, 4) for name, value in self.predicted_dice.items()}
        return case.model_copy(update={"predicted_dice": rounded, "review": self.review, "review_reasons": self.reasons})


def assess(trust: Trust, evidence: Evidence, winners: np.ndarray, plan: Plan, spacing_mm: Sequence[float] | None) -> Assessment:
    """Apply the rules to a case.

    Args:
        trust: of the model.
        evidence: of the case.
        winners: `(*spatial)`, as they are written.
        plan: of the model.
        spacing_mm: in the order of the axes; None: unknown.
    """
    misfit = head_misfit(winners, plan, spacing_mm)
    predicted = predicted_dices(trust, evidence, misfit)
    facts = image_facts(evidence.shape or winners.shape, spacing_mm, evidence.medians, plan.channels)
    reasons = list(strange_facts(trust.familiar, facts))
    if trust.review is None:
        return Assessment(predicted, None, tuple(reasons))
    scores = suspicions(predicted, misfit)
    reasons += [_told(name, scores[name], trust.review.thresholds[name]) for name in suspicious(trust.review, scores)]
    if misfit == math.inf and scores[SHAPE] is None:
        reasons.append(NO_ELLIPSE)
    return Assessment(predicted, bool(reasons), tuple(reasons))


def judged_again(case: PredictedCase, folder: Path, plan: Plan, trust: Trust | None) -> PredictedCase:
    """A case that was predicted before, judged by the rules that hold now (None: there are none any more)."""
    if trust is None or case.evidence is None:
        return Assessment({}, None, ()).noted(case)
    winners = winners_from_mask(read(folder / str(case.mask)).array[0], plan.targets, plan.regions)
    return assess(trust, case.evidence, winners, plan, case.spacing_mm).noted(case)


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
    """Scores of suspicion, higher is worse. A mask in which nothing at all was found is utterly suspicious.

    The shape of a head counts for itself where it is a union of what was learned; else the predicted Dice rests on it already.
    """
    expected = float(np.mean(list(predicted.values()))) if predicted else None
    learned = any(name.casefold() == HEAD for name in predicted)
    return {PREDICTED: math.inf if expected is None else 1 - expected, SHAPE: None if learned else misfit}


def head_misfit(winners: np.ndarray, plan: Plan, spacing_mm: Sequence[float] | None) -> float | None:
    """How far the head is from an ellipse, 1 - Dice of the two; infinity where there is none. None where the model has no head, or in 3D."""
    groups = output_groups(plan.targets, plan.derived, plan.regions)
    outputs = next((found for name, found in groups.items() if name.casefold() == HEAD), None)
    if outputs is None or winners.ndim != 2:
        return None
    if plan.regions:
        outputs = tuple(output + 1 for output in outputs)
    agreement = ellipse_dice(np.isin(winners, outputs), spacing_mm or (1.0, 1.0))
    return math.inf if agreement is None else 1 - agreement


def _told(name: str, score: float | None, threshold: float) -> str:
    if score is None or math.isinf(score):
        return "nothing was found" if name == PREDICTED else NO_ELLIPSE
    if name == PREDICTED:
        return f"a Dice of {1 - score:.3f} is expected, good masks have at least {1 - threshold:.3f}"
    return f"the head differs from an ellipse by {100 * score:.1f} %, good ones by at most {100 * threshold:.1f} %"
