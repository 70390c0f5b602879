"""Images and labels that occur twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from autoseg.metrics.picture_hash import bits_apart, common_content, hash_of
from autoseg.stages.check import duplicates
from autoseg.stages.check.look import ChannelLook
from tests.stages.check.sets import image_look, label_look, look, numbered, set_look

NOISE = np.random.default_rng(5)


def shown(thumbnail: np.ndarray, content: str):
    return image_look(thumbnails=thumbnail[None], hashes=(hash_of(thumbnail),), content_hash=content)


def texture() -> np.ndarray:
    coarse = NOISE.normal(size=(16, 16))
    return np.clip(128 + 40 * np.kron(coarse, np.ones((4, 4))) + NOISE.normal(0, 4, (64, 64)), 0, 255).astype(np.uint8)


def twins(looks):
    return duplicates.twins_of(looks)


def test_equal_images_across_and_within_subjects() -> None:
    same = image_look()
    looks = [look("a", same), look("b", same), *numbered(3)]
    found = duplicates.copies(set_look(looks), twins(looks))
    assert [(one.kind, one.severity, one.cases) for one in found] == [("exact duplicate", "warning", ("a", "b"))]
    frames = [look("a", same, subject="p"), look("b", same, subject="p")]
    (found,) = duplicates.copies(set_look(frames), twins(frames))
    assert found.severity == "note"
    assert duplicates.copies(set_look(numbered(4)), twins(numbered(4))) == []


def test_a_brighter_copy_is_nearly_the_same_and_another_texture_is_not() -> None:
    first = texture()
    brighter = np.clip(first * 0.8 + 30, 0, 255).astype(np.uint8)
    looks = [look("a", shown(first, "1")), look("b", shown(brighter, "2")), look("c", shown(texture(), "3"))]
    (pair,) = twins(looks).near
    assert (pair.one, pair.other) == ("a", "b") and pair.likeness > 0.95
    (found,) = duplicates.copies(set_look(looks), twins(looks))
    assert found.kind == "near duplicate" and found.severity == "warning" and found.cases == ("a", "b")
    frames = [replace(one, case=one.case.model_copy(update={"subject": "p"})) for one in looks]
    (found,) = duplicates.copies(set_look(frames), twins(frames))
    assert found.severity == "note"


def test_one_layout_with_another_texture_is_no_copy() -> None:
    """Two pictures of the same brightness at large: the hash cannot tell them apart, the fine structure can."""
    layout = 120 + 700 * gaussian_filter(NOISE.normal(size=(64, 64)), 6)
    one, other = (np.clip(layout + NOISE.normal(0, 12, (64, 64)), 0, 255).astype(np.uint8) for _ in range(2))
    assert bits_apart(np.array([hash_of(one)], np.uint64), hash_of(other))[0] <= duplicates.MOST_BITS
    assert duplicates.alike_planes(one[None], other[None], None) is None
    assert duplicates.alike_planes(one[None], one[None], None) == pytest.approx(1)


def test_near_duplicates_are_those_of_comparing_all_with_all() -> None:
    """Copies in several degrees among pictures of one layout, with what they have in common known."""
    layout = 120 + 500 * gaussian_filter(NOISE.normal(size=(64, 64)), 8)
    pictures = [layout + 25 * np.kron(NOISE.normal(size=(32, 32)), np.ones((2, 2))) for _ in range(14)]
    pictures += [
        0.8 * pictures[0] + 20,
        pictures[1] + NOISE.normal(0, 8, (64, 64)),
        np.roll(pictures[2], 1, 0),
        pictures[3][::-1],
    ]
    thumbnails = [np.clip(one, 0, 255).astype(np.uint8) for one in pictures]
    looks = [look(f"c{place:02d}", shown(one, str(place))) for place, one in enumerate(thumbnails)]
    common = common_content(thumbnails)[None]
    expected = {}
    for place, one in enumerate(thumbnails):
        for after in range(place + 1, len(thumbnails)):
            bits = bits_apart(np.array([hash_of(thumbnails[after])], np.uint64), hash_of(one))[0]
            alike = duplicates.alike_planes(one[None], thumbnails[after][None], common)
            if bits <= duplicates.MOST_BITS and alike is not None:
                expected[f"c{place:02d}", f"c{after:02d}"] = alike
    found = {(pair.one, pair.other): pair.likeness for pair in twins(looks).near}
    assert found == expected and {("c00", "c14"), ("c01", "c15")} <= set(found)


def test_all_planes_of_a_volume_must_agree() -> None:
    planes, others = np.stack([texture() for _ in range(3)]), np.stack([texture() for _ in range(3)])
    assert duplicates.alike_planes(planes, planes, None) == pytest.approx(1)
    assert duplicates.alike_planes(planes, np.stack([planes[0], planes[1], others[2]]), None) is None


def test_images_of_one_value_are_no_copies_of_one_another() -> None:
    flat = image_look(channels=(ChannelLook(0.0, 0.0, 0.0),), content_hash="flat")
    assert twins([look("a", flat), look("b", flat)]) == duplicates.Twins((), ())


def test_pairs_that_share_a_case_are_told_together() -> None:
    pairs = [duplicates.Pair("a", "b", 0.9), duplicates.Pair("c", "d", 0.9), duplicates.Pair("b", "c", 0.95)]
    ((cases, members),) = duplicates.joined(pairs)
    assert set(cases) == {"a", "b", "c", "d"} and len(members) == 3
    assert len(duplicates.joined(pairs[:2])) == 2
    many = [duplicates.Pair(str(place), str(place + 1), 0.9) for place in range(20_000) if place % 5 != 4]
    groups = duplicates.joined(many)
    assert len(groups) == 4000 and all(len(cases) == 5 and len(members) == 4 for cases, members in groups)


def test_equal_labels() -> None:
    same = label_look()
    looks = [look("a", label=same), look("b", label=same), *numbered(3)]
    (found,) = duplicates.equal_labels(set_look(looks), twins(looks))
    assert (found.kind, found.severity, found.cases) == ("equal labels", "warning", ("a", "b"))
    assert "equal to the last bit, and their images are not" in found.told and "look at each, and correct" in found.told
    frames = [look("a", label=same, subject="p"), look("b", label=same, subject="p")]
    assert duplicates.equal_labels(set_look(frames), twins(frames)) == []
    image = image_look()
    copies = [look("a", image, same), look("b", image, same)]
    assert duplicates.equal_labels(set_look(copies), twins(copies)) == []  # the images are told already
    for counts in ({"0": 10_000}, {"0": 9981, "1": 19}, {"0": 100, "1": 9900}):  # empty, tiny, full
        alike = label_look(counts)
        few = [look("a", label=alike), look("b", label=alike)]
        assert duplicates.equal_labels(set_look(few), twins(few)) == []
