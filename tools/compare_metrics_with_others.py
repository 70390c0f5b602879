"""What other tools say of the same masks: overlap and surface figures of ours, MONAI, SimpleITK and DeepMind's surface-distance.

    python tools/compare_metrics_with_others.py

Prints a Markdown table, a row per shape and figure; docs/metrics.md holds it. Needs `pip install surface-distance` (in the extra `test`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk
import torch

from autoseg.metrics.overlap import count, dice
from autoseg.metrics.surface import assd_mm, hd95_mm, hd_mm, surface_dice, surface_distances

TOLERANCE_MM = 1.0
FLOAT32 = 1e-5  # relative; the distance maps of SimpleITK have no more digits
FIGURES = ("Dice", "HD", "HD95", "ASSD", "surface Dice 1 mm")
TOOLS = ("autoseg", "MONAI", "MONAI, sub-voxels", "surface-distance", "SimpleITK, contours", "SimpleITK, filled")

Masks = tuple[np.ndarray, np.ndarray, tuple[float, ...]]
Figures = Mapping[str, float]


def main() -> None:
    warnings.simplefilter("ignore")  # of deprecated names within the other packages
    print(f"| shape | figure | {' | '.join(TOOLS)} |")
    print("|" + "---|" * (2 + len(TOOLS)))
    for name, (reference, predicted, spacing) in shapes().items():
        columns = [tool(reference, predicted, spacing) for tool in (ours, monai, monai_subvoxels, deepmind, contours, filled)]
        for figure in FIGURES:
            cells = [f"{column[figure]:.4f}" if figure in column else "" for column in columns]
            print(f"| {name} | {figure} | {' | '.join(cells)} |")
            name = ""


def shapes() -> dict[str, Masks]:
    """Reference, prediction and spacing by what they show."""
    disc = _ball((96, 96), (1.0, 1.0), (48.0, 48.0), 20.0)
    speck = disc.copy()
    speck[8:12, 8:12] = True
    halves = np.zeros((2, 40, 40), bool)
    halves[0, :, :20] = halves[1, :, :22] = True
    return {
        "discs of 20 and 22 mm, 1 mm apart": (
            disc,
            _ball((96, 96), (1.0, 1.0), (48.0, 49.0), 22.0),
            (1.0, 1.0),
        ),
        "ellipses 3 mm apart, pixels of 0.125 mm": _ellipses((0.125, 0.125)),
        "the same, pixels of 0.5 mm": _ellipses((0.5, 0.5)),
        "the same, pixels of 0.5 x 0.125 mm": _ellipses((0.5, 0.125)),
        "the same, pixels of 0.125 x 0.5 mm": _ellipses((0.125, 0.5)),
        "balls in voxels of 3 x 1 x 1 mm": (
            _ball((24, 56, 56), (3.0, 1.0, 1.0), (36.0, 28.0, 28.0), 18.0),
            _ball((24, 56, 56), (3.0, 1.0, 1.0), (37.5, 29.0, 28.0), 19.0),
            (3.0, 1.0, 1.0),
        ),
        "disc, and the same with a speck far off": (disc, speck, (1.0, 1.0)),
        "ring, and the disc that fills it": (disc & ~_ball((96, 96), (1.0, 1.0), (48.0, 48.0), 15.0), disc, (1.0, 1.0)),
        "halves of the picture, to its border": (halves[0], halves[1], (1.0, 1.0)),
    }


def ours(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> Figures:
    """As in scores.json."""
    distances = surface_distances(reference, predicted, spacing)
    assert distances is not None
    values = (dice(count(reference, predicted)), hd_mm(distances), hd95_mm(distances), assd_mm(distances))
    return dict(zip(FIGURES, (*values, surface_dice(distances, TOLERANCE_MM)), strict=True))


def monai(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float], *, subvoxels: bool = False) -> Figures:
    """`monai.metrics`, with the spacing given; `subvoxels` is its option for the surface Dice."""
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_surface_dice

    masks = [torch.as_tensor(mask[None, None]).float() for mask in (predicted, reference)]
    options = {"include_background": True, "spacing": list(spacing)}
    if subvoxels:
        found = compute_surface_dice(*masks, class_thresholds=[TOLERANCE_MM], use_subvoxels=True, **options)
        return {"surface Dice 1 mm": float(found)}
    return {
        "Dice": float(compute_dice(*masks)),
        "HD": float(compute_hausdorff_distance(*masks, **options)),
        "HD95": float(compute_hausdorff_distance(*masks, percentile=95, **options)),
        "ASSD": float(compute_average_surface_distance(*masks, symmetric=True, **options)),
        "surface Dice 1 mm": float(compute_surface_dice(*masks, class_thresholds=[TOLERANCE_MM], **options)),
    }


def monai_subvoxels(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> Figures:
    return monai(reference, predicted, spacing, subvoxels=True)


def deepmind(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> Figures:
    """The package `surface-distance`; its two directed averages are weighed by their surfaces, as ASSD is defined."""
    import surface_distance as other

    found = other.compute_surface_distances(reference, predicted, spacing)
    areas = [found[f"surfel_areas_{side}"].sum() for side in ("gt", "pred")]
    return {
        "Dice": other.compute_dice_coefficient(reference, predicted),
        "HD": other.compute_robust_hausdorff(found, 100),
        "HD95": other.compute_robust_hausdorff(found, 95),
        "ASSD": float(np.average(other.compute_average_surface_distance(found), weights=areas)),
        "surface Dice 1 mm": other.compute_surface_dice_at_tolerance(found, TOLERANCE_MM),
    }


def contours(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> Figures:
    """SimpleITK's overlap measures, and distances of its contours by maps of the distance to the other one."""
    images = [_image(mask, spacing) for mask in (reference, predicted)]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    outlines = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    maps = [sitk.Abs(sitk.SignedMaurerDistanceMap(one, squaredDistance=False, useImageSpacing=True)) for one in outlines]
    on, far = ([sitk.GetArrayFromImage(image) for image in several] for several in (outlines, maps))
    ways = (far[1][on[0] > 0], far[0][on[1] > 0])
    both = np.concatenate(ways)
    return {
        "Dice": overlap.GetDiceCoefficient(),
        "HD": float(both.max()),
        "HD95": float(max(np.percentile(way, 95) for way in ways)),
        "ASSD": float(both.mean()),
        "surface Dice 1 mm": float(np.mean(both <= TOLERANCE_MM * (1 + FLOAT32))),
    }


