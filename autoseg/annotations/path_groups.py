"""Files of a folder, grouped by the patterns that their paths can be taken for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoseg.annotations.listing import CASE, Files, Match, by_name
from autoseg.volume.files import READABLE_SUFFIXES, is_picture, split_suffix

FEWEST = 2  # cases that make a pattern
MOST_FILES = 2000  # that are looked at
MOST_FOLDERS, MOST_IN_FOLDER, FEWEST_LOOKED_AT = 60, 200, 10
MOST_GROUPS = 1500
LABEL_WORD = re.compile(
    r"(?<![a-z])(d?segs?|segm|segmentations?|masks?|labels?|lesions?|gts?|ground[-_ ]?truths?|manual|anno|annot|annotations?)(?![a-z])",
    re.IGNORECASE,
)
IMAGE_WORD = re.compile(r"(?<![a-z])(images?|imgs?|imaging|originals?|orig|vol|volumes?|input)(?![a-z])", re.IGNORECASE)
SUBSET_WORD = re.compile(r"(?<![a-z])(training|train|validation|val|test|testing)(?![a-z])", re.IGNORECASE)
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
STARTS = re.compile(r"(?P<letters>[A-Za-z]+)(?P<number>\d+)|(?P<word>[A-Za-z]+[-_. ])(?P<rest>.+)")
SEPARATOR = re.compile(r"[-_. ]")


@dataclass(frozen=True, eq=False)
class Group:
    """The files that one pattern finds."""

    pattern: str
    found: list[Match]

    @cached_property
    def names(self) -> tuple[Files, Files]:
        """Files by case, without and with the folders that `*` stands for."""
        return by_name(self.found, 0), by_name(self.found, len(self.found[0].folders))

    @cached_property
    def folders(self) -> list[str]:
        """Of the pattern."""
        return self.pattern.split("/")[:-1]

    @property
    def file(self) -> str:
        """The pattern's last part."""
        return self.pattern.rpartition("/")[2]

    @cached_property
    def paths(self) -> frozenset[str]:
        """Of all its files."""
        return frozenset(one.path for one in self.found)

    @cached_property
    def of_pictures(self) -> bool:
        """Whether its files are pictures, and not volumes."""
        return is_picture(self.found[0].path)

    @property
    def stars(self) -> int:
        """How much its pattern leaves open."""
        return self.pattern.count("*")

    @property
    def joins(self) -> bool:
        """Whether a case may have several files."""
        return "*" in self.file

    @cached_property
    def hides_labels(self) -> bool:
        """Whether one of the folders that `*` stands for is called as labels are."""
        return any(LABEL_WORD.search(words_apart(name)) for name in {name for one in self.found for name in one.folders})

    @cached_property
    def begins_with_case(self) -> bool:
        """Whether nothing of the file's name stands before the case's, or a folder tells the case."""
        return self.file.startswith(CASE) or CASE in self.folders

    @cached_property
    def kernel(self) -> str:
        """The file's part of the pattern without words that mean labels or images: two with the same one belong together."""
        left = words_apart(split_suffix(self.file)[0])
        for words in (LABEL_WORD, IMAGE_WORD, SUBSET_WORD, SEPARATOR):
            left = words.sub("", left)
        return left

    @cached_property
    def is_plain_mask(self) -> bool:
        """Whether its labels are called mask and no more, by their files or, where these do not tell, by their folder."""
        own, folder = (words_apart(part) for part in (split_suffix(self.file)[0], self.folders[-1] if self.folders else ""))
        left = SUBSET_WORD.sub("", own if LABEL_WORD.search(own) else folder)
        return re.sub(r"[^a-z]", "", left.lower()) in ("mask", "masks")

    @cached_property
    def says_image(self) -> bool:
        """Whether the file's name or the folder's says that it is an image."""
        return any(IMAGE_WORD.search(words_apart(part)) for part in (split_suffix(self.file)[0], *self.folders[-1:]))


def words_apart(text: str) -> str:
    """With a space before each capital within a word, and the case's name as a sign that is no letter."""
    return HUMP.sub(" ", text.replace(CASE, "\0"))


def groups_of(root: Path) -> list[Group]:
    """Groups of at least `FEWEST` cases, of every way to take the paths of the files: the largest."""
    found: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {}
    for path in files_looked_at(root):
        for pattern, case, folders in _ways(path):
            found.setdefault(pattern, []).append((path, case, folders))
    largest = sorted(found.items(), key=lambda pair: -len(pair[1]))[:MOST_GROUPS]
    groups = [Group(pattern, [Match(*one) for one in ones]) for pattern, ones in largest if len(ones) >= FEWEST]
    return [one for one in groups if len(one.names[1]) >= FEWEST]


def files_looked_at(root: Path) -> list[str]:
    """Paths of readable files below a folder; of many a part from each folder, so that those of the same cases are among them."""
    return [path.relative_to(root).as_posix() for path in _looked_at(root, MOST_FILES)]


def _looked_at(folder: Path, most: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            shown = sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError:  # a file, or a folder that may not be opened
        return
    files = [Path(one.path) for one in shown if split_suffix(one.name)[1] in READABLE_SUFFIXES and one.is_file()]
    yield from files[: min(most, MOST_IN_FOLDER)]
    inside = [Path(one.path) for one in shown if one.is_dir(follow_symlinks=False)]
    inside = inside[: min(MOST_FOLDERS, 1 + most // FEWEST_LOOKED_AT)]
    for one in inside:
        yield from _looked_at(one, max(most // len(inside), FEWEST_LOOKED_AT))


def _ways(path: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Patterns that find a path, with the case and what their stars stand for among the folders.

    The case is a folder's name, or what a file's name begins or ends with; some of the folders may be left open.
    """
    *folders, file = path.split("/")
    stem, suffix = split_suffix(file)
    for depth, name in enumerate(folders):
        whole = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
        parts = [whole.sub(CASE, part) for part in folders]
        parts[depth] = CASE
        last = whole.sub(CASE, stem)
        lasts = [
            last,
            *(["*"] if CASE not in last and LABEL_WORD.search(words_apart(folders[-1])) and folders[-1] != name else []),
        ]
        for one in lasts:
            yield from _left_open(parts, one + suffix, name, folders)
    for case, last in _splits(stem):
        yield from _left_open(folders, last + suffix, case, folders)


def _left_open(parts: Sequence[str], file: str, case: str, folders: Sequence[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """A pattern, and the same with some folders in a row left open."""
    yield "/".join([*parts, file]), case, ()
    for first in range(len(parts)):
        for end in range(first + 1, len(parts) + 1):
            if CASE in parts[end - 1]:
                break
            yield "/".join([*parts[:first], *["*"] * (end - first), *parts[end:], file]), case, tuple(folders[first:end])


def _splits(stem: str) -> Iterator[tuple[str, str]]:
    """Cases in a file's name, and the name with them left open: all of it, all but the last one or two words, all but the first word."""
    yield stem, CASE
    places = [one.start() for one in SEPARATOR.finditer(stem) if one.start()]
    for place in places[-2:]:
        yield stem[:place], CASE + stem[place:]
    if one := STARTS.fullmatch(stem):
        start, case = (one["letters"], one["number"]) if one["letters"] else (one["word"], one["rest"])
        yield case, start + CASE
