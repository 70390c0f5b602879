"""Label and network side by side, and where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.inference.comparison import PANEL_LONG_SIDE, SHADE, Comparison, save_comparison
from autoseg.inference.overlay import GAP, PALETTE


def shown(label: np.ndarray, model: np.ndarray, spacing: tuple[float, ...] | None = None) -> Comparison:
    random = np.random.default_rng(0)
    return Comparison(random.uniform(0, 0.2, (1, *label.shape)).astype(np.float32), label, model, spacing)


def drawn(path: Path, comparison: Comparison, sentences: tuple[str, ...] = ()) -> np.ndarray:
    save_comparison(path, comparison, {1: "head", 2: "csp"}, "1. case", sentences)
    return np.asarray(Image.open(path)).astype(int)


def near(picture: np.ndarray, colour: tuple[int, int, int], within: int = 40) -> np.ndarray:
    return np.abs(picture - colour).sum(axis=2) < within


def box(shape: tuple[int, ...], *sides: slice) -> np.ndarray:
    labels = np.zeros(shape, np.int16)
    labels[sides] = 1
    return labels


def test_contours_of_either_side_and_the_difference_shaded(tmp_path: Path) -> None:
    label = box((60, 80), slice(10, 40), slice(10, 30))
    model = box((60, 80), slice(10, 40), slice(10, 50))
    picture = drawn(tmp_path / "a.png", shown(label, model))
    step = PANEL_LONG_SIDE + GAP
    assert picture.shape[1] == 3 * step - GAP
    body = picture[: -2 * 20]  # without the legend
    contour = near(body, PALETTE[0])
    columns = [np.flatnonzero(contour[:, place * step : (place + 1) * step].any(axis=0)) for place in range(3)]
    scale = PANEL_LONG_SIDE / 80
    assert abs(columns[0].max() - 30 * scale) < 4 and abs(columns[1].max() - 50 * scale) < 4
    assert len(columns[2]) == 0, "the third panel shows the image and the difference alone"
    red = (body[..., 0] - body[..., 2] > 60) & ~contour
    shaded = np.flatnonzero(red[:, 2 * step :].any(axis=0))
    assert abs(shaded.min() - 30 * scale) < 3 and abs(shaded.max() - 50 * scale) < 3
    assert near(picture[-60:], SHADE).any() and near(picture[-60:], PALETTE[0]).any()
    assert not near(picture[-60:], PALETTE[1]).any(), "the legend has no structure that is not there"


def test_volume_shows_the_slice_with_most_disagreement_of_each_plane(tmp_path: Path) -> None:
    label = box((20, 30, 40), slice(5, 15), slice(5, 20), slice(5, 20))
    model = label.copy()
    model[12, 5:20, 20:35] = 1
    tall = drawn(tmp_path / "a.png", shown(label, model, (2.0, 1.0, 1.0)))
    flat = drawn(tmp_path / "b.png", shown(label[:4], model[:4], (2.0, 1.0, 1.0)))
    assert tall.shape[0] > 2.5 * flat.shape[0], "three planes of a volume, one of four slices"


def test_nothing_to_show_is_drawn_all_the_same(tmp_path: Path) -> None:
    nothing = np.zeros((16, 16), np.int16)
    assert drawn(tmp_path / "a.png", shown(nothing, nothing)).shape[1] >= 3 * PANEL_LONG_SIDE
    assert drawn(tmp_path / "b.png", shown(np.zeros((9, 9, 9), np.int16), np.zeros((9, 9, 9), np.int16))).size


def test_sentences_are_broken_at_words(tmp_path: Path) -> None:
    label = box((60, 80), slice(10, 40), slice(10, 30))
    short = drawn(tmp_path / "a.png", shown(label, label), ("one",))
    long = drawn(tmp_path / "b.png", shown(label, label), ("one two three " * 40,))
    assert long.shape[1] == short.shape[1] and long.shape[0] > short.shape[0] + 30
