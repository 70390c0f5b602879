"""Copy a data set with faults planted in some of its labels, so that what looks for such faults can be measured.

    python tools/plant_label_faults.py DATASET OUT --cases 200 --faults 20 --seed 0

The cases are drawn at random, and so are those that receive a fault. The kinds take turns:

- shifted: all labels of the case moved by 5 to 10 % of the longest diameter of its largest structure, in a direction drawn at random;
- swapped: two structures exchanged, or, where there is one structure only, the label of another subject's image;
- erased: a fifth to a third of one structure cut off by a straight line (a plane), in a direction drawn at random.

OUT gets the labels, a `dataset.json` in nnU-Net's format that names the images where they lie, `subjects.csv`, `spacing.csv` (2D), and
`planted.json`: the answers. Nothing here knows how faults are looked for, and nothing is imported from there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import pdist

from autoseg.processing.cases import load_labels
from autoseg.records import Case, Dataset
from autoseg.stages.index import index_dataset
from autoseg.volume.files import read_header, write_labels

KINDS = ("shifted", "swapped", "erased")
SHIFT_SHARE = (0.05, 0.10)  # of the longest diameter
ERASED_SHARE = (1 / 5, 1 / 3)  # of the structure
LEAST_PIXELS = 20  # of a structure that is cut or exchanged
DIAMETER_POINTS = 1500  # of the surface; the longest diameter needs no more


@dataclass(frozen=True)
class Planted:
    """What was done to the label of a case."""

    case: str
    kind: str
    told: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    planted = plant(given.dataset, given.out, cases=given.cases, faults=given.faults, seed=given.seed)
    for one in planted:
        print(f"{one.case}: {one.kind}: {one.told}")


def plant(source: Path, out: Path, *, cases: int, faults: int, seed: int) -> list[Planted]:
    """Write the copy into a new folder."""
    dataset, found = index_dataset(source)
    if dataset is None or found:
        raise SystemExit(f"{source} cannot be used: {'; '.join(map(str, found[:5]))}")
    if dataset.regions:
        raise SystemExit("labels that overlap are not supported here; give a data set of exclusive labels")
    random = np.random.default_rng(seed)
    labelled = [case for case in dataset.cases if case.label is not None]
    drawn = sorted(random.choice(len(labelled), min(cases, len(labelled)), replace=False))
    members = [labelled[index] for index in drawn]
    chosen = random.choice(len(members), min(faults, len(members)), replace=False)
    kinds = {int(index): KINDS[place % len(KINDS)] for place, index in enumerate(chosen)}
    (out / "labels").mkdir(parents=True)
    planted = []
    for index, case in enumerate(members):
        labels = load_labels(dataset, case)
        if index in kinds:
            labels, told = _with_fault(kinds[index], labels, dataset, case, members, random)
            planted.append(Planted(case.id, kinds[index], told))
        _write(out, dataset, case, labels)
    _describe(out, dataset, members)
    (out / "planted.json").write_text(json.dumps([asdict(one) for one in planted], indent=1) + "\n")
    return planted


def _with_fault(
    kind: str, labels: np.ndarray, dataset: Dataset, case: Case, members: list[Case], random: np.random.Generator
) -> tuple[np.ndarray, str]:
    values = [int(value) for value in np.unique(labels) if 0 < value != dataset.ignore_value]
    sizeable = [value for value in values if np.count_nonzero(labels == value) >= LEAST_PIXELS]
    if not sizeable:
        raise SystemExit(f"{case.id} has no structure to plant a fault in; take another seed")
    names = {target.values[0]: target.name for target in dataset.targets}
    if kind == "shifted":
        return shifted(labels, _spacing(dataset, case), random)
    if kind == "erased":
        value = int(random.choice(sizeable))
        changed, share = erased(labels, value, random)
        return changed, f"{share:.0%} of {names[value]}"
    if len(sizeable) > 1:
        first, second = (int(value) for value in random.choice(sizeable, 2, replace=False))
        return exchanged(labels, first, second), f"{names[first]} and {names[second]}"
    others = [other for other in members if other.subject != case.subject]
    other = others[int(random.integers(len(others)))]
    return placed(load_labels(dataset, other), labels.shape), f"with the label of {other.id}"


def shifted(labels: np.ndarray, spacing: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, str]:
    """All labels moved by whole pixels; what leaves the image is lost, and background comes in."""
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    diameter = longest_diameter(labels == values[counts.argmax()], spacing)
    low, high = (share * diameter for share in SHIFT_SHARE)
    steps = [np.arange(-ceil(high / step), ceil(high / step) + 1) for step in spacing]
    vectors = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, len(spacing))
    lengths = np.linalg.norm(vectors * spacing, axis=1)
    fitting = np.flatnonzero((lengths >= low) & (lengths <= high))
    pick = int(random.choice(fitting)) if len(fitting) else int(np.argmin(np.where(lengths < low, np.inf, lengths)))
    moved = np.zeros_like(labels)
    here = tuple(slice(max(0, -by), size - max(0, by)) for by, size in zip(vectors[pick], labels.shape, strict=True))
    there = tuple(slice(max(0, by), size - max(0, -by)) for by, size in zip(vectors[pick], labels.shape, strict=True))
    moved[there] = labels[here]
    return moved, f"by {lengths[pick]:.2f} of {diameter:.1f} ({lengths[pick] / diameter:.1%})"


def erased(labels: np.ndarray, value: int, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """A structure without what lies beyond a plane."""
    points = np.argwhere(labels == value)
    direction = random.normal(size=labels.ndim)
    along = points @ direction
    lost = points[along > np.quantile(along, 1 - random.uniform(*ERASED_SHARE))]
    changed = labels.copy()
    changed[tuple(lost.T)] = 0
    return changed, len(lost) / len(points)


def exchanged(labels: np.ndarray, first: int, second: int) -> np.ndarray:
    """Two values, each where the other was."""
    changed = labels.copy()
    changed[labels == first], changed[labels == second] = second, first
    return changed


def placed(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Another image's labels in an image of this shape, centre on centre."""
    changed = np.zeros(shape, labels.dtype)
    common = [min(own, other) for own, other in zip(shape, labels.shape, strict=True)]
    there = tuple(slice((size - both) // 2, (size - both) // 2 + both) for size, both in zip(shape, common, strict=True))
    here = tuple(slice((size - both) // 2, (size - both) // 2 + both) for size, both in zip(labels.shape, common, strict=True))
    changed[there] = labels[here]
    return changed


def longest_diameter(mask: np.ndarray, spacing: np.ndarray) -> float:
    """The largest distance between two pixels of a mask."""
    surface = np.argwhere(mask & ~binary_erosion(mask)) * spacing
    surface = surface[:: max(1, len(surface) // DIAMETER_POINTS)]
    return float(pdist(surface).max()) if len(surface) > 1 else 0.0


def _spacing(dataset: Dataset, case: Case) -> np.ndarray:
    """In mm, or 1 where it is unknown."""
    header = read_header(dataset.path(case.images[0]), dataset.trust_file_spacing)
    return np.asarray(case.spacing_mm or header.spacing_mm or (1.0,) * dataset.rank, float)


def _label_file(dataset: Dataset, case: Case) -> str:
    return f"labels/{case.id}{'.png' if dataset.rank == 2 else '.nii.gz'}"


def _write(out: Path, dataset: Dataset, case: Case, labels: np.ndarray) -> None:
    header = read_header(dataset.path(case.images[0]), dataset.trust_file_spacing)
    write_labels(out / _label_file(dataset, case), labels, header.geometry)


def _describe(out: Path, dataset: Dataset, members: list[Case]) -> None:
    labels = {"background": 0, **{target.name: target.values[0] for target in dataset.targets}}
    if dataset.ignore_value is not None:
        labels["ignore"] = dataset.ignore_value
    images = {case.id: [os.path.abspath(dataset.path(file)) for file in case.images] for case in members}  # noqa: PTH100
    declared = {
        "name": f"{dataset.name} with planted faults",
        "channel_names": {str(index): name for index, name in enumerate(dataset.channels)},
        "labels": labels,
        "numTraining": len(members),
        "file_ending": ".png" if dataset.rank == 2 else ".nii.gz",
        "dataset": {case.id: {"images": images[case.id], "label": _label_file(dataset, case)} for case in members},
    }
    (out / "dataset.json").write_text(json.dumps(declared, indent=1) + "\n")
    _write_csv(out / "subjects.csv", ("name", "subject"), [(case.id, case.subject) for case in members])
    if dataset.rank == 2 and all(case.spacing_mm for case in members):
        rows = [(case.id, repr(case.spacing_mm[0]), repr(case.spacing_mm[1])) for case in members if case.spacing_mm]
        _write_csv(out / "spacing.csv", ("name", "pixel size y mm", "pixel size x mm"), rows)


def _write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main()
