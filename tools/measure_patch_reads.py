"""Bytes read from disk for random patches of a prepared case, against the patch's own.

    python tools/measure_patch_reads.py FOLDER --shape 300 512 512 --patch 128 128 128

Writes one case of random numbers to FOLDER the way preprocessing does, opens it afresh for every patch, and counts the bytes
that the process asked the system for (/proc/self/io: Linux only).
"""

from __future__ import annotations

import argparse
from math import prod
from pathlib import Path

import numpy as np

from autoseg.processing.prepare import prepare_image
from autoseg.processing.store import open_case, sample_locations, write_case
from autoseg.records import Normalization, Preparation
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", type=int, nargs=3, default=[300, 512, 512])
    parser.add_argument("--patch", type=int, nargs=3, default=[128, 128, 128])
    parser.add_argument("--patches", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, *options.shape)).astype(np.float32)
    labels = np.zeros(options.shape, np.int16)
    labels[tuple(slice(n // 4, n // 2) for n in options.shape)] = 1
    preparation = Preparation(
        canonical_orientation=False,
        transpose=(0, 1, 2),
        crop_to_nonzero=False,
        spacing_mm=None,
        normalization=(Normalization(scheme="none"),),
    )
    _, placement = prepare_image(Volume(image, Geometry.plain(3, (1.0, 1.0, 1.0))), preparation)
    patch = tuple(options.patch)
    write_case(options.folder, "case", image, labels, sample_locations(labels), placement, patch=patch)
    ratios = []
    for _ in range(options.patches):
        start = [int(rng.integers(0, n - p + 1)) for n, p in zip(options.shape, patch, strict=True)]
        case = open_case(options.folder, "case")
        before = bytes_read()
        part, marks = case.read([slice(s, s + p) for s, p in zip(start, patch, strict=True)])
        ratios.append((bytes_read() - before) / (part.nbytes + marks.nbytes))
    print(f"{options.patches} patches of {patch} in a case of {tuple(options.shape)}: bytes read per byte of image and labels:")
    print(
        f"mean {np.mean(ratios):.2f}, most {np.max(ratios):.2f}; on disk {size(options.folder) / prod(image.shape) / 5:.2f} of the plain size"
    )


def bytes_read() -> int:
    """Bytes this process asked the system for so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def size(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
