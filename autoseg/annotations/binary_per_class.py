"""A binary mask for each class of each image: in a folder for each class, or beside the image with the class at the end of the name.

- `masks/<class>/<name>.png`;
- `<name>_<class>.png` beside `<name>.png`, also several of one class: `<name>_mask.png`, `<name>_mask_1.png` (as in the breast ultrasound set BUSI);
- `<name>_segmentation.png`, or another word for labels, in a folder of its own, where one image alone has the name (as in the skin sets of ISIC);
- `<number>_manual1.gif` for `<number>_training.tif`, in folders of their own (as in retina sets such as DRIVE).

Masks are not 0 inside. Masks of different classes may overlap, and several masks of one class are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from autoseg.annotations import colour_masks
from autoseg.annotations.base import (
    DEFAULTS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Format,
    MaskFile,
    ReadOptions,
    is_background,
)
from autoseg.annotations.reading import SUBSETS, bare, find_child, pictures_under
from autoseg.errors import DataError, Fault
from autoseg.volume.files import LOSSY_SUFFIXES

IMAGES = ("images", "imgs", "image", "img")
MASKS = ("masks", "mask", "labels", "annotations")
CLASS = re.compile(
    r"\d*[^\W\d_]{2}|[^\W\d_]"
)  # it begins with a letter, or with a number and letters (`1stHO`): `_2` is one more image
OUTLINE = re.compile(r"_\d?HC_Annotation$")  # of the set HC18, which the layout of that name fills
NUMBER_AT_END = re.compile(r"_\d+$")
GROUP_AT_END = re.compile(r"_(training|test)$")  # of an image's name in DRIVE, and not of its masks'
NO_NAMES = tuple(
    (name,) for name in ("mask", "label", "seg", "segmentation", "annotation", "anno", "gt")
)  # that say nothing of what it is
LABEL_AT_END = re.compile(r"_(masks?|labels?|segm?|segmentation|annotation|anno|gt|groundtruth|manual\d*)$", re.IGNORECASE)
WITHOUT_MASK = "has no mask; give it an empty one if nothing is on it, or give --missing empty for all such images"
LEAST_SHARE = 0.5  # of the images have a mask beside them, where the folder is taken for this format

Masks = dict[str, list[tuple[str, Path]]]  # by name of the image: label and file


def recognise(path: Path) -> str | None:
    """A folder for each class in `masks/`, or masks beside at least half of the images."""
    folders = _class_folders(path)
    if folders:
        return f"found {next(iter(folders.values())).parent.name}/ with a folder for each of {', '.join(folders)}"
    masks, without = _beside_images(path, DEFAULTS)
    if not masks or len(masks) < LEAST_SHARE * (len(masks) + len(without)):
        return None
    name, ((_, file), *_) = next(iter(masks.items()))
    return f"found {file.name} as a mask of {Path(name).name}"


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All images that have a mask. One without any is a fault: nothing may be on it, but its masks can also have been lost.

    Raises:
        DataError: no masks.
    """
    folders = _class_folders(path)
    masks, without = _in_class_folders(path, folders) if folders else _beside_images(path, options)
    if not masks:
        raise DataError(f"{path} holds no binary masks; put them into masks/<class>/, or beside the images as <name>_<class>.png")
    labels = dict.fromkeys(folders or sorted({label for found in masks.values() for label, _ in found}))
    images, faults = [], []
    for name, found in masks.items():
        lossy = [file.name for _, file in found if file.suffix.casefold() in LOSSY_SUFFIXES]
        if lossy:
            faults.append(Fault(name, f"its mask {lossy[0]} is JPEG, which changes values at borders; save it as PNG"))
            continue
        shapes = tuple(Annotation(label, MaskFile(file)) for label, file in found if not is_background(label))
        images.append(AnnotatedImage(name, None, shapes))
    images += [AnnotatedImage(name, None) for name in without if options.empty and not _mask_of_none(name, labels)]
    faults += [
        Fault(name, _mask_of_none(name, labels) or WITHOUT_MASK)
        for name in without
        if not options.empty or _mask_of_none(name, labels)
    ]
    kept = tuple(label for label in labels if not is_background(label))
    notes = (
        [f"the structure is called {kept[0]}, as its masks are; --only NAME={kept[0]} gives it a name"]
        if kept in NO_NAMES
        else []
    )
    return AnnotationSet("binary-per-class", kept, tuple(images), faults=tuple(faults), notes=tuple(notes))


