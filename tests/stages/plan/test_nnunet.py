"""The nnU-Net preset against what nnU-Net's own planner chose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.records import Configuration, Intensities, MachineProfile
from autoseg.stages.plan import PlanInputs, PlanOptions, load_preset, plan_configurations
from autoseg.stages.plan.nnunet_files import as_json, inputs_of_nnunet, plan_from_files

EXAMPLES = Path(__file__).resolve().parents[3] / "plans" / "examples"
GOLDEN = json.loads((EXAMPLES / "nnunet_golden.json").read_text())["cases"]
PLANNERS = {"nnunet": "default", "nnunet-resenc-m": "ResEncM", "nnunet-resenc-l": "ResEncL", "nnunet-resenc-xl": "ResEncXL"}
GOLDEN_KEYS = {
    "patch_size": "patch",
    "batch_size": "bs",
    "median_shape": "median",
    "strides": "strides",
    "kernel_sizes": "kernels",
    "features": "features",
    "n_stages": "n_stages",
    "batch_dice": "batch_dice",
    "normalization": "norm",
    "use_mask_for_norm": "mask",
}
TINY_MACHINE = MachineProfile(device="cpu", name="tiny", cores=1, memory_bytes=10**9, precision="float32")
INTENSITIES = Intensities(mean=100, median=99, std=50, min=-1000, max=3000, percentile_00_5=-900, percentile_99_5=1200)


def golden_inputs(case: str, folder: Path) -> PlanInputs:
    """The facts of a case, read from files as nnU-Net writes them; without intensities, which decide on no size."""
    facts, declared = write_files(case, folder)
    return inputs_of_nnunet(facts, declared, load_preset("nnunet"))


def write_files(case: str, folder: Path) -> tuple[Path, Path]:
    facts, declared = folder / "dataset_fingerprint.json", folder / "dataset.json"
    numbers = {str(index): INTENSITIES.model_dump() for index in range(len(GOLDEN[case]["dataset"]["channel_names"]))}
    whole = {**GOLDEN[case]["fingerprint"], "foreground_intensity_properties_per_channel": numbers}
    facts.write_text(json.dumps(whole))
    declared.write_text(json.dumps(GOLDEN[case]["dataset"]))
    return facts, declared


def plan_as_nnunet(inputs: PlanInputs, options: PlanOptions | None = None) -> dict[str, Configuration]:
    return plan_configurations(inputs, TINY_MACHINE, options or PlanOptions(preset="nnunet"), load_preset("nnunet"))


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("preset", PLANNERS)
def test_golden(case: str, preset: str, tmp_path: Path) -> None:
    """Every value that nnU-Net's planner chose, in every configuration."""
    configurations = plan_from_files(*write_files(case, tmp_path), PlanOptions(preset=preset), TINY_MACHINE)
    ours, expected = json.loads(as_json(configurations, preset)), dict(GOLDEN[case]["plans"][PLANNERS[preset]])
    assert ours["transpose_forward"] == expected.pop("transpose_forward")
    assert set(ours["configurations"]) == set(expected)
    for name, theirs in expected.items():
        found = ours["configurations"][name]
        if isinstance(theirs, str):
            assert (name, theirs, found["previous_stage"]) == ("3d_cascade_fullres", "inherits 3d_fullres", "3d_lowres")
            theirs = expected["3d_fullres"]
        assert found["spacing_mm"] == pytest.approx(theirs["spacing"], abs=1e-4)
        for key, other in GOLDEN_KEYS.items():
            assert found[key] == theirs[other], (name, key)


def test_recipe_and_length_are_nnunets_on_a_tiny_cpu(tmp_path: Path) -> None:
    configuration = plan_as_nnunet(golden_inputs("brain_iso_1mm", tmp_path))["3d_fullres"]
    training = configuration.training
    assert (training.epochs, training.steps_per_epoch, training.validation_steps) == (1000, 250, 50)
    assert (training.initial_lr, training.momentum, training.weight_decay) == (0.01, 0.99, 3e-5)
    assert training.mirror_axes == configuration.inference.mirror_axes == (0, 1, 2)
    assert not configuration.preparation.canonical_orientation
    assert training.time_budget_seconds is None


def test_a_2d_network_on_volumes_leaves_the_slice_axis(tmp_path: Path) -> None:
    configuration = plan_as_nnunet(golden_inputs("coronal_ct", tmp_path))["2d"]
    assert configuration.slice_axis == 0
    assert configuration.preparation.transpose == (1, 0, 2)
    assert configuration.preparation.spacing_mm == (None, 0.8, 0.8)
    assert (configuration.preparation.normalization[0].lower, configuration.preparation.normalization[0].upper) == (-900, 1200)


def test_volumes_of_one_slice_get_no_3d_network(tmp_path: Path) -> None:
    inputs = replace(
        golden_inputs("brain_iso_1mm", tmp_path), spacings_mm=((5.0, 1.0, 1.0),) * 10, shapes_after_crop=((1, 256, 256),) * 10
    )
    assert list(plan_as_nnunet(inputs)) == ["2d"]


def test_epochs_and_memory_are_followed_when_asked_for(tmp_path: Path) -> None:
    options = PlanOptions(preset="nnunet", epochs=7, memory_bytes=16e9)
    configuration = plan_as_nnunet(golden_inputs("hippocampus", tmp_path), options)["3d_fullres"]
    assert configuration.training.epochs == 7
    # twice the reference gives twice 9.4; 5 % of 260 cases of 63000 voxels are 9 patches of 40x56x40
    assert configuration.training.batch_size == 9
    larger = plan_as_nnunet(golden_inputs("brain_iso_1mm", tmp_path), options)["3d_fullres"]
    assert larger.training.patch_size > (128, 128, 128)
