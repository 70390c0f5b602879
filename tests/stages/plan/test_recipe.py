"""Which optimiser a plan takes: by the length of the training, or as asked; its numbers come along."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.records import Configuration, TrainingSpec
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.length_effect import _steps_loss
from autoseg.stages.plan.overrides import apply_overrides
from autoseg.stages.plan.presets import ShortTraining, load_preset
from autoseg.stages.plan.recipe import RECIPES, optimizer_for, worth_of_step
from tests.stages.plan.conftest import LAPTOP, make_records

NNUNET = {"optimizer": "sgd", "initial_lr": 0.01, "momentum": 0.99, "weight_decay": 3e-5}
ADAMW = {"optimizer": "adamw", "initial_lr": 0.001, "momentum": 0.9, "weight_decay": 0.01}
VOLUMES = {"rank": 3, "shape": (36, 50, 35), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 9.5}


def planned(**options: object) -> Configuration:
    return make_plan(*make_records(), LAPTOP, PlanOptions(**options)).configurations["2d"]  # type: ignore[arg-type]


def numbers_of(training: TrainingSpec) -> dict[str, object]:
    return {field: getattr(training, field) for field in NNUNET}


def reason_of(configuration: Configuration) -> str:
    (decision,) = [decision for decision in configuration.decisions if decision.name == "recipe"]
    return f"{decision.choice}. {decision.reason} {decision.alternative}"


def test_the_numbers_of_nnunet_are_the_record_s_defaults() -> None:
    assert RECIPES["sgd"].model_dump() == NNUNET
    assert {field: TrainingSpec.model_fields[field].default for field in NNUNET} == NNUNET


def test_short_trainings_take_the_quicker_optimiser() -> None:
    short = ShortTraining(adamw_steps_most=1000, adamw_step_worth=2)
    assert optimizer_for(short, 1000, None) == "adamw"
    assert optimizer_for(short, 1001, None) == "sgd"
    assert optimizer_for(None, 100, None) == "sgd"
    assert optimizer_for(short, 100, "sgd") == "sgd"
    assert (worth_of_step(short, "adamw"), worth_of_step(short, "sgd"), worth_of_step(None, "adamw")) == (2, 1, 1)


@pytest.mark.parametrize("options", [{"time_budget_seconds": 1200}, {"epochs": 3}])
def test_in_time(options: dict[str, float]) -> None:
    configuration = planned(**options)
    assert numbers_of(configuration.training) == ADAMW
    steps = configuration.training.epochs * configuration.training.steps_per_epoch
    assert reason_of(configuration).startswith(
        f"AdamW, learning rate 0.001. {steps:,} steps are a short training (at most 25,000)"
    )
    assert "--set training.optimizer=sgd." in reason_of(configuration)


def test_nnunet_presets_keep_theirs() -> None:
    configuration = planned(preset="nnunet")
    assert numbers_of(configuration.training) == NNUNET
    assert "trains as nnU-Net does" in reason_of(configuration)


def test_asked_for_by_name_with_other_numbers_on_top() -> None:
    configuration = planned(time_budget_seconds=1200, overrides=("training.momentum=0.95", "training.optimizer=sgd"))
    assert numbers_of(configuration.training) == NNUNET | {"momentum": 0.95}
    assert "You set training.optimizer." in reason_of(configuration)
    assert "training.optimizer" not in {decision.name for decision in configuration.decisions}, "the recipe tells it"
    assert numbers_of(planned(preset="nnunet", overrides=("training.optimizer=adamw",)).training) == ADAMW


def test_in_one_configuration_of_several() -> None:
    options = PlanOptions(preset="nnunet", overrides=("2d.training.optimizer=adamw",))
    plan = make_plan(*make_records(**VOLUMES), LAPTOP, options)
    assert numbers_of(plan.configurations["2d"].training) == ADAMW
    assert numbers_of(plan.configurations["3d_fullres"].training) == NNUNET
    assert "--set 2d.training.optimizer=sgd." in reason_of(plan.configurations["2d"])
    assert numbers_of(apply_overrides(plan, ("training.optimizer=sgd",)).configurations["2d"].training) == NNUNET


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (("training.epochs=100000",), NNUNET),
        (("training.epochs=100000", "training.initial_lr=0.002"), ADAMW | {"initial_lr": 0.002}),
        (("training.epochs=100000", "training.optimizer=adamw"), ADAMW),
        (("training.epochs=2",), ADAMW),
    ],
)
def test_it_follows_a_length_that_is_set(override: tuple[str, ...], expected: dict[str, object]) -> None:
    configuration = planned(time_budget_seconds=1200, overrides=override)
    assert numbers_of(configuration.training) == expected
    assert reason_of(configuration).startswith("SGD" if expected is NNUNET else "AdamW")


def test_the_budget_counts_on_it() -> None:
    """A step that counts for two leaves half as many steps to wait for, and the loss of twice as many."""
    rule = load_preset("default").budget
    assert rule is not None
    quick, plain = (
        rule.model_copy(update={"short": ShortTraining(adamw_steps_most=most, adamw_step_worth=2)}) for most in (10**6, 0)
    )
    configuration = planned(time_budget_seconds=1200)
    losses = [
        _steps_loss(one, configuration.model_copy(update={"training": configuration.training.model_copy(update=numbers)}), 1000)
        for one, numbers in ((quick, ADAMW), (plain, NNUNET))
    ]
    assert losses[0] * 2**0.75 == pytest.approx(losses[1])


def test_a_preset_without_the_rule_trains_as_nnunet(tmp_path: Path) -> None:
    preset = load_preset("default")
    assert preset.budget is not None
    preset.model_copy(update={"budget": preset.budget.model_copy(update={"short": None})}).save(tmp_path / "mine.json")
    configuration = planned(time_budget_seconds=1200, preset=str(tmp_path / "mine.json"))
    assert numbers_of(configuration.training) == NNUNET
