"""Patterns that would read a set, guessed from the names of its files and from what a few of them hold.

Of all pairs of a pattern of images and one of labels, the pair counts by which most cases have both. Files are looked into: what holds several
values is a label map, and no mask of one structure. Where two readings are as good, nothing is suggested.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoseg.annotations.listing import CASE, read_listing
from autoseg.annotations.looking import Kind, are_nested, covers, is_image, kind_of, same_rank, same_size, show_the_same
from autoseg.annotations.path_groups import FEWEST, IMAGE_WORD, LABEL_WORD, Group, files_looked_at, groups_of, words_apart
from autoseg.errors import DataError
from autoseg.volume.files import split_suffix

NEARLY_ALL = 0.9  # of the cases have what is taken along
MOST_SUGGESTED = 16
MOST_GROUPS = 400
MOST_PAIRS = 20  # of patterns, and of files of two patterns, that are looked at
LOOKED_AT = 3  # files of a pattern
FIELD = 0.4  # of the picture is inside a mask of the field of view


def suggested(root: Path) -> str | None:
    """Patterns that would read a set, as options; None where the names of its files have too little in common."""
    groups = sorted(groups_of(root), key=lambda one: -len(one.names[1]))[:MOST_GROUPS]
    pair = _best_pair(root, groups)
    if pair is None:
        return None
    image, label = pair
    images, maps = _images(root, image, label, groups)
    labels = _labels(root, image, label, groups, maps)
    if not images or not labels:
        return None
    named = len(labels) > 1 or labels[0].joins or _kind(root, labels[0]) == Kind.SMOOTH
    image_names = _names(images, "image") if len(images) > 1 else [""]
    label_names = _names(labels, "foreground", _words(image.pattern).split("_")) if named else [""]
    of_images = {name: one.pattern for name, one in zip(image_names, images, strict=True)}
    of_labels = {name: one.pattern for name, one in zip(label_names, labels, strict=True)}
    unclear = len(of_images) < len(images) or len(of_labels) < len(labels)
    if unclear or not _reads(root, of_images, of_labels):
        return None
    nested = named and are_nested([[root / one.found[place].path for one in labels] for place in range(FEWEST)])
    return " ".join(
        [*_as_options("--image", of_images), *_as_options("--label", of_labels), *(["--overlap smaller"] if nested else [])]
    )


def example(root: Path) -> str:
    """Patterns that show what is meant, with the suffix that most files have."""
    suffixes = [split_suffix(path)[1] for path in files_looked_at(root)]
    suffix = max(suffixes, key=suffixes.count, default=".png")
    return f"--image '{CASE}_image{suffix}' --label '{CASE}_label{suffix}'"


def _best_pair(root: Path, groups: Sequence[Group]) -> tuple[Group, Group] | None:
    """The pattern of images and the one of labels that most cases have both of; the plainer ones where several are as good."""
    best, pairs = FEWEST, []
    for label in _without_fields(root, [one for one in groups if LABEL_WORD.search(words_apart(one.pattern))]):
        for image in groups:
            if min(len(image.names[1]), len(label.names[1])) < best or not _may_be_pair(image, label):
                continue
            number = len(_complete(image, label)[1])
            if number >= best:
                best = number
                pairs.append((number, image, label))
    ranked = sorted((pair for pair in pairs if pair[0] == best), key=lambda pair: _plainness(*pair[1:]))
    return next(((image, label) for _, image, label in ranked[:MOST_PAIRS] if _fits(root, image, label)), None)


def _without_fields(root: Path, labels: Sequence[Group]) -> list[Group]:
    """Patterns of labels without masks of the field of view, which are called mask and no more, where there are others."""
    fields = [one for one in labels if one.of_pictures and one.is_plain_mask and covers(_few(root, one)) > FIELD]
    paths = frozenset(path for one in fields for path in one.paths)
    others = [one for one in labels if paths.isdisjoint(one.paths)]
    return others or list(labels)


def _plainness(image: Group, label: Group) -> tuple[int, bool, int, str, str]:
    """Of pairs that fit as many cases the least counts: what leaves less open, belongs together by its names, and is short."""
    stars, length = image.stars + label.stars, len(image.pattern) + len(label.pattern)
    return stars, image.kernel != label.kernel, length, image.pattern, label.pattern


def _may_be_pair(image: Group, label: Group) -> bool:
    """Whether the names say, where they differ, that one is of labels and the other is not."""
    if image.joins or image.hides_labels or image.of_pictures != label.of_pictures or image.pattern == label.pattern:
        return False
    if not (image.begins_with_case and label.begins_with_case) and image.kernel != label.kernel:
        return False  # numbers behind different names are alike by chance
    start = 0
    for one, other in zip(image.folders, label.folders, strict=False):
        if one != other:
            break
        start += 1
    of_image, of_label = ("/".join(one.pattern.split("/")[start:]) for one in (image, label))
    return bool(LABEL_WORD.search(words_apart(of_label))) and not LABEL_WORD.search(words_apart(of_image))


def _complete(image: Group, label: Group) -> tuple[int, set[str]]:
    """Cases that have both, one image each, and one label each unless they are joined; whether open folders are part of their names (1)."""
    for depth in (0, 1):
        ours, theirs = image.names[depth], label.names[depth]
        if depth and len(image.found[0].folders) != len(label.found[0].folders):
            break
        if len(ours) == len(image.found) and (label.joins or len(theirs) == len(label.found)):
            both = ours.keys() & theirs.keys()
            return depth, both if label.paths.isdisjoint(ours[case][0] for case in both) else set()
    return 0, set()


def _fits(root: Path, image: Group, label: Group) -> bool:
    """Whether images and labels have one size, and all of them as many axes; and whether the first image is no label map itself."""
    depth, cases = _complete(image, label)
    pairs = [[root / group.names[depth][case][0] for group in (image, label)] for case in sorted(cases)]
    several = pairs[:: 1 + len(pairs) // MOST_PAIRS]
    return (
        all(same_size(one, other) for one, other in several)
        and same_rank([one for one, _ in several])
        and (image.says_image or is_image(pairs[0][0]))
    )


def _few(root: Path, group: Group) -> list[Path]:
    return [root / match.path for match in group.found[:LOOKED_AT]]


def _kind(root: Path, group: Group) -> Kind:
    return kind_of(_few(root, group))


def _images(root: Path, image: Group, label: Group, groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """The image, with its other channels where it is a volume (none where several pictures could be meant), and label maps beside them."""
    depth, cases = _complete(image, label)
    rivals: list[Group] = []
    maps: list[Group] = []
    taken = set(image.paths | label.paths)
    for one in sorted(groups, key=lambda one: (one.stars, len(one.pattern), one.pattern)):
        beside = _are_channels(image, label, one) and taken.isdisjoint(one.paths) and _may_be_pair(one, label)
        if not beside or _complete(one, label)[0] != depth or not _has_nearly_all(cases, _complete(one, label)[1]):
            continue
        file, other = (root / group.names[depth][min(cases & group.names[depth].keys())][0] for group in (one, label))
        if not same_size(file, other):
            continue
        if one.says_image or is_image(file):
            rivals.append(one)
            taken |= one.paths
        elif _kind(root, one) == Kind.MAP:
            maps.append(one)
            taken |= one.paths
    in_folders = any(one.folders != image.folders for one in rivals)
    called = [one for one in (image, *rivals) if IMAGE_WORD.search(words_apart(one.folders[-1] if in_folders else one.file))]
    if not rivals or len(called) == 1:
        return called[:1] or [image], maps
    return [] if image.of_pictures else sorted([image, *rivals], key=lambda one: one.pattern), maps


def _are_channels(image: Group, label: Group, one: Group) -> bool:
    """Whether the names of two patterns are of two channels: files that lie together, or, where a label is called as its image, folders."""
    if image.kernel == label.kernel:
        return one.kernel == label.kernel and bool(one.folders) and one.folders != image.folders and one.stars == image.stars
    return one.folders == image.folders and (CASE in one.file) == (CASE in image.file)


def _has_nearly_all(cases: set[str], found: set[str]) -> bool:
    return len(cases & found) >= NEARLY_ALL * len(cases)


def _labels(root: Path, image: Group, label: Group, groups: Sequence[Group], maps: Sequence[Group]) -> list[Group]:
    """The masks of all structures, or the one label map; none where several could be meant."""
    depth, cases = _complete(image, label)
    found, taken = [label], set(label.paths)
    for one in sorted(_without_fields(root, groups), key=lambda one: _plainness(image, one)):
        fits = taken.isdisjoint(one.paths) and _may_be_pair(image, one) and _complete(image, one)[0] == depth
        if fits and _has_nearly_all(cases, _complete(image, one)[1]) and _fits(root, image, one):
            found.append(one)
            taken |= one.paths
    if any(one.kernel == image.kernel for one in found):
        found = [one for one in found if one.kernel == image.kernel]
    if (len(found) == 1 and not maps) or len(found) > MOST_SUGGESTED:
        return found if len(found) == 1 else []
    maps = [*maps, *(one for one in found if _kind(root, one) == Kind.MAP)]
    if maps:
        return list(maps) if len(maps) == 1 else []
    found.sort(key=lambda one: one.pattern)
    return (
        found[:1]
        if show_the_same([root / one.names[depth][min(cases)][0] for one in found if min(cases) in one.names[depth]])
        else found
    )


def _names(groups: Sequence[Group], otherwise: str, known: Sequence[str] = ()) -> list[str]:
    """What the files are called, or else their folders, without words that mean labels and those that images have, too."""
    every = [_words(split_suffix(one.file)[0]) or _words(one.folders[-1] if one.folders else "") for one in groups]
    return ["_".join(word for word in words.split("_") if word not in known) or otherwise for words in every]


def _words(part: str) -> str:
    """Words of a part of a pattern that are neither the case's name nor mean labels, joined."""
    left = LABEL_WORD.sub(" ", words_apart(part).replace("*", " "))
    return "_".join(word for word in re.split(r"[-_. ,()=/{}]+", left) if word and "\0" not in word)


def _reads(root: Path, images: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether the patterns read the set, and leave out no more cases than they find."""
    try:
        found = read_listing(root, images, labels)
    except DataError:
        return False
    return len(found.images) >= max(FEWEST, len({fault.case for fault in found.faults}))


def _as_options(flag: str, patterns: Mapping[str, str]) -> list[str]:
    return [f"{flag} {shlex.quote(f'{name}={one}' if name else one)}" for name, one in patterns.items()]
