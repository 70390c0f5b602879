r"""Which recipe learns most in a short time: one plan, several recipes, several seeds, the same number of steps each.

    autoseg plan DATA/HC18 WORK/base --time-budget 10m && autoseg train WORK/base --fold 0      # how many steps ten minutes hold
    python tools/study_recipes.py WORK/base WORK/cells --seeds 0 1 2 --recipe "sgd: training.optimizer=sgd" \
        --recipe "adamw: training.optimizer=adamw" --recipe "slower: training.optimizer=adamw training.initial_lr=0.0003"

Every cell is a run of its own with the plan of the base, as many epochs as its fold 0 came to (or `--epochs`), and the recipe's values
on top; an optimiser brings its numbers along. Prepared cases are shared. Deterministic, so a cell does not depend on what else runs, and two
may run at once, each on a core of its own (`taskset -c 0`, `OMP_NUM_THREADS=1`). Cells that are done are not done again. Prints a line
for each, then mean and spread by recipe.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

import autoseg
from autoseg.records import FoldCheckpoint, Plan
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.overrides import apply_overrides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("cells", type=Path)
    parser.add_argument("--recipe", action="append", required=True, metavar="NAME: KEY=VALUE ...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="instead of those that the base came to")
    arguments = parser.parse_args()
    epochs = arguments.epochs or epochs_of(arguments.base)
    found: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        for recipe in arguments.recipe:
            name, _, values = recipe.partition(":")
            cell = arguments.cells / f"{name}_epochs{epochs}_seed{seed}"
            dice = trained(arguments.base, cell, (*values.split(), f"training.seed={seed}"), epochs)
            found.setdefault(name, []).append(dice)
            print(json.dumps({"recipe": name, "seed": seed, "epochs": epochs, "dice": round(dice, 5)}), flush=True)
    for name, dice in found.items():
        spread = f" +- {statistics.stdev(dice):.4f}" if len(dice) > 1 else ""
        print(f"{name}: {statistics.mean(dice):.4f}{spread} over {len(dice)} seeds")


def epochs_of(base: Path) -> int:
    """What fold 0 of the base came to."""
    folder = RunFolder.open(base)
    return FoldCheckpoint.load(folder.checkpoint(folder.plan().default, "0")).epochs


def trained(base: Path, cell: Path, values: tuple[str, ...], epochs: int) -> float:
    """Train a cell, or read what came of it; the mean Dice of its whole-image validation."""
    result = cell.with_suffix(".json")
    if result.exists():
        return float(json.loads(result.read_text(encoding="utf-8"))["dice"])
    if not cell.exists():
        cell.mkdir(parents=True)
        for file in base.glob("*.json"):
            if file.name != "model.json":
                shutil.copy(file, cell)
        (cell / "prepared").symlink_to((base / "prepared").absolute())
        RunFolder(cell).save(with_recipe(RunFolder.open(base).plan(), values, epochs))
    (outcome,) = autoseg.train(cell, fold="0", workers=1)
    assert outcome.scores is not None and outcome.scores.mean_dice is not None
    dice = outcome.scores.mean_dice
    result.write_text(json.dumps({"dice": dice, "values": values, "seconds": outcome.seconds}), encoding="utf-8")
    return dice


def with_recipe(plan: Plan, values: tuple[str, ...], epochs: int) -> Plan:
    """The plan with a fixed length, deterministic, and the recipe's values on top."""
    fixed = (f"training.epochs={epochs}", "training.time_budget_seconds=none", "training.deterministic=true")
    return apply_overrides(plan, (*fixed, *values))


if __name__ == "__main__":
    main()
