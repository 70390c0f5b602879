"""A copy of a data set with faults planted in some of its cases, so that what looks for such faults can be measured.

    python tools/plant_dataset_faults.py SRC DST --seed 0 --cases 60 --faults 20
    python tools/plant_dataset_faults.py HC18 DST --seed 0 --as-folders

SRC is HC18, a set in the layout `folders` with pictures, or one of the Medical Segmentation Decathlon's layout in NIfTI. The copy has the same
layout; `--as-folders` writes HC18 as filled masks with a `dataset.json` instead. Cases are drawn at random, and so are those that receive a
fault, each another kind (`KINDS` of the layout, in an order drawn at random). DST.planted.json, beside DST, names kind and cases; DST.splits.json
are folds of the copy, with a subject on both sides where that is among the faults. Nothing here knows how faults are looked for, and
nothing is imported from there. Without faults (`--faults 0`) it is a clean copy.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from dataset_copies import Planted, Random, copy_folders, copy_hc18, copy_msd, finish
from dataset_faults import PLANTERS

from autoseg.records import Case
from autoseg.stages.index import index_dataset

SEVERAL = 0.5  # how many of the subjects are drawn with those first that have several cases
OF_PICTURES = (
    "label lost",
    "image lost",
    "name in other case",
    "label on another grid",
    "image of one value",
    "label empty",
    "spacing in another unit",
    "pixel size lost",
    "pixel size without image",
    "image of another subject",
    "changed copy of another subject's image",
    "label of another subject",
    "image on another scale",
    "image cut off",
    "subject on both sides",
    "text over the structure",
    "image with coloured marks",
    "image and label exchanged",
)
KINDS = {
    "hc18": OF_PICTURES,
    "folders": (
        *OF_PICTURES,
        "label full",
        "structure of a few pixels",
        "undeclared value",
        "label as JPEG",
        "label smoothed",
        "label 0 and 255",
        "label as palette",
        "label as outline",
        "label without image",
    ),
    "msd": (
        "label lost",
        "image lost",
        "label on another grid",
        "undeclared value",
        "label not whole",
        "label as float",
        "image with NaN",
        "image of one value",
        "label empty",
        "label full",
        "structure of a few pixels",
        "spacing in another unit",
        "image of another subject",
        "changed copy of another subject's image",
        "label of another subject",
        "image on another scale",
        "image cut off",
        "label at another place",
        "label with another spacing",
        "another orientation",
        "a slice among volumes",
        "label without image",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--as-folders", action="store_true")
    given = parser.parse_args()
    planted = plant(given.source, given.out, cases=given.cases, faults=given.faults, seed=given.seed, as_folders=given.as_folders)
    for one in planted:
        print(f"{one.kind}: {', '.join(one.cases)} {one.told}")


def plant(source: Path, out: Path, *, cases: int, faults: int, seed: int, as_folders: bool = False) -> list[Planted]:
    """Write the copy into a new folder, and what was planted beside it."""
    dataset, found = index_dataset(source)
    if dataset is None or found:
        raise SystemExit(f"{source} cannot be used: {'; '.join(map(str, found[:5]))}")
    random = np.random.default_rng(seed)
    labelled = [case for case in dataset.cases if case.label is not None]
    chosen = drawn(labelled, cases, random)
    layout = "folders" if as_folders else dataset.layout
    writers = {"hc18": copy_hc18, "folders": copy_folders, "msd": copy_msd}
    if layout not in writers:
        raise SystemExit(f"the layout {layout} is not supported here")
    copy = writers[layout](dataset, chosen, out, random)
    copy.free = [case.id for case in chosen]
    order = [KINDS[layout][place] for place in random.permutation(len(KINDS[layout]))]
    planted = []
    for place in range(faults):
        kind = order[place % len(order)]
        planted.append(PLANTERS[kind](copy))
    finish(copy, dataset, layout, planted)
    Path(f"{out}.planted.json").write_text(json.dumps([asdict(one) for one in planted], indent=1) + "\n")
    return planted


def drawn(labelled: list[Case], number: int, random: Random) -> list[Case]:
    """So many cases of subjects drawn at random, whole subjects as long as there is room, so that some have several."""
    people = sorted({case.subject for case in labelled})
    members = {name: [case for case in labelled if case.subject == name] for name in people}
    order = sorted(random.permutation(people), key=lambda name: -min(len(members[name]), 2) * (random.random() < SEVERAL))
    taken = [case for name in order for case in members[name]][:number]
    return sorted(taken, key=lambda case: case.id)


if __name__ == "__main__":
    main()
