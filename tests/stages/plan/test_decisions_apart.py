"""Single decisions of a plan: what is true of one data set, machine or source is not said of another."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from autoseg.records import Decision, MachineProfile, Plan, Transfer
from autoseg.stages.plan import PlanOptions, decisions, inputs_from, load_preset
from autoseg.stages.plan.nnunet import Sized
from autoseg.stages.plan.overrides import apply_overrides
from autoseg.stages.plan.transfer import Source

from .conftest import make_records
from .facts import BASE, BY_RULE, LARGE, VOLUMES, Facts, decision_of, machines_of, said


@pytest.fixture
def machines(laptop: MachineProfile, gpu: MachineProfile) -> dict[str, MachineProfile]:
    return machines_of(laptop, gpu)


def _typed(decision: Decision) -> list[str]:
    """Settings of its alternative that can be typed as they stand."""
    found = [setting.rstrip(".,") for setting in re.findall(r"--set (\S+)", decision.alternative)]
    return [setting for setting in found if not re.search(r"=(N|NAME)?$", setting)]


COARSENED = Facts(
    records=VOLUMES | {"shape": (40, 400, 400), "thickness": 90.0}, options=PlanOptions(time_budget_seconds=300), speed=0.3
)


@pytest.mark.parametrize(
    "facts",
    [BASE, Facts(records=VOLUMES), COARSENED, Facts(records=LARGE, machine="gpu", options=PlanOptions())],
    ids=["images", "volumes", "coarsened", "cascade"],
)
def test_every_setting_that_is_offered_is_accepted_where_it_is_meant(machines: dict[str, MachineProfile], facts: Facts) -> None:
    plan = facts.plan(machines)
    offered = set()
    for name, configuration in plan.configurations.items():
        before = "3d_fullres" if configuration.previous_stage else name  # of which the second stage of a cascade is a copy
        for decision in configuration.decisions:
            for setting in re.findall(r"--set (\S+)", decision.alternative):
                assert len(plan.configurations) == 1 or setting.startswith((f"{before}.", "network.family=")), setting
            for setting in _typed(decision):
                offered.add(setting.partition("=")[0].removeprefix(f"{before}."))
                changed = apply_overrides(plan, (setting,)).configurations
                others = [other for other in changed if other != before and changed[other] != plan.configurations[other]]
                assert not others, setting
                told = changed[before].preparation.spacing_mm, plan.configurations[before].preparation.spacing_mm
                assert [value is None for value in told[0] or ()] == [value is None for value in told[1] or ()], setting
    assert offered >= {"preparation.spacing_mm", "inference.mirror_axes", "training.batch_dice", "network.features"}


def test_a_coarser_grid_of_slices_leaves_the_distance_between_them(machines: dict[str, MachineProfile]) -> None:
    flat = decision_of(COARSENED.plan(machines), "spacing", "2d")
    assert "times coarser" in flat.reason
    assert flat.alternative.startswith("1 mm, not coarsened:")
    assert _typed(flat) == ["2d.preparation.spacing_mm=none,1,1"]


def test_a_second_stage_is_not_offered_alone(machines: dict[str, MachineProfile]) -> None:
    plan = Facts(records=LARGE, machine="gpu", options=PlanOptions()).plan(machines)
    assert "3d_cascade_fullres" in plan.configurations
    assert decision_of(plan, "default").alternative == "2d, 3d_lowres: --configuration NAME when training."
    assert "a cascade refines its masks" in decision_of(plan, "low resolution", "3d_fullres").reason
    cascade = decision_of(plan, "cascade", "3d_cascade_fullres")
    assert "one channel more per structure (1)" in cascade.reason
    assert "all folds of 3d_lowres are trained before" in cascade.reason


def _source(plan: Plan) -> Source:
    return Source(plan, plan.default, Transfer(mode="init", run="/run", configuration=plan.default, same_structures=True))


@pytest.mark.parametrize("machine", ["laptop", "gpu"])
def test_a_network_that_is_taken_over_tells_what_was_left_to_choose(machines: dict[str, MachineProfile], machine: str) -> None:
    there = _source(replace(BY_RULE, options=PlanOptions(overrides=("training.batch_size=6",))).plan(machines))
    taken = Facts(machine=machine, memory=24 * 10**9, options=PlanOptions(), source=there)
    finer = replace(taken, records={"spacings": ((0.1, 0.1),) * 10}).plan(machines)
    assert decision_of(finer, "spacing").alternative == "0.1 mm, as the rules have it for these data: plan without the other run."
    assert decision_of(finer, "patch").alternative == "one for these data: plan without the other run."
    same = decision_of(taken.plan(machines), "spacing")
    assert same.choice == "0.2 mm" and same.alternative.startswith("any other, such as twice as coarse")
    batch = decision_of(taken.plan(machines), "batch")
    if machine == "gpu":
        assert batch.reason == "The run that this plan was made from trains on 6 patches at a time."
        less = decision_of(replace(taken, memory=8 * 10**9).plan(machines), "batch")
        assert less.reason.endswith(f"6 patches at a time; {less.choice} of them fit into 4.8 GB here.") and int(less.choice) < 6
    else:
        assert batch.reason == "Only the batch is left to choose: no batch leaves 1,000 steps, and this one leaves the most."


def test_batch_dice_follows_the_data_whatever_the_other_run_had(machines: dict[str, MachineProfile]) -> None:
    setting = ("training.batch_dice=true",)
    there = _source(Facts(records=VOLUMES, machine="gpu", options=PlanOptions(overrides=setting)).plan(machines))
    for machine in ("laptop", "gpu"):
        plan = Facts(records=VOLUMES, machine=machine, options=PlanOptions(), source=there).plan(machines)
        assert not plan.configurations["3d_fullres"].training.batch_dice
        assert "at least 25%, so each sample" in decision_of(plan, "batch_dice").reason


def test_asked_epochs_count_and_the_time_that_sized_the_network_is_named(machines: dict[str, MachineProfile]) -> None:
    plan = replace(BASE, options=PlanOptions(epochs=3)).plan(machines)
    training = plan.configurations["2d"].training
    steps = 3 * training.steps_per_epoch
    seen = steps * training.batch_size
    assert f"A step learns from 2 patches, {steps:,} steps from {seen:,} in all." in said(plan, "batch")
    for name in ("patch", "width", "batch"):
        assert said(plan, name).endswith("It is sized for 1 h, whatever --epochs says.")
        assert "whatever --epochs says" not in said(BASE.plan(machines), name)
    for name in ("spacing", "inference"):
        assert "1 h, for which the network is sized, whatever --epochs says" in said(plan, name)


def test_asked_epochs_of_a_machine_on_which_nothing_fits_the_time(machines: dict[str, MachineProfile]) -> None:
    plan = replace(BASE, options=PlanOptions(epochs=3), speed=1e-7).plan(machines)
    assert "No combination leaves time for a step of training in 1 h" in said(plan, "width")
    assert "0 steps" not in " ".join(d.reason for d in plan.configurations["2d"].decisions)


def test_a_time_says_what_it_holds_and_whether_it_was_measured(machines: dict[str, MachineProfile]) -> None:
    asked = replace(BASE, options=PlanOptions(epochs=3))
    measured, typical = (said(replace(asked, machine=name).plan(machines), "length") for name in ("laptop", "unseen"))
    assert "with its start and its validation, by the speed that was measured." in measured
    assert "with its start and its validation, at a typical speed, not measured." in typical
    many = asked.plan(machines)
    seconds = decision_of(many, "length").numbers["seconds"]
    step, validation = decision_of(many, "width").numbers["step"], decision_of(many, "inference").numbers["validation"]
    assert seconds == pytest.approx(15 + 3 * many.configurations["2d"].training.steps_per_epoch * step + validation)
    by_rule = replace(BY_RULE, machine="quick", options=PlanOptions(epochs=3))
    assert "; the steps of a fold take about" in said(by_rule.plan(machines), "length")


def test_a_network_that_was_reduced_to_fit_says_so(machines: dict[str, MachineProfile]) -> None:
    narrow = Facts(records=LARGE, machine="gpu", memory=3 * 10**9, options=PlanOptions()).plan(machines)
    assert narrow.configurations["2d"].network.features[0] == 16
    assert "the preset's 32 features" in decision_of(narrow, "width", "2d").reason
    assert not any(decision.name == "width" for decision in narrow.configurations["3d_fullres"].decisions)
    reduced = []
    for memory in (10**8, 3 * 10**8, 10**9):
        decision = decision_of(Facts(records=LARGE, machine="gpu", memory=memory, options=PlanOptions()).plan(machines), "patch")
        assert decision.numbers["values"] <= decision.numbers["room"]
        reduced += [decision] if "Sized for" in decision.reason else []
    assert reduced and all(decision.numbers["memory"] < decision.numbers["most"] for decision in reduced)


def test_why_there_is_no_low_resolution(machines: dict[str, MachineProfile]) -> None:
    """By nnU-Net's rule a grid with 1.95 times fewer voxels is enough; by the clock the thin structure keeps the grid fine."""
    records = {"rank": 3, "shape": (210, 210, 200), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 3.5}
    by_rule = Facts(records=records, machine="gpu", options=PlanOptions(preset="nnunet")).plan(machines)
    assert "a grid that is only a little coarser shows as much already; it has more than 50%" in said(by_rule, "low resolution")
    in_time = Facts(records=records).plan(machines)
    assert (
        "of the grids that may be taken, none with at most 50% of its voxels"
        in decision_of(in_time, "low resolution", "3d_fullres").reason
    )


