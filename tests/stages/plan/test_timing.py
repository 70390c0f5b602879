"""Predicted seconds and bytes, from probes made up so that the model must find them."""

from __future__ import annotations

import pytest

from autoseg.networks.cost import multiply_adds, training_bytes
from autoseg.records import InferenceSpec, MachineProfile, Throughput
from autoseg.stages.plan import load_preset
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.timing import memory_of, n_tiles, speed_of, training_step_seconds, validation_seconds
from tests.stages.plan.conftest import cpu_probe, plain_network

NARROW, WIDE = plain_network(2, 16), plain_network(2, 32)


def machine(*probes: Throughput, precision: str = "float32", device: str = "cpu") -> MachineProfile:
    return MachineProfile.model_validate(
        {"device": device, "name": "m", "cores": 2, "memory_bytes": 1, "precision": precision, "throughput": probes}
    )


def test_a_probed_network_gets_its_own_seconds() -> None:
    probes = (cpu_probe(2, 16, 10e9), cpu_probe(2, 32, 20e9), cpu_probe(2, 16, 12e9, patch=128))
    speed = speed_of(machine(*probes), 2)
    assert speed.measured
    for probe in probes:
        arguments = (probe.network, probe.patch_size, probe.batch_size)
        assert speed.probe_of(*arguments) == probe
        assert speed.step_seconds(*arguments) == pytest.approx(probe.step_seconds)
        assert speed.forward_seconds(*arguments) == pytest.approx(probe.forward_seconds)
        assert speed.data_seconds(*arguments) == probe.data_seconds


def test_between_two_probes_the_rate_is_between_theirs() -> None:
    speed = speed_of(machine(cpu_probe(2, 16, 10e9, patch=64), cpu_probe(2, 16, 40e9, patch=256)), 2)
    # half-way on the logarithmic axis of work (patch 128): the geometric mean of the rates
    assert speed.step_seconds(NARROW, (128, 128), 2) == pytest.approx(multiply_adds(NARROW, (128, 128), 2) / 20e9, rel=1e-6)
    assert speed.probe_of(NARROW, (128, 128), 2) is None
    assert speed.data_seconds(NARROW, (128, 128), 2) == pytest.approx(0.1 * 2 * 128**2 / 1e6)


def test_wider_networks_follow_the_wider_probe() -> None:
    speed = speed_of(machine(cpu_probe(2, 16, 10e9), cpu_probe(2, 32, 20e9)), 2)

    def rate(width: int) -> float:
        network = plain_network(2, width)
        return multiply_adds(network, (64, 64), 2) / speed.step_seconds(network, (64, 64), 2)

    assert 10e9 < rate(8) < rate(24) < rate(64) < 20e9


def test_probes_of_the_same_rank_are_preferred() -> None:
    both = machine(cpu_probe(2, 16, 10e9), cpu_probe(3, 16, 30e9))
    solid = plain_network(3, 16)
    assert speed_of(both, 3).step_seconds(solid, (32, 32, 32), 2) == pytest.approx(multiply_adds(solid, (32,) * 3, 2) / 30e9)
    alone = speed_of(machine(cpu_probe(2, 16, 10e9)), 3)
    assert alone.step_seconds(solid, (32, 32, 32), 2) == pytest.approx(multiply_adds(solid, (32,) * 3, 2) / 10e9)


def test_without_probes_typical_figures_are_used_and_said_so() -> None:
    slow, fast = speed_of(machine(), 2), speed_of(machine(precision="bfloat16"), 2)
    work = multiply_adds(NARROW, (64, 64), 2)
    assert not slow.measured
    assert slow.step_seconds(NARROW, (64, 64), 2) == pytest.approx(work / 10e9)
    assert fast.step_seconds(NARROW, (64, 64), 2) == pytest.approx(work / 24e9)
    assert speed_of(machine(device="cuda"), 2).step_seconds(NARROW, (64, 64), 2) == pytest.approx(work / 5e12)
    assert speed_of(machine(device="cuda"), 2).data_seconds(NARROW, (64, 64), 2) == 0


def test_a_step_holds_augmentation_and_its_share_of_validation() -> None:
    rule = load_preset("default").budget
    assert rule is not None
    probe = cpu_probe(2, 16, 10e9)
    found = training_step_seconds(speed_of(machine(probe), 2), probe.network, probe.patch_size, 2, rule.validation_share)
    assert found == pytest.approx(probe.step_seconds + probe.data_seconds + rule.validation_share * probe.forward_seconds)


def test_memory_is_scaled_by_the_largest_probe() -> None:
    large, small = cpu_probe(2, 32, 20e9, patch=512), cpu_probe(2, 16, 10e9)
    expected = training_bytes(WIDE, (512, 512), 2, 4)
    told = machine(large.model_copy(update={"peak_bytes": int(0.8 * expected)}), small.model_copy(update={"peak_bytes": 10**9}))
    assert memory_of(told).peak_bytes(NARROW, (64, 64), 2) == pytest.approx(
        0.8 * training_bytes(NARROW, (64, 64), 2, 4), rel=1e-3
    )
    untold = machine(large)
    assert memory_of(untold).peak_bytes(NARROW, (64, 64), 2) == training_bytes(NARROW, (64, 64), 2, 4)


def test_validation_counts_tiles_mirrors_and_export() -> None:
    rule = load_preset("default").budget
    assert rule is not None
    probe = cpu_probe(2, 16, 10e9)
    inputs = PlanInputs(
        rank=2,
        spacings_mm=(None,),
        shapes_after_crop=((1000, 1000),),
        n_training=8,
        n_validation=2,
        channels=("us",),
        n_labels=2,
        n_outputs=2,
        n_targets=1,
        relative_size_after_crop=1.0,
        intensities=(),
    )
    speed, spec = speed_of(machine(probe), 2), InferenceSpec(mirror_axes=(0, 1))
    one = multiply_adds(NARROW, (64, 64), 1) / 30e9
    expected = 2 * (3 * 4 * one + rule.export_seconds + rule.export_seconds_per_megavoxel * 1.0 * 2)
    assert validation_seconds(speed, inputs, NARROW, (64, 64), (64, 128), spec, rule) == pytest.approx(expected)


def test_tiles() -> None:
    assert n_tiles((30, 40), (32, 40), 0.5) == 1
    assert n_tiles((64, 40), (32, 40), 0.5) == 3
    assert n_tiles((65, 81), (32, 40), 0.5) == 4 * 4
