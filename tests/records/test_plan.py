"""What a configuration says of itself."""

from __future__ import annotations

from autoseg.records import Configuration, MachineProfile, Plan
from autoseg.stages.plan import PlanOptions, make_plan
from tests.stages.plan.conftest import Records, make_records


def planned(facts: Records, *overrides: str) -> Plan:
    machine = MachineProfile(device="cpu", name="laptop", cores=2, memory_bytes=8 * 10**9, precision="bfloat16")
    return make_plan(*facts, machine, PlanOptions(time_budget_seconds=1200, overrides=overrides))


def edited(configuration: Configuration, **changes: object) -> Configuration:
    return configuration.model_copy(update={"training": configuration.training.model_copy(update=changes)})


def test_epochs_that_were_edited_by_hand_are_trained_whatever_time_they_take() -> None:
    configuration = planned(make_records()).configurations["2d"]
    assert configuration.time_limit_seconds == 1200
    assert edited(configuration, epochs=configuration.training.epochs + 1).time_limit_seconds is None
    assert edited(configuration, time_budget_seconds=600.0).time_limit_seconds == 600
    assert edited(configuration, batch_size=3).time_limit_seconds == 1200


def test_both_may_be_set() -> None:
    chosen = planned(make_records(), "training.epochs=50", "training.time_budget_seconds=600").configurations["2d"]
    assert (chosen.training.epochs, chosen.time_limit_seconds) == (50, 600)
    assert planned(make_records(), "training.epochs=50").configurations["2d"].time_limit_seconds is None
