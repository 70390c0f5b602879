"""Sets without a layout of their own: images and labels found by patterns of their paths.

A pattern is a path relative to the set with `{case}` where the case's name stands (the same wherever it is repeated), `*` and `?` within
a folder or a file's name, and `**/` for any folders: `{case}/t1*.nii.gz`. A pattern without `{case}` names one file.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from autoseg.annotations.base import AnnotatedImage, Annotation, AnnotationSet, MaskFile
from autoseg.errors import DataError, Fault
from autoseg.volume.files import READABLE_SUFFIXES, split_suffix

NAME = "patterns"
CASE = "{case}"
TOKENS = re.compile(r"\{case\}|\*\*/|\*|\?")
SHOWN = 5
FEWEST = 2  # cases that make a pattern
FEW = 0.5  # of the cases of the most common pattern: fewer files are something else
MOST_SUGGESTED = 8
TAIL = re.compile(r"[-_][A-Za-z][^-_]*$")
LABEL_WORD = re.compile(r"(?<![a-z])(seg|segm|segmentation|mask|label|lesion|gt|manual|annotation)(?![a-z])", re.IGNORECASE)


def read_listing(root: Path, images: Mapping[str, str], labels: Mapping[str, str]) -> AnnotationSet:
    """The cases for which every pattern finds a file.

    Args:
        root: of the set.
        images: patterns by channel; a single one may have the name "".
        labels: patterns by structure, whose files are high inside of it; or a single one with the name "", of label maps.

    Raises:
        DataError: a pattern finds nothing, finds several files of one case, or does not fit the others.
    """
    if not images or not labels:
        raise DataError("patterns are needed of images and of labels: --image '{case}.png' --label '{case}_mask.png'")
    if len(labels) > 1 and "" in labels:
        raise DataError("of several patterns of labels each needs the name of its structure: --label NAME=PATTERN")
    paths = _files_below(root)
    found_images = {name: _by_case(paths, pattern, "--image") for name, pattern in images.items()}
    found_labels = {name: _by_case(paths, pattern, "--label") for name, pattern in labels.items()}
    masks = {file for one in found_labels.values() for file in one.values()}  # '{case}.png' finds these, too
    found_images = {name: {case: file for case, file in one.items() if file not in masks} for name, one in found_images.items()}
    every = [*found_images.values(), *found_labels.values()]
    if any(set(one) == {""} for one in every):
        every = _of_one_case(every, root, images)
        found_images = dict(zip(images, every[: len(images)], strict=True))
        found_labels = dict(zip(labels, every[len(images) :], strict=True))
    faults = [
        Fault(case, f"has no file that {what} {pattern!r} finds; mend the pattern, or add the file")
        for what, patterns, found in (("--image", images, found_images), ("--label", labels, found_labels))
        for name, pattern in patterns.items()
        for case in sorted({case for one in found_images.values() for case in one} - set(found[name]))
    ]
    complete = [case for case in next(iter(found_images.values())) if all(case in one for one in every)]
    if not complete:
        raise DataError(faults or f"no case has all files that the patterns name in {root}")
    known = {case for one in found_images.values() for case in one}
    single = "" in labels
    return AnnotationSet(
        format=NAME,
        labels=() if single else tuple(labels),
        images=tuple(
            AnnotatedImage(
                name=case,
                size=None,
                annotations=()
                if single
                else tuple(Annotation(name, MaskFile(root / found[case])) for name, found in found_labels.items()),
                label_map=root / found_labels[""][case] if single else None,
                files=tuple(root / found[case] for found in found_images.values()),
            )
            for case in sorted(complete)
        ),
        channels=tuple(images) if "" not in images else (),
        faults=tuple(faults),
        notes=tuple(_without_image(labels, found_labels, known)),
    )


def _without_image(patterns: Mapping[str, str], found: Mapping[str, Mapping[str, str]], known: Set[str]) -> list[str]:
    """A note for each pattern of labels that finds files of cases without any image."""
    orphans = {name: [one[case] for case in sorted(one) if case not in known] for name, one in found.items()}
    return [
        f"{len(files)} files that --label {patterns[name]!r} finds belong to no image that --image finds, and are left out, such as {files[0]}"
        for name, files in orphans.items()
        if files
    ]


def pattern_of(text: str) -> re.Pattern[str]:
    """The regular expression of a pattern, for whole paths."""
    expression, end, seen = "", 0, False
    for token in TOKENS.finditer(text):
        expression += re.escape(text[end : token.start()])
        if token[0] == CASE:
            expression += "(?P=case)" if seen else "(?P<case>[^/]+?)"
            seen = True
        else:
            expression += {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}[token[0]]
        end = token.end()
    return re.compile(expression + re.escape(text[end:]))


def suggested(root: Path) -> str | None:
    """Patterns that would read a set, as options; None where the names of its files have too little in common.

    The case is what folders of one depth are called, or what stands before the last word of a file's name: whichever fits more cases.
    """
    paths = _files_below(root)
    depths = range(max((path.count("/") for path in paths), default=0))
    ways = [Counter(_as_pattern(path, depth) for path in paths) for depth in (None, *depths)]
    best = max(ways, key=_fit)
    cases = _fit(best)[0]
    common = [pattern for pattern, number in best.items() if CASE in pattern and number > FEW * cases][:MOST_SUGGESTED]
    labels = [pattern for pattern in common if LABEL_WORD.search(pattern.rpartition("/")[2])]
    images = [pattern for pattern in common if pattern not in labels]
    if cases < FEWEST or not labels or not images:
        return None
    return " ".join([*_as_options("--image", images), *_as_options("--label", labels)])


def _fit(found: Mapping[str, int]) -> tuple[int, int]:
    """Cases of the most common pattern, and files of all that have a case and are of several."""
    numbers = [number for pattern, number in found.items() if CASE in pattern and number >= FEWEST]
    return max(numbers, default=0), sum(numbers)


def _as_options(flag: str, patterns: Sequence[str]) -> list[str]:
    """Of several patterns each has a name."""
    return [f"{flag} '{f'{_own_name(one)}=' if len(patterns) > 1 else ''}{one}'" for one in patterns]


def _own_name(pattern: str) -> str:
    """What the files of a pattern are called, without the case's name and without a word for labels where others are left."""
    words = [word for word in re.split(r"[-_. ]", split_suffix(pattern.rpartition("/")[2])[0]) if word and CASE not in word]
    return "_".join([word for word in words if not LABEL_WORD.fullmatch(word)] or words) or "image"


