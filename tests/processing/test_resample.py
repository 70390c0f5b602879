from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from autoseg.processing.resample import box_where, label_boxes, resample, resample_labels, separate_axis, window

SHAPES = [
    ((20, 33, 41), (27, 20, 60)),
    ((7, 1, 5), (9, 4, 2)),
    ((64, 100), (21, 33)),
    ((30, 40, 50), (30, 55, 50)),
    ((2, 3, 4), (5, 5, 5)),
]


def _scipy_resize(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """What skimage.transform.resize(mode="edge", anti_aliasing=False, clip=True) computes."""
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    result = ndimage.zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(result, array.min(), array.max())


def _map_nearest(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    axes = [old / new * (np.arange(new) + 0.5) - 0.5 for new, old in zip(shape, array.shape, strict=True)]
    return ndimage.map_coordinates(array, np.meshgrid(*axes, indexing="ij"), order=0, mode="nearest")


@pytest.mark.parametrize(("old", "new"), SHAPES)
@pytest.mark.parametrize("order", [1, 3])
def test_equals_scipy_zoom(old: tuple[int, ...], new: tuple[int, ...], order: int) -> None:
    array = np.random.default_rng(0).normal(size=(2, *old)).astype(np.float32)
    result = resample(array, new, order)
    assert result.dtype == np.float32
    for channel, values in zip(result, array, strict=True):
        assert np.allclose(channel, _scipy_resize(values, new, order), atol=3e-6)


@pytest.mark.parametrize(("old", "new"), SHAPES)
@pytest.mark.parametrize("antialias", [False, True])
def test_equals_skimage(old: tuple[int, ...], new: tuple[int, ...], antialias: bool) -> None:
    transform = pytest.importorskip("skimage.transform")
    array = np.random.default_rng(1).normal(size=old)
    expected = transform.resize(array, new, order=3, mode="edge", anti_aliasing=antialias, clip=True)
    assert np.allclose(resample(array[None], new, 3, antialias=antialias)[0], expected, atol=3e-6)


@pytest.mark.parametrize(("old", "new"), SHAPES)
def test_order_0_equals_map_coordinates(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    array = np.random.default_rng(2).integers(0, 1000, old).astype(np.float32)
    assert np.array_equal(resample(array[None], new, 0)[0], _map_nearest(array, new))


def test_linear_by_hand() -> None:
    assert resample(np.array([[0.0, 4.0]]), (4,), 1).tolist() == [[0, 1, 3, 4]]
    assert resample(np.array([[0.0, 2.0, 4.0, 6.0]]), (2,), 1).tolist() == [[1, 5]]


def test_antialias_averages_a_checkerboard_away() -> None:
    board = (np.indices((60, 60)).sum(axis=0) % 2).astype(np.float32)[None]
    assert np.ptp(resample(board, (20, 20), 3)) == 1  # aliases
    assert np.allclose(resample(board, (20, 20), 3, antialias=True)[0, 3:-3, 3:-3], 0.5, atol=0.02)


def test_cubic_is_clipped_to_the_channels_range() -> None:
    step = np.zeros((1, 8, 8), dtype=np.float32)
    step[:, :, 4:] = 1
    result = resample(step, (8, 23), 3)
    assert result.min() == 0 and result.max() == 1


def test_equal_shape_is_untouched() -> None:
    array = np.ones((1, 3, 4), dtype=np.float32)
    assert resample(array, (3, 4), 3) is array
    labels = np.ones((3, 4), dtype=np.int16)
    assert resample_labels(labels, (3, 4)) is labels


def test_refusals() -> None:
    with pytest.raises(ValueError, match="order 2"):
        resample(np.zeros((1, 3, 3)), (4, 4), 2)
    with pytest.raises(ValueError, match="cannot resample"):
        resample(np.zeros((1, 3, 3)), (0, 4), 1)


@pytest.mark.parametrize("new", [(9, 25, 18), (3, 25, 18)])
def test_separate_axis_is_nearest_across_and_cubic_clipped_in_each_slice(new: tuple[int, int, int]) -> None:
    array = np.random.default_rng(3).normal(size=(5, 20, 30)).astype(np.float32)
    array[2] *= 10  # a slice with a range of its own
    slices = np.stack([_scipy_resize(plane, new[1:], 3) for plane in array])
    expected = _map_nearest(slices, new)
    assert np.allclose(resample(array[None], new, 3, separate_axis=0)[0], expected, atol=3e-5)


def test_separate_axis_linear_across() -> None:
    array = np.random.default_rng(3).normal(size=(20, 30, 4)).astype(np.float32)
    slices = np.stack([_scipy_resize(array[..., k], (25, 18), 3) for k in range(4)], axis=-1)
    result = resample(array[None], (25, 18, 9), 3, separate_axis=2, order_separate=1)[0]
    assert np.allclose(result, _scipy_resize(slices, (25, 18, 9), 1), atol=3e-5)


@pytest.mark.parametrize(
    ("spacing", "new", "axis"),
    [
        ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((1.0, 1.0, 3.0), (1.0, 1.0, 1.0), None),  # a factor of exactly 3 is not above it
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((1.0, 1.0, 3.1), (9.0, 1.0, 1.0), 2),  # the current spacing goes first
        ((4.0, 4.0, 1.0), (9.0, 1.0, 1.0), None),  # shared by two axes
        ((9.0, 1.0), (1.0, 1.0), None),
    ],
)
def test_separate_axis_rule(spacing: tuple[float, ...], new: tuple[float, ...], axis: int | None) -> None:
    assert separate_axis(spacing, new) == axis


def _nnunet_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape, dtype=np.int16)
    for value in np.unique(labels):
        result[_scipy_resize((labels == value).astype(float), shape, 1) >= 0.5 - 1e-9] = value
    return result


@pytest.mark.parametrize("new", [(25, 37, 29), (13, 20, 61)])
def test_labels_equal_one_hot_of_the_whole_grid(new: tuple[int, ...]) -> None:
    field = ndimage.gaussian_filter(np.random.default_rng(4).normal(size=(20, 30, 40)), 2)
    labels = np.digitize(field, np.quantile(field, [0.5, 0.7, 0.9])).astype(np.int16)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    assert np.array_equal(resample_labels(labels, new), _nnunet_labels(labels, new))


def test_labels_by_hand() -> None:
    labels = np.array([0, 0, 5, 5], dtype=np.uint8)
    assert resample_labels(labels, (8,)).tolist() == [0, 0, 0, 0, 5, 5, 5, 5]
    assert resample_labels(labels, (2,)).tolist() == [0, 5]
    assert resample_labels(np.array([1, 2], dtype=np.int16), (1,)).tolist() == [2]  # a tie: the later value
    assert resample_labels(np.array([1, 2, 3, 3], dtype=np.int16), (2,), order=0).tolist() == [2, 3]
    assert resample_labels(np.zeros((3, 3), dtype=np.int16), (5, 4)).tolist() == np.zeros((5, 4)).tolist()


def test_labels_with_a_separate_axis() -> None:
    labels = np.zeros((3, 12, 10), dtype=np.int16)
    labels[1, 3:9, 2:7], labels[2, 5:, 5:] = 1, 200
    slices = np.stack([_nnunet_labels(plane, (17, 21)) for plane in labels])
    assert np.array_equal(resample_labels(labels, (7, 17, 21), separate_axis=0), _map_nearest(slices, (7, 17, 21)))


def test_a_label_between_the_samples_vanishes() -> None:
    labels = np.zeros(9, dtype=np.int16)
    labels[0] = 1
    assert resample_labels(labels, (1,)).tolist() == [0]


@pytest.mark.parametrize("orders", [(1, 1, 1), (0, 1, 1)])
def test_window_equals_the_whole(orders: tuple[int, ...]) -> None:
    array = np.random.default_rng(5).normal(size=(9, 14, 11)).astype(np.float32)
    shape = (15, 10, 25)
    whole = resample(array[None], shape, 1, separate_axis=0 if orders[0] == 0 else None)[0]
    view = window((slice(2, 4), slice(5, 9), slice(0, 3)), array.shape, shape, orders)
    assert np.allclose(view.resample(array[view.source]), whole[view.target], atol=1e-6)
    assert view.target[2] == slice(0, 8)  # linear: voxel 2 reaches up to (i + 0.5) * 11 / 25 - 0.5 < 3, so to i = 7 - no further


def test_boxes() -> None:
    labels = np.zeros((4, 5), dtype=np.int8)
    labels[1, 1:3], labels[3, 4] = 2, 7
    assert label_boxes(labels) == [(2, (slice(1, 2), slice(1, 3))), (7, (slice(3, 4), slice(4, 5)))]
    assert label_boxes(np.zeros((2, 2), dtype=np.int16)) == []
    assert box_where(labels > 5) == (slice(3, 4), slice(4, 5))
    assert box_where(labels > 9) is None
