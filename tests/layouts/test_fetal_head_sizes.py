"""Millimetres of HC18's images after they were stretched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.stages.index import index_dataset

from .fetal_head_set import HEIGHT, WIDTH, write_set

TABLE = "filename,pixel size(mm),head circumference (mm)\n001_HC.png,0.1,60\n001_2HC.png,0.2,61\n010_HC.png,0.3,62\n"


def spacings(root: Path) -> tuple[dict[str, tuple[float, ...] | None], str]:
    dataset, faults = index_dataset(root, layout="fetal-head")
    assert dataset is not None and not faults
    return {case.id: case.spacing_mm for case in dataset.cases if case.group == "Diverse"}, "\n".join(dataset.notes)


def test_the_usual_size_is_assumed_and_told(tmp_path: Path) -> None:
    """800x540 pixels became 48x33: a pixel of 0.1 mm is 0.1 * 540 / 33 mm high and 0.1 * 800 / 48 mm wide."""
    root = write_set(tmp_path / "set")
    (root / "training_set_pixel_size_and_HC.csv").write_text(TABLE)
    found, notes = spacings(root)
    for name, size in (("001_HC", 0.1), ("001_2HC", 0.2), ("010_HC", 0.3)):
        assert found[name] == pytest.approx((size * 540 / HEIGHT, size * 800 / WIDTH))
    assert "3 of them are taken to have had 800x540 pixels" in notes


def test_hc18_s_own_images_tell_their_size(tmp_path: Path) -> None:
    root, hc18 = write_set(tmp_path / "set"), tmp_path / "set" / "HC18"
    (hc18 / "training_set").mkdir(parents=True)
    (hc18 / "training_set_pixel_size_and_HC.csv").write_text(TABLE)
    Image.fromarray(np.zeros((66, 100), np.uint8)).save(hc18 / "training_set" / "001_HC.png")
    found, notes = spacings(root)
    assert found["001_HC"] == pytest.approx((0.1 * 66 / HEIGHT, 0.1 * 100 / WIDTH))
    assert found["010_HC"] == pytest.approx((0.3 * 540 / HEIGHT, 0.3 * 800 / WIDTH))
    assert "for each axis as they were stretched" in notes and "2 of them are taken to have had" in notes


def test_without_the_table_nothing_is_known(tmp_path: Path) -> None:
    found, notes = spacings(write_set(tmp_path / "set"))
    assert set(found.values()) == {None} and "Diverse: no pixel sizes" in notes


def test_a_stretched_image_beside_the_table_does_not_tell_its_own_size(tmp_path: Path) -> None:
    """The images of Diverse lie where HC18's table does."""
    root = write_set(tmp_path / "set")
    place = next(file for file in root.rglob("001_HC.png") if "Segmentation" not in str(file)).parent
    (place / "training_set_pixel_size_and_HC.csv").write_text(TABLE)
    found, notes = spacings(root)
    assert found["001_HC"] == pytest.approx((0.1 * 540 / HEIGHT, 0.1 * 800 / WIDTH))
    assert "3 of them are taken to have had 800x540 pixels" in notes
