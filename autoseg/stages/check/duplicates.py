"""Images that occur twice, to the last bit or nearly, and labels that are equal between subjects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.layouts.base import listed
from autoseg.metrics.picture_hash import bits_apart, common_content, likeness
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
    found = []
    for place, (case, image) in enumerate(images[:-1]):
        rest = hashes[place + 1 :]
        apart = np.stack([bits_apart(rest[:, plane], image.hashes[plane]) for plane in range(rest.shape[1])])
        for after in np.flatnonzero((apart <= MOST_BITS).all(axis=0)):
            other, other_image = images[place + 1 + int(after)]
            alike = alike_planes(image.thumbnails, other_image.thumbnails, common)
            if alike is not None:
                found.append(Pair(case, other, alike))
    return found


def alike_planes(one: np.ndarray, other: np.ndarray, common: np.ndarray | None) -> float | None:
    """Mean likeness of thumbnails (planes, 64, 64) if they show nearly the same, given what the set has in common; else None."""
    least = LEAST_LIKENESS if common is not None else LEAST_LIKENESS_OF_FEW
    found = []
    for plane in range(len(one)):
        found.append(likeness(one[plane], other[plane], None if common is None else common[plane]))
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
    groups: list[tuple[dict[str, None], list[Pair]]] = []
    for pair in pairs:
        touching = [group for group in groups if pair.one in group[0] or pair.other in group[0]]
        cases: dict[str, None] = {}
        members: list[Pair] = []
        for group in touching:
            cases.update(group[0])
            members += group[1]
            groups.remove(group)
        cases.update({pair.one: None, pair.other: None})
        groups.append((cases, [*members, pair]))
    return [(tuple(cases), members) for cases, members in groups]


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
            told = f"the labels of the subjects {listed(people)} are equal to the last bit; one belongs to another image"
            found.append(finding("equal labels", "warning", told, group))
    return found


def _people(cases: Iterable[str], subject: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(subject[case] for case in cases))
