"""Changes by the user."""

from __future__ import annotations

from collections.abc import Callable

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
    assert (decision.name, decision.choice, decision.alternative) == ("training.batch_size", "5", "2")
    assert "set by the user" in decision.reason


def test_lists_and_nothing(plan_with: Callable[..., Plan]) -> None:
    plan = plan_with(
        "3d_fullres.network.features=16,32,64",
        "3d_fullres.network.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "3d_fullres.network.kernel_sizes=[[3,3,3],[3,3,3],[3,3,3]]",
        "inference.mirror_axes=",
        "preparation.spacing_mm=none",
        "network.deep_supervision=false",
    )
    volume = plan.configurations["3d_fullres"]
    assert volume.network.features == (16, 32, 64)
    assert volume.network.divisor == (4, 4, 4)
    assert volume.inference.mirror_axes == ()
    assert volume.preparation.spacing_mm is None
    assert not volume.network.deep_supervision


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batchsize=4", "it has patch_size, batch_size"),
        ("train.batch_size=4", "preparation, network, training, inference"),
        ("4d.training.batch_size=4", "this plan has 3d_fullres, 2d"),
        ("training.batch_size", "expected key=value"),
        ("training.batch_size=four", "3d_fullres.training.batch_size: .*'four'"),
        ("training.batch_size=0", "must be above 0"),
        ("training.augmentation=heavy", "one of nnunet, none"),
        ("3d_fullres.training.patch_size=42,56,40", "nearest that is: 40,56,40"),
        ("training.patch_size=40,56,40", "2d.training.patch_size: 40x56x40 must have 2 axes"),
        ("network.features=16,32,64", "features 3, strides 4, kernel_sizes 4"),
        ("2d.inference.mirror_axes=0,2", "different axes of 0 .. 1"),
        ("training.foreground_fraction=1.5", "at most 1"),
    ],
)
def test_faults_name_the_cure(plan_with: Callable[..., Plan], override: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_with(override)


def test_all_faults_are_listed_at_once(plan_with: Callable[..., Plan]) -> None:
    with pytest.raises(PlanError) as error:
        plan_with("training.nothing=1", "training.epochs=-1", "2d.training.patch_size=10,10")
    assert len(str(error.value).splitlines()) == 4  # epochs are wrong in both configurations
