"""Changes by the user."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest

from autoseg.errors import PlanError
from autoseg.records import Dataset, Fingerprint, MachineProfile, Plan, Splits
from autoseg.stages.plan import PlanOptions, make_plan

Records = tuple[Dataset, Fingerprint, Splits]
VOLUMES = {"rank": 3, "shape": (36, 50, 35), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 9.5}


@pytest.fixture
def plan_with(records: Callable[..., Records], laptop: MachineProfile) -> Callable[..., Plan]:
    def plan(*overrides: str) -> Plan:
        return make_plan(*records(**VOLUMES), laptop, PlanOptions(preset="nnunet", overrides=overrides))

    return plan


def test_all_or_one_configuration(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with("training.batch_size=4", "2d.training.initial_lr=0.005")
    volume, flat = plan.configurations["3d_fullres"], plan.configurations["2d"]
    assert (volume.training.batch_size, flat.training.batch_size) == (4, 4)
    assert (volume.training.initial_lr, flat.training.initial_lr) == (0.01, 0.005)


def test_a_change_is_recorded_with_what_the_rules_chose(plan_with: Callable[..., Plan]) -> None:
    decision = plan_with("3d_fullres.training.batch_size=5").configurations["3d_fullres"].decisions[-1]
    assert (decision.name, decision.choice) == ("training.batch_size", "5")
    assert decision.reason == "You set training.batch_size to 5; the rules had chosen 2."
    assert decision.alternative.startswith("2: ")


def test_lists_and_nothing(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with(
        "3d_fullres.network.features=16,32,64",
        "3d_fullres.network.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "3d_fullres.network.kernel_sizes=[[3,3,3],[3,3,3],[3,3,3]]",
        "3d_fullres.network.encoder_blocks=2,2,2",
        "3d_fullres.network.decoder_convs=2,2",
        "inference.mirror_axes=",
        "preparation.spacing_mm=none",
        "network.deep_supervision=false",
        "augmentation.rotation.probability=0.5",
        "augmentation.scaling.factor=0.8,1.25",
    )
    volume = plan.configurations["3d_fullres"]
    assert volume.network.features == (16, 32, 64)
    assert volume.network.divisor == (4, 4, 4)
    assert volume.inference.mirror_axes == ()
    assert volume.preparation.spacing_mm is None
    assert not volume.network.deep_supervision
    assert volume.augmentation.rotation.probability == 0.5
    assert volume.augmentation.rotation.degrees == 30  # as it was
    assert volume.augmentation.scaling.factor == (0.8, 1.25)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batchsize=4", "it has patch_size, batch_size"),
        ("train.batch_size=4", "preparation, network, training, augmentation, inference"),
        ("4d.training.batch_size=4", "this plan has 3d_fullres, 2d"),
        ("training.batch_size", "expected key=value"),
        ("training.batch_size=four", '3d_fullres.training.batch_size: must be a whole number, not "four"'),
        ("training.batch_size=0", "must be above 0"),
        ("augmentation.rotation=0.5", "set one field of augmentation.rotation: probability, degrees"),
        ("augmentation.rotation.chance=0.5", "augmentation.rotation has no field 'chance'; it has probability, degrees"),
        ("augmentation.preset.x=1", "augmentation.preset has no fields"),
        ("augmentation.preset=heavy", "plan with --augmentation heavy"),
        ("augmentation.brightness.factor=0.5,0.9", "must reach 1"),
        ("augmentation.blur.sigma=0,1", "augmentation.blur.sigma: 0.0,1.0 must be above 0"),
        ("augmentation.rotation.probability=1.5", "augmentation.rotation.probability: 1.5 must be 0 to 1"),
        ("augmentation.scaling.factor=1.4,0.7", "must begin with its smaller end"),
        ("augmentation.low_resolution.zoom=0.5,2", "must be at most 1"),
        ("training.batch_size.x=4", "training.batch_size has no fields"),
        ("3d_fullres.training.patch_size=42,56,40", "nearest that is: 40,56,40"),
        ("training.patch_size=40,56,40", "2d.training.patch_size: 40,56,40 must have 2 axes"),
        ("network.features=16,32,64", "features 3, strides 4, kernel_sizes 4"),
        ("3d_fullres.network.decoder_convs=2,2", "2 entries for 3 stages but the deepest; set 2,2,2"),
        ("network.in_channels=2", r"3d_fullres.network.in_channels: 2, but the data have 1 \(ultrasound\)"),
        ("preparation.spacing_mm=1,1", "must have 3 numbers"),
        ("2d.inference.mirror_axes=0,2", "different axes of 0 .. 1"),
        ("training.foreground_fraction=1.5", "at most 1"),
    ],
)
def test_faults_name_the_cure(plan_with: Callable[..., Plan], override: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_with(override)


def test_predictions_mirror_as_training_does(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with("3d_fullres.training.mirror_axes=0,2", "2d.augmentation.mirroring.probability=0")
    volume, flat = plan.configurations["3d_fullres"], plan.configurations["2d"]
    assert volume.inference.mirror_axes == (0, 2)
    assert flat.inference.mirror_axes == ()
    decision = volume.decisions[-1]
    assert (decision.name, decision.choice) == ("inference.mirror_axes", "0,2")
    assert "does not mirror along 1," in decision.reason
    assert decision.alternative == "0,1,2, as it was: --set 3d_fullres.inference.mirror_axes=0,1,2."
    plan = plan_with("training.mirror_axes=0", "inference.mirror_axes=0,1")
    assert plan.configurations["2d"].inference.mirror_axes == (0, 1), "asked for"


def test_a_loss_of_nothing(plan_with: Callable[..., Plan]) -> None:
    with pytest.raises(PlanError, match="one of dice_weight and cross_entropy_weight must be above 0"):
        plan_with("training.dice_weight=0", "training.cross_entropy_weight=0")


def test_all_faults_are_listed_at_once(plan_with: Callable[..., Plan]) -> None:
    with pytest.raises(PlanError) as error:
        plan_with("training.nothing=1", "training.epochs=-1", "2d.training.patch_size=10,10")
    assert len(str(error.value).splitlines()) == 4  # epochs are wrong in both configurations
    with pytest.raises(PlanError) as error:
        plan_with("network.family=none", "training.nothing=1", "nothing=1")
    assert len(str(error.value).splitlines()) == 3


def test_epochs_that_are_set_are_not_amended_to_a_time(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts, seconds = records(), 1200.0
    plan = make_plan(*facts, laptop, PlanOptions(time_budget_seconds=seconds, overrides=("training.epochs=50",)))
    configuration = plan.configurations["2d"]
    assert (configuration.training.epochs, configuration.training.time_budget_seconds) == (50, None)
    assert "no longer amended to end after 20 min" in configuration.decisions[-1].reason
    both = ("training.epochs=50", "training.time_budget_seconds=600")
    kept = make_plan(*facts, laptop, PlanOptions(time_budget_seconds=seconds, overrides=both)).configurations["2d"]
    assert (kept.training.epochs, kept.training.time_budget_seconds) == (50, 600)


def test_another_kind_of_network_is_planned_for_from_the_start(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts = records(shape=(1500, 1500), thickness=60.0)
    for preset in ("default", "nnunet"):
        plan = make_plan(*facts, laptop, PlanOptions(preset=preset, overrides=("network.family=unet2015", "training.seed=3")))
        configuration = plan.configurations["2d"]
        assert configuration.network.family == "unet2015"
        assert configuration.network.features[0] == 64
        assert not configuration.network.deep_supervision
        assert configuration.training.seed == 3
        assert "network.family" not in [decision.name for decision in configuration.decisions]
        network = next(decision for decision in configuration.decisions if decision.name == "network")
        assert "unet2015" in network.choice
    plain = make_plan(*facts, laptop, PlanOptions(preset="nnunet")).configurations["2d"]
    assert prod(configuration.training.patch_size) < prod(plain.training.patch_size), "64 features take twice the memory of 32"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.family=vnet", "choose plain_unet"),
        ("2d.network.family=unet2015", "one kind of network"),
        ("training.optimizer=lion", "one of 'sgd' or 'adamw'"),
        ("4d.training.optimizer=sgd", "this plan has 3d_fullres, 2d"),
    ],
)
def test_kinds_that_cannot_be_planned(plan_with: Callable[..., Plan], override: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_with(override)
