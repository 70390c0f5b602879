"""What a data set says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoseg.layouts.documentary import documentary


def test_texts_that_are_known(tmp_path: Path) -> None:
    told = {"licence": "CC BY 4.0", "reference": "Someone 2020", "description": " ", "authors": ["A"], "labels": {"1": "head"}}
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    assert documentary(tmp_path) == {"reference": "Someone 2020", "licence": "CC BY 4.0"}


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"licence": 4}'])
def test_nothing_where_nothing_can_be_read(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    assert documentary(tmp_path) == {}
    assert documentary(tmp_path / "dataset.json") == {}
