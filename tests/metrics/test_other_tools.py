"""The same masks scored by SimpleITK, MONAI and DeepMind's surface-distance: equal where the definitions are (docs/metrics.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
    get_confusion_matrix,
)
from scipy.ndimage import gaussian_filter

from autoseg.metrics.overlap import count, dice, iou, precision, recall
from autoseg.metrics.surface import SurfaceDistances, assd_mm, hd95_mm, hd_mm, surface_dice, surface_distances

WITHIN = 1e-6
FLOAT32 = 1e-5  # of distance maps and percentiles that the other tool computes in single precision
CASES = [
    ((60, 70), (1.0, 1.0), 4.0, 0),
    ((60, 70), (0.7, 0.31), 3.0, 1),
    ((40, 90), (0.15, 1.3), 1.0, 2),
    ((14, 36, 40), (3.0, 0.8, 0.8), 2.0, 3),
    ((20, 24, 28), (1.0, 1.0, 1.0), 1.0, 4),
]
parametrised = pytest.mark.parametrize(("shape", "spacing", "smoothness", "seed"), CASES)


def _masks(shape: Sequence[int], smoothness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of one random field, and of the same with another mixed in; away from the border, where tools differ."""
    random = np.random.default_rng(seed)
    first, second = (gaussian_filter(random.normal(size=shape), smoothness) for _ in range(2))
    inner = np.zeros(shape, bool)
    inner[tuple(slice(3, -3) for _ in shape)] = True
    mixed = first + 0.4 * second
    return (first > first.std()) & inner, (mixed > mixed.std()) & inner


def _distances(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> SurfaceDistances:
    found = surface_distances(reference, predicted, spacing)
    assert found is not None
    return found


@parametrised
def test_simpleitks_overlap_measures(shape: tuple[int, ...], spacing: tuple[float, ...], smoothness: float, seed: int) -> None:
    reference, predicted = _masks(shape, smoothness, seed)
    counts, measures = count(reference, predicted), sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (predicted, reference)))
    assert dice(counts) == pytest.approx(measures.GetDiceCoefficient(), abs=WITHIN)
    assert iou(counts) == pytest.approx(measures.GetJaccardCoefficient(), abs=WITHIN)
    assert 1 - recall(counts) == pytest.approx(measures.GetFalseNegativeError(), abs=WITHIN)  # type: ignore[operator]


@parametrised
def test_distance_maps_of_simpleitks_contours(
    shape: tuple[int, ...], spacing: tuple[float, ...], smoothness: float, seed: int
) -> None:
    reference, predicted = _masks(shape, smoothness, seed)
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, predicted)]
    for image in images:
        image.SetSpacing(spacing[::-1])
    outlines = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    maps = [sitk.Abs(sitk.SignedMaurerDistanceMap(one, squaredDistance=False, useImageSpacing=True)) for one in outlines]
    on, far = ([sitk.GetArrayFromImage(image) for image in several] for several in (outlines, maps))
    theirs, ours = (far[1][on[0] > 0], far[0][on[1] > 0]), _distances(reference, predicted, spacing)
    assert np.allclose(np.sort(theirs[0]), np.sort(ours.from_reference), rtol=0, atol=FLOAT32)
    both = np.concatenate(theirs).astype(float)
    assert hd_mm(ours) == pytest.approx(both.max(), rel=FLOAT32)
    assert hd95_mm(ours) == pytest.approx(max(np.percentile(way, 95) for way in theirs), rel=FLOAT32)
    assert assd_mm(ours) == pytest.approx(both.mean(), rel=FLOAT32)


@parametrised
def test_monai(shape: tuple[int, ...], spacing: tuple[float, ...], smoothness: float, seed: int) -> None:
    reference, predicted = _masks(shape, smoothness, seed)
    masks = [torch.as_tensor(mask[None, None]).float() for mask in (predicted, reference)]
    counts, distances = count(reference, predicted), _distances(reference, predicted, spacing)
    assert dice(counts) == pytest.approx(float(compute_dice(*masks)), abs=WITHIN)
    assert iou(counts) == pytest.approx(float(compute_iou(*masks)), abs=WITHIN)
    tp, fp, tn, fn = get_confusion_matrix(*masks)[0, 0].tolist()
    assert (counts.tp, counts.fp, counts.tn, counts.fn) == (tp, fp, tn, fn)
    assert precision(counts) == pytest.approx(tp / (tp + fp)) and recall(counts) == pytest.approx(tp / (tp + fn))
    options = {"include_background": True, "spacing": list(spacing)}
    assert hd_mm(distances) == pytest.approx(float(compute_hausdorff_distance(*masks, **options)), rel=WITHIN)
    assert hd95_mm(distances) == pytest.approx(float(compute_hausdorff_distance(*masks, percentile=95, **options)), rel=FLOAT32)
    average = compute_average_surface_distance(*masks, symmetric=True, **options)
    assert assd_mm(distances) == pytest.approx(float(average), rel=WITHIN)
    for tolerance in (0.0, 0.45, 1.234):  # no distance is just that, which rounding could put on either side
        theirs = compute_surface_dice(*masks, class_thresholds=[tolerance], **options)
        assert surface_dice(distances, tolerance) == pytest.approx(float(theirs), abs=WITHIN)


def test_surface_distance_of_deepmind() -> None:
    """Its surface elements lie between pixels and count by their area. Of boxes moved along an axis the largest distance is the same, and
    so is surface Dice where it is 1; Dice is the same everywhere."""
    theirs = pytest.importorskip("surface_distance")
    reference, predicted = np.zeros((16, 40, 44), bool), np.zeros((16, 40, 44), bool)
    reference[4:10, 8:30, 8:30] = True
    predicted[4:10, 8:30, 11:33] = True
    spacing = (3.0, 1.0, 0.5)
    found, ours = theirs.compute_surface_distances(reference, predicted, spacing), _distances(reference, predicted, spacing)
    assert hd_mm(ours) == pytest.approx(theirs.compute_robust_hausdorff(found, 100), abs=WITHIN) and hd_mm(ours) == 1.5
    assert surface_dice(ours, 1.5) == theirs.compute_surface_dice_at_tolerance(found, 1.5) == 1.0
    for mask in (reference, predicted):
        same = theirs.compute_surface_distances(mask, mask, spacing)
        assert theirs.compute_surface_dice_at_tolerance(same, 0.0) == surface_dice(_distances(mask, mask, spacing), 0.0) == 1.0
    for shape, _, smoothness, seed in CASES:
        masks = _masks(shape, smoothness, seed)
        assert dice(count(*masks)) == pytest.approx(theirs.compute_dice_coefficient(*masks), abs=WITHIN)


@parametrised
def test_largest_distances_are_within_a_pixel_of_those_of_deepmind(
    shape: tuple[int, ...], spacing: tuple[float, ...], smoothness: float, seed: int
) -> None:
    theirs = pytest.importorskip("surface_distance")
    reference, predicted = _masks(shape, smoothness, seed)
    found, ours = theirs.compute_surface_distances(reference, predicted, spacing), _distances(reference, predicted, spacing)
    assert hd_mm(ours) == pytest.approx(theirs.compute_robust_hausdorff(found, 100), abs=float(np.linalg.norm(spacing)))
    assert hd95_mm(ours) == pytest.approx(theirs.compute_robust_hausdorff(found, 95), abs=float(np.linalg.norm(spacing)))
