"""Predicted seconds, from probes made up so that the model must find them."""

from __future__ import annotations

import pytest

from autoseg.records import MachineProfile, Throughput
from autoseg.stages.plan.timing import n_tiles, speed_of


def probe(width: int, work: float, step: float, forward: float = 1.0, rank: int = 2) -> Throughput:
    return Throughput(
        rank=2 if rank == 2 else 3,
        base_features=width,
        n_stages=5,
        patch_size=(64,) * rank,
        batch_size=2,
        work=work,
        step_seconds=step,
        forward_seconds=forward,
    )


def machine(*probes: Throughput, precision: str = "float32", device: str = "cpu") -> MachineProfile:
    return MachineProfile.model_validate(
        {"device": device, "name": "m", "cores": 2, "memory_bytes": 1, "precision": precision, "throughput": probes}
    )


def test_overhead_and_rate_are_recovered() -> None:
    speed = speed_of(machine(probe(16, 1e9, 0.11), probe(16, 3e9, 0.31)), 2)
    assert speed.measured
    assert speed.overhead == pytest.approx(0.01)
    assert speed.step_seconds(5e9, 16) == pytest.approx(0.51)


def test_wider_networks_run_more_work_a_second() -> None:
    # rates of 10e9 and 20e9; probes of different widths tell nothing about an overhead
    speed = speed_of(machine(probe(8, 2e9, 0.2), probe(32, 4e9, 0.2)), 2)
    assert speed.overhead == 0
    assert speed.step_seconds(3e9, 16) == pytest.approx(0.2)  # half-way on the logarithmic axis: 15e9
    assert speed.step_seconds(4e9, 8) > speed.step_seconds(4e9, 16) > speed.step_seconds(4e9, 32)
    assert speed.step_seconds(4e9, 64) == speed.step_seconds(4e9, 32)
    assert speed.step_seconds(4e9, 32) == pytest.approx(0.2)


def test_probes_of_the_same_rank_are_preferred() -> None:
    both = machine(probe(16, 1e9, 0.1), probe(16, 1e9, 0.5, rank=3))
    assert speed_of(both, 3).step_seconds(1e9, 16) == pytest.approx(0.5)
    assert speed_of(machine(probe(16, 1e9, 0.1)), 3).step_seconds(1e9, 16) == pytest.approx(0.1)


def test_without_probes_typical_figures_are_used_and_said_so() -> None:
    slow, fast = speed_of(machine(), 2), speed_of(machine(precision="bfloat16"), 2)
    assert not slow.measured
    assert slow.step_seconds(1e10, 16) == pytest.approx(1.0)
    assert fast.step_seconds(1e10, 16) == pytest.approx(1 / 2.4)
    assert speed_of(machine(device="cuda"), 2).step_seconds(1e10, 16) < 0.01


def test_tiles() -> None:
    assert n_tiles((30, 40), (32, 40), 0.5) == 1
    assert n_tiles((64, 40), (32, 40), 0.5) == 3
    assert n_tiles((65, 81), (32, 40), 0.5) == 4 * 4
