"""Pictures that are predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.predicting import save_picture


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.bmp")):
        save_picture(folder / name, 5 * number)
    return folder
