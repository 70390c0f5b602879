"""Predicted Dice on features whose meaning is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from autoseg.metrics.predicted_dice import (
    FEWEST_CASES,
    agreement_with_real,
    cross_predicted_dice,
    fit_predicted_dice,
    predict_dice,
    why_not_trusted,
)
from autoseg.metrics.proportion import rank_correlation
from autoseg.records import DicePredictor


def simulated(n: int, seed: int, noise: float = 0.5) -> tuple[dict[str, list[float]], list[float]]:
    """Soft Dice follows the real one with noise and a bias, mirror Dice is noisier, and one feature is nothing but noise."""
    random = np.random.default_rng(seed)
    quality = random.normal(2, 1, n)
    features = {
        "soft_dice": expit(1 + quality + random.normal(0, noise, n)).tolist(),
        "mirror_dice": expit(2 + quality + random.normal(0, 2 * noise, n)).tolist(),
        "noise": random.random(n).tolist(),
    }
    return features, expit(quality).tolist()


def test_a_feature_that_is_the_dice_but_for_a_bias_is_learned() -> None:
    dice = np.linspace(0.6, 0.98, 400)
    logits = np.log(dice / (1 - dice))
    model = fit_predicted_dice({"soft_dice": expit(1 + 0.5 * logits).tolist()}, dice.tolist())
    assert model is not None
    for real, logit in zip(dice[::40], logits[::40], strict=True):
        assert predict_dice(model, {"soft_dice": float(expit(1 + 0.5 * logit))}) == pytest.approx(real, abs=0.005)


def test_ridge_by_hand() -> None:
    """Standardised, the feature is -1 and 1 ten times each, the Dice's logit -+1: weight 20 / (20 + 3)."""
    feature, dice = [float(expit(0))] * 10 + [float(expit(2))] * 10, [float(expit(-1))] * 10 + [float(expit(1))] * 10
    model = fit_predicted_dice({"soft_dice": feature}, dice)
    assert model is not None
    assert (model.means, model.scales, model.weights) == (pytest.approx((1,)), pytest.approx((1,)), pytest.approx((20 / 23,)))
    assert model.intercept == pytest.approx(0, abs=1e-12)
    assert predict_dice(model, {"soft_dice": float(expit(2))}) == pytest.approx(expit(20 / 23))


def test_noise_and_opposite_features_get_no_say() -> None:
    features, dice = simulated(200, 0)
    model = fit_predicted_dice({**features, "opposite": [1 - value for value in dice]}, dice)
    assert model is not None
    weights = dict(zip(model.features, model.weights, strict=True))
    assert weights["soft_dice"] > weights["mirror_dice"] > 0
    assert weights["opposite"] == 0 and weights["noise"] < 0.1 * weights["soft_dice"]


def test_two_features_rank_new_cases_better_than_one() -> None:
    features, dice = simulated(60, 1)
    new, real = simulated(2000, 2)
    found = {}
    for names in (("soft_dice",), ("mirror_dice",), ("soft_dice", "mirror_dice")):
        model = fit_predicted_dice({name: features[name] for name in names}, dice)
        assert model is not None
        guesses = [predict_dice(model, {name: new[name][case] for name in names}) for case in range(2000)]
        agreement = agreement_with_real(guesses, real)
        assert agreement is not None
        found[len(names), names[0]] = agreement.value
    assert found[2, "soft_dice"] > found[1, "soft_dice"] + 0.01 > found[1, "mirror_dice"] + 0.01


def test_a_constant_feature_and_perfect_ones_do_no_harm() -> None:
    features, dice = simulated(40, 3)
    model = fit_predicted_dice({"soft_dice": features["soft_dice"], "mirror_dice": [1.0] * 40}, dice)
    assert model is not None and model.weights[1] == 0
    guess = predict_dice(model, {"soft_dice": 1.0, "mirror_dice": 0.0})
    assert guess is not None and 0.9 < guess < 1


def test_missing_features_and_few_cases() -> None:
    features, dice = simulated(FEWEST_CASES + 1, 4)
    mirror = [None, *features["mirror_dice"][1:]]
    model = fit_predicted_dice({"soft_dice": features["soft_dice"], "mirror_dice": mirror}, dice)
    assert model is not None and model.cases == FEWEST_CASES
    assert predict_dice(model, {"soft_dice": 0.9, "mirror_dice": None}) is None
    assert predict_dice(model, {"soft_dice": 0.9}) is None
    assert fit_predicted_dice({"mirror_dice": [None, *mirror[:-1]]}, dice) is None
    assert fit_predicted_dice({}, dice) is None
    with pytest.raises(ValueError, match="21 cases"):
        fit_predicted_dice({"soft_dice": [0.5]}, dice)


def test_a_case_does_not_take_part_in_its_own_prediction() -> None:
    features, dice = simulated(50, 5)
    folds = [case % 5 for case in range(50)]
    honest = cross_predicted_dice(features, dice, folds)
    changed = cross_predicted_dice(
        features, [0.01 if fold == 2 else value for fold, value in zip(folds, dice, strict=True)], folds
    )
    for fold, before, after in zip(folds, honest, changed, strict=True):
        assert (before == after) == (fold == 2)


def test_on_noise_the_honest_correlation_is_none() -> None:
    """Where the features tell nothing, the model's own cases would make it look better than it is."""
    own, honest = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        features = {name: random.random(30).tolist() for name in ("a", "b", "c")}
        dice = random.random(30).tolist()
        model = fit_predicted_dice(features, dice)
        assert model is not None
        fitted = [predict_dice(model, {name: values[case] for name, values in features.items()}) for case in range(30)]
        own.append(agreement_with_real(fitted, dice))
        honest.append(agreement_with_real(cross_predicted_dice(features, dice, [case % 5 for case in range(30)]), dice))
    assert np.mean([found.value for found in own if found]) > 0.1
    assert np.mean([found.value for found in honest if found]) < 0.05


def test_it_is_switched_off_with_a_sentence() -> None:
    good, bad = rank_correlation(range(30), range(30)), rank_correlation(range(30), [case % 7 for case in range(30)])
    assert why_not_trusted(good) is None
    weak = why_not_trusted(bad)
    assert weak is not None and "on 30 cases" in weak and "at least 0.5 is wanted" in weak
    few = why_not_trusted(rank_correlation(range(19), range(19)))
    assert few is not None and "19 cases" in few and "20" in few
    assert "0 cases" in str(why_not_trusted(None))


def test_the_model_is_plain_numbers() -> None:
    features, dice = simulated(40, 6)
    model = fit_predicted_dice(features, dice)
    assert model is not None
    assert DicePredictor.model_validate_json(model.model_dump_json()) == model
