"""What is told beside a mask, by rules whose numbers were chosen by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.inference.trust import (
    PREDICTED,
    SHAPE,
    Assessment,
    assess,
    features_of,
    head_misfit,
    misfit_of,
    suspicions,
    with_shape,
)
from autoseg.records import (
    DicePredictor,
    Evidence,
    FamiliarRange,
    Plan,
    PredictedCase,
    ReviewRule,
    Structure,
    StructureEvidence,
    Trust,
)
from tests.stages.predicting import plan_of

# logit(0.5) is the mean of the only feature, and weighs 1: the predicted Dice is the feature itself
SAME = DicePredictor(features=("soft_dice",), means=(0.0,), scales=(1.0,), weights=(1.0,), intercept=0.0, clip=1e-3, cases=50)
PLAN = plan_of(2, (0.5, 0.5))  # one target, Head


def disc(radius: float = 12, cut: int = 0) -> np.ndarray:
    y, x = np.ogrid[:40, :40]
    mask = ((y - 20) ** 2 + (x - 20) ** 2 <= radius**2).astype(np.uint8)
    mask[20 : 20 + cut, 20:] = 0
    return mask


def evidence(soft: float | None, shape: tuple[int, ...] = (40, 40)) -> Evidence:
    figures = StructureEvidence(soft_dice=soft, mirror_dice=soft, pixels=0.0 if soft is None else 400.0)
    return Evidence(structures={"Head": figures}, foreground=figures, shape=shape, medians=(100.0,))


def trust(threshold: float = 0.1, *, review: bool = True, shape: float = 0.05) -> Trust:
    rule = ReviewRule(thresholds={PREDICTED: threshold, SHAPE: shape}, rate=0.1, good_cases=50)
    return Trust(predicted_dice={"Head": SAME}, review=rule if review else None, review_off=None if review else "no")


def judged(rules: Trust, figures: Evidence, mask: np.ndarray, plan: Plan = PLAN) -> Assessment:
    """As `predict` does: the shape is told with the evidence."""
    shape = with_shape(figures, mask, plan.targets, plan.derived, regions=plan.regions, spacing_mm=(0.5, 0.5))
    return assess(rules, shape, mask, plan, (0.5, 0.5))


def misfit(mask: np.ndarray, plan: Plan) -> float | None:
    return head_misfit(mask, plan.targets, plan.derived, regions=plan.regions, spacing_mm=None)


def test_a_sure_network_and_a_round_head_are_not_flagged() -> None:
    found = judged(trust(), evidence(0.95), disc())
    assert found.predicted_dice["Head"] == pytest.approx(0.95) and found.review is False and found.reasons == ()
    noted = found.noted(PredictedCase(id="a", images=(), status="done"))
    assert (noted.predicted_dice, noted.review, noted.review_reasons) == ({"Head": 0.95}, False, ())


def test_an_unsure_network_is_flagged_and_says_why() -> None:
    found = judged(trust(), evidence(0.85), disc())
    assert found.review is True and found.reasons == ("a Dice of 0.850 is expected, below the threshold of 0.900",)


def test_a_head_that_is_no_ellipse_is_flagged_however_sure_the_network() -> None:
    """Where the head is what was learned, its shape is in the predicted Dice, and only one without any ellipse is flagged for that."""
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 18:20] = mask[18:20, 5:35] = 1  # a cross
    found = judged(trust(), evidence(0.99), mask)
    assert found.review is True and found.reasons == ("the head is not an ellipse",)
    union = PLAN.model_copy(
        update={
            "targets": (Structure(name="Brain", values=(1,), output_value=1),),
            "derived": (Structure(name="Head", values=(1,), output_value=0),),
        }
    )
    figures = evidence(0.99).structures["Head"]
    of_union = Evidence(structures={"Brain": figures, "Head": figures}, foreground=figures, shape=(40, 40))
    rules = trust().model_copy(update={"predicted_dice": {"Brain": SAME}})
    found = judged(rules, of_union, disc(cut=9), union)
    assert found.review is True and "differs from an ellipse by" in found.reasons[0]


def test_nothing_found_is_flagged() -> None:
    found = judged(trust(), evidence(None), np.zeros((40, 40), np.uint8))
    assert found.review is True and found.predicted_dice == {}
    assert found.reasons == ("nothing was found",)
    rightly = trust().model_copy(update={"empty_is_suspicious": False})
    assert judged(rightly, evidence(None), np.zeros((40, 40), np.uint8)).review is False


def test_without_a_rule_there_is_no_flag_but_what_is_strange_is_told() -> None:
    known = FamiliarRange(name="size along y", unit="pixels", seen=(400.0, 500.0), accepted=(320.0, 625.0))
    rules = trust(review=False).model_copy(update={"familiar": (known,)})
    found = judged(rules, evidence(0.2), disc())
    assert found.review is None
    assert found.reasons == ("its size along y of 40 pixels lies outside the 400 to 500 pixels of the training data",)
    flagged = judged(trust().model_copy(update={"familiar": (known,)}), evidence(0.99), disc())
    assert flagged.review is True, "an image unlike those of the training is one to look at"


def test_misfit_is_that_of_the_heads_mask_wherever_it_comes_from() -> None:
    assert misfit(disc(), PLAN) == pytest.approx(0, abs=0.03)
    assert misfit(np.zeros((40, 40), np.uint8), PLAN) == math.inf
    parts = PLAN.model_copy(
        update={
            "targets": (Structure(name="Brain", values=(1,), output_value=1), Structure(name="CSP", values=(2,), output_value=2)),
            "derived": (Structure(name="Head", values=(1, 2), output_value=0),),
        }
    )
    mask = disc()
    mask[18:22, 18:22] = 2
    assert misfit(mask, parts) == misfit(disc(), PLAN)
    nested = PLAN.model_copy(
        update={
            "targets": (
                Structure(name="Head", values=(1, 2), output_value=1),
                Structure(name="Brain", values=(2,), output_value=2),
            ),
            "derived": (),
            "regions": True,
        }
    )
    inner = disc()
    inner[disc(8) > 0] = 2  # painted over the head, and part of it
    assert misfit(inner, nested) == misfit(disc(), PLAN)
    other = PLAN.model_copy(update={"targets": (Structure(name="Lesion", values=(1,), output_value=1),)})
    assert misfit(disc(), other) is None


def test_the_shape_stands_with_the_evidence() -> None:
    empty = np.zeros((40, 40), np.uint8)
    for mask, expected in ((disc(), 1.0), (empty, 0.0)):
        found = with_shape(evidence(0.9), mask, PLAN.targets, PLAN.derived, regions=False, spacing_mm=None)
        assert found.ellipse_dice == pytest.approx(expected, abs=0.03)
        assert misfit_of(found) == (math.inf if mask is empty else pytest.approx(0, abs=0.03))
    assert misfit_of(evidence(0.9)) is None


def test_a_heads_dice_is_predicted_from_its_shape_too() -> None:
    figures = StructureEvidence(soft_dice=0.9, mirror_dice=0.8, pixels=9.0)
    assert features_of("head", figures, 0.1) == {"soft_dice": 0.9, "mirror_dice": 0.8, "ellipse_dice": 0.9}
    assert features_of("head", figures, math.inf)["ellipse_dice"] == 0.0
    assert "ellipse_dice" not in features_of("liver", figures, 0.1)
    assert suspicions({"a": 0.9, "b": 0.7}, None) == {PREDICTED: pytest.approx(0.2), SHAPE: None}
    assert suspicions({"Head": 0.9}, 0.3) == {PREDICTED: pytest.approx(0.1), SHAPE: None}, "it is in the predicted Dice"
