"""A copy of a data set with faults planted in some of its cases, so that what looks for such faults can be measured.

    python tools/plant_dataset_faults.py SRC DST --seed 0 --cases 60 --faults 20
    python tools/plant_dataset_faults.py HC18 DST --seed 0 --as-folders

SRC is HC18, a set in the layout `folders` with pictures, or one of the Medical Segmentation Decathlon's layout in NIfTI. The copy has the same
layout; `--as-folders` writes HC18 as filled masks with a `dataset.json` instead. Cases are drawn at random, and so are those that receive a
fault, each another kind (`KINDS` of the layout, in an order drawn at random). DST.planted.json, beside DST, names kind and cases; DST.splits.json
are folds of the copy, with a subject on both sides where that is among the faults. Nothing here knows how faults are looked for, and
nothing is imported from there. Without faults (`--faults 0`) it is a clean copy.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from autoseg.processing.cases import load_labels
from autoseg.records import Case, Dataset, Fold, Splits
from autoseg.stages.index import index_dataset

Random = np.random.Generator
TABLE = "pixel_size.csv"
FOLDS = 5
SEVERAL = 0.5  # how many of the subjects are drawn with those first that have several cases


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
        size = _size(self.images[case])
        fitting = [one for one in self.free if self.subjects[one] != self.subjects[case] and _size(self.images[one]) == size]
        chosen = fitting[int(self.random.integers(len(fitting)))] if fitting else self.take()
        if chosen in self.free:
            self.free.remove(chosen)
        return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--as-folders", action="store_true")
    given = parser.parse_args()
    planted = plant(given.source, given.out, cases=given.cases, faults=given.faults, seed=given.seed, as_folders=given.as_folders)
    for one in planted:
        print(f"{one.kind}: {', '.join(one.cases)} {one.told}")


def plant(source: Path, out: Path, *, cases: int, faults: int, seed: int, as_folders: bool = False) -> list[Planted]:
    """Write the copy into a new folder, and what was planted beside it."""
    dataset, found = index_dataset(source)
    if dataset is None or found:
        raise SystemExit(f"{source} cannot be used: {'; '.join(map(str, found[:5]))}")
    random = np.random.default_rng(seed)
    labelled = [case for case in dataset.cases if case.label is not None]
    chosen = drawn(labelled, cases, random)
    layout = "folders" if as_folders else dataset.layout
    writers = {"hc18": _copy_hc18, "folders": _copy_folders, "msd": _copy_msd}
    if layout not in writers:
        raise SystemExit(f"the layout {layout} is not supported here")
    copy = writers[layout](dataset, chosen, out, random)
    copy.free = [case.id for case in chosen]
    order = [KINDS[layout][place] for place in random.permutation(len(KINDS[layout]))]
    planted = []
    for place in range(faults):
        kind = order[place % len(order)]
        planted.append(PLANTERS[kind](copy))
    _finish(copy, dataset, layout, planted)
    Path(f"{out}.planted.json").write_text(json.dumps([asdict(one) for one in planted], indent=1) + "\n")
    return planted


def drawn(labelled: list[Case], number: int, random: Random) -> list[Case]:
    """So many cases of subjects drawn at random, whole subjects as long as there is room, so that some have several."""
    people = sorted({case.subject for case in labelled})
    members = {name: [case for case in labelled if case.subject == name] for name in people}
    order = sorted(random.permutation(people), key=lambda name: -min(len(members[name]), 2) * (random.random() < SEVERAL))
    taken = [case for name in order for case in members[name]][:number]
    return sorted(taken, key=lambda case: case.id)


# --- copies -------------------------------------------------------------------------------------------------------------------


def _copy_hc18(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
    folder = out / "training_set"
    folder.mkdir(parents=True)
    images, labels = {}, {}
    for case in cases:
        images[case.id], labels[case.id] = folder / f"{case.id}.png", folder / f"{case.id}_Annotation.png"
        shutil.copyfile(dataset.path(case.images[0]), images[case.id])
        shutil.copyfile(dataset.path(str(case.label)), labels[case.id])
    return _copy(dataset, cases, out, random, images, labels, 255)


def _copy_folders(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
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


def _copy_msd(dataset: Dataset, cases: list[Case], out: Path, random: Random) -> Copy:
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


def _finish(copy: Copy, dataset: Dataset, layout: str, planted: list[Planted]) -> None:
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


# --- faults -------------------------------------------------------------------------------------------------------------------


def _size(path: Path) -> tuple[int, ...]:
    if path.suffix == ".gz":
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        return tuple(reader.GetSize())
    with Image.open(path) as image:
        return image.size


def _read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) if path.suffix == ".gz" else np.array(Image.open(path))


def _write(path: Path, array: np.ndarray) -> None:
    """In the place of a file, with its geometry."""
    if path.suffix == ".gz":
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(sitk.ReadImage(str(path))) if image.GetSize() == _size(path) else None
        sitk.WriteImage(image, str(path))
    else:
        Image.fromarray(array).save(path)


def _changed(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    _write(path, change(_read(path)))


def _label_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.labels[case].unlink()
    return Planted("label lost", [case])


def _image_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.images[case].unlink()
    return Planted("image lost", [case])


def _name_in_other_case(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    path.rename(path.with_name(path.name.replace("HC", "hc") if "HC" in path.name else path.name.swapcase()))
    return Planted("name in other case", [case])


def _other_grid(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    _write(path, _read(path)[..., :-3])
    return Planted("label on another grid", [case])


def _stray_value(copy: Copy) -> Planted:
    case = copy.take()

    def paint(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        place = tuple(slice(size // 2, size // 2 + 3) for size in array.shape)
        array[place] = copy.value + 5
        return array

    _changed(copy.labels[case], paint)
    return Planted("undeclared value", [case], f"value {copy.value + 5}")


def _jpeg_label(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    Image.fromarray((_read(path) > 0).astype(np.uint8) * 255).save(path.with_suffix(".jpg"), quality=90)
    path.unlink()
    return Planted("label as JPEG", [case])


def _smoothed_label(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    picture = Image.fromarray((_read(path) > 0).astype(np.uint8) * 255)
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)
    small.resize(picture.size, Image.Resampling.BICUBIC).save(path)
    return Planted("label smoothed", [case])


def _broken_numbers(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.labels[case], lambda array: np.where(array > 0, array - 0.25, 0).astype(np.float32))
    return Planted("label not whole", [case])


def _float_label(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.labels[case], lambda array: array.astype(np.float32))
    return Planted("label as float", [case])


def _white_label(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.labels[case], lambda array: (array > 0).astype(np.uint8) * 255)
    return Planted("label 0 and 255", [case])


def _palette_label(copy: Copy) -> Planted:
    case = copy.take()
    picture = Image.fromarray(_read(copy.labels[case])).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0] + [128] * 762)
    picture.save(copy.labels[case])
    return Planted("label as palette", [case])


def _not_a_number(copy: Copy) -> Planted:
    case = copy.take()

    def spoil(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float32)
        array.reshape(-1)[:: array.size // 7] = np.nan
        return array

    _changed(copy.images[case], spoil)
    return Planted("image with NaN", [case])


def _flat_image(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.images[case], lambda array: np.full_like(array, 12))
    return Planted("image of one value", [case])


def _empty_label(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.labels[case], np.zeros_like)
    return Planted("label empty", [case])


def _full_label(copy: Copy) -> Planted:
    case = copy.take()
    _changed(copy.labels[case], lambda array: np.full_like(array, copy.value))
    return Planted("label full", [case])


def _few_pixels(copy: Copy) -> Planted:
    case = copy.take()

    def keep(array: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(array)
        some = np.flatnonzero(array == copy.value)[:4]
        kept.reshape(-1)[some] = copy.value
        return kept

    _changed(copy.labels[case], keep)
    return Planted("structure of a few pixels", [case])


def _unit_of_spacing(copy: Copy) -> Planted:
    case = copy.take()
    factor = float(copy.random.choice([0.1, 10.0, 1000.0]))
    if case in copy.spacing:
        copy.spacing[case] = tuple(size * factor for size in copy.spacing[case])
    else:
        for path in (copy.images[case], copy.labels[case]):
            image = sitk.ReadImage(str(path))
            image.SetSpacing([size * factor for size in image.GetSpacing()])
            sitk.WriteImage(image, str(path))
    return Planted("spacing in another unit", [case], f"times {factor:g}")


def _row_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.missing_rows.add(case)
    return Planted("pixel size lost", [case])


def _row_too_many(copy: Copy) -> Planted:
    copy.extra_rows.append("999_HC")
    return Planted("pixel size without image", ["999_HC"])


def _copied_image(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)
    _write_as(copy.images[case], copy.images[other], lambda array: array)
    return Planted("image of another subject", [other, case])


def _changed_copy(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)

    def change(array: np.ndarray) -> np.ndarray:
        if array.ndim == 2:
            memory = io.BytesIO()
            Image.fromarray(np.clip(array * 1.15 + 6.0, 0, 255).astype(np.uint8)).save(memory, "JPEG", quality=70)
            return np.array(Image.open(memory))
        noise = copy.random.normal(0, 0.02 * array.std(), array.shape)
        louder = array * 1.1 + noise
        return (np.clip(louder, 0, 255) if array.dtype == np.uint8 else louder).astype(array.dtype)

    _write_as(copy.images[case], copy.images[other], change)
    return Planted("changed copy of another subject's image", [other, case])


def _write_as(source: Path, target: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    array = change(_read(source))
    if target.suffix == ".gz":
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(sitk.ReadImage(str(source)))
        sitk.WriteImage(image, str(target))
    else:
        Image.fromarray(array).save(target)


def _label_of_another(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)
    shutil.copyfile(copy.labels[case], copy.labels[other])
    return Planted("label of another subject", [other, case])


def _drawn_as_outline(copy: Copy) -> Planted:
    case = copy.take()

    def outline(array: np.ndarray) -> np.ndarray:
        inside = array > 0
        return np.where(inside & ~binary_erosion(inside, iterations=2), array, 0).astype(array.dtype)

    _changed(copy.labels[case], outline)
    return Planted("label as outline", [case])


def _exchanged(copy: Copy) -> Planted:
    case = copy.take()
    image, label = _read(copy.images[case]), _read(copy.labels[case])
    _write(copy.images[case], label)
    _write(copy.labels[case], image)
    return Planted("image and label exchanged", [case])


def _other_scale(copy: Copy) -> Planted:
    case = copy.take()
    if copy.rank == 2:
        _changed(copy.images[case], lambda array: array.astype(np.uint16) * 200)
    else:
        _changed(copy.images[case], lambda array: array.astype(np.float32) * 1e5)
    return Planted("image on another scale", [case])


def _cut_off(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.images[case]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return Planted("image cut off", [case])


def _leak(copy: Copy) -> Planted:
    """A frame of a subject with several is moved to the other side; where no subject has several, a case stands on both sides."""
    several = [case for case in copy.free if sum(copy.subjects[case] == subject for subject in copy.subjects.values()) > 1]
    if not several:
        case = copy.take()
        copy.on_both_sides.append(case)
        return Planted("case on both sides", [case])
    case = several[int(copy.random.integers(len(several)))]
    copy.free.remove(case)
    copy.leaking.append(case)
    return Planted("subject on both sides", [case])


def _text(copy: Copy) -> Planted:
    case = copy.take()
    picture = Image.open(copy.images[case]).convert("L")
    draw = ImageDraw.Draw(picture)
    left, top = picture.width // 2 - 60, picture.height // 2
    draw.rectangle((left - 4, top - 4, left + 150, top + 26), fill=0)
    draw.text((left, top), f"HC {copy.random.integers(100, 340)} mm", fill=255, font=ImageFont.load_default(size=20))
    picture.save(copy.images[case])
    return Planted("text over the structure", [case])


def _coloured(copy: Copy) -> Planted:
    case = copy.take()
    grey = Image.open(copy.images[case]).convert("RGB")
    ImageDraw.Draw(grey).line((10, 10, 60, 60), fill=(255, 255, 0), width=2)
    grey.save(copy.images[case])
    return Planted("image with coloured marks", [case])


def _moved_origin(copy: Copy) -> Planted:
    case = copy.take()
    label = sitk.ReadImage(str(copy.labels[case]))
    label.SetOrigin([value + 25.0 for value in label.GetOrigin()])
    sitk.WriteImage(label, str(copy.labels[case]))
    return Planted("label at another place", [case])


def _other_spacing_of_label(copy: Copy) -> Planted:
    case = copy.take()
    label = sitk.ReadImage(str(copy.labels[case]))
    label.SetSpacing([size * 1.5 for size in label.GetSpacing()])
    sitk.WriteImage(label, str(copy.labels[case]))
    return Planted("label with another spacing", [case])


def _turned(copy: Copy) -> Planted:
    case = copy.take()
    for path in (copy.images[case], copy.labels[case]):
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LSA"), str(path))
    return Planted("another orientation", [case])


def _flat_slice_2d(copy: Copy) -> Planted:
    case = copy.take()
    for path in (copy.images[case], copy.labels[case]):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image[:, :, image.GetSize()[2] // 2], str(path))
    return Planted("a slice among volumes", [case])


def _label_without_image(copy: Copy) -> Planted:
    case = copy.take()
    extra = copy.labels[case].with_name(copy.labels[case].name.replace(case, f"{case}b"))
    shutil.copyfile(copy.labels[case], extra)
    return Planted("label without image", [extra.name.split(".")[0]])


PLANTERS: dict[str, Callable[[Copy], Planted]] = {
    "label lost": _label_lost,
    "image lost": _image_lost,
    "name in other case": _name_in_other_case,
    "label on another grid": _other_grid,
    "undeclared value": _stray_value,
    "label as JPEG": _jpeg_label,
    "label smoothed": _smoothed_label,
    "label not whole": _broken_numbers,
    "label as float": _float_label,
    "label 0 and 255": _white_label,
    "label as palette": _palette_label,
    "image with NaN": _not_a_number,
    "image of one value": _flat_image,
    "label empty": _empty_label,
    "label full": _full_label,
    "structure of a few pixels": _few_pixels,
    "spacing in another unit": _unit_of_spacing,
    "pixel size lost": _row_lost,
    "pixel size without image": _row_too_many,
    "image of another subject": _copied_image,
    "changed copy of another subject's image": _changed_copy,
    "label of another subject": _label_of_another,
    "label as outline": _drawn_as_outline,
    "image and label exchanged": _exchanged,
    "image on another scale": _other_scale,
    "image cut off": _cut_off,
    "subject on both sides": _leak,
    "text over the structure": _text,
    "image with coloured marks": _coloured,
    "label at another place": _moved_origin,
    "label with another spacing": _other_spacing_of_label,
    "another orientation": _turned,
    "a slice among volumes": _flat_slice_2d,
    "label without image": _label_without_image,
}
OF_PICTURES = (
    "label lost",
    "image lost",
    "name in other case",
    "label on another grid",
    "image of one value",
    "label empty",
    "spacing in another unit",
    "pixel size lost",
    "pixel size without image",
    "image of another subject",
    "changed copy of another subject's image",
    "label of another subject",
    "image on another scale",
    "image cut off",
    "subject on both sides",
    "text over the structure",
    "image with coloured marks",
    "image and label exchanged",
)
KINDS = {
    "hc18": OF_PICTURES,
    "folders": (
        *OF_PICTURES,
        "label full",
        "structure of a few pixels",
        "undeclared value",
        "label as JPEG",
        "label smoothed",
        "label 0 and 255",
        "label as palette",
        "label as outline",
        "label without image",
    ),
    "msd": (
        "label lost",
        "image lost",
        "label on another grid",
        "undeclared value",
        "label not whole",
        "label as float",
        "image with NaN",
        "image of one value",
        "label empty",
        "label full",
        "structure of a few pixels",
        "spacing in another unit",
        "image of another subject",
        "changed copy of another subject's image",
        "label of another subject",
        "image on another scale",
        "image cut off",
        "label at another place",
        "label with another spacing",
        "another orientation",
        "a slice among volumes",
        "label without image",
    ),
}


if __name__ == "__main__":
    main()
