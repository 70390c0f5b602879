"""The rule that fits a training into a time, on candidates made up for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoseg.errors import PlanError
from autoseg.records import Dataset, Fingerprint, MachineProfile, Splits
from autoseg.stages.plan import inputs_from, load_preset
from autoseg.stages.plan.budget import Task, allowed_coarsenings, expected_loss, fit_to_time, loss_terms, onsets, steps_in

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

    assert allowed(1.3) == (1, 1.25, 1.5, 1.75, 2)  # 6.5 pixels of 0.2 mm, 3.25 of 0.4 mm
    assert allowed(0.6) == (1,)
    assert allowed(None) == (1,)  # not measured: what a coarser grid would cost cannot be told
    pixels_only = replace(task.inputs, spacings_mm=(None,) * 10)
    assert allowed_coarsenings(replace(task, inputs=pixels_only)) == (1,)


def test_losses_by_hand(task: Task) -> None:
    """Terms of the preset: 0.038 at 1000 steps, power 0.75; 0.01 at width 16; 0.25 at one pixel; 0.02 per halved view.

    These are for nnU-Net's optimiser; a step of AdamW counts for two, as long as there are few.
    """
    quick, task = task, replace(task, optimizer="sgd")
    chosen, _ = fit_to_time(task)
    base = replace(chosen, steps=1000, batch_size=2, patch_size=tuple(round(n) for n in chosen.extent))
    assert loss_terms(task, base)["steps"] == pytest.approx(0.038)
    assert loss_terms(task, replace(base, steps=16_000))["steps"] == pytest.approx(0.038 / 8)
    assert loss_terms(quick, base)["steps"] == pytest.approx(0.038 / 2**0.75)
    assert loss_terms(quick, replace(base, steps=128_000)) == loss_terms(task, replace(base, steps=128_000)), "too many for AdamW"
    assert loss_terms(task, replace(base, batch_size=8))["steps"] == pytest.approx(0.038 / 2**0.75)
    narrow = replace(base, network=base.network.model_copy(update={"features": (8, 16)}))
    assert loss_terms(task, narrow)["width"] == pytest.approx(0.02)
    assert task.inputs.thickness == pytest.approx(40.0)  # 200 pixels of 0.2 mm
    coarse = replace(base, spacing=(4.0, 5.0))
    assert loss_terms(task, coarse)["grid"] == pytest.approx(0.25 / 10)
    half = replace(
        base, patch_size=(base.patch_size[0], base.patch_size[1]), extent=(base.patch_size[0] * 2.0, base.patch_size[1])
    )
    assert loss_terms(task, half)["patch"] == pytest.approx(0.02)
    assert expected_loss(task, half) == pytest.approx(sum(loss_terms(task, half).values()))


def test_steps_until_a_structure_is_found_by_hand(task: Task) -> None:
    """1250 / (width x root of its part of the images) steps with a batch of two; before, it is missed with the fourth power."""
    chosen, _ = fit_to_time(task)
    two = replace(task, inputs=replace(task.inputs, shares=(("large", 0.25), ("small", 0.01))))
    whole = replace(
        chosen,
        batch_size=2,
        steps=2500,
        patch_size=(100, 80),
        median=(100.0, 80.0),
        extent=(100.0, 80.0),
        network=chosen.network.model_copy(update={"features": (10, 20)}),
    )
    assert dict(onsets(two, whole)) == pytest.approx({"large": 250.0, "small": 1250.0})
    assert loss_terms(two, whole)["onset"] == pytest.approx((0.1**4 + 0.5**4) / 2)
    assert loss_terms(two, replace(whole, steps=500))["onset"] == pytest.approx((0.5**4 + 1) / 2)
    narrow = replace(whole, network=chosen.network.model_copy(update={"features": (5, 10)}))
    assert dict(onsets(two, narrow)) == pytest.approx({"large": 500.0, "small": 2500.0})
    assert dict(onsets(two, replace(whole, batch_size=8))) == pytest.approx({"large": 125.0, "small": 625.0})
    unknown = replace(task, inputs=replace(task.inputs, shares=()))
    assert onsets(unknown, whole) == [] and loss_terms(unknown, whole)["onset"] == 0


def test_a_small_structure_buys_steps(task: Task) -> None:
    def steps(share: float) -> int:
        inputs = replace(task.inputs, thickness=2.0, shares=(("small", share),))  # 10 pixels
        return fit_to_time(replace(task, seconds=60, inputs=inputs))[0].steps

    assert steps(0.002) > 1.5 * steps(0.25)


def test_more_time_buys_finer_grids_and_wider_networks(task: Task) -> None:
    plans = [fit_to_time(replace(task, seconds=minutes * 60))[0] for minutes in (5, 20, 80, 320, 1280)]
    losses = [expected_loss(task, plan) for plan in plans]
    assert losses == sorted(losses, reverse=True)
    assert plans[0].coarsening > plans[-1].coarsening
    assert plans[0].network.features[0] <= plans[-1].network.features[0] == 32


def test_the_choice_has_the_smallest_expected_loss_of_all_that_have_enough_steps(task: Task) -> None:
    chosen, compared = fit_to_time(task)
    assert compared > 50
    assert chosen.steps >= task.rule.steps_minimum
    assert chosen.bytes <= task.memory_bytes
    assert chosen.coverage == 1  # the whole image at a time
    for width in task.rule.widths:
        alone = replace(task, rule=task.rule.model_copy(update={"widths": (width,)}))
        assert expected_loss(task, fit_to_time(alone)[0]) >= expected_loss(task, chosen)


def test_a_thin_structure_keeps_the_grid_fine(task: Task) -> None:
    thin = replace(task, inputs=replace(task.inputs, thickness=1.2))
    assert fit_to_time(thin)[0].coarsening < fit_to_time(task)[0].coarsening


def test_where_no_training_converges_the_one_with_most_steps_is_taken(task: Task) -> None:
    short = replace(task, seconds=17)
    chosen, _ = fit_to_time(short)
    assert chosen.steps < task.rule.steps_minimum
    assert chosen.network.features[0] == min(task.rule.widths)


def test_a_low_resolution_network_must_show_enough(task: Task) -> None:
    volumes = replace(
        task,
        inputs=replace(
            task.inputs,
            rank=3,
            spacings_mm=((1.0,) * 3,) * 10,
            shapes_after_crop=((300,) * 3,) * 10,
            thickness=30.0,
            thickest=60.0,
        ),
        spacing=(1.0, 1.0, 1.0),
        rank=3,
        least_share=0.25,
        most_voxels=300**3 / 2,
    )
    chosen, _ = fit_to_time(volumes)
    voxels = chosen.median[0] * chosen.median[1] * chosen.median[2]
    assert voxels <= 300**3 / 2
    assert chosen.patch_size[0] * chosen.patch_size[1] * chosen.patch_size[2] >= 0.25 * voxels


def test_the_network_of_2015_is_planned_with_its_own_width(task: Task) -> None:
    chosen, _ = fit_to_time(replace(task, family="unet2015"))
    assert chosen.network.features[:2] == (64, 128)
    assert max(chosen.network.features) <= 1024
    assert not chosen.network.deep_supervision
    assert all(n % d == 0 for n, d in zip(chosen.patch_size, chosen.network.divisor, strict=True))


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
