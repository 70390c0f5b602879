"""Temperature scaling: one number by which logits are divided so that probabilities say how often they are right.

Guo et al., "On calibration of modern neural networks", ICML 2017. The number is found on pixels of cases that the network had not seen.
Labels do not change, since the largest logit stays the largest, and a logit above 0 stays above 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax

PIXELS_PER_CASE = 20_000
NEAR = 0.01  # a pixel with this probability of foreground is near it
SMALLEST = 1e-7  # of a probability: what float16 can tell from 0
BINS = 15  # as Guo et al.
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried


@dataclass(frozen=True, eq=False)
class PixelSample:
    """Pixels of one or more cases.

    `logits` (n, K) float32, up to a constant per pixel for exclusive labels; `labels` (n,) internal values 0..K-1, or (n, K) booleans
    for overlapping regions; `weights` (n,) add up to 1 for every case.
    """

    logits: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    @property
    def regions(self) -> bool:
        """Whether outputs overlap."""
        return self.labels.ndim == 2

    @classmethod
    def joined(cls, samples: list[PixelSample]) -> PixelSample:
        """All together; every case weighs the same. At least one is needed."""
        parts = [(sample.logits, sample.labels, sample.weights) for sample in samples]
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def draw_pixels(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    size: int = PIXELS_PER_CASE,
    seed: int = 0,
) -> PixelSample:
    """Draw pixels of a case, half of them from the foreground and near it, and weigh them so that they stand for the whole image.

    Args:
        probabilities: `(K, *spatial)` as a prediction gives them at temperature 1; their logarithms are logits but for a constant. Of
            regions, the log odds are taken, which float16 can tell up to about 7.6 upwards.
        labels: `(*spatial)` internal values 0..K-1; for overlapping regions `(K, *spatial)` booleans.
        valid: `(*spatial)`, False where the label is to be ignored; None: nowhere.
        size: at most so many pixels.
        seed: same seed, same pixels.

    Returns:
        The sample; an empty one where no pixel is valid.
    """
    regions = labels.ndim == probabilities.ndim
    flat = probabilities.reshape(len(probabilities), -1)
    truth = labels.reshape(len(labels), -1) if regions else labels.reshape(-1)
    foreground = flat.max(0) if regions else 1 - flat[0].astype(np.float32)
    near = (truth.any(0) if regions else truth > 0) | (foreground > NEAR)
    usable = np.ones(near.shape, bool) if valid is None else valid.reshape(-1)
    strata = [np.flatnonzero(near & usable), np.flatnonzero(~near & usable)]
    n_near = min(len(strata[0]), max(size // 2, size - len(strata[1])))
    random = np.random.default_rng(seed)
    chosen, weights = [], []
    for stratum, wanted in zip(strata, (n_near, min(size - n_near, len(strata[1]))), strict=True):
        drawn = random.choice(stratum, wanted, replace=False) if wanted < len(stratum) else stratum
        chosen.append(drawn)
        weights.append(np.full(len(drawn), len(stratum) / max(1, len(drawn))))
    picked, weight = np.concatenate(chosen), np.concatenate(weights)
    p = np.clip(flat[:, picked].T.astype(np.float64), SMALLEST, 1 - SMALLEST if regions else 1)
    logits = np.log(p) - np.log1p(-p) if regions else np.log(p)
    found = truth[:, picked].T if regions else truth[picked]
    return PixelSample(logits.astype(np.float32), found, weight / max(weight.sum(), 1e-300))


def fit_temperature(sample: PixelSample) -> float:
    """The temperature of the smallest negative log likelihood, between 0.05 and 20; 1 for an empty sample.

    For regions, the likelihood is that of every output for itself.
    """
    if not len(sample.weights):
        return 1.0
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(sample, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def negative_log_likelihood(sample: PixelSample, temperature: float = 1.0) -> float:
    """Weighted mean over the pixels (for regions: and outputs), in nats."""
    logits = sample.logits.astype(np.float64) / temperature
    if sample.regions:
        losses = np.logaddexp(0, np.where(sample.labels, -logits, logits)).mean(1)
    else:
        losses = logsumexp(logits, axis=1) - np.take_along_axis(logits, sample.labels[:, None].astype(np.intp), 1)[:, 0]
    return float(np.average(losses, weights=sample.weights))


def calibration_error(
    sample: PixelSample, temperature: float = 1.0, *, foreground: bool = True, bins: int = BINS
) -> float | None:
    """Expected calibration error: how far confidence and the share of right pixels lie apart, averaged over bins of confidence.

    Naeini et al., AAAI 2015, with equally wide bins from 0 to 1, as in Guo et al. 2017.

    Args:
        sample: pixels.
        temperature: that divides the logits.
        foreground: only pixels (for regions: of each output) whose probability of foreground is above 0.01 at temperature 1; the easy
            background, which is most of an image, would hide what happens at the structures. The label must have no part in this choice:
            pixels taken because they were missed would make the best of networks seem too sure.
        bins: how many.

    Returns:
        In [0, 1]; None where no pixel counts.
    """
    plain = sample.logits.astype(np.float64)
    logits = plain / temperature
    if sample.regions:
        probability, weights = expit(logits), np.repeat(sample.weights[:, None], logits.shape[1], 1)
        confidence, predicted, truth = np.maximum(probability, 1 - probability), logits > 0, sample.labels.astype(bool)
        near = expit(plain) > NEAR
    else:
        probability, weights = softmax(logits, axis=1), sample.weights
        confidence, predicted, truth = probability.max(1), logits.argmax(1), sample.labels
        near = softmax(plain, axis=1)[:, 0] < 1 - NEAR
    counted = near if foreground else np.ones(predicted.shape, bool)
    confidence, right, weights = confidence[counted], (predicted == truth)[counted], weights[counted]
    if not weights.sum():
        return None
    bin_of = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(bin_of, weights * (right - confidence), bins)
    return float(np.abs(gaps).sum() / weights.sum())
