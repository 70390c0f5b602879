"""Predict with trained nnU-Net models through autoseg, and compare the masks with nnU-Net's own.

    python tools/compare_nnunet_models.py MODELS [--kinds pictures,cascade] [--outputs outputs_float32]

`MODELS` holds folders `KIND/{images,outputs,outputs_float32,model}` (or `model.zip`), as `tools/make_nnunet_models.py` makes them. Prints
the Dice of every label and the voxels that differ, per case, and ends with exit code 1 where a Dice is below 0.999.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import autoseg
from autoseg.pipeline.nnunet_model import import_nnunet_model
from autoseg.volume.files import read

DICE_WANTED = 0.999


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--outputs", nargs="+", default=["outputs", "outputs_float32"])
    parser.add_argument("--engine", default="torch-float32")
    options = parser.parse_args()
    places = sorted(place for place in options.models.iterdir() if (place / "outputs").is_dir())
    wanted = options.kinds.split(",") if options.kinds else [place.name for place in places]
    lowest = 1.0
    for place in places:
        if place.name in wanted:
            lowest = min(lowest, compare(place, options.outputs, options.engine))
    print(f"lowest Dice {lowest:.5f}")
    return 0 if lowest >= DICE_WANTED else 1


def compare(place: Path, outputs: list[str], engine: str) -> float:
    """The lowest Dice over cases and labels; a label that neither mask holds does not count."""
    model = next(path for path in (place / "model", place / "model.zip") if path.exists())
    lowest = 1.0
    with tempfile.TemporaryDirectory() as temporary:
        run = import_nnunet_model(model, Path(temporary) / "run")
        masks = Path(temporary) / "masks"
        predictions = autoseg.predict(run.root, place / "images", masks, device="cpu", profile="best", engine=engine)
        for case in predictions.cases:
            if case.mask is None:
                raise RuntimeError(f"{case.id}: {case.error}")
            ours = read(masks / case.mask).array[0]
            for folder in outputs:
                theirs = read(place / folder / case.mask).array[0]
                scores = {value: dice(ours == value, theirs == value) for value in np.union1d(ours, theirs) if value}
                told = ", ".join(f"{value}: {score:.5f}" for value, score in scores.items()) or "no label in either"
                print(
                    f"{place.name} {case.id} {folder}: {told}; {np.count_nonzero(ours != theirs)} of {ours.size} differ",
                    flush=True,
                )
                lowest = min(lowest, *scores.values()) if scores else lowest
    return lowest


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


if __name__ == "__main__":
    raise SystemExit(main())
