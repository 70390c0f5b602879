"""Suspicion: against the usual of structure and fold."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from autoseg.metrics.label_quality import Disagreement
from autoseg.metrics.label_ranking import LARGEST_DEVIATION, Judged, hardly_found, suspicion, suspicions


def of(
    dice: float, *, expected: float = 0.95, confident: float = 0.05, distance: float | None = 0.02, pixels: int = 100
) -> Disagreement:
    return Disagreement(pixels, pixels, dice, expected, confident, distance)


def usual(count: int, fold: str = "0", dice: float = 0.95, name: str = "head") -> list[Judged]:
    """Dice that spreads evenly over 0.02 to either side."""
    spread = np.linspace(-0.02, 0.02, count)
    return [Judged(fold, {name: of(dice + by, confident=0.05 + by, distance=0.02 + by)}) for by in spread]


def whole(cases: list[Judged]) -> list[float]:
    return [suspicion(one) for one in suspicions(cases)]


def test_figures_are_robust_standard_deviations() -> None:
    """Errors of e^-1, e^0 and e^1 times the expected one, and 0.1 more or less of confident disagreement."""
    errors = [0.05 * exp(step) - 0.01 for step in (-1, 0, 1)]
    cases = [
        Judged("0", {"head": of(1 - error, expected=0.96, confident=0.2 + 0.1 * step)})
        for error, step in zip(errors, (-1, 0, 1), strict=True)
    ]
    deviation = 1 / 1.4826  # the median absolute deviations are 1 and 0.1
    assert [one["head"] for one in suspicions(cases)] == pytest.approx([-deviation, 0, deviation])


def test_label_that_differs_comes_first_and_an_unsure_network_does_not() -> None:
    fault = Judged("0", {"head": of(0.8, confident=0.3, distance=0.1)})
    unsure = Judged("0", {"head": of(0.8, expected=0.8, confident=0.05, distance=0.1)})
    found = whole([*usual(20), fault, unsure])
    assert found[20] > found[21] > max(found[:20])


def test_small_structure_counts_as_much_as_a_large_one() -> None:
    cases = [Judged("0", {"head": one.structures["head"], "csp": of(0.7 + by, distance=0.1)}) for one, by in
             zip(usual(20), np.linspace(-0.05, 0.05, 20), strict=True)]  # fmt: skip
    large, small = cases[3].structures["head"], of(0.1, confident=0.8, distance=1.0, pixels=5)
    cases.append(Judged("0", {"head": large, "csp": small}))
    found = whole(cases)
    assert max(range(21), key=found.__getitem__) == 20


def test_weak_fold_is_not_accused() -> None:
    strong, weak = usual(15, "0", 0.95), usual(15, "1", 0.80)
    fault = Judged("0", {"head": of(0.85, confident=0.15, distance=0.06)})
    found = whole([*strong, *weak, fault])
    assert max(found[:30]) < found[30]
    assert np.median(found[:15]) == pytest.approx(np.median(found[15:30]), abs=0.3), "not by the 0.15 that it is worse"


def test_fold_of_few_cases_is_measured_by_all() -> None:
    few = [Judged("1", {"head": of(0.5, confident=0.5, distance=0.3)}) for _ in range(3)]
    found = whole([*usual(20), *few])
    assert min(found[20:]) > max(found[:20])


def test_structures_that_nobody_has_are_left_out() -> None:
    absent = Disagreement(0, 0, 1.0, 1.0, 0.0, None)
    missed = Disagreement(50, 0, 0.0, 0.99, 1.0, None)
    cases = [Judged("0", {"csp": absent}), Judged("0", {"csp": missed}), *usual(20, name="csp")]
    found = suspicions(cases)
    assert found[0] == {} and suspicion(found[0]) == 0
    assert 10 < found[1]["csp"] <= LARGEST_DEVIATION


def test_set_that_agrees_everywhere() -> None:
    perfect = [Judged("0", {"head": of(1.0, expected=1.0, confident=0.0, distance=0.0)})] * 12
    assert whole(perfect) == [0.0] * 12
    assert suspicions([]) == []


def test_one_signal_counts_no_more_than_so_much() -> None:
    cases = [*usual(20), Judged("0", {"head": of(0.95, confident=1.0)})]
    assert suspicions(cases)[20]["head"] == pytest.approx(LARGEST_DEVIATION / 2, abs=0.6), "the other signal is as usual"


def test_agreement_is_bounded_as_disagreement_is() -> None:
    found = whole([*usual(20), Judged("0", {"head": of(1.0, expected=0.0, confident=0.0)})])
    assert min(found) >= -LARGEST_DEVIATION
    sure = Judged("0", {"head": of(1.0, expected=1 - 1e-9, confident=0.0)})
    alike = [Judged("0", {"head": of(0.5, expected=0.99, confident=0.9)}) for _ in range(20)]
    assert suspicions([*alike, sure])[20]["head"] == -LARGEST_DEVIATION


def test_what_networks_have_not_learned_is_not_judged() -> None:
    blind = [Judged("0", {"csp": of(0.02), "head": of(0.95)}) for _ in range(10)]
    assert hardly_found(blind) == ("csp",) and set(suspicions(blind)[0]) == {"head"}
    assert hardly_found(blind[:9]) == (), "of a few labels nothing is known"
    assert hardly_found([*blind[:4], *usual(6, name="csp")]) == ()