def filled(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> Figures:
    """SimpleITK's own filter, which takes all pixels of the masks and not their surfaces; its average is one of those."""
    distance = sitk.HausdorffDistanceImageFilter()
    distance.Execute(_image(reference, spacing), _image(predicted, spacing))
    return {"HD": distance.GetHausdorffDistance(), "ASSD": distance.GetAverageHausdorffDistance()}


def _image(mask: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(step) for step in reversed(spacing)])
    return image


def _ellipses(spacing: tuple[float, float]) -> Masks:
    """Of 40 x 60 mm, one of them moved along its long axis, which is the second."""
    shape = (round(60 / spacing[0]), round(80 / spacing[1]))
    y, x = (np.arange(n) * step for n, step in zip(shape, spacing, strict=True))
    first, second = (((y[:, None] - 30) / 20) ** 2 + ((x[None] - middle) / 30) ** 2 <= 1 for middle in (40.0, 43.0))
    return first, second, spacing


def _ball(shape: Sequence[int], spacing: Sequence[float], centre_mm: Sequence[float], radius_mm: float) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij")
    return sum((axis - middle) ** 2 for axis, middle in zip(axes, centre_mm, strict=True)) <= radius_mm**2  # type: ignore[return-value]


if __name__ == "__main__":
    main()
