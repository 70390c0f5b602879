"""How good a network gets with so many steps: the experiment behind the rule of the time budget.

    python tools/study_training_length.py DATASET OUT 3.5:16:500 3.5:16:1500 7:32:1500:1
    python tools/study_training_length.py DATASET OUT any:any:10m any:any:20m:1 6:32:10m

Every cell GRID:WIDTH:LENGTH[:SEED[:BATCH]] plans a network of WIDTH base features on a grid GRID times coarser than the data
set's target spacing (`any` leaves the choice to the planner), trains fold 0 and validates it on whole images. LENGTH is a
number of optimiser steps, with a batch of 2 and whole images as patches unless they are given, or a wall time such as 10m,
for which the planner chooses patch and batch, too. One thread trains, so that cells may run side by side; --threads takes
more. A line per cell is appended to OUT/cells.csv; cells that are in it already are skipped.
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

from autoseg.learning.checkpoint import read_record
from autoseg.networks.cost import multiply_adds
from autoseg.records import Plan, Scores
from autoseg.run_folder import RunFolder
from autoseg.stages.plan import load_preset
from autoseg.stages.plan.bill import bills_of
from autoseg.stages.plan.presets import Preset

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
    "planned_steps",
    "planned_seconds",
    "train_seconds",
)


@dataclass(frozen=True)
class Cell:
    """One training of the study; None leaves a choice to the planner."""

    grid: float | None
    width: int | None
    steps: int | None
    minutes: float | None
    seed: int = 0
    batch: int | None = None

    @classmethod
    def parse(cls, text: str) -> Cell:
        """GRID:WIDTH:LENGTH[:SEED[:BATCH]]."""
        grid, width, length, *more = text.split(":")
        timed = length.endswith("m")
        seed, batch = (int(part) for part in (*more, *("0", "0")[len(more) :]))
        return cls(
            grid=None if grid == "any" else float(grid),
            width=None if width == "any" else int(width),
            steps=None if timed else int(length),
            minutes=float(length[:-1]) if timed else None,
            seed=seed,
            batch=batch or (None if timed else 2),
        )

    @property
    def name(self) -> str:
        """Of its folder."""
        grid = "any" if self.grid is None else f"{self.grid:g}"
        length = f"steps{self.steps}" if self.minutes is None else f"minutes{self.minutes:g}"
        return f"grid{grid}_width{self.width or 'any'}_{length}_seed{self.seed}_batch{self.batch or 'any'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("cells", nargs="+", type=Cell.parse)
    parser.add_argument("--patch-voxels", type=int, default=None, help="cut patches to this many")
    parser.add_argument("--optimizer", choices=["sgd", "adamw"], help="instead of the one that the length calls for")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "cells.csv"
    for cell in options.cells:
        if (options.out / cell.name / "model.json").exists():
            print(f"{cell.name}: done already", flush=True)
            continue
        row = run_cell(options.dataset, options.out, cell, options)
        is_new = not table.exists()
        with table.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)


def run_cell(dataset: Path, out: Path, cell: Cell, options: argparse.Namespace) -> dict[str, object]:
    """Plan, train and read what came of it; prepared cases are deleted afterwards."""
    run = out / cell.name
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    program = [sys.executable, "-m", "autoseg"]
    if not (run / "plan.json").exists():
        preset = out / f"{cell.name}.json"
        preset_of(cell, options.patch_voxels).save(preset)
        plan = ["plan", str(dataset), str(run), "--preset", str(preset), f"--set=training.seed={cell.seed}", *length_of(cell)]
        plan += [f"--set=training.optimizer={options.optimizer}"] if options.optimizer else []
        subprocess.run([*program, *plan], check=True, env=environment)
    subprocess.run([*program, "preprocess", str(run)], check=True, env=environment)
    planned = RunFolder.open(run).plan()
    start = time.monotonic()
    subprocess.run([*program, "train", str(run), "--fold", "0"], check=True, env=environment)
    return described(run, planned, cell, time.monotonic() - start)


def preset_of(cell: Cell, patch_voxels: int | None) -> Preset:
    """The default preset with the choices that the cell fixes."""
    default = load_preset("default")
    assert default.budget is not None
    fixed: dict[str, object] = {}
    if cell.width is not None:
        fixed["widths"] = (cell.width,)
    if cell.grid is not None:
        fixed |= {"coarsenings": (cell.grid,), "thickness_pixels": 0.0}
    if cell.batch is not None:
        fixed["batches"] = {2: (cell.batch,), 3: (cell.batch,)}
    if patch_voxels is not None or cell.minutes is None:
        limit = patch_voxels or 2**40
        fixed["patch_voxels"] = {2: (limit,), 3: (limit,)}
    if cell.minutes is None:
        fixed["steps_per_epoch"] = (STEPS_PER_EPOCH,)
    return default.model_copy(update={"budget": default.budget.model_copy(update=fixed)})


def length_of(cell: Cell) -> list[str]:
    """How `autoseg plan` is told the cell's length."""
    if cell.minutes is not None:
        return ["--time-budget", f"{cell.minutes:g}m"]
    assert cell.steps is not None
    fixed = [f"--set=training.steps_per_epoch={STEPS_PER_EPOCH}", "--set=training.validation_steps=2"]
    return ["--epochs", str(max(1, cell.steps // STEPS_PER_EPOCH)), *fixed]


def described(run: Path, plan: Plan, cell: Cell, seconds: float) -> dict[str, object]:
    """The cell's line of the table."""
    folder = RunFolder.open(run)
    splits = folder.splits()
    chosen = plan.configurations[plan.default]
    training = chosen.training
    trained = read_record(folder.fold(plan.default, "0"))
    assert trained is not None
    steps, batch = trained.epochs * training.steps_per_epoch, training.batch_size
    bill = bills_of(plan, folder.dataset(), folder.fingerprint(), splits, folder.machine())[plan.default]
    scores = Scores.load(folder.fold_scores(plan.default, "0"))
    dices = [
        statistics.fmean(s.dice for s in case.structures.values() if s.dice is not None)
        for case in scores.cases
        if any(s.dice is not None for s in case.structures.values())
    ]
    circumferences = [s.circumference_mae_mm for s in scores.summary.values() if s.circumference_mae_mm is not None]
    distances = [s.hd95_mm for s in scores.summary.values() if s.hd95_mm is not None]
    shutil.rmtree(run / "prepared", ignore_errors=True)
    spacing = chosen.preparation.spacing_mm or ()
    return {
        "grid": "any" if cell.grid is None else cell.grid,
        "width": chosen.network.features[0],
        "steps": steps,
        "seed": cell.seed,
        "batch": batch,
        "patch": "x".join(map(str, training.patch_size)),
        "spacing_mm": "x".join(f"{value:.3g}" if value else "own" for value in spacing),
        "gmac_per_step": f"{multiply_adds(chosen.network, training.patch_size, batch) / 1e9:.3g}",
        "passes": f"{steps * batch / len(splits.folds[0].train):.1f}",
        "dice": f"{scores.mean_dice:.4f}",
        "dice_se": f"{statistics.stdev(dices) / len(dices) ** 0.5:.4f}",
        "hc_mae_mm": f"{circumferences[0]:.2f}" if circumferences else "",
        "hd95_mm": f"{statistics.fmean(distances):.2f}" if distances else "",
        "planned_steps": bill.steps,
        "planned_seconds": f"{bill.fold_seconds:.0f}",
        "train_seconds": f"{seconds:.0f}",
    }


if __name__ == "__main__":
    main()
