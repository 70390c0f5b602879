"""Ages worked by hand from the published formulae, and that the three agree where they should."""

from __future__ import annotations

import math

import pytest

from autoseg.metrics.gestation import DATINGS, WEEKS, Dating, age_from_circumference, age_from_diameter, weeks_and_days


def test_hadlock_by_hand() -> None:
    # 8.96 + 0.54 x 20 + 0.0003 x 8000 = 8.96 + 10.8 + 2.4
    assert age_from_circumference(200.0, "hadlock-1984").weeks == pytest.approx(22.16)
    # 9.54 + 1.482 x 5 + 0.1676 x 25 = 9.54 + 7.41 + 4.19
    age = age_from_diameter(50.0, "hadlock-1984")
    assert age is not None and age.weeks == pytest.approx(21.14)


def test_altman_and_chitty_by_hand() -> None:
    # 0.010611 x 100 - 0.000030321 x 10000 + 0.43498e-7 x 1e6 + 1.848 = 1.0611 - 0.30321 + 0.043498 + 1.848 = 2.649388
    assert age_from_circumference(100.0, "altman-chitty-1997").weeks == pytest.approx(math.exp(2.649388))
    assert age_from_diameter(50.0, "altman-chitty-1997") is None


def test_intergrowth_by_hand() -> None:
    # ln 200 = 5.298317; 0.0597 x 28.072167 = 1.675908; 6.409e-9 x 8e6 = 0.051272; the sum with 3.3258 is 5.052980; e^ of it 156.49 days
    assert age_from_circumference(200.0, "intergrowth-2016").weeks == pytest.approx(156.49 / 7, abs=0.002)


@pytest.mark.parametrize("size", [100.0, 150.0, 200.0, 250.0, 300.0])
def test_the_formulae_agree_within_ten_days(size: float) -> None:
    ages = [age_from_circumference(size, dating).weeks for dating in DATINGS]
    assert all(age is not None for age in ages)
    assert max(ages) - min(ages) < 1.5  # type: ignore[type-var, operator]  # weeks


@pytest.mark.parametrize("dating", DATINGS)
def test_age_grows_with_size_and_ends_where_the_formula_does(dating: Dating) -> None:
    ages = [age_from_circumference(size, dating).weeks for size in range(40, 420, 2)]
    told = [age for age in ages if age is not None]
    assert told == sorted(told)
    assert WEEKS[dating][0] <= told[0] < WEEKS[dating][0] + 0.5
    assert WEEKS[dating][1] - 2.0 < told[-1] <= WEEKS[dating][1]
    small, large = age_from_circumference(50.0, dating), age_from_circumference(450.0, dating)
    assert small.weeks is None and "HC of 50 mm lies below" in str(small.failure)
    assert large.weeks is None and "above" in str(large.failure)
    assert age_from_circumference(9000.0, dating).weeks is None


def test_weeks_and_days() -> None:
    assert weeks_and_days(20.43) == "20w3d"
    assert weeks_and_days(20.99) == "21w0d"
