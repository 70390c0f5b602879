"""Images that an annotation set names -> files, case names and subjects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from autoseg.annotations.base import AnnotatedImage, AnnotationSet, MaskFile
from autoseg.errors import DataError, Fault
from autoseg.records import Case, Dataset
from autoseg.volume.files import READABLE_SUFFIXES, is_dicom, split_suffix

SHOWN = 3
OF_OBJECTS = "segmentationobject"  # a folder of VOC whose pictures are called as images are, and are none
OF_MASKS = "masks"  # a folder of LabelMe's and Open Images' whose pictures are masks
UNSAFE = "/\\:"  # in a case's name, which becomes a file's


@dataclass(frozen=True)
class Source:
    """One case to be imported: its name, its files by channel, and what was annotated on it, or the case of a data set that it is."""

    id: str
    files: tuple[Path, ...]
    image: AnnotatedImage
    case: Case | None = None


def sources_of(dataset: Dataset) -> list[Source]:
    """The labelled cases of a data set that was read in another layout."""
    return [
        Source(case.id, tuple(map(dataset.path, case.images)), AnnotatedImage(case.id, None, subject=case.subject), case)
        for case in dataset.cases
        if case.label is not None
    ]


def matched(found: AnnotationSet, root: Path, images: Path | None = None) -> tuple[list[Source], list[Fault], list[str]]:
    """The files of every annotated image.

    A name is looked for as a path from the root, then as the end of a path, then as a file's name, then without its suffix; files that are
    labels themselves do not count. Where folders lead to some of the images, they count: then no name is looked for without its own. A file
    belongs to one image. An image of which the format's reader told a fault takes no part: half of its labels would be wrong labels.

    Args:
        found: the set.
        root: where it was read.
        images: another folder in which the images lie; those of several channels are where the format says.

    Returns:
        Sources in the set's order, faults of images that have no file or several, and notes. Files that images with faults mean count as
        annotated.

    Raises:
        DataError: no image has a file.
    """
    files = _Files(images or root, _labels_of(found.images))
    unsound = {fault.case for fault in found.faults}
    sound = [image for image in found.images if image.name not in unsound]
    with_folders = any(files.lead_to(image.name) for image in sound if not image.files)
    candidates = {
        image.name: [image.files]
        if image.files and (images is None or len(image.files) > 1)
        else files.called(image.name, with_folders)
        for image in sound
    }
    claims = Counter(file for several in candidates.values() if len(several) == 1 for file in several[0])
    names = _case_names(found.images)
    beside = {image.name: files.beside(image.told_in) for image in sound if image.told_in}
    sources: list[Source] = []
    faults: list[Fault] = []
    for image in sound:
        fault = _fault(image, candidates[image.name], claims, images or root, beside.get(image.name))
        if fault is None:
            sources.append(Source(names[image.name], candidates[image.name][0], image))
        else:
            faults.append(fault)
    if not sources:
        raise DataError((*found.faults, *faults) or f"{root} holds no annotated image")
    failed = {fault.case for fault in (*found.faults, *faults)}
    meant = {file for name in failed for several in files.called(name, with_folders) for file in several}
    meant |= {file for name, file in beside.items() if file and name in failed}
    return sources, faults, [] if found.images[0].files else _told_unused(files, meant.union(claims))


def without_chosen_mask(sources: Sequence[Source], labels: Sequence[str]) -> tuple[list[Source], list[Fault]]:
    """Sources that have a mask of a chosen label, and faults of those that have masks of other labels alone.

    A drawing program writes nothing where nothing is; a file of its own for each label is written where there is nothing, too, or was lost.
    """
    kept, faults = [], []
    for source in sources:
        shapes = source.image.annotations
        if shapes and all(isinstance(one.shape, MaskFile) for one in shapes) and not any(one.label in labels for one in shapes):
            others = ", ".join(dict.fromkeys(one.label for one in shapes))
            told = f"has a mask of {others} and none of {', '.join(labels)}; give it an empty one if nothing is on it, or give --missing empty"
            faults.append(Fault(source.image.name, told))
        else:
            kept.append(source)
    return kept, faults


def _told_unused(files: _Files, used: Collection[Path]) -> list[str]:
    unused = [file for file in files.all if file not in used and not _is_mask(file, files.root)]
    return [f"{len(unused)} images are not annotated and take no part, such as {unused[0].name}"] if unused else []


def _fault(
    image: AnnotatedImage, candidates: Sequence[tuple[Path, ...]], claims: Counter[Path], where: Path, beside: Path | None
) -> Fault | None:
    """Why an image is not the one that its name tells; None where all is well. `beside` bears the name of the file that tells of it."""
    name = image.name
    if not candidates and image.told_in and beside:
        told = f"there is no such image, which {image.told_in.name} names, but {beside.name} lies beside that file; mend the name in it"
        return Fault(name, told)
    if not candidates and is_dicom(where / _path(name)):
        told = "DICOM images are taken out of their files first: autoseg import FOLDER PICTURES --from dicom, and here --images PICTURES"
        return Fault(name, f"there is no such picture in {where}; {told}")
    if not candidates:
        return Fault(name, f"there is no such image in {where}; give the folder of the images with --images")
    if len(candidates) > 1:
        several = ", ".join(str(file) for files in candidates[:SHOWN] for file in files)
        return Fault(name, f"there are {len(candidates)} files of this name ({several}); give the right folder with --images")
    shared = next((file for file in candidates[0] if claims[file] > 1), None)
    if shared is not None:
        return Fault(name, f"{claims[shared]} annotated images seem to be the file {shared}; give images names of their own")
    return None


class _Files:
    """Images below a folder by what they may be called."""

    def __init__(self, root: Path, labels: set[Path]) -> None:
        self.root = root if root.is_dir() else root.parent
        every = sorted(path for path in self.root.rglob("*") if split_suffix(path)[1] in READABLE_SUFFIXES)
        self.all = [
            path for path in every if path not in labels and not _is_hidden(path.relative_to(self.root)) and path.is_file()
        ]
        self._by_path = {path.relative_to(self.root).as_posix(): path for path in self.all}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in self.all:
            self._by_name[path.name].append(path)
            self._by_stem[split_suffix(path)[0]].append(path)

    def beside(self, file: Path) -> Path | None:
        """The image of a file's name in its folder."""
        return next((path for path in self._by_stem.get(file.stem, []) if path.parent == file.parent), None)

    def lead_to(self, name: str) -> bool:
        """Whether the folders of a name lead to a file."""
        return len(_path(name).parts) > 1 and bool(self._as_written(name))

    def called(self, name: str, with_folders: bool) -> list[tuple[Path, ...]]:
        """Files that a name may mean, each alone.

        Args:
            name: as the format writes it.
            with_folders: whether its folders have to fit, too.
        """
        plain = _path(name)
        found = self._as_written(name)
        if not found and not (with_folders and len(plain.parts) > 1):
            by_stem = self._by_stem.get(plain.name, []) or self._by_stem.get(split_suffix(plain.name)[0], [])
            found = self._by_name.get(plain.name, []) or by_stem
        return [(file,) for file in found]

    def _as_written(self, name: str) -> list[Path]:
        """With all its folders, and with or without its suffix."""
        plain = _path(name)
        if (exact := self._by_path.get(plain.as_posix())) is not None:
            return [exact]
        ending = [path for path in self._by_name.get(plain.name, []) if path.as_posix().endswith(f"/{plain.as_posix()}")]
        if ending or len(plain.parts) == 1:
            return ending
        folders = f"/{plain.parent.as_posix()}"
        stems = self._by_stem.get(plain.name, []) or self._by_stem.get(split_suffix(plain.name)[0], [])
        return [path for path in stems if path.parent.as_posix().endswith(folders)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.casefold() == OF_OBJECTS for part in path.parts)


