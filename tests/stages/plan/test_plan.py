"""Whole plans: device, budget, memory, and the reasons."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import prod

import pytest

from autoseg.errors import PlanError
from autoseg.networks.cost import training_bytes
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Plan, Splits
from autoseg.stages.plan import PlanOptions, make_plan

Records = tuple[Dataset, Fingerprint, Splits]
VOLUMES = {"rank": 3, "shape": (36, 50, 35), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 9.5}


def reason(configuration: Configuration, name: str) -> str:
    decision = next(decision for decision in configuration.decisions if decision.name == name)
    return f"{decision.choice}: {decision.reason}"


def steps(configuration: Configuration) -> int:
    return configuration.training.epochs * configuration.training.steps_per_epoch


def test_2d_images_take_their_median_pixel_size_on_a_gpu(records: Callable[..., Records], gpu: MachineProfile) -> None:
    spacings = ((0.1, 0.1),) * 4 + ((0.2, 0.2),) * 3 + ((0.4, 0.4),) * 2 + (None,)
    plan = make_plan(*records(spacings=spacings), gpu, PlanOptions())
    configuration = plan.configurations[plan.default]
    assert plan.default == "2d"
    assert configuration.preparation.spacing_mm == (0.2, 0.2)
    assert "Left as stored: 1 case whose size in mm is not known" in reason(configuration, "spacing")
    assert (configuration.training.epochs, configuration.training.steps_per_epoch) == (1000, 250)
    assert configuration.training.batch_size <= 32


def test_without_any_mm_nothing_is_resampled(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(spacings=(None,) * 10), laptop, PlanOptions())
    assert plan.configurations["2d"].preparation.spacing_mm is None
    plan = make_plan(*records(), laptop, PlanOptions(preset="nnunet"))
    assert plan.configurations["2d"].preparation.spacing_mm is None


def test_volumes_get_both_networks_in_canonical_orientation(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(**VOLUMES), laptop, PlanOptions(time_budget_seconds=7200))
    assert plan.default == "3d_fullres"
    assert set(plan.configurations) == {"2d", "3d_fullres"}
    volume, flat = plan.configurations["3d_fullres"], plan.configurations["2d"]
    assert volume.preparation.canonical_orientation
    assert (volume.slice_axis, flat.slice_axis) == (None, 0)
    assert flat.preparation.spacing_mm is not None
    assert flat.preparation.spacing_mm[0] is None
    assert volume.training.patch_size == (40, 56, 40)  # whole cases
    assert volume.training.time_budget_seconds == 7200


def test_large_volumes_get_a_low_resolution_network_and_a_cascade(
    records: Callable[..., Records], laptop: MachineProfile, gpu: MachineProfile
) -> None:
    """By the clock and by nnU-Net's rule: the low-resolution patch shows a quarter of the image, which has half the voxels."""
    facts = records(rank=3, shape=(400, 500, 500), spacings=((1.0, 0.8, 0.8),) * 10, thickness=12.0)
    for machine, seconds in ((gpu, None), (gpu, 86400.0)):
        plan = make_plan(*facts, machine, PlanOptions(time_budget_seconds=seconds))
        assert list(plan.configurations) == ["3d_fullres", "2d", "3d_lowres", "3d_cascade_fullres"]
        fullres, lowres = plan.configurations["3d_fullres"], plan.configurations["3d_lowres"]
        cascade = plan.configurations["3d_cascade_fullres"]
        assert prod(fullres.training.patch_size) < 0.25 * prod(fullres.median_shape)
        assert prod(lowres.training.patch_size) >= 0.25 * prod(lowres.median_shape)
        assert prod(lowres.median_shape) <= prod(fullres.median_shape) / 2 * 1.01
        assert (lowres.next_stage, cascade.previous_stage) == ("3d_cascade_fullres", "3d_lowres")
        channels = 1 + len(plan.targets)  # the image's, and one mask of the first stage per structure
        assert cascade.network == fullres.network.model_copy(update={"in_channels": channels})
        assert cascade.preparation.digest() == fullres.preparation.digest(), "images are prepared for both at once"
        assert (fullres.training.batch_dice, lowres.training.batch_dice) == (True, False)


def test_a_cpu_plans_for_an_hour_and_says_so(records: Callable[..., Records], laptop: MachineProfile) -> None:
    training = make_plan(*records(), laptop, PlanOptions()).configurations["2d"].training
    assert training.time_budget_seconds == 3600


def test_more_time_buys_more_work(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts = records()
    work = []
    for minutes in (5, 10, 20, 40, 80, 160):
        configuration = make_plan(*facts, laptop, PlanOptions(time_budget_seconds=60 * minutes)).configurations["2d"]
        training = configuration.training
        work.append(
            configuration.network.features[0] ** 2 * prod(training.patch_size) * training.batch_size * steps(configuration)
        )
        if minutes >= 10:
            assert steps(configuration) >= 2000
    assert work == sorted(work)


def test_planned_time_stays_inside_the_budget(records: Callable[..., Records], laptop: MachineProfile) -> None:
    configuration = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=1200)).configurations["2d"]
    seconds = float(reason(configuration, "length").split(" steps of ")[-1].split(" s ")[0])
    assert 0.85 * 1200 < steps(configuration) * seconds < 1200 - 15