def _as_pattern(path: str, depth: int | None) -> str:
    """A path with the case's name replaced: of a folder of this depth, wherever it is repeated, or of the file."""
    *folders, file = path.split("/")
    if depth is not None:
        return "/".join(part.replace(folders[depth], CASE) for part in (*folders, file)) if depth < len(folders) else path
    stem, suffix = split_suffix(file)
    tail = TAIL.search(stem)
    return "/".join((*folders, f"{CASE}{tail[0] if tail else ''}{suffix}"))


def _files_below(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if split_suffix(path)[1] in READABLE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _by_case(paths: Iterable[str], text: str, flag: str) -> dict[str, str]:
    """Files by case; by "" where the pattern does not tell the case."""
    pattern = pattern_of(text)
    found: dict[str, list[str]] = {}
    for path in paths:
        if match := pattern.fullmatch(path):
            found.setdefault(match["case"] if "case" in pattern.groupindex else "", []).append(path)
    if not found:
        near = difflib.get_close_matches(text, list(paths), SHOWN, 0.3) or list(paths)[:SHOWN]
        raise DataError(
            f"{flag} {text!r} finds no file; there are {', '.join(near) or 'none'} ...: write {CASE} where the case's name stands"
        )
    several = [
        Fault(case or text, f"{flag} {text!r} finds {', '.join(files[:SHOWN])}; make it find one")
        for case, files in found.items()
        if len(files) > 1
    ]
    if several:
        raise DataError(several)
    return {case: files[0] for case, files in found.items()}


def _of_one_case(found: list[dict[str, str]], root: Path, images: Mapping[str, str]) -> list[dict[str, str]]:
    """Patterns without a case name the files of a single one, which is called as its image is."""
    if not all(set(one) == {""} for one in found):
        raise DataError(f"some patterns name one file, and others have {CASE}; write it in all of them or in none")
    name = split_suffix(root / next(iter(found))[""])[0] if images else ""
    return [{name: one[""]} for one in found]
