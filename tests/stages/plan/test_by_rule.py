"""Sizing by nnU-Net's rule, in the memory of a device: families of networks, low resolution, a network that is taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import pytest

from autoseg.errors import PlanError
from autoseg.records import Configuration, Dataset, Decision, Fingerprint, MachineProfile, Splits
from autoseg.stages.plan import PlanInputs, PlanOptions, inputs_from, load_preset, plan_configurations
from autoseg.stages.plan.timing import memory_of

Records = tuple[Dataset, Fingerprint, Splits]
LARGE = {"rank": 3, "shape": (400, 512, 512), "spacings": ((1.0, 0.8, 0.8),) * 10, "thickness": 50.0}
SMALL = {"rank": 3, "shape": (64, 64, 64), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 20.0}


@pytest.fixture
def inputs(records: Callable[..., Records]) -> Callable[..., PlanInputs]:
    return lambda facts, preset="default": inputs_from(*records(**facts), load_preset(preset))


def planned(inputs: PlanInputs, machine: MachineProfile, **options: object) -> dict[str, Configuration]:
    chosen = PlanOptions(**options)  # type: ignore[arg-type]
    return plan_configurations(inputs, machine, chosen, load_preset(chosen.preset))


def low_resolution(configuration: Configuration) -> Decision:
    return next(decision for decision in configuration.decisions if decision.name == "low resolution")


@pytest.mark.parametrize("gigabytes", [2, 8, 24])
def test_every_network_fits_the_memory(inputs: Callable[..., PlanInputs], gpu: MachineProfile, gigabytes: int) -> None:
    found = planned(inputs(LARGE), gpu, memory_bytes=gigabytes * 1e9)
    assert list(found) == ["3d_fullres", "2d", "3d_lowres", "3d_cascade_fullres"]
    for configuration in found.values():
        training = configuration.training
        assert memory_of(gpu).peak_bytes(configuration.network, training.patch_size, training.batch_size) <= gigabytes * 1e9


def test_it_says_why_there_is_a_low_resolution_or_none(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    large = low_resolution(planned(inputs(LARGE), gpu, preset="nnunet")["3d_fullres"])
    assert large.choice == "3d_lowres and a cascade"
    assert "112x160x128, shows 2% of the median image, 400x512x512, less than 25%" in large.reason
    small = low_resolution(planned(inputs(SMALL), gpu, preset="nnunet")["3d_fullres"])
    assert small.choice == "none"
    assert "shows 100% of the median image, 64x64x64: enough" in small.reason
    # 160x160x160 voxels are 1.95 times those of a patch at 25 %: no grid has half of them and needs as much
    facts = LARGE | {"shape": (210, 210, 200), "spacings": ((1.0, 1.0, 1.0),) * 10}
    between = low_resolution(planned(inputs(facts), gpu, preset="nnunet")["3d_fullres"])
    assert between.choice == "none"
    assert "less than 25%. But a grid that is only a little coarser shows as much already" in between.reason


@pytest.mark.parametrize("preset", ["nnunet", "default"])
@pytest.mark.parametrize("facts", [LARGE, {}])
def test_the_network_of_2015_can_be_asked_for(
    inputs: Callable[..., PlanInputs], gpu: MachineProfile, preset: str, facts: dict[str, object]
) -> None:
    for name, configuration in planned(inputs(facts, preset), gpu, preset=preset, family="unet2015").items():
        network, training = configuration.network, configuration.training
        assert network.family == "unet2015", name
        assert network.features == (64, 128, 256, 512, 1024)
        assert not network.deep_supervision
        assert all(n % d == 0 for n, d in zip(training.patch_size, network.divisor, strict=True))
        assert training.batch_size >= 2


def test_another_family_has_the_presets_reference(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    plain = planned(inputs(LARGE, "nnunet"), gpu, preset="nnunet")["3d_fullres"]
    residual = planned(inputs(LARGE, "nnunet"), gpu, preset="nnunet", family="residual_unet")["3d_fullres"]
    assert residual.network.encoder_blocks == (1, 3, 4, 6, 6, 6)
    # its blocks hold more feature elements a voxel, and 560e6 are the limit for both
    assert prod(residual.training.patch_size) < prod(plain.training.patch_size)


def test_a_network_is_taken_over_with_patch_grid_and_axes(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    turned = LARGE | {"spacings": ((1.0, 1.0, 4.0),) * 10, "shape": (256, 256, 40)}
    source = planned(inputs(turned), gpu)["3d_fullres"]
    assert source.preparation.transpose == (2, 0, 1)
    (taken,) = planned(inputs(LARGE), gpu, source=source, epochs=7).values()
    assert taken.network == source.network
    assert taken.training.patch_size == source.training.patch_size
    assert taken.training.batch_size == source.training.batch_size
    assert (source.training.batch_dice, taken.training.batch_dice) == (False, True), "a patch shows 16 % of the median image here"
    assert taken.preparation == source.preparation
    assert taken.training.epochs == 7
    # 400 x 512 x 512 of 1 x 0.8 x 0.8 mm, the last axis first, on 4 x 1 x 1 mm
    assert taken.median_shape == (102, 400, 410)


def test_a_low_resolution_network_is_taken_over_alone(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    source = planned(inputs(LARGE), gpu)["3d_lowres"]
    assert source.next_stage == "3d_cascade_fullres"
    (taken,) = planned(inputs(LARGE), gpu, source=source).values()
    assert (taken.name, taken.next_stage) == ("3d_lowres", None)


def test_what_is_taken_over_has_a_batch_that_fits(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    source = planned(inputs({}), gpu)["2d"]
    source = source.model_copy(update={"training": source.training.model_copy(update={"batch_size": 6})})
    (taken,) = planned(inputs({}), gpu, source=source).values()
    assert taken.training.batch_size == 6
    needed = memory_of(gpu).peak_bytes(source.network, source.training.patch_size, 2)
    (taken,) = planned(inputs({}), gpu, source=source, memory_bytes=needed).values()
    assert taken.training.batch_size == 2
    with pytest.raises(PlanError, match="the network of the other run needs"):
        planned(inputs({}), gpu, source=source, memory_bytes=needed / 2)


def test_volumes_of_one_slice_get_no_3d_network(inputs: Callable[..., PlanInputs], gpu: MachineProfile) -> None:
    thin = replace(inputs(SMALL), spacings_mm=((5.0, 1.0, 1.0),) * 10, shapes_after_crop=((1, 64, 64),) * 10)
    assert list(planned(thin, gpu)) == ["2d"]
    # half of the cases have two slices: a median of 1.5 is a volume, as nnU-Net counts it
    mixed = replace(thin, shapes_after_crop=((1, 64, 64),) * 5 + ((2, 64, 64),) * 5)
    assert list(planned(mixed, gpu, preset="nnunet")) == ["3d_fullres", "2d"]
