"""How good a network gets with so many steps: the experiment behind the rule of the time budget.

    python tools/study_training_length.py DATASET OUT 3.5:16:500 3.5:16:1500 7:32:1500:1

Every cell GRID:WIDTH:STEPS[:SEED[:BATCH]] plans a network of WIDTH base features on a grid GRID times coarser than the data
set's target spacing, trains fold 0 for STEPS optimiser steps on one thread (so that cells may run side by side) and
validates it on whole images. A line per cell is appended to OUT/cells.csv; cells that are in it already are skipped.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from autoseg.networks.cost import multiply_adds
from autoseg.records import Scores
from autoseg.run_folder import RunFolder
from autoseg.stages.plan import load_preset

STEPS_PER_EPOCH = 50
COLUMNS = (
    "grid",
    "width",
    "steps",
    "seed",
    "batch",
    "patch",
    "spacing_mm",
    "gmac_per_step",
    "passes",
    "dice",
    "dice_se",
    "hc_mae_mm",
    "hd95_mm",
    "train_seconds",
)


@dataclass(frozen=True)
class Cell:
    """One training of the study."""

    grid: float
    width: int
    steps: int
    seed: int = 0
    batch: int = 2

    @classmethod
    def parse(cls, text: str) -> Cell:
        """GRID:WIDTH:STEPS[:SEED[:BATCH]]."""
        grid, *whole = text.split(":")
        return cls(float(grid), *map(int, whole))

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"grid{self.grid:g}_width{self.width}_steps{self.steps}_seed{self.seed}_batch{self.batch}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("cells", nargs="+", type=Cell.parse)
    parser.add_argument("--patch-voxels", type=int, default=None, help="cut patches to this many (default: the whole image)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "cells.csv"
    for cell in options.cells:
        if (options.out / cell.name / "model.json").exists():
            print(f"{cell.name}: done already", flush=True)
            continue
        row = run_cell(options.dataset, options.out, cell, options.patch_voxels)
        is_new = not table.exists()
        with table.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)


def run_cell(dataset: Path, out: Path, cell: Cell, patch_voxels: int | None) -> dict[str, object]:
    """Plan, train and read what came of it; prepared cases are deleted afterwards."""
    run = out / cell.name
    preset = out / f"{cell.name}.json"
    default = load_preset("default")
    assert default.budget is not None
    limit = patch_voxels or 2**40
    fixed = {
        "widths": (cell.width,),
        "coarsenings": (cell.grid,),
        "thickness_pixels": 0.0,
        "patch_voxels": {2: (limit,), 3: (limit,)},
        "batches": {2: (cell.batch,), 3: (cell.batch,)},
        "steps_per_epoch": (STEPS_PER_EPOCH,),
    }
    default.model_copy(update={"budget": default.budget.model_copy(update=fixed)}).save(preset)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "autoseg"]
    if not (run / "plan.json").exists():
        plan = ["plan", str(dataset), str(run), "--preset", str(preset), "--epochs", str(max(1, cell.steps // STEPS_PER_EPOCH))]
        length = [f"--set=training.steps_per_epoch={STEPS_PER_EPOCH}", "--set=training.validation_steps=2"]
        subprocess.run([*program, *plan, *length, f"--set=training.seed={cell.seed}"], check=True, env=environment)
    start = time.monotonic()
    subprocess.run([*program, "train", str(run), "--fold", "0"], check=True, env=environment)
    return described(run, cell, time.monotonic() - start)


def described(run: Path, cell: Cell, seconds: float) -> dict[str, object]:
    """The cell's line of the table."""
    folder = RunFolder.open(run)
    plan, splits = folder.plan(), folder.splits()
    chosen = plan.configurations[plan.default]
    scores = Scores.load(folder.fold_scores(plan.default, "0"))
    dices = [
        statistics.fmean(s.dice for s in case.structures.values() if s.dice is not None)
        for case in scores.cases
        if any(s.dice is not None for s in case.structures.values())
    ]
    circumferences = [s.circumference_mae_mm for s in scores.summary.values() if s.circumference_mae_mm is not None]
    distances = [s.hd95_mm for s in scores.summary.values() if s.hd95_mm is not None]
    shutil.rmtree(run / "prepared", ignore_errors=True)
    return {
        "grid": cell.grid,
        "width": cell.width,
        "steps": chosen.training.epochs * chosen.training.steps_per_epoch,
        "seed": cell.seed,
        "batch": cell.batch,
        "patch": "x".join(map(str, chosen.training.patch_size)),
        "spacing_mm": "x".join(f"{value:.3g}" if value else "own" for value in chosen.preparation.spacing_mm or ()),
        "gmac_per_step": f"{multiply_adds(chosen.network, chosen.training.patch_size, cell.batch) / 1e9:.3g}",
        "passes": f"{cell.steps * cell.batch / len(splits.folds[0].train):.1f}",
        "dice": f"{scores.mean_dice:.4f}",
        "dice_se": f"{statistics.stdev(dices) / len(dices) ** 0.5:.4f}",
        "hc_mae_mm": f"{circumferences[0]:.2f}" if circumferences else "",
        "hd95_mm": f"{statistics.fmean(distances):.2f}" if distances else "",
        "train_seconds": f"{seconds:.0f}",
    }


if __name__ == "__main__":
    main()
