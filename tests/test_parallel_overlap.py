"""`overlap`: order, threads, bounded memory, and what a failing step does."""

from __future__ import annotations

import threading
import time

import pytest

from autoseg.errors import OutOfMemory
from autoseg.parallel import overlap


def test_steps_follow_one_another_for_every_case_in_order() -> None:
    finished: list[tuple[int, int]] = []
    overlap([1, 2, 3], lambda c: c * 10, lambda c, a: a + c, lambda c, b: finished.append((c, b)), lambda c, e: None)
    assert finished == [(1, 11), (2, 22), (3, 33)]


def test_a_failing_step_is_handed_over_and_the_others_go_on() -> None:
    finished: list[int] = []
    failed: list[tuple[int, str]] = []

    def step(name: str, bad: int, case: int) -> int:
        if case == bad:
            raise ValueError(f"{name} {case}")
        return case

    overlap(
        [1, 2, 3, 4],
        lambda c: step("before", 1, c),
        lambda c, a: step("during", 2, c),
        lambda c, b: finished.append(step("after", 3, c)),
        lambda c, e: failed.append((c, str(e))),
    )
    assert finished == [4]
    assert sorted(failed) == [(1, "before 1"), (2, "during 2"), (3, "after 3")]


def test_out_of_memory_ends_the_work_after_what_was_begun_is_finished() -> None:
    finished: list[int] = []

    def during(case: int, _: int) -> int:
        if case == 2:
            raise OutOfMemory("too large")
        return case

    def after(case: int, _: int) -> None:
        time.sleep(0.02)
        finished.append(case)

    with pytest.raises(OutOfMemory):
        overlap([1, 2, 3], lambda c: c, during, after, lambda c, e: None)
    assert finished == [1]


def test_at_most_three_cases_are_under_way() -> None:
    lock, under_way, most = threading.Lock(), set(), 0

    def before(case: int) -> int:
        nonlocal most
        with lock:
            under_way.add(case)
            most = max(most, len(under_way))
        return case

    def after(case: int, _: int) -> None:
        time.sleep(0.01)
        with lock:
            under_way.remove(case)

    overlap(range(8), before, lambda c, a: a, after, lambda c, e: None)
    assert not under_way and most <= 3