def test_what_a_choice_was_compared_with(machines: dict[str, MachineProfile]) -> None:
    assert re.search(
        r"none of the \d+ combinations that leave at least 1,000 steps misses less", said(BASE.plan(machines), "width")
    )
    poor = said(Facts(options=PlanOptions(time_budget_seconds=20), speed=0.2).plan(machines), "width")
    assert "no combination leaves 1,000 steps, and" in poor and "the most" in poor and "Dice" not in poor


@pytest.mark.parametrize(
    ("batch", "by_memory", "by_data", "ending"),
    [
        (2, 6, 9, "by the estimate of peak memory only 2 fit."),
        (4, 6, 9, "by the estimate of peak memory only 4 fit."),
        (2, 1, 9, "2 are the fewest."),
        (6, 6, 9, "the smaller number counts."),
        (32, 40, 50, "more than 32 would take longer and learn no more."),
        (32, 32, 50, "the smaller number counts."),
    ],
)
def test_why_a_batch_is_no_larger(
    machines: dict[str, MachineProfile], batch: int, by_memory: int, by_data: int, ending: str
) -> None:
    plan, preset = BY_RULE.plan(machines), load_preset("default")
    plain = plan.configurations["2d"]
    inputs = inputs_from(*make_records(), preset)
    found = Sized((1, 1), plain.median_shape, plain.training.patch_size, plain.network, batch, 10**8, by_memory, by_data)
    *_, decision = decisions.sized(plain, found, preset.size, inputs, memory_bytes=8e9, at_first=(8e9, 32))
    assert decision.name == "batch" and decision.reason.endswith(ending)


