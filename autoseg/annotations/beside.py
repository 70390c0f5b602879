"""Files that tell of one image each and cannot be read, as LabelMe's: which image each of them means.

`a.json` means `a.png` beside it, or the only picture of that name elsewhere in the set.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoseg.annotations.base import AnnotatedImage
from autoseg.annotations.reading import bare, pictures_under
from autoseg.errors import Fault


class Pictures:
    """Pictures below a folder, by the files that tell of them; names are paths from the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_place: dict[str, Path] = {}
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for file in pictures_under(root):
            self._by_place.setdefault(bare(file, root), file)
            self._by_stem[file.stem].append(file)

    def beside(self, file: Path) -> str | None:
        """The picture of a file's name in its folder."""
        found = self._by_place.get(bare(file, self._root)) if file.is_relative_to(self._root) else None
        return self._name(found) if found else None

    def of(self, file: Path) -> str | None:
        """The picture beside a file, else the only one of its name."""
        several = self._by_stem.get(file.stem, [])
        return self.beside(file) or (self._name(several[0]) if len(several) == 1 else None)

    def _name(self, picture: Path) -> str:
        return picture.relative_to(self._root).as_posix()


@dataclass(frozen=True)
class Damaged:
    """One file that cannot be read.

    Args:
        file: in the set.
        told: what is wrong with it, and the cure.
        image: that it names, where that can still be read.
        is_ours: whether it is known to be of the format; of others nothing is told unless they lie beside a picture that has no file else.
    """

    file: Path
    told: str
    image: str | None = None
    is_ours: bool = True


def faults_of(damaged: Iterable[Damaged], images: Sequence[AnnotatedImage], pictures: Pictures) -> list[Fault]:
    """A fault for each file, by the name of its image; by its own where no image is known, or where one that can be read tells of it."""
    told_of = _names_of(images)
    faults = []
    for one in damaged:
        name = one.image or (pictures.of(one.file) if one.is_ours else pictures.beside(one.file))
        if name is not None and told_of.isdisjoint(_endings(name)):
            faults.append(Fault(name, f"its {one.file.name} {one.told}"))
        elif one.is_ours:
            faults.append(Fault(one.file.name, one.told))
    return faults


def faults_of_misnamed(images: Sequence[AnnotatedImage], pictures: Pictures) -> list[Fault]:
    """Faults of pictures whose own file, beside them, names an image that others name, too."""
    times, told_of = Counter(image.name for image in images), _names_of(images)
    faults = []
    for image in images:
        if image.told_in is None or times[image.name] < 2:
            continue
        own = pictures.beside(image.told_in)
        if own is not None and told_of.isdisjoint(_endings(own)):
            faults.append(Fault(own, f"its {image.told_in.name} names {image.name}, as another file does; mend the name in it"))
    return faults


def _names_of(images: Iterable[AnnotatedImage]) -> set[str]:
    """With and without what looks like a suffix, since a name without one may hold a dot."""
    return {name for image in images for name in (image.name, _plain(image.name))}


def _plain(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix() if PurePosixPath(name).name else name


def _endings(name: str) -> set[str]:
    """What a picture may be called: its path without its suffix, from each of its folders on."""
    parts = _plain(name).split("/")
    return {"/".join(parts[place:]) for place in range(len(parts))}
