"""The augmentation of a plan: by name, told with its reasons, and refused early."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoseg.errors import PlanError
from autoseg.records import MachineProfile
from autoseg.stages.plan import PlanOptions, checked_options, make_plan
from autoseg.stages.plan.augmentation import augmentation_for, augmentation_names
from tests.stages.plan.conftest import Records


def test_degrees_follow_the_patch() -> None:
    found = {
        patch: augmentation_for("default", patch).rotation.degrees for patch in ((64, 64), (64, 128), (32, 32, 32), (8, 32, 32))
    }
    assert found == {(64, 64): 180, (64, 128): 15, (32, 32, 32): 30, (8, 32, 32): 180}


def test_default_is_nnunets() -> None:
    spec = augmentation_for("default", (32, 32, 32))
    fired = {name: part.probability for name, part in spec if hasattr(part, "probability")}
    assert fired == {
        "rotation": 0.2,
        "scaling": 0.2,
        "elastic": 0,
        "noise": 0.1,
        "blur": 0.2,
        "brightness": 0.15,
        "contrast": 0.15,
        "low_resolution": 0.25,
        "gamma_inverted": 0.1,
        "gamma": 0.3,
        "mirroring": 0.5,
    }


def test_each_is_stronger_than_the_one_before() -> None:
    specs = [augmentation_for(name, (32, 32, 32)) for name in ("none", "light", "default", "heavy")]
    for part in ("rotation", "scaling", "noise", "blur", "brightness", "contrast", "low_resolution", "gamma"):
        shares = [getattr(spec, part).probability for spec in specs]
        assert shares == sorted(set(shares)), part


def test_the_plan_tells_of_it(records: Callable[..., Records], laptop: MachineProfile) -> None:
    for name in augmentation_names():
        plan = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=1200, augmentation=name))
        chosen = plan.configurations["2d"]
        (decision,) = (d for d in chosen.decisions if d.name == "augmentation")
        assert chosen.augmentation.preset == decision.choice == name
        assert ("nnU-Net" in decision.rule) == (name == "default")
        assert f"--augmentation {', '.join(n for n in augmentation_names() if n != name)}" in decision.alternative
        if name in ("light", "heavy"):
            assert f"turned by up to {chosen.augmentation.rotation.degrees:.4g} degrees" in decision.reason


def test_an_unknown_one_is_refused_before_anything_is_read() -> None:
    with pytest.raises(PlanError, match=r"strong.*choose default, heavy, light, none"):
        checked_options(PlanOptions(augmentation="strong"))
