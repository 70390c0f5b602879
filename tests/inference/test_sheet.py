"""A sheet of pictures holds its cells where they belong, in true proportions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.inference.overlay import GAP, PALETTE
from autoseg.inference.sheet import CELL_LONG_SIDE, Cell, Row, save_sheet


def cell(grey: float, value: int = 0, words: tuple[str, ...] = ("a",)) -> Cell:
    image = np.full((1, 20, 30), grey, np.float32)
    image[0, 0, 0], image[0, -1, -1] = 0, 1
    labels = np.zeros((20, 30), np.int16)
    labels[8:12, 10:20] = value
    return Cell(image, labels, words)


def test_cells_stand_beside_one_another_and_rows_below(tmp_path: Path) -> None:
    rows = [Row("one", (cell(0.2), cell(0.8, 1))), Row("two", (cell(0.5), cell(0.5)))]
    save_sheet(tmp_path / "sheet.png", rows, {1: "head"}, rgb=False)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    assert sheet.shape[1] == 2 * CELL_LONG_SIDE + GAP
    height = CELL_LONG_SIDE * 20 // 30
    assert sheet.shape[0] > 2 * height
    below = 60 + height // 4  # under the headings
    assert sheet[below, 20, 0] < 100 < sheet[below, CELL_LONG_SIDE + GAP + 20, 0], "grey values of a row share one window"
    coloured = (np.abs(sheet - PALETTE[0]).sum(axis=2) < 40)[: height + 60]
    assert coloured[:, CELL_LONG_SIDE:].any() and not coloured[:, :CELL_LONG_SIDE].any(), "contours only where labels are"


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    save_sheet(tmp_path / "sheet.png", [Row("one", (cell(0.2),))], {}, rgb=False, pixel_ratio=3.0)
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.width == CELL_LONG_SIDE * 30 // 60 and sheet.height > CELL_LONG_SIDE


def test_long_headings_are_broken(tmp_path: Path) -> None:
    words = tuple(f"transform {index}" for index in range(12))
    for name, heading in (("short", words[:1]), ("long", words)):
        save_sheet(tmp_path / f"{name}.png", [Row("one", (cell(0.2, words=heading),))], {}, rgb=False)
    short, long = (Image.open(tmp_path / f"{name}.png") for name in ("short", "long"))
    assert long.width == short.width and long.height > short.height + 30