def test_thin_structures_forbid_a_coarse_grid(records: Callable[..., Records], laptop: MachineProfile) -> None:
    options = PlanOptions(time_budget_seconds=600)
    thick = make_plan(*records(thickness=200.0), laptop, options).configurations["2d"].preparation.spacing_mm
    thin = make_plan(*records(thickness=13.0), laptop, options).configurations["2d"].preparation.spacing_mm
    assert thick is not None and thin is not None
    assert thick[0] is not None and thick[0] > 0.4
    assert thin[0] is not None and thin[0] <= 0.2 * 13 / 8 + 1e-9


def test_one_changed_number_changes_its_sentence(records: Callable[..., Records], laptop: MachineProfile) -> None:
    options = PlanOptions(time_budget_seconds=600)
    before = make_plan(*records(thickness=200.0), laptop, options).configurations["2d"]
    after = make_plan(*records(thickness=150.0), laptop, options).configurations["2d"]
    assert "of its 200.0 pixels" in reason(before, "spacing")
    assert "of its 150.0 pixels" in reason(after, "spacing")
    cropped = make_plan(*records(crop=(270, 800)), laptop, options).configurations["2d"]
    assert "leaves 50% of the median image" in reason(cropped, "normalization")
    assert cropped.preparation.normalization[0].use_mask
    assert "leaves 100% of the median image" in reason(before, "normalization")


def test_every_configuration_tells_its_reasons(
    records: Callable[..., Records], laptop: MachineProfile, gpu: MachineProfile
) -> None:
    expected = {"orientation", "spacing", "transpose", "normalization", "patch", "batch", "depth", "length", "inference"}
    for machine, preset in ((laptop, "default"), (gpu, "default"), (gpu, "nnunet")):
        plan = make_plan(*records(**VOLUMES), machine, PlanOptions(preset=preset))
        for configuration in plan.configurations.values():
            assert expected <= {decision.name for decision in configuration.decisions}
            assert all(decision.reason and decision.choice for decision in configuration.decisions)


def test_memory_bounds_batch_width_and_patch(
    records: Callable[..., Records], laptop: MachineProfile, gpu: MachineProfile
) -> None:
    for machine in (laptop, gpu):
        for memory in (0.2e9, 1e9, 4e9):
            for epochs in (5, None):
                plan = make_plan(*records(), machine, PlanOptions(memory_bytes=memory, epochs=epochs))
                configuration = plan.configurations["2d"]
                training = configuration.training
                assert training_bytes(configuration.network, training.patch_size, training.batch_size, 2) <= memory


def test_a_larger_card_gets_a_larger_patch_up_to_a_point(records: Callable[..., Records], gpu: MachineProfile) -> None:
    facts = records(rank=3, shape=(300, 300, 300), spacings=((1.0, 1.0, 1.0),) * 10, thickness=50.0)

    def voxels(gigabytes: float) -> int:
        plan = make_plan(*facts, gpu, PlanOptions(memory_bytes=gigabytes * 1e9))
        return prod(plan.configurations["3d_fullres"].training.patch_size)

    assert voxels(8) == 128**3
    assert voxels(8) < voxels(24) == voxels(80)


def test_epochs_fix_the_length(records: Callable[..., Records], laptop: MachineProfile) -> None:
    training = make_plan(*records(), laptop, PlanOptions(epochs=3)).configurations["2d"].training
    in_time = make_plan(*records(), laptop, PlanOptions()).configurations["2d"].training
    assert (training.epochs, training.time_budget_seconds) == (3, None)
    assert in_time.time_budget_seconds == 3600
    same = {"epochs": 0, "time_budget_seconds": None}
    assert training.model_copy(update=same) == in_time.model_copy(update=same), "the network that an hour calls for"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PlanOptions(epochs=3, time_budget_seconds=60), "give one of them"),
        (PlanOptions(epochs=0), "at least 1"),
        (PlanOptions(time_budget_seconds=-5), "above 0"),
        (PlanOptions(memory_bytes=0.0), "above 0"),
        (PlanOptions(preset="nnunet", time_budget_seconds=60), "--epochs"),
        (PlanOptions(preset="nunet"), "default, nnunet"),
        (PlanOptions(time_budget_seconds=5), "leaves no time to train"),
        (PlanOptions(memory_bytes=1e5), "memory"),
    ],
)
def test_impossible_options(records: Callable[..., Records], laptop: MachineProfile, options: PlanOptions, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make_plan(*records(), laptop, options)


def test_the_plan_survives_the_disk(records: Callable[..., Records], laptop: MachineProfile, tmp_path: object) -> None:
    plan = make_plan(*records(**VOLUMES), laptop, PlanOptions(time_budget_seconds=900))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_planning_imports_no_torch() -> None:
    code = "import sys, autoseg.stages.plan; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
