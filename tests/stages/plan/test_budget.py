"""The rule that fits a training into a time, on candidates made up for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoseg.errors import PlanError
from autoseg.records import Dataset, Fingerprint, MachineProfile, Splits
from autoseg.stages.plan import inputs_from, load_preset
from autoseg.stages.plan.budget import Task, allowed_coarsenings, expected_gain, fit_to_time, steps_in

Records = tuple[Dataset, Fingerprint, Splits]
PRESET = load_preset("default")


@pytest.fixture
def task(records: Callable[..., Records], laptop: MachineProfile) -> Task:
    assert PRESET.budget is not None
    return Task(
        inputs=inputs_from(*records(), PRESET),
        spacing=(0.2, 0.2),
        rank=2,
        machine=laptop,
        size=PRESET.size,
        rule=PRESET.budget,
        seconds=1200,
        memory_bytes=5e9,
    )


def test_steps_are_what_is_left_of_the_budget(task: Task) -> None:
    # 1200 s less 5 % and 15 s are 1125 s; 125 s of validation leave 1000 s
    assert steps_in(task, 0.5, 125.0) == 2000
    assert steps_in(task, 0.5, 2000.0) == 0
    assert steps_in(task, 1e-6, 125.0) == task.rule.steps_enough


def test_grids_keep_the_pixels_of_the_thinnest_structure(task: Task) -> None:
    def allowed(thickness_mm: float | None) -> tuple[float, ...]:
        return allowed_coarsenings(replace(task, inputs=replace(task.inputs, thickness=thickness_mm)))

    assert allowed(3.2) == (1, 1.25, 1.5, 2)  # 16 pixels of 0.2 mm
    assert allowed(1.0) == (1,)
    assert allowed(None) == task.rule.coarsenings
    pixels_only = replace(task.inputs, spacings_mm=(None,) * 10)
    assert allowed_coarsenings(replace(task, inputs=pixels_only)) == (1,)


def test_gain_counts_doublings(task: Task) -> None:
    chosen, _ = fit_to_time(task)
    weights, wanted = task.rule.weights, task.rule.steps_wanted[2]

    def gain(**changes: float) -> float:
        base = replace(chosen, steps=wanted)
        return expected_gain(replace(base, **changes), task.rule) - expected_gain(base, task.rule)  # type: ignore[arg-type]

    assert gain(steps=wanted // 2) == pytest.approx(-weights.steps_below)
    assert gain(steps=wanted * 2) == pytest.approx(weights.steps_above)
    assert gain(coarsening=chosen.coarsening * 2) == pytest.approx(-weights.grid)
    assert gain(batch_size=chosen.batch_size * 2) == pytest.approx(weights.batch)


def test_the_choice_has_the_steps_it_needs_and_fits(task: Task) -> None:
    chosen, compared = fit_to_time(task)
    assert compared > 50
    assert chosen.steps >= 0.7 * task.rule.steps_wanted[2]
    assert chosen.bytes <= task.memory_bytes
    assert chosen.coverage == 1  # the whole image at a time


def test_mirroring_yields_when_validation_is_long(task: Task) -> None:
    many = replace(task, inputs=replace(task.inputs, n_validation=2000), seconds=1200)
    assert fit_to_time(task)[0].mirror_axes == (0, 1)
    assert fit_to_time(many)[0].mirror_axes == ()


def test_a_2d_network_on_volumes_validates_every_slice(records: Callable[..., Records], task: Task) -> None:
    volumes = inputs_from(*records(rank=3, shape=(40, 64, 64), spacings=((2.0, 1.0, 1.0),) * 10), PRESET)
    one_slice = replace(volumes, shapes_after_crop=((1, 64, 64),) * 10)
    many = fit_to_time(replace(task, inputs=volumes, spacing=(2.0, 1.0, 1.0)))[0]
    few = fit_to_time(replace(task, inputs=one_slice, spacing=(2.0, 1.0, 1.0)))[0]
    assert many.spacing[0] == 2.0
    assert many.median[0] == 40
    assert many.validation_seconds > few.validation_seconds


def test_no_memory_and_no_time(task: Task) -> None:
    with pytest.raises(PlanError, match="no network fits"):
        fit_to_time(replace(task, memory_bytes=1e6))
    with pytest.raises(PlanError, match=r"validation of 2 cases alone take 1[67] s"):
        fit_to_time(replace(task, seconds=10))
