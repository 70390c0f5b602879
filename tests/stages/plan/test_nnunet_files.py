"""Planning from files alone: nnU-Net's, or ours; and the plan as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import AutosegError, PlanError
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Splits
from autoseg.stages.plan import PlanOptions, load_preset
from autoseg.stages.plan.nnunet_files import as_json, inputs_from_files, plan_from_files

Records = tuple[Dataset, Fingerprint, Splits]
NUMBERS = {"mean": 40.0, "median": 41.0, "std": 9.0, "min": -5.0, "max": 99.0, "percentile_00_5": 1.0, "percentile_99_5": 80.0}
VOLUMES = {
    "spacings": [[1.0, 1.0, 1.0]] * 4,
    "shapes_after_crop": [[64, 64, 64]] * 4,
    "foreground_intensity_properties_per_channel": {"0": NUMBERS},
    "median_relative_size_after_cropping": 1.0,
}
PICTURES = VOLUMES | {"spacings": [[999, 1, 1]] * 4, "shapes_after_crop": [[1, 300, 400]] * 4}
DECLARED = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}, "numTraining": 4, "file_ending": ".nii.gz"}
HEAVY = ("torch", "monai", "SimpleITK", "scipy", "matplotlib", "nibabel", "blosc2", "batchgenerators")


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Writes the two files."""

    def write(facts: dict[str, Any] = VOLUMES, declared: dict[str, Any] = DECLARED) -> tuple[Path, Path]:
        paths = tmp_path / "dataset_fingerprint.json", tmp_path / "dataset.json"
        for path, content in zip(paths, (facts, declared), strict=True):
            path.write_text(json.dumps(content))
        return paths

    return write


def planned(files: tuple[Path, Path], preset: str, machine: MachineProfile) -> dict[str, Configuration]:
    return plan_from_files(*files, PlanOptions(preset=preset), machine)


def test_json_says_all_of_a_configuration(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile) -> None:
    whole = json.loads(as_json(planned(files(), "nnunet-resenc-m", gpu), "nnunet-resenc-m"))
    assert whole["preset"] == "nnunet-resenc-m"
    assert whole["transpose_forward"] == [0, 1, 2]
    assert list(whole["configurations"]) == ["3d_fullres", "2d"]
    assert whole["configurations"]["3d_fullres"] == {
        "patch_size": [64, 64, 64],
        "batch_size": 4,  # the whole data set
        "spacing_mm": [1.0, 1.0, 1.0],
        "median_shape": [64.0, 64.0, 64.0],
        "strides": [[1, 1, 1], *[[2, 2, 2]] * 4],
        "kernel_sizes": [[3, 3, 3]] * 5,
        "features": [32, 64, 128, 256, 320],
        "n_stages": 5,
        "network": "residual_unet",
        "encoder_blocks": [1, 3, 4, 6, 6],
        "decoder_convs": [1, 1, 1, 1],
        "batch_dice": False,
        "normalization": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "epochs": 1000,
        "steps_per_epoch": 250,
    }


def test_a_cascade_names_its_stages(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile) -> None:
    facts = VOLUMES | {"shapes_after_crop": [[400, 512, 512]] * 4}
    found = json.loads(as_json(planned(files(facts), "nnunet", gpu), "nnunet"))["configurations"]
    assert list(found) == ["3d_fullres", "2d", "3d_lowres", "3d_cascade_fullres"]
    assert found["3d_lowres"]["next_stage"] == "3d_cascade_fullres"
    assert found["3d_cascade_fullres"] == found["3d_fullres"] | {"previous_stage": "3d_lowres"}
    assert [found[name]["batch_dice"] for name in found] == [True, True, False, True]


def test_ct_takes_its_numbers_from_the_fingerprint(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile) -> None:
    scheme = planned(files(), "nnunet", gpu)["2d"].preparation.normalization[0]
    assert (scheme.mean, scheme.std, scheme.lower, scheme.upper) == (40.0, 9.0, 1.0, 80.0)
    assert planned(files({key: value for key, value in VOLUMES.items() if "intensity" not in key}), "nnunet", gpu)
    undefined = VOLUMES | {"foreground_intensity_properties_per_channel": {"0": dict.fromkeys(NUMBERS, float("nan"))}}
    assert planned(files(undefined, DECLARED | {"channel_names": {"0": "T1"}}), "nnunet", gpu)
    with pytest.raises(PlanError, match=r"dataset_fingerprint\.json: foreground_intensity_properties_per_channel\.0\.mean"):
        planned(files(undefined), "nnunet", gpu)


@pytest.mark.parametrize("preset", ["nnunet", "nnunet-resenc-l"])
def test_pictures_get_a_2d_network_only(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile, preset: str) -> None:
    found = json.loads(as_json(planned(files(PICTURES), preset, gpu), preset))
    assert list(found["configurations"]) == ["2d"]
    assert found["transpose_forward"] == [0, 1, 2]
    assert found["configurations"]["2d"]["spacing_mm"] == [1.0, 1.0]
    assert found["configurations"]["2d"]["median_shape"] == [300.0, 400.0]


