"""Images that occur twice, to the last bit or nearly, and labels that are equal between subjects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np

from autoseg.layouts.base import listed
from autoseg.metrics.picture_hash import Compared, close_pairs, common_content
from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, finding
from autoseg.stages.check.look import CaseLook, ImageLook
from autoseg.stages.check.structures import FULL
from autoseg.stages.check.values import is_unreadable_mask

MOST_BITS = (
    14  # of 64; copies in other grey values, noise, JPEG or size differ in at most 10, those with a narrow border cut off in 14
)
LEAST_LIKENESS = 0.7  # correlation of the fine structure; see docs/checking.md for what was measured
FEWEST_IMAGES = 10  # to tell what all images of a set have in common; in smaller ones only close copies are told
LEAST_LIKENESS_OF_FEW = 0.9
LEAST_OF_PLANES = 0.5  # of the least like of a volume's three planes
MOST_COMPARED = 8192  # pictures that are kept for the next pair, 17 kB for each plane
LEAST_LABELLED = 20  # pixels of labels that are compared; smaller ones are equal by chance


@dataclass(frozen=True)
class Pair:
    """Two cases, by name, whose images are nearly the same."""

    one: str
    other: str
    likeness: float


@dataclass(frozen=True)
class Twins:
    """Groups of cases with equal images, and pairs with nearly equal ones (no pair of a group)."""

    exact: tuple[tuple[str, ...], ...]
    near: tuple[Pair, ...]


def twins_of(looks: Sequence[CaseLook]) -> Twins:
    """Compare all images with one another: hashes first, then the fine structure of those that hardly differ."""
    groups: dict[str, list[str]] = defaultdict(list)
    images: list[tuple[str, ImageLook]] = []
    for look in looks:
        if look.image is None or _is_flat(look.image):
            continue
        if look.image.content_hash is not None:
            same = groups[look.image.content_hash]
            same.append(look.case.id)
            if len(same) > 1:
                continue  # what is like one is like the other
        images.append((look.case.id, look.image))
    exact = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    near = []
    for planes in {len(image.hashes) for _, image in images}:
        near += _near([(case, image) for case, image in images if len(image.hashes) == planes])
    return Twins(exact, tuple(near))


def _is_flat(image: ImageLook) -> bool:
    return all(channel.low == channel.high for channel in image.channels)


def _near(images: Sequence[tuple[str, ImageLook]]) -> list[Pair]:
    if len(images) < 2:
        return []
    hashes = np.array([image.hashes for _, image in images], np.uint64)
    common = None
    if len(images) >= FEWEST_IMAGES:
        common = np.stack([common_content([image.thumbnails[plane] for _, image in images]) for plane in range(hashes.shape[1])])

    def compared(place: int) -> tuple[Compared, ...]:
        return _compared(images[place][1].thumbnails, common)

    kept = lru_cache(MOST_COMPARED)(compared)  # at one scale each, as the second of a pair is not scaled
    found = []
    for place, pairs in groupby(close_pairs(hashes, MOST_BITS).tolist(), key=lambda pair: pair[0]):
        one = compared(place)
        for _, after in pairs:
            alike = _alike(one, kept(after), LEAST_LIKENESS_OF_FEW if common is None else LEAST_LIKENESS)
            if alike is not None:
                found.append(Pair(images[place][0], images[after][0], alike))
    return found


def alike_planes(one: np.ndarray, other: np.ndarray, common: np.ndarray | None) -> float | None:
    """Mean likeness of thumbnails (planes, 64, 64) if they show nearly the same, given what the set has in common; else None."""
    return _alike(_compared(one, common), _compared(other, common), LEAST_LIKENESS_OF_FEW if common is None else LEAST_LIKENESS)


def _compared(thumbnails: np.ndarray, common: np.ndarray | None) -> tuple[Compared, ...]:
    return tuple(Compared(plane, None if common is None else common[place]) for place, plane in enumerate(thumbnails))


def _alike(one: Sequence[Compared], other: Sequence[Compared], least: float) -> float | None:
    found = []
    for plane, same_plane in zip(one, other, strict=True):
        found.append(plane.likeness(same_plane))
        if found[-1] < LEAST_OF_PLANES:
            return None
    mean = float(np.mean(found))
    return mean if mean >= least else None


def copies(the_set: SetLook, twins: Twins) -> list[CheckFinding]:
    """Equal and nearly equal images; across subjects a warning, within one a note."""
    subject = the_set.subject_of()
    found = []
    for group in twins.exact:
        people = _people(group, subject)
        if len(people) > 1:
            told = (
                f"the images are equal to the last bit, and their subjects are {listed(people)}: one person, or the wrong file; "
                "mend the subjects or the files"
            )
            found.append(finding("exact duplicate", "warning", told, group))
        else:
            found.append(
                finding("exact duplicate", "note", f"the images, all of subject {people[0]}, are equal to the last bit", group)
            )
    for group, pairs in joined(twins.near):
        people = _people(group, subject)
        alike = min(pair.likeness for pair in pairs)
        measured = f"the images are nearly the same (likeness {alike:.2f}{' or more' if len(pairs) > 1 else ''})"
        if len(people) > 1:
            told = f"{measured}, and their subjects are {listed(people)}: one person, or a copy that was changed; mend the subjects, or keep one"
            found.append(finding("near duplicate", "warning", told, group))
        else:
            found.append(finding("near duplicate", "note", f"{measured}, all of subject {people[0]}", group))
    return found


def joined(pairs: Iterable[Pair]) -> list[tuple[tuple[str, ...], list[Pair]]]:
    """Pairs that share a case, together: (cases in order of appearance, pairs)."""
    pairs = tuple(pairs)
    leader: dict[str, str] = {}

    def lead(case: str) -> str:
        while leader.setdefault(case, case) != case:
            leader[case] = leader[leader[case]]
            case = leader[case]
        return case

    for pair in pairs:
        leader[lead(pair.other)] = lead(pair.one)
    groups: dict[str, tuple[dict[str, None], list[Pair]]] = {}
    for pair in pairs:
        cases, members = groups.setdefault(lead(pair.one), ({}, []))
        cases.update({pair.one: None, pair.other: None})
        members.append(pair)
    return [(tuple(cases), members) for cases, members in groups.values()]


def equal_labels(the_set: SetLook, twins: Twins) -> list[CheckFinding]:
    """Labels of different subjects that are equal to the last bit, where their images are not."""
    subject = the_set.subject_of()
    same_image = {case: number for number, group in enumerate(twins.exact) for case in group}
    groups: dict[str, list[str]] = defaultdict(list)
    for look, label in the_set.labelled():
        foreground = label.size - label.counts.get("0", 0) - label.counts.get("0,0,0", 0)
        if LEAST_LABELLED <= foreground < FULL * label.size and not is_unreadable_mask(label):
            groups[label.content_hash].append(look.case.id)
    found = []
    for group in groups.values():
        people = _people(group, subject)
        of_one_image = len({same_image.get(case, case) for case in group}) == 1
        if len(group) > 1 and len(people) > 1 and not of_one_image:
            told = (
                f"the labels of the subjects {listed(people)} are equal to the last bit, and their images are not: saved under a wrong name, "
                "copied as a start and not corrected, a template, or frames of one person; look at each, and correct those that do not fit"
            )
            found.append(finding("equal labels", "warning", told, group))
    return found


def _people(cases: Iterable[str], subject: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(subject[case] for case in cases))
