"""Presets on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoseg.errors import PlanError, RecordError
from autoseg.stages.plan import load_preset, preset_names


def test_shipped_presets_load_under_their_own_names() -> None:
    assert {"default", "nnunet"} <= set(preset_names())
    assert all(load_preset(name).name == name for name in preset_names())


def test_the_presets_of_nnunet_have_its_references() -> None:
    assert {"nnunet", "nnunet-resenc-l", "nnunet-resenc-m", "nnunet-resenc-xl"} == set(preset_names()) - {"default"}
    references = {
        "": (560e6, 85e6, 8),
        "-resenc-m": (680e6, 135e6, 8),
        "-resenc-l": (2.1e9, 380e6, 24),
        "-resenc-xl": (3.6e9, 560e6, 40),
    }
    for name, (volumes, images, gigabytes) in references.items():
        preset = load_preset(f"nnunet{name}")
        assert preset.size.reference_elements == {2: images, 3: volumes}
        assert preset.size.reference_memory_bytes == gigabytes * 1e9
        assert preset.size.largest_dataset_share == (1 if name else 0.05)
        assert preset.size.family == ("residual_unet" if name else "plain_unet")
        assert not preset.fit_machine


def test_unknown_name() -> None:
    with pytest.raises(PlanError, match="choose default, nnunet"):
        load_preset("best")


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    data = {**load_preset("default").model_dump(mode="json"), "name": "mine"}
    (tmp_path / "mine.json").write_text(json.dumps(data))
    assert load_preset(str(tmp_path / "mine.json")).name == "mine"
    (tmp_path / "bad.json").write_text(json.dumps({**data, "speed": 3}))
    with pytest.raises(RecordError, match="speed"):
        load_preset(str(tmp_path / "bad.json"))


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("", {"memory_share": 7}, "memory_share: Input should be less than or equal to 1, not 7"),
        ("length", {"epochs": 0}, "length.epochs: Input should be greater than 0, not 0"),
        ("budget", {"slack": 1}, "budget.slack: Input should be less than 1, not 1"),
        ("budget", {"widths": []}, "budget.widths"),
        ("budget", {"coarsenings": [0.5]}, "budget.coarsenings.0: Input should be greater than or equal to 1, not 0.5"),
    ],
)
def test_numbers_that_make_no_plan(tmp_path: Path, section: str, changes: dict[str, object], message: str) -> None:
    data = load_preset("default").model_dump(mode="json")
    (data[section] if section else data).update(changes)
    (tmp_path / "bad.json").write_text(json.dumps(data))
    with pytest.raises(RecordError, match=message):
        load_preset(str(tmp_path / "bad.json"))