def _is_mask(file: Path, root: Path) -> bool:
    """Whether it lies where programs write masks: of what could not be read nobody knows which."""
    return OF_MASKS in (part.casefold() for part in file.relative_to(root).parts[:-1])


def _labels_of(images: Iterable[AnnotatedImage]) -> set[Path]:
    masks = {one.shape.path for image in images for one in image.annotations if isinstance(one.shape, MaskFile)}
    return masks | {image.label_map for image in images if image.label_map is not None}


def _case_names(images: Sequence[AnnotatedImage]) -> dict[str, str]:
    """By the image's name: without folders and suffix; where that is not unique with its folders, then with its suffix, then with a number.

    Names that differ in upper and lower case alone would be one file on some disks, and count as the same.
    """
    ways: tuple[Callable[[str], str], ...] = (_stem, _with_folders, _with_suffix)
    names: dict[str, str] = {}
    left = list(dict.fromkeys(image.name for image in images))
    for way in ways:
        safe = {name: "".join("_" if letter in UNSAFE else letter for letter in way(name)) for name in left}
        taken = Counter(name.casefold() for name in (*safe.values(), *names.values()))
        names |= {name: one for name, one in safe.items() if taken[one.casefold()] == 1}
        left = [name for name in left if name not in names]
    used = {name.casefold() for name in names.values()}
    for name in left:
        number = next(n for n in count(1) if f"{safe[name]}_{n}".casefold() not in used)
        names[name] = f"{safe[name]}_{number}"
        used.add(names[name].casefold())
    return names


def _with_folders(name: str) -> str:
    return "_".join((*_path(name).parts[:-1], _stem(name)))


def _with_suffix(name: str) -> str:
    return f"{_with_folders(name)}_{split_suffix(_path(name).name)[1].strip('.')}".rstrip("_")


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _stem(name: str) -> str:
    last = _path(name).name
    stem, suffix = split_suffix(last)
    return stem if suffix in READABLE_SUFFIXES else last
