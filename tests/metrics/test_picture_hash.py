"""Copies are alike whatever was done to their grey values; other pictures of one layout are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.metrics.picture_hash import bits_apart, close_pairs, common_content, content_of, hash_of, likeness, thumbnail_of

RANDOM = np.random.default_rng(2)
PICTURE = np.clip(128 + 45 * np.kron(RANDOM.normal(size=(24, 32)), np.ones((10, 10))) + RANDOM.normal(0, 8, (240, 320)), 0, 255)
PICTURE = PICTURE.astype(np.uint8)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    return thumbnail_of(np.ascontiguousarray(picture), 0, 255)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(bits_apart(np.array([hash_of(one)], np.uint64), hash_of(other))[0])


def test_bits_are_counted() -> None:
    hashes = np.array([[0b1011, 0], [2**64 - 1, 1]], np.uint64)
    assert bits_apart(hashes, 0b0001).tolist() == [[2, 1], [63, 0]]


@pytest.mark.parametrize("change", ["brighter", "gamma", "noise", "jpeg", "half the size"])
def test_copies(change: str) -> None:
    memory = io.BytesIO()
    Image.fromarray(PICTURE).save(memory, "JPEG", quality=50)
    changed = {
        "brighter": np.clip(PICTURE * 0.7 + 40.0, 0, 255).astype(np.uint8),
        "gamma": (255 * (PICTURE / 255) ** 0.7).astype(np.uint8),
        "noise": np.clip(PICTURE + RANDOM.normal(0, 10, PICTURE.shape), 0, 255).astype(np.uint8),
        "jpeg": np.array(Image.open(memory)),
        "half the size": np.array(Image.fromarray(PICTURE).resize((160, 120))),
    }[change]
    one, other = thumbnail(PICTURE), thumbnail(changed)
    assert apart(one, other) <= 6 and likeness(one, other) > 0.95


def test_a_copy_that_was_moved_or_cropped_is_still_alike() -> None:
    one = thumbnail(PICTURE)
    assert likeness(one, thumbnail(np.roll(PICTURE, (5, -5), (0, 1)))) > 0.7
    assert likeness(one, thumbnail(PICTURE[5:-5, 6:-6])) > 0.8


def test_what_all_pictures_have_is_no_evidence() -> None:
    """Discs with a bright rim, as a fundus is; within it each has a texture of its own."""
    y, x = np.mgrid[:64, :64] - 31.5
    inside = np.hypot(y, x) < 28
    random = np.random.default_rng(3)
    pictures = [np.where(inside, np.clip(150 + random.normal(0, 6, (64, 64)), 0, 255), 0).astype(np.uint8) for _ in range(12)]
    common = common_content(pictures)
    assert likeness(pictures[0], pictures[1]) > 0.5
    assert likeness(pictures[0], pictures[1], common) < 0.3
    brighter = (pictures[0] * 1.2).astype(np.uint8)
    assert likeness(pictures[0], brighter, common) > 0.9


def test_another_picture_is_not_alike() -> None:
    other = np.random.default_rng(9).permutation(PICTURE.reshape(-1)).reshape(PICTURE.shape)
    assert likeness(thumbnail(PICTURE), thumbnail(other)) < 0.3
    assert apart(thumbnail(PICTURE), thumbnail(PICTURE[::-1])) > 12


def test_pictures_that_show_nothing() -> None:
    flat = np.full((64, 64), 80, np.uint8)
    assert content_of(flat) is None and likeness(flat, flat) == 0.0
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))  # brightness that varies slowly is no content
    assert content_of(ramp) is None


def test_thumbnails_scale_grey_values() -> None:
    plane = np.array([[0.0, 100.0], [np.nan, 400.0]])
    small = thumbnail_of(plane, 100.0, 300.0)
    assert small[0, 0] == 0 and small[0, -1] == 0 and small[-1, 0] == 0 and small[-1, -1] == 255


def test_real_frames(shared_data: Path) -> None:
    """Two frames of one moment of subject 788; a brighter copy; and two subjects that look alike at a glance."""
    folder = shared_data / "HC18" / "training_set"
    if not folder.is_dir():
        pytest.skip("HC18 is not at hand")
    frames = {name: np.array(Image.open(folder / f"{name}.png")) for name in ("788_HC", "788_2HC", "776_HC", "800_HC")}
    small = {name: thumbnail(frame) for name, frame in frames.items()}
    assert likeness(small["788_HC"], small["788_2HC"]) > 0.95 and apart(small["788_HC"], small["788_2HC"]) <= 4
    assert likeness(small["776_HC"], small["800_HC"]) < 0.8 and apart(small["776_HC"], small["800_HC"]) > 12
    brighter = np.clip(frames["776_HC"] * 1.2 + 15, 0, 255).astype(np.uint8)
    assert likeness(small["776_HC"], thumbnail(brighter)) > 0.95


def hashes_of(number: int, planes: int) -> np.ndarray:
    """Random hashes, of which every fifth is the one before it with 0 to 20 bits turned."""
    random = np.random.default_rng(number)
    hashes = random.integers(0, 1 << 64, (number, planes), np.uint64)
    for place in range(4, number, 5):
        turned = random.choice(64, int(random.integers(21)), replace=False)
        hashes[place] = hashes[place - 1] ^ np.uint64(sum(1 << int(bit) for bit in turned))
    return hashes


@pytest.mark.parametrize("counting", ["numpy's", "our own"])
@pytest.mark.parametrize("planes", [1, 3])
def test_close_pairs_are_those_of_comparing_all_with_all(planes: int, counting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if counting == "our own":
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    monkeypatch.setattr("autoseg.metrics.picture_hash.PAIRS_AT_ONCE", 5000)  # many blocks, the last one not full
    hashes = hashes_of(333, planes)
    expected = [
        [one, other]
        for one in range(333)
        for other in range(one + 1, 333)
        if all(bin(int(a) ^ int(b)).count("1") <= 14 for a, b in zip(hashes[one], hashes[other], strict=True))
    ]
    assert close_pairs(hashes, 14).tolist() == expected and 20 < len(expected) < 70


def test_ten_thousand_pictures_are_compared() -> None:
    hashes = hashes_of(10_000, 3)  # of three planes, so that no two are close by chance
    found = close_pairs(hashes, 14)
    planted = [place for place in range(4, 10_000, 5) if bits_apart(hashes[place, :1], int(hashes[place - 1, 0]))[0] <= 14]
    assert found.tolist() == [[place - 1, place] for place in planted] and len(planted) > 1000
    assert close_pairs(hashes[:1], 14).shape == (0, 2)
