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
