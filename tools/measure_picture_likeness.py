"""How alike copies of a picture are, and how alike pictures of different subjects: what the thresholds of near duplicates rest on.

    python tools/measure_picture_likeness.py DATA/HC18/training_set/*HC.png --subject '^(\\d+)_'
    python tools/measure_picture_likeness.py DATA/CHASEDB1/*.jpg --subject '^Image_(\\d+)'

Every picture is compared with all others, and some of them with copies that were changed. Printed are bits of the hash and likeness, the
latter with what all pictures have in common taken away, as in a check.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.metrics.picture_hash import bits_apart, common_content, hash_of, likeness, thumbnail_of
from autoseg.stages.check.duplicates import MOST_BITS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--subject", default=".*", help="regular expression on the name without suffix")
    parser.add_argument("--copies", type=int, default=25)
    given = parser.parse_args()
    subjects = [re.search(given.subject, path.stem)[0] for path in given.pictures]
    greys = [grey_of(path) for path in given.pictures]
    small = [thumbnail_of(grey, 0, 255) for grey in greys]
    common = common_content(small)
    random = np.random.default_rng(0)
    found: dict[str, list[tuple[int, float]]] = {}
    for place in random.choice(len(greys), min(given.copies, len(greys)), replace=False):
        for name, copy in changed(greys[place], random).items():
            other = thumbnail_of(np.ascontiguousarray(copy), 0, 255)
            found.setdefault(name, []).append((apart(small[place], other), likeness(small[place], other, common)))
    for name, pairs in found.items():
        bits, alike = zip(*pairs, strict=True)
        print(f"copies, {name}: bits at most {max(bits)}, likeness {min(alike):.2f} or more (median {np.median(alike):.2f})")
    hashes = np.array([hash_of(one) for one in small], np.uint64)
    for same in (True, False):
        pairs = [
            (one, one + 1 + place, int(bits))
            for one in range(len(small))
            for place, bits in enumerate(bits_apart(hashes[one + 1 :], int(hashes[one])))
            if (subjects[one] == subjects[one + 1 + place]) == same
        ]
        near = [(likeness(small[one], small[other], common), one, other) for one, other, bits in pairs if bits <= MOST_BITS]
        named = [
            f"{alike:.2f} ({given.pictures[one].stem}, {given.pictures[other].stem})"
            for alike, one, other in sorted(near)[::-1][:4]
        ]
        who = "one subject" if same else "different subjects"
        print(f"{who}: {len(near)} of {len(pairs)} pairs within {MOST_BITS} bits; most alike: {'; '.join(named)}")


def grey_of(path: Path) -> np.ndarray:
    array = np.asarray(Image.open(path))
    return array if array.ndim == 2 else array[..., :3].mean(axis=-1).astype(np.uint8)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(bits_apart(np.array([hash_of(one)], np.uint64), hash_of(other))[0])


def changed(grey: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    memory = io.BytesIO()
    Image.fromarray(grey).save(memory, "JPEG", quality=50)
    high, wide = grey.shape
    return {
        "brighter (x 1.2 + 15)": np.clip(grey * 1.2 + 15, 0, 255).astype(np.uint8),
        "gamma 0.7": (255 * (grey / 255) ** 0.7).astype(np.uint8),
        "JPEG of quality 50": np.asarray(Image.open(memory)),
        "noise of 10 grey values": np.clip(grey + random.normal(0, 10, grey.shape), 0, 255).astype(np.uint8),
        "half the size": np.asarray(Image.fromarray(grey).resize((wide // 2, high // 2))),
        "moved by 5 pixels": np.roll(grey, (5, -5), (0, 1)),
        "2 % cut off on each side": grey[int(0.02 * high) : int(0.98 * high), int(0.02 * wide) : int(0.98 * wide)],
        "4 % cut off on two sides": grey[int(0.04 * high) :, int(0.04 * wide) :],
        "mirrored": grey[:, ::-1],
    }


if __name__ == "__main__":
    main()
