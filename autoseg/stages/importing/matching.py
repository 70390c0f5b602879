"""Images that an annotation set names -> files, case names and subjects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoseg.annotations.base import AnnotatedImage, AnnotationSet, MaskFile
from autoseg.errors import DataError, Fault
from autoseg.records import Case, Dataset
from autoseg.volume.files import READABLE_SUFFIXES, split_suffix

SHOWN = 3
OF_OBJECTS = "segmentationobject"  # a folder of VOC whose pictures are called as images are, and are none
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
    labels themselves do not count.

    Args:
        found: the set.
        root: where it was read.
        images: another folder in which the images lie.

    Returns:
        Sources in the set's order, faults of images that have no file or several, and notes.

    Raises:
        DataError: no image has a file.
    """
    files = _Files(images or root, _labels_of(found.images))
    sources: list[Source] = []
    faults: list[Fault] = []
    names = _case_names(found.images)
    for image in found.images:
        if image.files:
            sources.append(Source(names[image.name], image.files, image))
            continue
        candidates = files.called(image.name)
        if len(candidates) == 1:
            sources.append(Source(names[image.name], (candidates[0],), image))
        elif candidates:
            several = ", ".join(str(one) for one in candidates[:SHOWN])
            faults.append(
                Fault(
                    image.name, f"there are {len(candidates)} files of this name ({several}); give the right folder with --images"
                )
            )
        else:
            faults.append(
                Fault(image.name, f"there is no such image in {images or root}; give the folder of the images with --images")
            )
    if not sources:
        raise DataError(faults[:SHOWN] or f"{root} holds no annotated image")
    used = {file for source in sources for file in source.files}
    unused = [file for file in files.all if file not in used]
    notes = (
        [f"{len(unused)} images are not annotated and take no part, such as {unused[0].name}"]
        if unused and not found.images[0].files
        else []
    )
    return sources, faults, notes


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

    def called(self, name: str) -> list[Path]:
        """Those that a name may mean."""
        plain = PurePosixPath(name.replace("\\", "/"))
        if (exact := self._by_path.get(plain.as_posix())) is not None:
            return [exact]
        named = self._by_name.get(plain.name, [])
        ending = [path for path in named if path.as_posix().endswith(f"/{plain.as_posix()}")]
        return ending or named or self._by_stem.get(plain.name, []) or self._by_stem.get(split_suffix(plain.name)[0], [])


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.casefold() == OF_OBJECTS for part in path.parts)


def _labels_of(images: Iterable[AnnotatedImage]) -> set[Path]:
    masks = {one.shape.path for image in images for one in image.annotations if isinstance(one.shape, MaskFile)}
    return masks | {image.label_map for image in images if image.label_map is not None}


def _case_names(images: Sequence[AnnotatedImage]) -> dict[str, str]:
    """By the image's name: without folders and suffix, and with its folders where that is not unique."""
    stems = Counter(_stem(image.name) for image in images)
    names = {}
    for image in images:
        whole = PurePosixPath(image.name.replace("\\", "/"))
        stem = _stem(image.name)
        name = stem if stems[stem] == 1 else "_".join((*whole.parts[:-1], stem))
        names[image.name] = "".join("_" if letter in UNSAFE else letter for letter in name)
    return names


def _stem(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/")).name
    stem, suffix = split_suffix(last)
    return stem if suffix in READABLE_SUFFIXES else last
