"""Label maps -> exports of every format -> read -> painted: the very same pixels, and each folder is taken for its own format alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.annotations import FORMATS, boxes
from tests.annotations.exports import BOX_EXPORTS, EXPORTS, painted

LABELS = {"Brain": (255, 0, 0), "CSP": (0, 255, 0), "Lateral Ventricle": (0, 0, 255)}
WITHOUT_MASK_A_FAULT = ("voc", "cityscapes")  # their exports have no mask where nothing is drawn


def structures() -> np.ndarray:
    """A disc with a hole and an island in it, shapes that touch along an edge and at corners, single pixels, and the border of the picture."""
    rows, columns = np.mgrid[:41, :53]
    distance = np.hypot(rows - 20, columns - 22)
    label_map = np.zeros((41, 53), np.uint8)
    label_map[distance < 18], label_map[distance < 9], label_map[distance < 4] = 1, 0, 2
    label_map[10:20, 40:46], label_map[10:20, 46:52] = 2, 3
    label_map[30:34, 44:48], label_map[34:38, 48:52] = 3, 3
    for place, pixel in enumerate([(0, 0), (40, 52), (0, 52), (5, 45), (20, 8), (25, 49)]):
        label_map[pixel] = 1 + place % 3
    label_map[40, 10:30] = 2
    return label_map


MAPS = {
    "x.png": structures(),
    "sub/y.png": np.random.default_rng(3).integers(0, 4, (17, 23)).astype(np.uint8),  # every neighbourhood there is
    "nothing here.png": np.zeros((12, 9), np.uint8),
}
IMAGES = {name: np.full(label_map.shape, 90, np.uint8) for name, label_map in MAPS.items()}


@pytest.fixture(scope="module", params=list(EXPORTS))
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    name, write = EXPORTS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    write(folder, MAPS, LABELS, IMAGES)
    return name, folder


def test_each_pixel_comes_back(export: tuple[str, Path]) -> None:
    name, folder = export
    found = FORMATS[name].read(folder)
    assert found.format == name and found.labels == tuple(LABELS)
    again = painted(found)
    for image, label_map in MAPS.items():
        key = image.removesuffix(".png")
        if label_map.any():
            assert np.array_equal(again[key], label_map), image
        elif name in WITHOUT_MASK_A_FAULT:
            assert key not in again and [fault.case for fault in found.faults] == [key]
        else:
            assert not again[key].any()
    assert len(again) + len(found.faults) == len(MAPS)


def test_each_export_is_taken_for_its_own_format_alone(export: tuple[str, Path]) -> None:
    name, folder = export
    told = {other: format.recognise(folder) for other, format in FORMATS.items()}
    assert [other for other, why in told.items() if why] == [name] and boxes.recognise(folder) is None
    assert (told[name] or "").startswith("found ")


@pytest.mark.parametrize("name", BOX_EXPORTS)
def test_exports_of_boxes_are_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    BOX_EXPORTS[name](tmp_path, MAPS, LABELS, IMAGES)
    told = boxes.recognise(tmp_path) or ""
    assert name.removesuffix(" 1.1") in told and "export the same project as 'COCO 1.0'" in told
    assert not any(format.recognise(tmp_path) for format in FORMATS.values())
