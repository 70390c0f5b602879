"""A plan edited by hand: every fault is named with its path, and what would be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import RecordError
from autoseg.records import Plan
from autoseg.records.plan_checks import nearest_divisible
from autoseg.records.plan_faults import plan_faults
from tests.learning.cases import small_configuration, small_plan


def volume_plan() -> Plan:
    """A cascade of volumes and a network of slices."""
    base = small_configuration(patch=(32, 32, 32)).model_copy(update={"name": "3d_fullres"})
    lowres = base.model_copy(update={"name": "3d_lowres", "next_stage": "3d_cascade_fullres"})
    network = base.network.model_copy(update={"in_channels": 2})  # the image, and the first stage's mask of the square
    cascade = base.model_copy(update={"name": "3d_cascade_fullres", "previous_stage": "3d_lowres", "network": network})
    flat = small_configuration(slice_axis=0)
    flat = flat.model_copy(update={"preparation": base.preparation})
    held = {configuration.name: configuration for configuration in (base, flat, lowres, cascade)}
    return small_plan(base).model_copy(update={"configurations": held})


def edited(changes: dict[str, Any]) -> dict[str, Any]:
    """The plan's JSON with values set at paths written with dots; `...` deletes."""
    content: dict[str, Any] = volume_plan().model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split(".")
        held: Any = content
        for parent in parents:
            held = held[int(parent) if isinstance(held, list) else parent]
        if value is ...:
            del held[last]
        else:
            held[int(last) if isinstance(held, list) else last] = value
    return content


def test_a_sound_plan_has_none() -> None:
    assert Plan.faults_in(edited({})) == []
    assert plan_faults(volume_plan()) == []


FULLRES, FLAT = "configurations.3d_fullres", "configurations.2d"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "configurations.3d_cascade_fullres.network.in_channels",
            1,
            "but the second stage of a cascade sees 2: the data's (image) and one mask of 3d_lowres per structure (square)",
        ),
        ("default", "4d", "no configuration '4d'; there are 3d_fullres, 2d, 3d_lowres, 3d_cascade_fullres"),
        ("colour", "red", "is not known here; there are"),
        (f"{FULLRES}.name", "mine", "'mine' must be '3d_fullres'"),
        (f"{FULLRES}.slice_axis", 0, "0, but the network has all 3 axes"),
        (f"{FLAT}.slice_axis", None, "none must be one of 0 .. 2"),
        (f"{FLAT}.slice_axis", 3, "3 must be one of 0 .. 2"),
        (f"{FLAT}.next_stage", "3d_fullres", "3d_fullres must name 2d as its previous_stage"),
        (f"{FLAT}.previous_stage", "mine", "there is no configuration 'mine'"),
        (f"{FULLRES}.median_shape", [32, 32], "32.0,32.0 must have 3 positive numbers"),
        (f"{FULLRES}.preparation.transpose", [0, 1, 1], "0,1,1 must be an order of the axes 0,1,2"),
        (f"{FULLRES}.preparation.spacing_mm", [1, 2], "1.0,2.0 must have 3 numbers"),
        (f"{FULLRES}.preparation.spacing_mm", [1, 0, None], "1.0,0.0,none must be above 0"),
        (f"{FULLRES}.preparation.normalization", [], "0 entries, but 1 channels (image)"),
        (f"{FULLRES}.preparation.normalization.0", {"scheme": "ct"}, "lower 0 must be below upper 0"),
        (f"{FULLRES}.preparation.image_order", 2, "2 must be 0 (nearest), 1 (linear) or 3 (cubic)"),
        (f"{FULLRES}.preparation.label_order", 3, "3 must be 0 (nearest) or 1 (linear)"),
        (f"{FULLRES}.network.in_channels", 2, "2, but the data have 1 (image)"),
        (f"{FULLRES}.network.out_channels", 3, "3, but there are 2 to tell apart (background, square)"),
        (f"{FULLRES}.network.features", [4, 0, 8], "4,0,8 must be above 0"),
        (f"{FULLRES}.network.strides.0", [2, 2, 2], "the first stage keeps the image's size"),
        (f"{FULLRES}.network.strides.1", [2, 2], "every entry needs 3 positive numbers"),
        (f"{FULLRES}.network.kernel_sizes.1", [3, 2, 3], "kernels must be odd"),
        (f"{FULLRES}.network.encoder_blocks", [2, 2], "2 entries for 3 stages; set 2,2,2"),
        (f"{FULLRES}.network.decoder_convs", [2, 2, 2], "3 entries for 2 stages but the deepest; set 2,2"),
        (f"{FULLRES}.network.deep_supervision", "maybe", 'must be true or false, not "maybe"'),
        (f"{FULLRES}.training.patch_size", [32, 32, 30], "32,32,30 is not a multiple of the network's strides 4,4,4"),
        (f"{FULLRES}.training.patch_size", [32, 32], "32,32 must have 3 axes"),
        (f"{FULLRES}.training.epochs", 0, "0 must be above 0"),
        (f"{FULLRES}.training.epochs", 1.5, "must be a whole number, not 1.5"),
        (f"{FULLRES}.training.momentum", 1.0, "1.0 must be below 1"),
        (f"{FULLRES}.training.seed", -1, "-1 must not be below 0"),
        (f"{FULLRES}.training.initial_lr", float("nan"), "must be a finite number, not NaN"),
        (f"{FULLRES}.training.batchsize", 4, "did you mean batch_size?"),
        (f"{FULLRES}.training.batch_size", ..., "is missing"),
        (f"{FULLRES}.training.optimizer", "lion", "must be one of 'sgd' or 'adamw', not \"lion\""),
        (f"{FULLRES}.inference", None, "must be an object"),
        (f"{FULLRES}.inference.mirror_axes", [0, 3], "0,3 must be different axes of 0 .. 2"),
        (f"{FULLRES}.inference.step_fraction", 1.1, "1.1 must be at most 1"),
    ],
)
def test_each_fault_names_its_path_and_the_cure(path: str, value: object, words: str) -> None:
    faults = Plan.faults_in(edited({path: value}))
    assert any(fault.startswith(path.removesuffix(".0").removesuffix(".1")) and words in fault for fault in faults), faults


