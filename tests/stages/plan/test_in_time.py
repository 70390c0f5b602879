"""Which configuration is trained first, and with what length, where a time is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoseg.records import MachineProfile, Plan
from autoseg.stages.plan import PlanOptions, make_plan

from .conftest import Records
from .facts import decision_of, said

BRAIN = {"rank": 3, "shape": (110, 140, 110), "spacings": ((0.8, 0.8, 0.8),) * 10, "thickness": 4.0}


def planned(facts: Records, machine: MachineProfile, minutes: float) -> Plan:
    return make_plan(*facts, machine, PlanOptions(time_budget_seconds=60 * minutes))


def slower(machine: MachineProfile, factor: float) -> MachineProfile:
    probes = [
        probe.model_copy(
            update={name: factor * getattr(probe, name) for name in ("step_seconds", "forward_seconds", "data_seconds")}
        )
        for probe in machine.throughput
    ]
    return machine.model_copy(update={"throughput": tuple(probes)})


def test_a_3d_network_comes_first_where_there_is_time_for_it(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = planned(records(**BRAIN), laptop, minutes=240)
    assert plan.default == "3d_fullres"
    assert "does not see the neighbouring slices" in said(plan, "dimensions")


def test_a_2d_network_comes_first_where_a_3d_one_cannot_converge(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = planned(records(**BRAIN), slower(laptop, 60), minutes=10)
    assert plan.default == "2d"
    assert list(plan.configurations)[:2] == ["2d", "3d_fullres"]
    assert plan.configurations["3d_fullres"].training.epochs * plan.configurations["3d_fullres"].training.steps_per_epoch < 1000
    assert "needs 1,000 to begin to converge" in said(plan, "dimensions")
    assert "slice by slice promises more" in said(plan, "default")


def test_epochs_that_were_asked_for_leave_3d_first(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(**BRAIN), slower(laptop, 100), PlanOptions(epochs=3))
    assert plan.default == "3d_fullres"
    assert decision_of(plan, "dimensions").reason == "A 3D network sees neighbouring slices."


def test_a_training_has_at_most_a_thousand_epochs(records: Callable[..., Records], laptop: MachineProfile) -> None:
    for minutes in (5, 60, 600, 6000):
        training = planned(records(), slower(laptop, 7), minutes).configurations["2d"].training
        assert 20 <= training.epochs <= 1000, minutes


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_length_that_was_asked_for_needs_no_time(records: Callable[..., Records], laptop: MachineProfile, device: str) -> None:
    """Even where the default time would not hold a single step."""
    facts = records(rank=3, shape=(400, 700, 700), spacings=((1.0, 1.0, 1.0),) * 10, thickness=20.0)
    machine = slower(laptop, 5000).model_copy(update={"device": device, "memory_bytes": 32 * 10**9})
    plan = make_plan(*facts, machine, PlanOptions(epochs=5))
    assert {configuration.training.epochs for configuration in plan.configurations.values()} == {5}
