"""The nnU-Net preset against what nnU-Net's own planner chose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.records import Configuration, Intensities, MachineProfile
from autoseg.stages.plan import PlanInputs, PlanOptions, load_preset, plan_configurations
from autoseg.stages.plan.nnunet import lowres_network, size_network
from autoseg.stages.plan.spacing import median_shape, target_spacing, transposition

EXAMPLES = Path(__file__).resolve().parents[3] / "plans" / "examples"
GOLDEN = json.loads((EXAMPLES / "nnunet_golden.json").read_text())["cases"]
SCHEMES = {"CTNormalization": "ct", "ZScoreNormalization": "zscore"}
TINY_MACHINE = MachineProfile(device="cpu", name="tiny", cores=1, memory_bytes=10**9, precision="float32")
INTENSITIES = Intensities(mean=100, median=99, std=50, min=-1000, max=3000, percentile_00_5=-900, percentile_99_5=1200)


def golden_inputs(case: str) -> PlanInputs:
    """nnU-Net's files as planning facts; 2D images lose the dummy axis, and their spacing is unknown."""
    dataset, facts = GOLDEN[case]["dataset"], GOLDEN[case]["fingerprint"]
    flat = all(shape[0] == 1 for shape in facts["shapes_after_crop"])
    start = 1 if flat else 0
    return PlanInputs(
        rank=2 if flat else 3,
        spacings_mm=tuple(None if flat else tuple(spacing) for spacing in facts["spacings"]),
        shapes_after_crop=tuple(tuple(shape[start:]) for shape in facts["shapes_after_crop"]),
        n_training=dataset["numTraining"],
        n_validation=dataset["numTraining"] // 5,
        channels=tuple(dataset["channel_names"].values()),
        n_labels=len(dataset["labels"]),
        n_outputs=len(dataset["labels"]),
        relative_size_after_crop=facts["median_relative_size_after_cropping"],
        intensities=(INTENSITIES,) * len(dataset["channel_names"]),
    )


def plan_as_nnunet(inputs: PlanInputs, options: PlanOptions | None = None) -> dict[str, Configuration]:
    return plan_configurations(inputs, TINY_MACHINE, options or PlanOptions(preset="nnunet"), load_preset("nnunet"))


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("name", ["2d", "3d_fullres"])
def test_golden(case: str, name: str) -> None:
    configurations, expected = plan_as_nnunet(golden_inputs(case)), GOLDEN[case]["plans"]
    if name not in expected:
        assert name not in configurations
        return
    ours, theirs = configurations[name], expected[name]
    assert list(ours.training.patch_size) == theirs["patch"]
    assert ours.training.batch_size == theirs["bs"]
    assert ours.training.batch_dice == theirs["batch_dice"]
    assert [list(stride) for stride in ours.network.strides] == theirs["strides"]
    assert [list(kernel) for kernel in ours.network.kernel_sizes] == theirs["kernels"]
    assert list(ours.network.features) == theirs["features"]
    assert ours.network.n_stages == theirs["n_stages"]
    assert list(ours.median_shape) == theirs["median"]
    assert [entry.scheme for entry in ours.preparation.normalization] == [SCHEMES[scheme] for scheme in theirs["norm"]]
    assert [entry.use_mask for entry in ours.preparation.normalization] == theirs["mask"]
    if ours.preparation.spacing_mm is None:
        assert theirs["spacing"] == [1.0, 1.0]
        assert ours.preparation.transpose == (0, 1)
    else:
        grid = [value for value in ours.preparation.spacing_mm if value is not None]
        assert grid == pytest.approx(theirs["spacing"], abs=1e-4)
        assert list(ours.preparation.transpose) == expected["transpose_forward"]


@pytest.mark.parametrize("case", [case for case in GOLDEN if "3d_fullres" in GOLDEN[case]["plans"]])
def test_lowres_search(case: str) -> None:
    inputs, rule = golden_inputs(case), load_preset("nnunet").size
    target, _ = target_spacing(inputs)
    order = transposition(target)
    spacing = tuple(target[axis] for axis in order)
    inputs = replace(
        inputs,
        **{
            "spacings_mm": tuple(tuple(s[axis] for axis in order) for s in inputs.spacings_mm if s),
            "shapes_after_crop": tuple(tuple(s[axis] for axis in order) for s in inputs.shapes_after_crop),
        },
    )
    median = median_shape(inputs, spacing)
    voxels = median[0] * median[1] * median[2] * inputs.n_training
    fullres = size_network(inputs, spacing, median, voxels, rule, 8e9)
    found, expected = lowres_network(inputs, fullres, rule, 8e9), GOLDEN[case]["lowres"]
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.spacing == pytest.approx(expected["spacing"], abs=1e-4)
        assert list(found.median) == expected["median"]
        assert list(found.patch_size) == expected["patch"]
        assert found.batch_size == expected["bs"]


def test_recipe_and_length_are_nnunets_on_a_tiny_cpu() -> None:
    configuration = plan_as_nnunet(golden_inputs("brain_iso_1mm"))["3d_fullres"]
    training = configuration.training
    assert (training.epochs, training.steps_per_epoch, training.validation_steps) == (1000, 250, 50)
    assert (training.initial_lr, training.momentum, training.weight_decay) == (0.01, 0.99, 3e-5)
    assert training.mirror_axes == configuration.inference.mirror_axes == (0, 1, 2)
    assert not configuration.preparation.canonical_orientation
    assert training.time_budget_seconds is None


def test_a_2d_network_on_volumes_leaves_the_slice_axis() -> None:
    configuration = plan_as_nnunet(golden_inputs("coronal_ct"))["2d"]
    assert configuration.slice_axis == 0
    assert configuration.preparation.transpose == (1, 0, 2)
    assert configuration.preparation.spacing_mm == (None, 0.8, 0.8)
    assert (configuration.preparation.normalization[0].lower, configuration.preparation.normalization[0].upper) == (-900, 1200)


def test_volumes_of_one_slice_get_no_3d_network() -> None:
    inputs = replace(golden_inputs("brain_iso_1mm"), spacings_mm=((5.0, 1.0, 1.0),) * 10, shapes_after_crop=((1, 256, 256),) * 10)
    assert list(plan_as_nnunet(inputs)) == ["2d"]


def test_epochs_and_memory_are_followed_when_asked_for() -> None:
    options = PlanOptions(preset="nnunet", epochs=7, memory_bytes=16e9)
    configuration = plan_as_nnunet(golden_inputs("hippocampus"), options)["3d_fullres"]
    assert configuration.training.epochs == 7
    # twice the reference gives twice 9.4; 5 % of 260 cases of 63000 voxels are 9 patches of 40x56x40
    assert configuration.training.batch_size == 9
    larger = plan_as_nnunet(golden_inputs("brain_iso_1mm"), options)["3d_fullres"]
    assert larger.training.patch_size > (128, 128, 128)
