"""Sets without a layout of their own: images and labels found by patterns of their paths.

A pattern is a path relative to the set with `{case}` where the case's name stands (the same wherever it is repeated), `*` and `?` within
a folder or a file's name, and `**/` for any folders: `{case}/t1*.nii.gz`. A pattern without `{case}` names one file.

Where one name stands in several folders that `*` or `**/` stand for, these folders become part of the case's name, for all patterns alike:
`*/images/{case}.png` finds `train_1` and `test_1`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.annotations.base import AnnotatedImage, Annotation, AnnotationSet, MaskFile
from autoseg.annotations.unread import told_unread
from autoseg.errors import DataError, Fault
from autoseg.volume.files import READABLE_SUFFIXES, split_suffix

NAME = "patterns"
CASE = "{case}"
TOKENS = re.compile(r"\{case\}|\*\*/|\*|\?")
SHOWN = 5
SEVERAL_SHOWN = 3  # files of one case

Files = dict[str, list[str]]  # by case; by "" where a pattern does not tell the case


@dataclass(frozen=True)
class Match:
    """A file that a pattern finds: its case, and what stands for the pattern's `*` and `**/` among the folders."""

    path: str
    case: str
    folders: tuple[str, ...]

    def name(self, depth: int) -> str:
        """The case's name with so many of the folders in front."""
        parts = [part for folder in self.folders[:depth] for part in folder.split("/") if part]
        return "_".join([*parts, self.case])


def read_listing(root: Path, images: Mapping[str, str], labels: Mapping[str, str], *, empty: bool = False) -> AnnotationSet:
    """The cases for which every pattern finds a file.

    Args:
        root: of the set.
        images: patterns by channel; a single one may have the name "".
        labels: patterns by structure, whose files are high inside of it, and of which a case may have several; or a single one with the name
            "", of label maps.
        empty: a label that is not there means that nothing is on the image; else it is a fault.

    Raises:
        DataError: a pattern finds nothing, finds several images or label maps of one case, or does not fit the others.
    """
    if not images or not labels:
        raise DataError("patterns are needed of images and of labels: --image '{case}.png' --label '{case}_mask.png'")
    if len(labels) > 1 and "" in labels:
        raise DataError("of several patterns of labels each needs the name of its structure: --label NAME=PATTERN")
    paths = files_below(root)
    image_matches = {name: _matches(root, paths, pattern, "--image") for name, pattern in images.items()}
    label_matches = {name: _matches(root, paths, pattern, "--label") for name, pattern in labels.items()}
    masks = {one.path for found in label_matches.values() for one in found}  # '{case}.png' finds these, too
    image_matches = {name: [one for one in found if one.path not in masks] for name, found in image_matches.items()}
    single = "" in labels
    depth = folders_in_names([*image_matches.values()], [*label_matches.values()], single)
    found_images = {name: by_name(found, depth) for name, found in image_matches.items()}
    found_labels = {name: by_name(found, depth) for name, found in label_matches.items()}
    _refuse_several(images, found_images, "--image", "make it find one")
    if single:
        _refuse_several(
            labels, found_labels, "--label", "make it find one, or name what they show, NAME=PATTERN, and they are joined"
        )
    every = [*found_images.values(), *found_labels.values()]
    if any(set(one) == {""} for one in every):
        every = _of_one_case(every, root)
        found_images = dict(zip(images, every[: len(images)], strict=True))
        found_labels = dict(zip(labels, every[len(images) :], strict=True))
    known = {case for one in found_images.values() for case in one}
    needed = [("--image", images, found_images), *([] if empty else [("--label", labels, found_labels)])]
    faults = [
        Fault(case, f"has no file that {what} {pattern!r} finds; mend the pattern, or add the file{_or_empty(what)}")
        for what, patterns, found in needed
        for name, pattern in patterns.items()
        for case in sorted(known - set(found[name]))
    ]
    wanted = [*found_images.values(), *([] if empty else found_labels.values())]
    complete = sorted(case for case in known if all(case in one for one in wanted))
    if not complete:
        raise DataError(faults or f"no case has all files that the patterns name in {root}")
    return AnnotationSet(
        format=NAME,
        labels=() if single else tuple(labels),
        images=tuple(_image(root, case, found_images, found_labels, single) for case in complete),
        channels=tuple(images) if "" not in images else (),
        faults=tuple(faults),
        notes=(
            *_without_image(labels, found_labels, known),
            *_joined(labels, found_labels, complete),
            *_empty(labels, found_labels, complete),
        ),
    )


def _image(root: Path, case: str, images: Mapping[str, Files], labels: Mapping[str, Files], single: bool) -> AnnotatedImage:
    return AnnotatedImage(
        name=case,
        size=None,
        annotations=()
        if single
        else tuple(Annotation(name, MaskFile(root / file)) for name, found in labels.items() for file in found.get(case, ())),
        label_map=root / labels[""][case][0] if single and case in labels[""] else None,
        files=tuple(root / found[case][0] for found in images.values()),
    )


def _without_image(patterns: Mapping[str, str], found: Mapping[str, Files], known: Iterable[str]) -> list[str]:
    """A note for each pattern of labels that finds files of cases without any image."""
    orphans = {name: [file for case in sorted(set(one) - set(known)) for file in one[case]] for name, one in found.items()}
    return [
        f"{len(files)} files that --label {patterns[name]!r} finds belong to no image that --image finds, and are left out, such as {files[0]}"
        for name, files in orphans.items()
        if files
    ]


