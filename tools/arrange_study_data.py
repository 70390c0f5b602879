"""Arrange two public sets as `images/` and `labels/`, to check the planner on other data than it was made from.

    python tools/arrange_study_data.py CHASEDB1 OUT/CHASEDB1
    python tools/arrange_study_data.py SpinaBifida_Fidon2021 OUT/atlases

CHASE_DB1 (Fraz et al. 2012): retinal vessels by the first observer, two eyes per child. Fetal brain atlases (Fidon et al.
2021): T2 MR with eight tissues. Files are linked, not copied.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    source, out = options.source.resolve(), options.out
    pairs = dict(_retina(source) or _atlases(source))
    for folder in ("images", "labels"):
        (out / folder).mkdir(parents=True)
    for image, labels in pairs.items():
        name = image.parent.name if image.name == "srr.nii.gz" else image.stem
        tail = ".nii.gz" if image.name == "srr.nii.gz" else ""
        (out / "images" / f"{name}{tail or image.suffix}").symlink_to(image)
        (out / "labels" / f"{name}{tail or labels.suffix}").symlink_to(labels)
    if (source / "Image_01L.jpg").exists():
        described = {"name": "CHASE_DB1", "labels": {"background": 0, "vessel": 1}, "subjects": r"Image_(\d+)"}
        (out / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    print(f"{len(pairs)} cases in {out}")


def _retina(source: Path) -> list[tuple[Path, Path]]:
    return [(image, image.with_name(f"{image.stem}_1stHO.png")) for image in sorted(source.glob("Image_*.jpg"))]


def _atlases(source: Path) -> Iterator[tuple[Path, Path]]:
    for image in sorted(source.glob("*/srr.nii.gz")):
        yield image, image.with_name("parcellation.nii.gz")


if __name__ == "__main__":
    main()
