"""From the winning output per pixel to what is written: mask values, and how many pixels each structure got.

`winners` holds, per pixel, the network output that won: for exclusive labels 0 (background) or the internal value
1..K; for regions 0 or i + 1 where `targets[i]` was painted last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoseg.records import Structure
from autoseg.writing import whole_file

PROBABILITIES = "probabilities"  # the array's name in the file of `save_probabilities`


def mask_from_winners(winners: np.ndarray, targets: Sequence[Structure], regions: bool) -> np.ndarray:
    """The mask as it is written, each pixel with the `output_value` of its target, 0 for background.

    uint8, or uint16 where a value needs it; same shape.
    """
    values = [target.output_value for target in targets]
    table = np.zeros(_n_winners(targets, regions), np.uint8 if max(values) <= np.iinfo(np.uint8).max else np.uint16)
    for winner, target in painted_targets(targets, regions):
        table[winner] = target.output_value
    return table[winners]


def winners_from_mask(mask: np.ndarray, targets: Sequence[Structure], regions: bool) -> np.ndarray:
    """The way back from `mask_from_winners`; values that no target has become 0."""
    table = np.zeros(int(max(mask.max(initial=0), *(target.output_value for target in targets))) + 1, np.uint16)
    for winner, target in painted_targets(targets, regions):
        table[target.output_value] = winner
    return table[mask]


def count_pixels(
    winners: np.ndarray, targets: Sequence[Structure], derived: Sequence[Structure], regions: bool
) -> dict[str, int]:
    """Pixels (or voxels) of every target and derived structure by name, zero included.

    A painted region stands for its internal values that no later region covers (whole tumour = 1, 2, 3 and core = 2, 3:
    what stays painted as whole tumour is value 1); a structure counts the pixels whose values all belong to it.
    """
    counts = np.zeros(_n_winners(targets, regions), np.int64)
    for plane in winners:  # one at a time: counting takes 8 bytes a pixel
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    painted = painted_targets(targets, regions)
    meaning: dict[int, set[int]] = {}
    for position, (winner, target) in enumerate(painted):
        later = {value for _, other in painted[position + 1 :] for value in other.values} if regions else set()
        meaning[winner] = set(target.values) - later or set(target.values)
    return {
        structure.name: sum(int(counts[winner]) for winner, values in meaning.items() if values <= set(structure.values))
        for structure in (*targets, *derived)
    }


def save_probabilities(path: Path, probabilities: np.ndarray) -> None:
    """Write (K, *original) as `probabilities` in a compressed NPZ, atomically and piece by piece."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, probabilities=probabilities)


def painted_targets(targets: Sequence[Structure], regions: bool) -> list[tuple[int, Structure]]:
    """The winner's number and its target, in painting order."""
    return [(index + 1 if regions else target.values[0], target) for index, target in enumerate(targets)]


def _n_winners(targets: Sequence[Structure], regions: bool) -> int:
    return 1 + max(winner for winner, _ in painted_targets(targets, regions))
