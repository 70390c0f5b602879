"""Which optimiser a plan takes: by the length of the training, or as asked; its numbers come along."""

from __future__ import annotations

import pytest

from autoseg.records import Configuration, MachineProfile, TrainingSpec
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.presets import load_preset
from autoseg.stages.plan.recipe import RECIPES, optimizer_for
from tests.stages.plan.conftest import cpu_probe, make_records

NNUNET = {"optimizer": "sgd", "initial_lr": 0.01, "momentum": 0.99, "weight_decay": 3e-5}
ADAMW = {"optimizer": "adamw", "initial_lr": 0.001, "momentum": 0.9, "weight_decay": 0.01}
LAPTOP = MachineProfile(
    device="cpu",
    name="laptop",
    cores=2,
    memory_bytes=8 * 10**9,
    precision="bfloat16",
    throughput=(cpu_probe(2, 16, 25e9), cpu_probe(2, 32, 40e9)),
)


def planned(**options: object) -> Configuration:
    return make_plan(*make_records(), LAPTOP, PlanOptions(**options)).configurations["2d"]  # type: ignore[arg-type]


def numbers_of(training: TrainingSpec) -> dict[str, object]:
    return {field: getattr(training, field) for field in NNUNET}


def reason_of(configuration: Configuration) -> str:
    (decision,) = [decision for decision in configuration.decisions if decision.name == "recipe"]
    return f"{decision.choice}. {decision.reason} {decision.alternative}"


def test_the_numbers_of_nnunet_are_the_record_s_defaults() -> None:
    assert RECIPES["sgd"].settings("sgd") == NNUNET
    assert {field: TrainingSpec.model_fields[field].default for field in NNUNET} == NNUNET


def test_short_trainings_take_the_quicker_optimiser() -> None:
    rule = load_preset("default").budget
    assert rule is not None
    most = rule.short.steps_most
    assert optimizer_for(rule, most, None) == "adamw"
    assert optimizer_for(rule, most + 1, None) == "sgd"
    assert optimizer_for(None, 100, None) == "sgd"
    assert optimizer_for(rule, 100, "sgd") == "sgd"


@pytest.mark.parametrize("options", [{"time_budget_seconds": 1200}, {"epochs": 3}])
def test_in_time(options: dict[str, float]) -> None:
    configuration = planned(**options)
    assert numbers_of(configuration.training) == ADAMW
    steps = configuration.training.epochs * configuration.training.steps_per_epoch
    assert reason_of(configuration).startswith(f"AdamW, learning rate 0.001. In a training of {steps:,} steps (at most 25,000)")
    assert "--set training.optimizer=sgd" in reason_of(configuration)


def test_nnunet_presets_keep_theirs() -> None:
    configuration = planned(preset="nnunet")
    assert numbers_of(configuration.training) == NNUNET
    assert "what its recipe was made for" in reason_of(configuration)


def test_asked_for_by_name_with_other_numbers_on_top() -> None:
    configuration = planned(time_budget_seconds=1200, overrides=("training.optimizer=sgd", "training.momentum=0.95"))
    assert numbers_of(configuration.training) == NNUNET | {"momentum": 0.95}
    assert "You set training.optimizer." in reason_of(configuration)
    assert numbers_of(planned(preset="nnunet", overrides=("training.optimizer=adamw",)).training) == ADAMW