SHORT = {"rank": 3, "shape": (20, 200, 200), "thickness": 18.0}


@pytest.mark.parametrize(
    ("spacings", "ending"),
    [
        (((5.0, 1.0, 1.0),) * 10, "5 x 1 x 1 mm: All images have 5 x 1 x 1 mm a voxel and keep it."),
        (((5.0, 1.0, 1.0),) * 5 + ((5.0, 1.2, 1.2),) * 5, "brought to 5 x 1.1 x 1.1 mm, the median."),
        (((5.0, 1.0, 1.0),) * 5 + ((6.0, 1.2, 1.2),) * 5, "1.1 mm, the median, but along the coarsest axis the 10th percentile."),
        (
            ((0.5, 1.0, 1.0),) * 3 + ((5.0, 1.0, 1.0),) * 7,
            "brought to 1 mm, the median, but along the coarsest axis that of the next coarsest, as the 10th percentile is finer still.",
        ),
    ],
    ids=["alike", "alike along that axis", "percentile", "next coarsest"],
)
def test_which_spacing_a_grid_has_is_told_from_the_numbers(
    machines: dict[str, MachineProfile], spacings: tuple[tuple[float, ...], ...], ending: str
) -> None:
    plan = Facts(records=SHORT | {"spacings": spacings}, machine="gpu", options=PlanOptions(preset="nnunet")).plan(machines)
    assert said(plan, "spacing").endswith(ending)


def test_a_grid_that_is_no_median_is_not_called_one(machines: dict[str, MachineProfile]) -> None:
    facts = SHORT | {"shape": (60, 400, 400), "thickness": 90.0, "spacings": ((0.5, 1.0, 1.0),) * 3 + ((5.0, 1.0, 1.0),) * 7}
    decision = decision_of(Facts(records=facts).plan(machines), "spacing")
    assert "times coarser, because" in decision.reason and "median" not in decision.reason + decision.alternative


def test_one_of_a_kind_is_told_in_the_singular(machines: dict[str, MachineProfile]) -> None:
    volumes = VOLUMES | {"orientation": "RAS"}
    assert "1 of 1 volume is stored" in said(Facts(records=volumes, cases=1).plan(machines), "orientation")
    assert said(Facts(records=VOLUMES, cases=1).plan(machines), "orientation").startswith("LPS: The volume is in the orientation")
    unknown = Facts(records={"spacings": (None,) * 10}, cases=1)
    assert "The image has no known size in mm, so it keeps its own pixels." in said(unknown.plan(machines), "spacing")
    one = machines["laptop"].model_copy(update={"throughput": machines["laptop"].throughput[:1]})
    assert "1 network was trained on it" in said(BASE.plan({"laptop": one}), "device")
    assert (
        "2 networks were trained"
        in decisions.device(
            one.model_copy(update={"throughput": machines["laptop"].throughput[:2]}), load_preset("default")
        ).reason
    )
    strides = ("network.strides=[[1,1],[2,2]]", "network.kernel_sizes=[[3,3],[3,3]]", "network.features=8,16")
    shallow = BASE.plan(machines)
    shallow = apply_overrides(shallow, (*strides, "network.encoder_blocks=2,2", "network.decoder_convs=2"))
    assert "are halved 1 time, which" in decisions.depth(shallow.configurations["2d"]).reason


def test_rules_hold_where_they_are_told(machines: dict[str, MachineProfile]) -> None:
    in_time = replace(BASE, machine="quick").plan(machines)
    assert "on a CPU" not in decision_of(in_time, "inference").rule
    assert decision_of(in_time, "memory").rule.endswith("what would take more is not compared")
    assert "reduced in this order" in decision_of(BY_RULE.plan(machines), "memory").rule
