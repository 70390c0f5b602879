"""Copies of data sets that faults are planted in: which files a case has, and how they are read and written again."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from autoseg.processing.cases import load_labels
from autoseg.records import Case, Dataset, Fold, Splits

Random = np.random.Generator
TABLE = "pixel_size.csv"
FOLDS = 5


@dataclass(frozen=True)
class Planted:
    """What was done, and to which cases; the first is the one that was changed."""

    kind: str
    cases: list[str]
    told: str = ""


@dataclass
class Copy:
    """The copy while it is made: files by case, pixel sizes, and what a fault may use."""

    root: Path
    rank: int
    images: dict[str, Path]
    labels: dict[str, Path]
    subjects: dict[str, str]
    spacing: dict[str, tuple[float, ...]]
    random: Random
    value: int = 1  # of a structure in label files
    free: list[str] = field(default_factory=list)  # cases without a fault
    leaking: list[str] = field(default_factory=list)
    on_both_sides: list[str] = field(default_factory=list)
    extra_rows: list[str] = field(default_factory=list)
    missing_rows: set[str] = field(default_factory=set)

    def take(self) -> str:
        """A case that no fault has touched."""
        return self.free.pop(int(self.random.integers(len(self.free))))

    def another(self, case: str) -> str:
        """An untouched case of another subject whose image has the same size; it is touched then."""
        size = size_of(self.images[case])
        fitting = [one for one in self.free if self.subjects[one] != self.subjects[case] and size_of(self.images[one]) == size]
        chosen = fitting[int(self.random.integers(len(fitting)))] if fitting else self.take()
        if chosen in self.free:
            self.free.remove(chosen)
        return chosen


def copy_hc18(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
    folder = out / "training_set"
    folder.mkdir(parents=True)
    images, labels = {}, {}
    for case in cases:
        images[case.id], labels[case.id] = folder / f"{case.id}.png", folder / f"{case.id}_Annotation.png"
        shutil.copyfile(dataset.path(case.images[0]), images[case.id])
        shutil.copyfile(dataset.path(str(case.label)), labels[case.id])
    return _copy(dataset, cases, out, random, images, labels, 255)


def copy_folders(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
    (out / "images").mkdir(parents=True)
    (out / "labels").mkdir()
    images, labels = {}, {}
    for case in cases:
        image, label = dataset.path(case.images[0]), out / "labels" / f"{case.id}.png"
        images[case.id], labels[case.id] = out / "images" / f"{case.id}{image.suffix}", label
        shutil.copyfile(image, images[case.id])
        Image.fromarray(load_labels(dataset, case).astype(np.uint8)).save(label)
    names = {"background": 0, **{target.name: target.values[0] for target in dataset.targets}}
    declared: dict[str, object] = {"name": f"{dataset.name} copied", "labels": names}
    if dataset.layout == "hc18":
        declared["subjects"] = r"^(\d+)_"
    (out / "dataset.json").write_text(json.dumps(declared, indent=1))
    return _copy(dataset, cases, out, random, images, labels, dataset.targets[0].values[0])


def copy_msd(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
    images, labels = {}, {}
    for case in cases:
        images[case.id], labels[case.id] = out / case.images[0], out / str(case.label)
        for source, target in ((case.images[0], images[case.id]), (str(case.label), labels[case.id])):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.path(source), target)
    declared = json.loads((Path(dataset.root) / "dataset.json").read_text())
    declared["training"] = [
        {"image": f"./{images[case.id].relative_to(out)}", "label": f"./{labels[case.id].relative_to(out)}"} for case in cases
    ]
    declared["numTraining"] = len(cases)
    (out / "dataset.json").write_text(json.dumps(declared, indent=1))
    return _copy(dataset, cases, out, random, images, labels, 1)


def _copy(
    dataset: Dataset,
    cases: list[Case],
    out: Path,
    random: Random,
    images: dict[str, Path],
    labels: dict[str, Path],
    value: int,
) -> Copy:
    subjects = {case.id: case.subject for case in cases}
    spacing = {case.id: tuple(case.spacing_mm) for case in cases if case.spacing_mm}
    return Copy(out, dataset.rank, images, labels, subjects, spacing, random, value)


def finish(copy: Copy, dataset: Dataset, layout: str, planted: list[Planted]) -> None:
    """The table of pixel sizes, and folds by subject (leaking where that was planted)."""
    if copy.spacing:
        name = "training_set_pixel_size_and_HC.csv" if layout == "hc18" else TABLE
        rows = [(f"{case}.png", repr(size[0])) for case, size in copy.spacing.items() if case not in copy.missing_rows]
        rows += [(f"{stranger}.png", "0.1") for stranger in copy.extra_rows]
        with (copy.root / name).open("w", newline="") as file:
            csv.writer(file).writerows([("filename", "pixel size(mm)"), *rows])
    people = sorted(set(copy.subjects.values()))
    part = {name: place % FOLDS for place, name in enumerate(people)}
    folds = []
    for number in range(FOLDS):
        validation = [case for case, subject in copy.subjects.items() if part[subject] == number]
        train = [case for case in copy.subjects if case not in validation]
        folds.append(Fold(train=tuple(train), validation=tuple(validation)))
    for case in copy.leaking:
        place = next(place for place, fold in enumerate(folds) if case in fold.validation)
        kept = tuple(one for one in folds[place].validation if one != case)
        folds[place] = Fold(train=(*folds[place].train, case), validation=kept)
    for case in copy.on_both_sides:
        place = next(place for place, fold in enumerate(folds) if case in fold.validation)
        folds[place] = Fold(train=(*folds[place].train, case), validation=folds[place].validation)
    Splits(rule="by subject", seed=None, folds=tuple(folds)).save(Path(f"{copy.root}.splits.json"))


def size_of(path: Path) -> tuple[int, ...]:
    if path.suffix == ".gz":
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        return tuple(reader.GetSize())
    with Image.open(path) as image:
        return image.size


def read_array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) if path.suffix == ".gz" else np.array(Image.open(path))


def write_array(path: Path, array: np.ndarray) -> None:
    """In the place of a file, with its geometry."""
    if path.suffix == ".gz":
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(sitk.ReadImage(str(path))) if image.GetSize() == size_of(path) else None
        sitk.WriteImage(image, str(path))
    else:
        Image.fromarray(array).save(path)


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    write_array(path, change(read_array(path)))
