"""From what a prediction shows of itself to the Dice that is to be expected, learned on cases whose labels are known.

The model is as small as can be: a ridge regression of the Dice's logit on the features' logits, none of whose weights may be negative (a
network that is surer of itself is never predicted to be worse). Against isotonic regression of one feature, or of their sum, it ranked
cases better on 20 of 24 sets of out-of-fold predictions (fetal heads and hippocampi, good and half-trained networks), and in simulations
of 15 to 200 cases; see docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy.optimize import nnls
from scipy.special import expit, logit

from autoseg.metrics.proportion import rank_correlation
from autoseg.records import DicePredictor, RankCorrelation

RIDGE = 3.0  # as if so many cases said that a feature tells nothing
CLIP = 1e-3  # features and Dice are taken no nearer to 0 and 1
FEWEST_CASES = 20
LEAST_CORRELATION = 0.5

Feature = Sequence[float | None]


def fit_predicted_dice(features: Mapping[str, Feature], dice: Sequence[float]) -> DicePredictor | None:
    """Learn to predict the Dice; None with fewer than 20 cases that have all features.

    Args:
        features: by name, for every case, a figure in [0, 1] that is higher for better masks, such as soft Dice and mirror Dice; None
            where it is not defined, and such cases are left out.
        dice: the real one of every case.
    """
    table, complete = _table(features, len(dice))
    real = logit(np.clip(np.asarray(dice, float), CLIP, 1 - CLIP))[complete]
    if len(real) < FEWEST_CASES or not len(features):
        return None
    inputs = table[complete]
    means, scales = inputs.mean(0), inputs.std(0)
    scales[scales < 1e-9] = 1.0  # a feature that is always the same gets no weight
    standard = (inputs - means) / scales
    n_features = standard.shape[1]
    design = np.vstack([standard, np.sqrt(RIDGE) * np.eye(n_features)])  # ridge as rows, so that the signs can be bounded
    weights, _ = nnls(design, np.concatenate([real - real.mean(), np.zeros(n_features)]))
    return DicePredictor(
        features=tuple(features),
        means=_numbers(means),
        scales=_numbers(scales),
        weights=_numbers(weights),
        intercept=float(real.mean()),
        clip=CLIP,
        cases=len(real),
    )


def predict_dice(model: DicePredictor, features: Mapping[str, float | None]) -> float | None:
    """The Dice to be expected of one case; None where one of the model's features is missing."""
    values = [features.get(name) for name in model.features]
    known = np.array([value for value in values if value is not None], float)
    if len(known) < len(values):
        return None
    standard = (logit(np.clip(known, model.clip, 1 - model.clip)) - np.array(model.means)) / np.array(model.scales)
    return float(expit(model.intercept + standard @ np.array(model.weights)))


def cross_predicted_dice(
    features: Mapping[str, Feature], dice: Sequence[float], folds: Sequence[Hashable]
) -> tuple[float | None, ...]:
    """For every case the Dice predicted by a model of the other folds' cases: an honest trial of what new cases will see.

    Args:
        features: as in `fit_predicted_dice`.
        dice: the real one of every case.
        folds: of every case, that validated it; cases of a subject share one.

    Returns:
        None for cases without all features, and where the other folds have too few cases.
    """
    predicted: list[float | None] = [None] * len(dice)
    for fold in dict.fromkeys(folds):
        others = [place for place, other in enumerate(folds) if other != fold]
        model = fit_predicted_dice(
            {name: [values[place] for place in others] for name, values in features.items()}, [dice[place] for place in others]
        )
        for place, own in enumerate(folds):
            if own == fold and model is not None:
                predicted[place] = predict_dice(model, {name: values[place] for name, values in features.items()})
    return tuple(predicted)


def agreement_with_real(predicted: Sequence[float | None], dice: Sequence[float]) -> RankCorrelation | None:
    """Spearman's correlation of predicted and real Dice over the cases that have both; see `rank_correlation`."""
    pairs = [(guess, real) for guess, real in zip(predicted, dice, strict=True) if guess is not None]
    return rank_correlation([guess for guess, _ in pairs], [real for _, real in pairs])


def why_not_trusted(agreement: RankCorrelation | None) -> str | None:
    """A sentence where predicted Dice should not decide who is reviewed; None where it may.

    Args:
        agreement: of out-of-fold predictions with real Dice, see `cross_predicted_dice`; None where it could not be told.
    """
    if agreement is None or agreement.cases < FEWEST_CASES:
        found = 0 if agreement is None else agreement.cases
        return (
            f"Masks are not flagged by predicted Dice: {found} cases tell how it agrees with real Dice, at least "
            f"{FEWEST_CASES} (and not all alike) are needed."
        )
    if agreement.value < LEAST_CORRELATION:
        return (
            f"Masks are not flagged by predicted Dice: on {agreement.cases} cases that no network had seen, it ranks them like real Dice "
            f"with a correlation of {agreement.value:.2f} only (95 % interval {agreement.low:.2f} to {agreement.high:.2f}); "
            f"at least {LEAST_CORRELATION:g} is wanted."
        )
    return None


def _table(features: Mapping[str, Feature], n_cases: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (cases, features), NaN where there is none, and which cases have all."""
    columns = [np.array([np.nan if value is None else value for value in values], float) for values in features.values()]
    if any(len(column) != n_cases for column in columns):
        raise ValueError(f"{n_cases} cases are wanted, features have {[len(column) for column in columns]}")
    table = np.column_stack(columns) if columns else np.zeros((n_cases, 0))
    return logit(np.clip(table, CLIP, 1 - CLIP)), np.asarray(~np.isnan(table).any(axis=1))


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
