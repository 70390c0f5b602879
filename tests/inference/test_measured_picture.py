"""Pictures of measured cases: ellipse and lines lie where they were measured, and the words are whole."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.inference.measured_picture import INK, LONG_SIDE, _beside, save_measured_picture, save_measured_volume
from autoseg.metrics.measures import Measured, measure_structure
from autoseg.volume.ellipse import Ellipse
from tests.metrics.head_shapes import filled

STRUCTURES = {"Brain": (1,), "LV": (2,), "head": (1, 2)}


def _head(spacing: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    shape = (int(80 / spacing[0]), int(100 / spacing[1]))
    labels = filled(shape, spacing, Ellipse((40.0, 50.0), (36.0, 28.0), 0.3)).astype(np.uint8)
    labels[filled(shape, spacing, Ellipse((33.0, 38.0), (8.0, 4.0), 0.3))] = 2
    return labels


def _measured(labels: np.ndarray, spacing: tuple[float, ...] | None) -> dict[str, Measured]:
    return {
        name: measure_structure(name, np.isin(labels, values), spacing, "hadlock-1984") for name, values in STRUCTURES.items()
    }


def _drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        return np.asarray(picture).astype(int)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.25, 0.8)])
def test_the_ellipse_is_drawn_where_it_was_measured_in_true_proportions(tmp_path: Path, spacing: tuple[float, float]) -> None:
    labels = _head(spacing)
    save_measured_picture(tmp_path / "a" / "case.png", None, labels, STRUCTURES, _measured(labels, spacing), spacing)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["case.png"]
    picture = _drawn(tmp_path / "a" / "case.png")
    zoom = LONG_SIDE / 100  # the picture is 100 mm wide
    assert picture.shape[1] == pytest.approx(LONG_SIDE, abs=2)
    ink = np.abs(picture - INK).sum(axis=-1) < 60
    for turn in np.linspace(0.2, 6.0, 7):
        u, v = 36 * math.cos(turn), 28 * math.sin(turn)
        y, x = 40 + u * math.sin(0.3) + v * math.cos(0.3), 50 + u * math.cos(0.3) - v * math.sin(0.3)
        row, column = round((y + spacing[0] / 2) * zoom), round((x + spacing[1] / 2) * zoom)
        assert ink[row - 5 : row + 6, column - 5 : column + 6].any()
    assert not ink[: round(8 * zoom), : round(15 * zoom)].any()  # nothing outside of the head


def test_without_spacing_nothing_is_drawn_but_contours(tmp_path: Path) -> None:
    labels = _head()
    save_measured_picture(tmp_path / "case.png", np.zeros((1, *labels.shape)), labels, STRUCTURES, _measured(labels, None), None)
    picture = _drawn(tmp_path / "case.png")
    height = round(LONG_SIDE * labels.shape[0] / labels.shape[1])
    assert not (np.abs(picture[:height] - INK).sum(axis=-1) < 60).any()
    assert picture.shape[0] > height  # the words are below


def test_colour_images_and_tiny_ones(tmp_path: Path) -> None:
    labels = np.zeros((12, 9), np.uint8)
    labels[3:9, 2:7] = 1
    found = {"Brain": measure_structure("Brain", labels == 1, (1.0, 1.0), "hadlock-1984")}
    image = np.zeros((3, 12, 9), np.uint8)
    image[0] = 200
    image[:, 0, 0] = (0, 0, 0)
    save_measured_picture(tmp_path / "case.png", image, labels, {"Brain": (1,)}, found, (1.0, 1.0))
    assert _drawn(tmp_path / "case.png").shape[1] == 480  # room for the words


def test_a_volume_with_its_volumes(tmp_path: Path) -> None:
    labels = np.zeros((20, 30, 30), np.uint8)
    labels[5:15, 5:25, 5:25] = 1
    found = {"organ": measure_structure("organ", labels == 1, (2.0, 1.0, 1.0), "hadlock-1984")}
    save_measured_volume(tmp_path / "case.png", None, labels, {"organ": (1,)}, found, (2.0, 1.0, 1.0))
    assert _drawn(tmp_path / "case.png").shape[1] > 480


def test_words_stand_clear_of_their_line() -> None:
    for end in ((300.0, 0.0), (0.0, 300.0), (200.0, 200.0)):
        wide, high = 120.0, 30.0
        for x, y in _beside((0.0, 0.0), end, (wide, high)):
            corners = [(x + a * wide / 2, y + b * high / 2) for a in (-1, 1) for b in (-1, 1)]
            sides = [end[0] * b - end[1] * a for a, b in corners]
            assert min(sides) > 0 or max(sides) < 0