def _mask_of_none(name: str, labels: Iterable[str]) -> str | None:
    """What is wrong with a picture that is a mask by its name, and of no image; None where it is none."""
    stem, folder = PurePosixPath(name).stem, PurePosixPath(name).parent
    for base, end in _splits(stem):
        if NUMBER_AT_END.sub("", end) in labels:
            return f"is by its name a mask of {(folder / base).as_posix()}, and there is no such image; add the image, or remove the mask"
    return None


def _class_folders(path: Path) -> dict[str, Path]:
    """By class; none where masks lie beside the folders, or where the folders are subsets, or those of the images."""
    masks = find_child(path, *MASKS)
    if masks is None or any(file.parent == masks for file in pictures_under(masks)):
        return {}
    folders = {one.name: one for one in sorted(masks.iterdir()) if one.is_dir() and pictures_under(one)}
    images = find_child(path, *IMAGES)
    mirrored = images is not None and all(find_child(images, name) for name in folders)
    return {} if mirrored or {name.casefold() for name in folders} <= SUBSETS else folders


def _in_class_folders(path: Path, folders: Mapping[str, Path]) -> tuple[Masks, list[str]]:
    """Masks, and names of images without any."""
    place = find_child(path, *IMAGES)
    pictures = {bare(file, place): file.relative_to(place).as_posix() for file in pictures_under(place)} if place else {}
    masks: Masks = {}
    for label, folder in folders.items():
        for file in pictures_under(folder):
            key = bare(file, folder)
            masks.setdefault(pictures.get(key, key), []).append((label, file))
    return dict(sorted(masks.items())), [name for name in pictures.values() if name not in masks]


def _beside_images(path: Path, options: ReadOptions) -> tuple[Masks, list[str]]:
    """Masks, and names of images without any.

    A picture is a mask if its name begins with that of an image in its folder, and goes on with `_` and a class; or with that of one image in
    any folder, and with a word for labels, unless folders of images and masks lie side by side.
    """
    images: dict[tuple[Path, str], Path] = {}
    owner: dict[Path, tuple[Path, str]] = {}  # of each mask: its image, and its class
    for file in sorted(pictures_under(path), key=lambda file: (len(file.stem), file)):
        found = next(((base, end) for base, end in _splits(file.stem) if (file.parent, base) in images), None)
        if found:
            owner[file] = images[file.parent, found[0]], found[1]
        else:
            images[file.parent, file.stem] = file
    grouped = {
        name: file
        for file in images.values()
        for name in (file.stem, GROUP_AT_END.sub("", file.stem))
        if GROUP_AT_END.search(file.stem)
    }
    for file in list(images.values()):
        found = next(((base, end) for base, end in _splits(file.stem) if grouped.get(base, file) != file), None)
        if found and file not in grouped.values():
            owner[file] = grouped[found[0]], found[1]
            del images[file.parent, file.stem]
    if colour_masks.recognise(path) is None:
        _take_from_other_folders(images, owner)
    masks: Masks = {}
    for file, (image, end) in sorted(owner.items()):
        label = file.parent.name if options.folders_are_labels else NUMBER_AT_END.sub("", end)
        masks.setdefault(image.relative_to(path).as_posix(), []).append((label, file))
    names = sorted(file.relative_to(path).as_posix() for file in images.values())
    return dict(sorted(masks.items())), [name for name in names if name not in masks]


def _take_from_other_folders(images: dict[tuple[Path, str], Path], owner: dict[Path, tuple[Path, str]]) -> None:
    """Masks among the images whose own image, of which there is one, lies in another folder; both mappings are changed."""
    by_stem: dict[str, list[Path]] = {}
    for file in images.values():
        by_stem.setdefault(file.stem, []).append(file)
    for key, file in list(images.items()):
        end = LABEL_AT_END.search(file.stem) if not OUTLINE.search(file.stem) else None
        found = by_stem.get(file.stem[: end.start()], []) if end else []
        if end and len(found) == 1:
            owner[file] = found[0], end[1]
            del images[key]


def _splits(stem: str) -> list[tuple[str, str]]:
    """Beginnings and ends of a name at each `_` before what may be a class, the longest beginning first."""
    if OUTLINE.search(stem):
        return []
    places = [place for place, sign in enumerate(stem) if sign == "_" and CLASS.match(stem[place + 1 :])]
    return [(stem[:place], stem[place + 1 :]) for place in reversed(places)]


FORMAT = Format("binary-per-class", "masks/<class>/<name>.png, or <name>_<class>.png beside <name>.png", recognise, read)
