"""What a plan will cost: hand-worked for one network, and against prepared cases on a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.networks.cost import n_parameters, training_bytes
from autoseg.phantom import write_fetal_head, write_volumes
from autoseg.records import Dataset, Fingerprint, Fold, MachineProfile, Plan, Splits, Throughput
from autoseg.stages.fingerprint import fingerprint_dataset
from autoseg.stages.index import index_dataset
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.bill import bills_of, prepared_shapes
from autoseg.stages.plan.inputs import inputs_from
from autoseg.stages.plan.presets import load_preset
from autoseg.stages.preprocess import preprocess
from autoseg.stages.split import make_splits

Records = tuple[Dataset, Fingerprint, Splits]
LARGE = {"rank": 3, "shape": (400, 500, 500), "spacings": ((1.0, 0.8, 0.8),) * 10, "thickness": 12.0}


def with_probe(plan: Plan, machine: MachineProfile) -> MachineProfile:
    """The machine with a probe of the planned network: 0.25 s a step, 0.05 s to predict a batch, 0.01 s to augment it."""
    chosen = plan.configurations[plan.default]
    probe = Throughput(
        network=chosen.network,
        patch_size=chosen.training.patch_size,
        batch_size=chosen.training.batch_size,
        step_seconds=0.25,
        forward_seconds=0.05,
        data_seconds=0.01,
        peak_bytes=3 * 10**8,
    )
    return machine.model_copy(update={"throughput": (probe,)})


def test_steps_and_seconds_by_hand(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts = records()
    plan = make_plan(*facts, laptop, PlanOptions(epochs=7, overrides=("training.steps_per_epoch=10",)))
    bill = bills_of(plan, *facts, with_probe(plan, laptop))["2d"]
    rule = load_preset("default").budget
    assert rule is not None
    assert (bill.epochs, bill.steps, bill.n_folds) == (7, 70, 5)
    training = plan.configurations["2d"].training
    step = 0.25 + 0.01 + training.validation_steps / training.steps_per_epoch * 0.05
    assert bill.step_seconds == pytest.approx(step)
    assert bill.training_seconds == pytest.approx(70 * step)
    assert bill.fold_seconds == pytest.approx(rule.startup_seconds + 70 * step + bill.validation_seconds)
    assert bill.all_folds_seconds == pytest.approx(5 * bill.fold_seconds), "all five folds validate two cases"
    assert (bill.time_basis, bill.stage_before) == ("measured", None)
    network = plan.configurations["2d"].network
    assert bill.weights_bytes == 4 * n_parameters(network), "float32"
    assert bill.state_bytes == 2 * bill.weights_bytes, "AdamW keeps two averages of each"
    assert bill.disk_bytes == bill.prepared_bytes + 5 * bill.weights_bytes + bill.state_bytes
    plain = make_plan(*facts, laptop, PlanOptions(epochs=7, overrides=("training.optimizer=sgd",)))
    assert (
        bills_of(plan=plain, dataset=facts[0], fingerprint=facts[1], splits=facts[2], machine=laptop)["2d"].state_bytes
        == bill.weights_bytes
    )


def test_a_smaller_fold_validates_faster(records: Callable[..., Records], laptop: MachineProfile) -> None:
    dataset, fingerprint, splits = records()
    ids = [case.id for case in fingerprint.cases]
    folds = (Fold(train=tuple(ids[4:]), validation=tuple(ids[:4])), Fold(train=tuple(ids[:9]), validation=tuple(ids[9:])))
    facts = (dataset, fingerprint, splits.model_copy(update={"folds": folds}))
    plan = make_plan(*facts, laptop, PlanOptions(time_budget_seconds=600))
    bill = bills_of(plan, *facts, laptop)["2d"]
    both = 2 * (bill.startup_seconds + bill.training_seconds) + 1.25 * bill.validation_seconds
    assert bill.all_folds_seconds == pytest.approx(both)


def test_the_bill_of_a_plan_in_time_is_the_time(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts = records()
    plan = make_plan(*facts, laptop, PlanOptions(time_budget_seconds=1200))
    bill = bills_of(plan, *facts, laptop)["2d"]
    assert 0.9 * 1200 < bill.fold_seconds <= 1200
    assert bill.time_basis == "like"


def test_speed_and_memory_of_an_unmeasured_machine_are_typical(records: Callable[..., Records], gpu: MachineProfile) -> None:
    facts = records()
    plan = make_plan(*facts, gpu, PlanOptions())
    bill = bills_of(plan, *facts, gpu)["2d"]
    assert (bill.time_basis, bill.memory_basis) == ("typical", "typical")
    found = plan.configurations["2d"]
    estimate = training_bytes(found.network, found.training.patch_size, found.training.batch_size, 2)
    assert bill.peak_bytes == pytest.approx(estimate)
    assert bills_of(plan, *facts, with_probe(plan, gpu))["2d"].memory_basis == "measured"


def test_a_cascade_waits_for_all_folds_of_its_first_stage(records: Callable[..., Records], gpu: MachineProfile) -> None:
    facts = records(**LARGE)
    bills = bills_of(make_plan(*facts, gpu, PlanOptions()), *facts, gpu)
    fullres, lowres, cascade = (bills[name] for name in ("3d_fullres", "3d_lowres", "3d_cascade_fullres"))
    assert (cascade.stage_before, cascade.stage_before_seconds) == ("3d_lowres", lowres.all_folds_seconds)
    alone = cascade.all_folds_seconds - lowres.all_folds_seconds
    assert fullres.all_folds_seconds < alone < 1.05 * fullres.all_folds_seconds, "the mask's channels cost little"
    assert fullres.fold_seconds < cascade.fold_seconds < 1.05 * fullres.fold_seconds
    assert lowres.prepared_bytes < fullres.prepared_bytes < cascade.prepared_bytes < 1.05 * fullres.prepared_bytes


def test_shapes_on_the_grid(records: Callable[..., Records], gpu: MachineProfile) -> None:
    facts = records(rank=3, shape=(60, 90, 80), spacings=((1.0, 2.0, 1.0),) * 9 + (None,))
    plan = make_plan(*facts, gpu, PlanOptions(overrides=("preparation.spacing_mm=4,1,2",)))
    preparation = plan.configurations["3d_fullres"].preparation
    assert preparation.transpose == (1, 0, 2)
    shapes = prepared_shapes(inputs_from(*facts, load_preset("default")), preparation)
    assert shapes[0] == (45, 60, 40), "90 slices of 2 mm become 45 of 4 mm; 80 columns of 1 mm become 40 of 2 mm"
    assert shapes[-1] == (90, 60, 80), "an unknown size is left as it is"


@pytest.mark.parametrize("rank", [2, 3])
def test_disk_agrees_with_prepared_cases(rank: int, laptop: MachineProfile, tmp_path: Path) -> None:
    if rank == 2:
        write_fetal_head(tmp_path / "data", subjects=4)
    else:
        write_volumes(tmp_path / "data", cases=5)
    dataset, faults = index_dataset(tmp_path / "data")
    assert dataset is not None and not faults
    fingerprint, _ = fingerprint_dataset(dataset)
    assert fingerprint is not None
    splits = make_splits(dataset, fingerprint, folds=2)
    plan = make_plan(dataset, fingerprint, splits, laptop, PlanOptions(time_budget_seconds=600))
    for name, bill in bills_of(plan, dataset, fingerprint, splits, laptop).items():
        folder = tmp_path / name
        preprocess(dataset, [case.id for case in fingerprint.cases], plan.configurations[name], folder)
        written = sum(path.stat().st_size for path in folder.iterdir())
        assert bill.prepared_bytes == pytest.approx(written, rel=0.4), name