def _joined(patterns: Mapping[str, str], found: Mapping[str, Files], complete: Sequence[str]) -> list[str]:
    """A note for each pattern of labels that finds several files of a case."""
    most = {name: max(len(one.get(case, ())) for case in complete) for name, one in found.items()}
    return [
        f"--label {patterns[name]!r} finds up to {number} files of a case, which are joined"
        for name, number in most.items()
        if number > 1
    ]


def _empty(patterns: Mapping[str, str], found: Mapping[str, Files], complete: Sequence[str]) -> list[str]:
    """A note for each pattern of labels that finds no file of some cases, which are taken."""
    without = {name: [case for case in complete if case not in one] for name, one in found.items()}
    return [
        f"--label {patterns[name]!r} finds no file of {len(cases)} cases, which count as empty there, such as {cases[0]}"
        for name, cases in without.items()
        if cases
    ]


def _or_empty(what: str) -> str:
    return (
        ", or give --missing empty if a label that is not there means that nothing is on the image" if what == "--label" else ""
    )


def pattern_of(text: str) -> re.Pattern[str]:
    """The regular expression of a pattern, for whole paths; what stands for `*` and `**/` among the folders are groups `folder0` ...

    The suffix is found in either case: `{case}.jpg` finds `a.JPG`, too.
    """
    expression, end, seen, folders = "", 0, False, 0
    for token in TOKENS.finditer(text):
        expression += re.escape(text[end : token.start()])
        if token[0] == CASE:
            expression += "(?P=case)" if seen else "(?P<case>[^/]+?)"
            seen = True
        elif token[0] == "**/" or (token[0] == "*" and "/" in text[token.end() :]):
            expression += f"(?P<folder{folders}>{'(?:.*/)?' if token[0] == '**/' else '[^/]*'})"
            folders += 1
        else:
            expression += {"*": "[^/]*", "?": "[^/]"}[token[0]]
        end = token.end()
    rest, suffix = _suffix_apart(text[end:])
    return re.compile(f"{expression}{re.escape(rest)}(?i:{re.escape(suffix)})")


def _suffix_apart(end: str) -> tuple[str, str]:
    """The end of a pattern without the suffix, and the suffix; a part of one counts as such."""
    folders, slash, file = end.rpartition("/")
    stem, suffix = split_suffix(f"x{file}")
    return f"{folders}{slash}{stem[1:]}", suffix


def files_below(root: Path) -> list[str]:
    """Paths of all files that are read, in a folder and below, as they lie in it."""
    return sorted(path.relative_to(root).as_posix() for path in _every_file(root) if split_suffix(path)[1] in READABLE_SUFFIXES)


def matches(paths: Iterable[str], text: str) -> list[Match]:
    """The files that a pattern finds."""
    pattern = pattern_of(text)
    groups = [name for name in pattern.groupindex if name != "case"]
    found = ((path, pattern.fullmatch(path)) for path in paths)
    has_case = "case" in pattern.groupindex
    return [
        Match(path, one["case"] if has_case else "", tuple(one[name] for name in groups) if has_case else ())
        for path, one in found
        if one
    ]


def by_name(found: Iterable[Match], depth: int) -> Files:
    """Files by the names of their cases, with so many folders in front."""
    files: Files = {}
    for one in found:
        files.setdefault(one.name(depth), []).append(one.path)
    return files


def folders_in_names(images: Sequence[Sequence[Match]], labels: Sequence[Sequence[Match]], single: bool) -> int:
    """How many of the folders that `*` and `**/` stand for are part of a case's name: none, or as many as all patterns have.

    None where the names in the patterns tell images (and label maps, where there is a single pattern of those) apart, or where the folders
    would not do so either.
    """
    alone = [*images, *(labels if single else ())]
    if _one_each(alone, 0):
        return 0
    depth = min((len(found[0].folders) if found else 0 for found in (*images, *labels)), default=0)
    if not depth or not _one_each(alone, depth):
        return 0
    return depth if set.intersection(*(set(by_name(found, depth)) for found in (*images, *labels))) else 0


def _one_each(every: Iterable[Sequence[Match]], depth: int) -> bool:
    return all(len(by_name(found, depth)) == len(found) for found in every)


def _every_file(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.name.startswith(".") and path.is_file()]


def _matches(root: Path, paths: Sequence[str], text: str, flag: str) -> list[Match]:
    if found := matches(paths, text):
        return found
    pattern = pattern_of(text)
    if told := told_unread(path for path in _every_file(root) if pattern.fullmatch(path.relative_to(root).as_posix())):
        raise DataError(f"{flag} {text!r} finds {told}")
    near = difflib.get_close_matches(text, paths, SHOWN, 0.3) or paths[:SHOWN]
    raise DataError(
        f"{flag} {text!r} finds no file; there are {', '.join(near) or 'none'} ...: write {CASE} where the case's name stands"
    )


def _refuse_several(patterns: Mapping[str, str], found: Mapping[str, Files], flag: str, cure: str) -> None:
    several = [
        Fault(case or patterns[name], f"{flag} {patterns[name]!r} finds {_listed(files)}; {cure}")
        for name, one in found.items()
        for case, files in one.items()
        if len(files) > 1
    ]
    if several:
        raise DataError(several)


def _listed(files: Sequence[str]) -> str:
    more = len(files) - SEVERAL_SHOWN
    return ", ".join(files[:SEVERAL_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _of_one_case(found: list[Files], root: Path) -> list[Files]:
    """Patterns without a case name the files of a single one, which is called as its image is."""
    if not all(set(one) == {""} for one in found):
        raise DataError(f"some patterns name one file, and others have {CASE}; write it in all of them or in none")
    name = split_suffix(root / found[0][""][0])[0]
    return [{name: one[""]} for one in found]
