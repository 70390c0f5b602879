"""How near head circumferences come to HC18's table: labels and predicted masks, as they are and with planted damage.

    python tools/measure_head_fits.py HC18 MASKS

HC18 is the folder with training_set and its table, MASKS a folder of masks named as its images (the validation folder of a trained fold).
Printed for each set are cases, failures, bias, mean absolute and largest error in mm: of the plain least-squares fit to all outline points,
of the robust fit, and of the robust fit to the cases without doubts. Damage is planted in the masks, by
changing their radius from their own centre.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_fill_holes

from autoseg.errors import DataError
from autoseg.metrics.biometry import fit_head, largest_component, outline_of
from autoseg.metrics.surface import bounding_box
from autoseg.processing.labels import decode_labels
from autoseg.records import OutlineEncoding
from autoseg.volume.ellipse import Ellipse, fit_ellipse
from autoseg.volume.files import read

TABLE = "training_set_pixel_size_and_HC.csv"
Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def plain_fit(mask: np.ndarray, spacing: tuple[float, float]) -> Ellipse | None:
    """Halir and Flusser's fit to all outline points, as scores were made with before."""
    box = bounding_box(mask)
    if box is None:
        return None
    try:
        return fit_ellipse(outline_of(binary_fill_holes(largest_component(mask[box])[0]), box, mask.shape, spacing).points_mm)
    except DataError:
        return None


def moved(share: float, height: float) -> Damage:
    """A part `share` of the outline moved out, or in, by up to `height` of its own radius."""

    def change(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
        y, x = np.indices(mask.shape)
        points = np.argwhere(mask)
        y, x = y - points[:, 0].mean(), x - points[:, 1].mean()
        turn, at = np.arctan2(y, x), random.uniform(-math.pi, math.pi)
        away = np.abs((turn - at + math.pi) % (2 * math.pi) - math.pi) / (math.pi * share)
        factor = 1 + height * np.cos(np.clip(away, 0, 1) * math.pi / 2)
        rows = np.rint(y / factor + points[:, 0].mean()).astype(int).clip(0, mask.shape[0] - 1)
        columns = np.rint(x / factor + points[:, 1].mean()).astype(int).clip(0, mask.shape[1] - 1)
        return mask[rows, columns]

    return change


def cut(share: float) -> Damage:
    """The picture ends where `share` of the head's height is gone."""

    def change(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
        rows = np.flatnonzero(mask.any(axis=1))
        return mask[rows[0] + round(share * (rows[-1] - rows[0])) :]

    return change


def ring_included(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One pixel larger all around, about what a mask is that holds a drawn outline."""
    padded = np.pad(mask, 1)
    return mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]


DAMAGES: dict[str, Damage] = {
    "as they are": lambda mask, random: mask,
    "one pixel larger": ring_included,
    "bump of 10 %, 20 % high": moved(0.1, 0.2),
    "bump of 20 %, 15 % high": moved(0.2, 0.15),
    "notch of 20 %, 20 % deep": moved(0.2, -0.2),
    "bump of 25 %, 30 % high": moved(0.25, 0.3),
    "top fifth cut off": cut(0.2),
    "top third cut off": cut(1 / 3),
    "top half cut off": cut(0.5),
}


def told(errors: list[float]) -> str:
    """Bias, mean absolute error and largest error."""
    if not errors:
        return "-"
    values = np.array(errors)
    return f"{values.mean():+.3f} {np.abs(values).mean():.3f} {np.abs(values).max():.2f}"


def report(name: str, masks: dict[str, np.ndarray], table: dict[str, tuple[float, float]], damages: list[str]) -> None:
    """One line for each kind of damage, and the spread of what the thresholds look at."""
    for damage in damages:
        change = DAMAGES[damage]
        random = np.random.default_rng(0)
        plain, robust, sound, shares, seconds = [], [], [], [], 0.0
        for case, mask in masks.items():
            pixel, true = table[case]
            changed = change(mask, random)
            ellipse = plain_fit(changed, (pixel, pixel))
            if ellipse is not None:
                plain.append(ellipse.perimeter() - true)
            begin = time.process_time()
            fit = fit_head(changed, (pixel, pixel))
            seconds += time.process_time() - begin
            if fit.off is not None:
                shares.append((fit.off, fit.residual, fit.seen))
            if fit.ellipse is not None:
                robust.append(fit.ellipse.perimeter() - true)
                if not fit.warnings:
                    sound.append(robust[-1])
        counts = f"{len(masks)} cases, {len(masks) - len(robust)} failed, {len(robust) - len(sound)} with doubts"
        print(f"{name}, {damage}: {counts}; plain {told(plain)}; robust {told(robust)}; without doubts {told(sound)}")
        print(f"    {1000 * seconds / len(masks):.0f} ms of processor time each")
        for label, column in zip(("off", "residual", "seen"), zip(*shares, strict=True), strict=True):
            quantiles = np.percentile(100 * np.array(column, dtype=float), [0, 5, 50, 95, 100])
            print(f"    {label} % (least, 5 %, median, 95 %, most): {' '.join(f'{value:.2f}' for value in quantiles)}")


def main() -> None:
    """Read both sets, and report on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="HC18")
    parser.add_argument("masks", type=Path, metavar="MASKS")
    arguments = parser.parse_args()
    with (arguments.data / TABLE).open(newline="") as file:
        table = {Path(row[0]).stem: (float(row[1]), float(row[2])) for row in list(csv.reader(file))[1:]}
    labels = {
        name: decode_labels(read(arguments.data / "training_set" / f"{name}_Annotation.png").array, OutlineEncoding()) > 0
        for name in table
    }
    predicted = {path.stem: read(path).array[0] > 0 for path in sorted(arguments.masks.glob("*.png")) if path.stem in table}
    report("labels", labels, table, list(DAMAGES)[:2])
    report("masks", predicted, table, list(DAMAGES))


if __name__ == "__main__":
    main()
