"""Which machine a plan is made for, and that the planned network itself is measured."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from autoseg.errors import PlanError, RecordError
from autoseg.learning import probe
from autoseg.parallel import OtherLoad
from autoseg.pipeline.machine import Workplace, machine_for, plan_and_measure, told_of_others
from autoseg.progress import SilentProgress
from autoseg.records import MachineProfile, NetworkSpec, Plan, Shape, Throughput
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.timing import speed_of
from tests.stages.plan.conftest import LAPTOP, make_records

SLOWER = 3.0  # the planned network, against what the small probes promise


def planned(machine: MachineProfile) -> Plan:
    return make_plan(*make_records(), machine, PlanOptions(time_budget_seconds=1200))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[NetworkSpec]:
    """Stands for the measurement; returns what was measured."""
    asked: list[NetworkSpec] = []

    def measure(spec: NetworkSpec, patch_size: Shape, batch_size: int, device: object, precision: str) -> Throughput:
        asked.append(spec)
        speed = speed_of(LAPTOP, spec.rank)
        return Throughput(
            network=spec,
            patch_size=patch_size,
            batch_size=batch_size,
            step_seconds=SLOWER * speed.step_seconds(spec, patch_size, batch_size),
            forward_seconds=SLOWER * speed.forward_seconds(spec, patch_size, batch_size),
            data_seconds=0.001,
            peak_bytes=None,
        )

    monkeypatch.setattr(probe, "measure", measure)
    return asked


def test_the_plan_stands_on_a_measurement_of_its_own_network(measured: list[NetworkSpec]) -> None:
    place = Workplace(LAPTOP, here=True, deadline=time.monotonic() + 1000)
    first = planned(LAPTOP).configurations["2d"]
    plan, machine = plan_and_measure(place, planned, SilentProgress())
    chosen = plan.configurations["2d"]
    assert len(machine.throughput) == len(LAPTOP.throughput) + len(measured) > 2
    assert measured[0] == first.network
    found = speed_of(machine, 2).probe_of(chosen.network, chosen.training.patch_size, chosen.training.batch_size)
    assert found is not None, "the last plan was measured, too"
    assert planned(machine) == plan


def test_of_volumes_both_networks_that_compete_are_measured(measured: list[NetworkSpec]) -> None:
    def volumes(machine: MachineProfile) -> Plan:
        records = make_records(rank=3, shape=(60, 80, 80), spacings=((1.0, 1.0, 1.0),) * 10, thickness=8.0)
        return make_plan(*records, machine, PlanOptions(time_budget_seconds=1200))

    place = Workplace(LAPTOP, here=True, deadline=time.monotonic() + 1000)
    plan, machine = plan_and_measure(place, volumes, SilentProgress())
    assert len(machine.throughput) == len(LAPTOP.throughput) + len(measured)
    for name in ("2d", "3d_fullres"):
        chosen = plan.configurations[name]
        speed = speed_of(machine, chosen.network.rank)
        assert speed.probe_of(chosen.network, chosen.training.patch_size, chosen.training.batch_size) is not None


def test_a_network_too_large_to_measure_is_tried_once(measured: list[NetworkSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(spec: NetworkSpec, *_: object) -> Throughput:
        measured.append(spec)
        raise MemoryError

    monkeypatch.setattr(probe, "measure", measure)
    plan, machine = plan_and_measure(Workplace(LAPTOP, here=True, deadline=time.monotonic() + 1000), planned, SilentProgress())
    assert (plan, machine) == (planned(LAPTOP), LAPTOP) and len(measured) == 1


def test_no_time_is_left_to_measure(measured: list[NetworkSpec]) -> None:
    plan, machine = plan_and_measure(Workplace(LAPTOP, here=True, deadline=time.monotonic()), planned, SilentProgress())
    assert (plan, machine, measured) == (planned(LAPTOP), LAPTOP, [])


def test_a_machine_that_is_not_here_is_not_measured(measured: list[NetworkSpec], tmp_path: Path) -> None:
    LAPTOP.save(tmp_path / "machine.json")
    planned(LAPTOP).save(tmp_path / "plan.json")
    for path in (tmp_path / "machine.json", tmp_path):  # the file, or the run that holds it
        place = machine_for("auto", PlanOptions(memory_bytes=2e9), make_records()[0], SilentProgress(), throughput=path)
        assert not place.here
        assert place.profile == LAPTOP.model_copy(update={"memory_bytes": 2 * 10**9})
        assert plan_and_measure(place, planned, SilentProgress())[1] == place.profile
    assert measured == []


def test_profiles_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    LAPTOP.save(path)
    with pytest.raises(PlanError, match="measured on cpu"):
        machine_for("cuda", PlanOptions(), make_records()[0], SilentProgress(), throughput=path)
    LAPTOP.model_copy(update={"throughput": ()}).save(path)
    with pytest.raises(PlanError, match="no measured throughput"):
        machine_for("auto", PlanOptions(), make_records()[0], SilentProgress(), throughput=path)
    path.write_text("{}")
    with pytest.raises(RecordError, match="device"):
        machine_for("auto", PlanOptions(), make_records()[0], SilentProgress(), throughput=path)


def test_presets_that_look_at_no_device_measure_none() -> None:
    place = machine_for("auto", PlanOptions(preset="nnunet-resenc-l"), make_records()[0], SilentProgress())
    assert (place.here, place.profile.throughput, place.profile.device) == (False, (), "cuda")


def test_programs_of_others_are_told_where_the_plan_depends_on_them() -> None:
    plan = planned(LAPTOP)
    here, elsewhere = Workplace(LAPTOP, here=True), Workplace(LAPTOP)
    message = told_of_others(OtherLoad(cores=0.9, available=2), here, plan)
    assert message is not None and "kept 0.9 of 2 cores busy" in message
    assert told_of_others(OtherLoad(cores=0.2, available=2), here, plan) is None
    assert told_of_others(OtherLoad(cores=0.9, available=2), elsewhere, plan) is None, "measured at another time"
    of_nnunet = make_plan(*make_records(), LAPTOP, PlanOptions(preset="nnunet"))
    assert told_of_others(OtherLoad(cores=0.9, available=2), here, of_nnunet) is None, "it looks at no machine"
