"""Which images are strange, and in which words."""

from __future__ import annotations

import time

import numpy as np
import pytest

from autoseg.metrics.familiarity import (
    FEWEST_CASES,
    Facts,
    facts_of_training,
    familiar_ranges,
    image_facts,
    strange_facts,
    strange_training_cases,
)
from autoseg.records import CaseFacts, FamiliarRange, Intensities

CHANNELS = ("ultrasound",)


def training() -> list[Facts]:
    """Spacing 0.06 to 0.3 mm, 540 x 800 pixels, medians 20 to 80."""
    return [image_facts((540, 800), (0.06 + 0.01 * step, 0.06 + 0.01 * step), (20 + 2.5 * step,), CHANNELS) for step in range(25)]


def test_an_image_like_those_of_the_training_is_not_strange() -> None:
    ranges = familiar_ranges(training())
    assert [known.name for known in ranges][:2] == ["spacing along y", "spacing along x"]
    for facts in training():
        assert strange_facts(ranges, facts) == ()
    assert strange_facts(ranges, image_facts((640, 900), (0.36, 0.05), (110.0,), CHANNELS)) == ()


def test_strange_facts_are_told_in_sentences() -> None:
    ranges = familiar_ranges(training())
    found = strange_facts(ranges, image_facts((540, 2000), (0.5, 0.1), (200.0,), CHANNELS))
    assert found == (
        "its spacing along y of 0.5 mm lies outside the 0.06 to 0.3 mm of the training data",
        "its size along x of 2000 pixels lies outside the 800 pixels of the training data",
        "its median ultrasound intensity in the foreground of 200 lies outside the 20 to 80 of the training data",
    )


def test_margins_by_hand() -> None:
    by_name = {known.name: known for known in familiar_ranges(training())}
    assert by_name["spacing along y"].accepted == pytest.approx((0.06 / 1.25, 0.3 * 1.25))
    assert by_name["size along x"].accepted == (640, 1000)
    assert by_name["median ultrasound intensity in the foreground"].accepted == pytest.approx((20 / 1.5, 120))
    hounsfield = familiar_ranges([image_facts((9, 9, 9), None, (float(value),), ("CT",)) for value in range(-50, 50)])
    assert hounsfield[-1].accepted == pytest.approx((-50 - 49.5, 49 + 49.5))


def test_what_is_unknown_is_not_strange() -> None:
    ranges = familiar_ranges(training())
    assert strange_facts(ranges, image_facts((540, 800), None, None, CHANNELS)) == ()
    unknown = familiar_ranges([image_facts((540, 800), None, None, CHANNELS)] * 30)
    assert [known.name for known in unknown] == ["size along y", "size along x"]
    assert familiar_ranges(training()[: FEWEST_CASES - 1]) == ()


def test_facts_of_a_volume_of_the_fingerprint() -> None:
    intensities = Intensities(mean=5, median=4, std=1, min=0, max=9, percentile_00_5=1, percentile_99_5=8)
    case = CaseFacts(
        id="a",
        shape=(10, 20, 30),
        spacing_mm=(3.0, 1.0, 1.0),
        orientation="LPS",
        shape_after_crop=(9, 9, 9),
        structures={},
        intensities=(intensities, intensities),
        content_hash="",
    )
    facts = facts_of_training(case, ("T1", "T2"))
    assert facts["spacing along z"] == (3, "mm") and facts["size along x"] == (30, "pixels")
    assert facts["median T2 intensity in the foreground"] == (4, "")
    assert facts_of_training(case.model_copy(update={"intensities": None}), ("T1", "T2")).keys() == {
        *(f"{what} along {axis}" for what in ("spacing", "size") for axis in "zyx")
    }


def test_training_cases_against_the_others() -> None:
    cases = [*training(), image_facts((540, 800), (0.9, 0.9), (50.0,), CHANNELS)]
    assert strange_training_cases(cases) == (25,)


def _random_facts(random: np.random.Generator, count: int) -> list[Facts]:
    """Few different values, so that the ends come up once, twice and more; some facts are missing."""
    cases = []
    for _ in range(count):
        spacing = None if random.random() < 0.1 else (float(random.choice([0.1, 0.2, 0.21, 0.4, 0.9])),) * 2
        medians = None if random.random() < 0.3 else (float(random.normal(0, 20) ** random.integers(1, 3)),)
        cases.append(image_facts((int(random.integers(90, 130)), 500), spacing, medians, CHANNELS))
    return cases


@pytest.mark.parametrize("count", [0, 1, 20, 21, 22, 30, 60])
def test_leaving_out_by_the_ends_is_leaving_out_one_by_one(count: int) -> None:
    random, found = np.random.default_rng(count), 0
    for _ in range(20):
        cases = _random_facts(random, count)
        one_by_one = tuple(
            place
            for place, facts in enumerate(cases)
            if strange_facts(familiar_ranges([*cases[:place], *cases[place + 1 :]]), facts)
        )
        assert strange_training_cases(cases) == one_by_one
        found += len(one_by_one)
    assert found > 0 or count < 30, "with enough cases, some are strange to the others"


def test_many_training_cases_take_no_longer_than_their_number() -> None:
    seconds = time.process_time()
    strange_training_cases(_random_facts(np.random.default_rng(0), 3000))
    assert time.process_time() - seconds < 2.0  # one by one takes 8 s


def test_ranges_are_plain_numbers() -> None:
    known = familiar_ranges(training())[0]
    assert FamiliarRange.model_validate_json(known.model_dump_json()) == known
