from __future__ import annotations

import numpy as np
import pytest

from autoseg.errors import DataError, RecordError
from autoseg.processing.prepare import Placement, prepare_image, prepare_labels, restore_labels
from autoseg.records import Normalization, Preparation
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

NONE = Normalization(scheme="none")
RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def _preparation(rank: int = 3, **changes: object) -> Preparation:
    plain = {
        "canonical_orientation": True,
        "transpose": tuple(range(rank)),
        "crop_to_nonzero": True,
        "spacing_mm": None,
        "normalization": (NONE,),
    }
    return Preparation(**(plain | changes))


def _volume(array: np.ndarray, spacing: tuple[float, ...] | None, direction: tuple[float, ...] | None = None) -> Volume:
    geometry = Geometry.plain(array.ndim - 1, spacing)
    return Volume(array, geometry if direction is None else Geometry(3, spacing, (1.0, 2.0, 3.0), direction))


def _random(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_every_step_by_hand() -> None:
    array = np.zeros((1, 4, 6, 8), dtype=np.float32)
    array[0, 1:3, 2:6, 1:5] = np.arange(32).reshape(2, 4, 4) + 1
    preparation = _preparation(transpose=(2, 0, 1), spacing_mm=(1.0, None, 4.0), image_order=1)
    image, placement = prepare_image(_volume(array, (5.0, 2.0, 1.0), RAS), preparation)
    assert placement.reorientation.flipped == (False, True, True)
    assert placement.turned_shape == (8, 4, 6)
    assert placement.crop == ((3, 7), (1, 3), (0, 4))  # x is reversed: 8 - 5 = 3; y: 6 - 6 = 0
    assert placement.spacing_mm == (1.0, 5.0, 2.0)
    assert placement.prepared_spacing_mm == (1.0, 5.0, 4.0)
    assert placement.prepared_shape == image.shape[1:] == (4, 2, 2)
    # x = 4 (the last inside), z = 1, mean of y = 5 and y = 4 (reversed)
    assert image[0, 0, 0, 0] == (array[0, 1, 5, 4] + array[0, 1, 4, 4]) / 2


def test_without_resampling_labels_come_back_exactly() -> None:
    array = _random((1, 5, 6, 7))
    array[:, :, :2] = 0
    labels = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.int16)
    labels[:, :2] = 0
    preparation = _preparation(transpose=(1, 2, 0))
    image, placement = prepare_image(_volume(array, (3.0, 1.0, 2.0), (0.0, 0, 1, -1, 0, 0, 0, -1, 0)), preparation)
    prepared = prepare_labels(labels, placement, preparation)
    assert prepared.shape == image.shape[1:] == placement.prepared_shape
    assert sorted(placement.prepared_shape) == [4, 5, 7]
    assert np.array_equal(np.sort(image.ravel()), np.sort(array[:, :, 2:].ravel()))
    assert np.array_equal(restore_labels(prepared, placement), labels)


def test_image_and_labels_move_together() -> None:
    labels = np.zeros((12, 40, 44), dtype=np.int16)
    labels[3:9, 10:30, 12:36] = 2
    preparation = _preparation(transpose=(2, 1, 0), spacing_mm=(1.0, 1.0, 1.0), crop_to_nonzero=False)
    volume = _volume(100 * (labels[None] == 2).astype(np.float32), (2.5, 0.8, 0.9), RAS)
    image, placement = prepare_image(volume, preparation)
    prepared = prepare_labels(labels, placement, preparation)
    assert placement.prepared_shape == (round(0.9 * 44), 32, 30)
    assert ((image[0] > 50) == (prepared == 2)).mean() > 0.99
    back = restore_labels(prepared, placement)
    assert back.shape == labels.shape
    assert 2 * ((back == 2) & (labels == 2)).sum() / ((back == 2).sum() + (labels == 2).sum()) > 0.95


def test_normalises_before_resampling_inside_the_mask() -> None:
    array = np.zeros((1, 10, 10), dtype=np.float32)
    array[0, 2:8, 2:8] = 10 + _random((6, 6))
    array[0, 2, 2] = 0  # inside the box, outside the mask
    scheme = Normalization(scheme="zscore", use_mask=True)
    image, _ = prepare_image(_volume(array, None), _preparation(2, normalization=(scheme,)))
    assert image.shape == (1, 6, 6)
    assert image[0, 0, 0] == 0
    inside = np.delete(image.ravel(), 0)
    assert abs(inside.mean()) < 1e-6 and abs(inside.std() - 1) < 1e-5


def test_an_image_of_zeros_keeps_its_size() -> None:
    image, placement = prepare_image(_volume(np.zeros((1, 4, 5)), (1.0, 1.0)), _preparation(2, spacing_mm=(0.5, 1.0)))
    assert image.shape == (1, 8, 5) and placement.crop == ((0, 4), (0, 5))


def test_unknown_spacing_is_not_resampled() -> None:
    image, placement = prepare_image(_volume(_random((1, 9, 8)), None), _preparation(2, spacing_mm=(0.1, 0.1)))
    assert image.shape == (1, 9, 8)
    assert placement.spacing_mm is None and placement.prepared_spacing_mm is None


def test_the_input_is_not_changed() -> None:
    array = _random((1, 9, 8))
    copy = array.copy()
    prepare_image(_volume(array, (1.0, 1.0)), _preparation(2, normalization=(Normalization(scheme="zscore"),)))
    assert np.array_equal(array, copy)


def test_antialias_is_a_choice() -> None:
    board = (np.indices((60, 60)).sum(axis=0) % 2).astype(np.float32)[None] + 1
    plain, _ = prepare_image(_volume(board, (1.0, 1.0)), _preparation(2, spacing_mm=(3.0, 3.0)))
    smooth, _ = prepare_image(_volume(board, (1.0, 1.0)), _preparation(2, spacing_mm=(3.0, 3.0), antialias=True))
    assert plain.shape == smooth.shape == (1, 20, 20)
    assert np.ptp(smooth[0, 3:-3, 3:-3]) < 0.05 < 0.9 < np.ptp(plain)


def test_placement_survives_json() -> None:
    _, placement = prepare_image(
        _volume(_random((1, 5, 6, 7)), (0.1, 1 / 3, np.pi), RAS), _preparation(transpose=(2, 0, 1), spacing_mm=(1.0, 1.0, 0.7))
    )
    again = Placement.from_json(placement.to_json())
    assert again == placement and again.geometry == placement.geometry
    assert isinstance(again.geometry, Geometry) and again.geometry.spacing_mm == (0.1, 1 / 3, np.pi)
    with pytest.raises(RecordError, match="not a valid placement"):
        Placement.from_json('{"shape": [1]}')


def test_refusals() -> None:
    preparation = _preparation(2)
    image, placement = prepare_image(_volume(_random((1, 4, 5)), (1.0, 1.0)), preparation)
    with pytest.raises(DataError, match=r"shape \(5, 4\), its image \(4, 5\)"):
        prepare_labels(np.zeros((5, 4), dtype=np.int16), placement, preparation)
    with pytest.raises(ValueError, match="does not lie on the prepared grid"):
        restore_labels(np.zeros((9, 9), dtype=np.int16), placement)
    with pytest.raises(ValueError, match="3 axes, the image has 2"):
        prepare_image(_volume(image, (1.0, 1.0)), _preparation(3))