def test_default_does_not_take_the_dummy_spacing_for_mm(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile) -> None:
    found = planned(files(PICTURES), "default", gpu)
    assert list(found) == ["2d"]
    assert found["2d"].slice_axis is None
    assert found["2d"].preparation.spacing_mm is None
    entry = json.loads(as_json(found, "default"))
    assert entry["configurations"]["2d"]["spacing_mm"] is None
    assert entry["transpose_forward"] == [0, 1, 2]
    # images with a pixel size have 999 times their larger one: here rows 0.2 mm apart, columns 0.1 mm
    in_mm = files(PICTURES | {"spacings": [[999 * 0.2, 0.2, 0.1]] * 4})
    assert planned(in_mm, "default", gpu)["2d"].preparation.spacing_mm == (0.2, 0.1)
    # a thick slice is no dummy
    slices = files(PICTURES | {"spacings": [[5.0, 1.0, 1.0]] * 4})
    assert planned(slices, "default", gpu)["2d"].slice_axis == 0


def test_labels_are_counted_as_nnunet_counts_them(files: Callable[..., tuple[Path, Path]]) -> None:
    nnunet = load_preset("nnunet")

    def counted(labels: dict[str, Any]) -> tuple[int, int]:
        inputs = inputs_from_files(*files(declared=DECLARED | {"labels": labels}), nnunet)
        return inputs.n_labels, inputs.n_outputs

    assert counted({"background": 0, "a": 1, "b": 2}) == (3, 3)
    assert counted({"background": 0, "a": 1, "b": 2, "ignore": 3}) == (4, 3)
    assert counted({"background": 0, "whole": [1, 2], "b": 2, "ignore": 3}) == (4, 2)
    assert counted({"background": 0, "a": [1]}) == (2, 2)  # one value is no region


def test_ours_give_the_plan_of_the_run(records: Callable[..., Records], gpu: MachineProfile, tmp_path: Path) -> None:
    dataset, fingerprint, _ = records()
    dataset.save(tmp_path / "dataset.json")
    fingerprint.save(tmp_path / "fingerprint.json")
    found = plan_from_files(tmp_path / "fingerprint.json", tmp_path / "dataset.json", PlanOptions(), gpu)
    assert found["2d"].preparation.spacing_mm == (0.2, 0.2)
    nnunet = plan_from_files(tmp_path / "fingerprint.json", tmp_path / "dataset.json", PlanOptions(preset="nnunet"), gpu)
    assert json.loads(as_json(nnunet, "nnunet"))["configurations"]["2d"]["spacing_mm"] == [1.0, 1.0]


def test_every_fault_is_told_with_its_file_and_key(files: Callable[..., tuple[Path, Path]], gpu: MachineProfile) -> None:
    facts = {"spacings": [[1.0, -1.0, 1.0]] * 3, "median_relative_size_after_cropping": 0.5}
    declared = {"labels": {"background": 0}, "numTraining": "many"}
    with pytest.raises(PlanError) as caught:
        planned(files(facts, declared), "nnunet", gpu)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert [line.split(": ")[1] for line in lines] == [
        "spacings.0.1",
        "spacings.1.1",
        "spacings.2.1",
        "shapes_after_crop",
        "numTraining",
    ]
    assert "dataset_fingerprint.json" in lines[3]
    assert "dataset.json" in lines[4]


@pytest.mark.parametrize(
    ("facts", "declared", "said"),
    [
        (VOLUMES | {"spacings": [[1.0, 1.0, 1.0]]}, DECLARED, "1 spacings, but 4 shapes_after_crop"),
        (VOLUMES, {"labels": {"background": 0}, "numTraining": 4}, "channel_names is missing"),
        ({"a": 1}, DECLARED, "neither nnU-Net's"),
        (VOLUMES, {"name": "x"}, "it lacks cases, targets"),
        (VOLUMES, {"targets": [], "cases": []}, "is nnU-Net's, but .* is autoseg's"),
    ],
)
def test_files_that_cannot_be_used(
    files: Callable[..., tuple[Path, Path]], gpu: MachineProfile, facts: dict[str, Any], declared: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        planned(files(facts, declared), "nnunet", gpu)


def test_files_that_cannot_be_read(tmp_path: Path, gpu: MachineProfile) -> None:
    broken, missing = tmp_path / "broken.json", tmp_path / "missing.json"
    broken.write_text("{")
    with pytest.raises(PlanError) as caught:
        plan_from_files(broken, missing, PlanOptions(), gpu)
    assert "broken.json is not JSON" in str(caught.value)
    assert "missing.json cannot be read" in str(caught.value)


def test_a_fingerprint_of_other_data(records: Callable[..., Records], gpu: MachineProfile, tmp_path: Path) -> None:
    dataset, fingerprint, _ = records()
    dataset.model_copy(update={"cases": dataset.cases[1:]}).save(tmp_path / "dataset.json")
    fingerprint.save(tmp_path / "fingerprint.json")
    with pytest.raises(AutosegError, match=r"another data set .*\(case_0\)"):
        plan_from_files(tmp_path / "fingerprint.json", tmp_path / "dataset.json", PlanOptions(), gpu)


def test_the_command_imports_nothing_heavy(files: Callable[..., tuple[Path, Path]]) -> None:
    fingerprint, dataset = files()
    arguments = ["plan", "--fingerprint", str(fingerprint), "--dataset-json", str(dataset), "--preset", "nnunet", "--json"]
    code = (
        "import sys\n"
        "from autoseg.cli import main\n"
        f"sys.argv = ['autoseg', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["configurations"]["3d_fullres"]["batch_size"] == 2
    assert done.stderr.strip() == "[]"