@pytest.mark.parametrize("name", ["../../elsewhere", "", ".hidden", "a/b", "a\\b"])
def test_a_configuration_may_not_name_a_folder_elsewhere(name: str) -> None:
    content = edited({})
    content["configurations"][name] = {**content["configurations"]["2d"], "name": name}
    faults = Plan.faults_in(content)
    assert any(f"configurations.{name}: a configuration names a folder" in fault for fault in faults), faults


def test_both_kinds_of_all_configurations_in_one_message(tmp_path: Path) -> None:
    content = edited(
        {
            f"{FULLRES}.training.batch_size": "four",  # one that cannot be read does not hide its neighbours
            f"{FULLRES}.training.epochs": -1,
            f"{FULLRES}.training.patch_size": [33, 32, 32],
            f"{FLAT}.inference": None,
            f"{FLAT}.network.in_channels": 7,
            "configurations.3d_cascade_fullres.preparation.transpose": [1, 0, 2],
            "default": "mine",
            "rank": "three",
        }
    )
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError) as caught:
        Plan.load(path)
    lines = str(caught.value).splitlines()[1:]
    for expected in (
        f"  {FULLRES}.training.batch_size: must be a whole number",
        f"  {FULLRES}.training.epochs: -1 must be above 0",
        f"  {FULLRES}.training.patch_size: 33,32,32 is not a multiple",
        f"  {FLAT}.inference: must be an object",
        f"  {FLAT}.network.in_channels: 7",
        "  configurations.3d_cascade_fullres.preparation.transpose: 1,0,2 must be 0,1,2, as in 3d_lowres",
        "  default: there is no configuration 'mine'",
        "  rank: ",
    ):
        assert sum(line.startswith(expected) for line in lines) == 1, expected
    assert len(lines) == 8, "and no more: what follows from a fault is not told"


@pytest.mark.parametrize(
    "content", [[], "text", {"configurations": 3}, {"configurations": {"2d": 3}}, {"configurations": {"2d": {}}}]
)
def test_nonsense_is_refused_in_words(tmp_path: Path, content: object) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="not a valid Plan record"):
        Plan.load(path)


def test_a_plan_of_another_format_is_not_judged_by_this_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"format": 1, "colour": "red"}')
    with pytest.raises(
        RecordError, match="has format 1, this version reads 3; plan the data set again into a new folder"
    ) as caught:
        Plan.load(path)
    assert "colour" not in str(caught.value)


def test_nearest_divisible() -> None:
    assert nearest_divisible((100, 3), (16, 16)) == (96, 16)
    assert nearest_divisible((104, 24), (16, 16)) == (112, 32)
