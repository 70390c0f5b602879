"""Compare the ensemble of all folds with the single fold that was best in cross-validation, on the subjects held out.

    python tools/ensemble_against_best_fold.py RUN LABELS OUT

RUN is planned with `--hold-out` and trained with `--fold all`; LABELS is the data set. Both models predict the cases held
out into OUT, both are scored, and the paired difference (ensemble - fold) is printed per structure with its 95 % interval,
a bootstrap over subjects.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import autoseg
from autoseg.metrics.comparison import compare_scores
from autoseg.records import Scores
from autoseg.run_folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    best, by_fold = best_fold(RunFolder.open(options.run))
    print("cross-validation, mean Dice: " + ", ".join(f"fold {fold} {dice:.4f}" for fold, dice in by_fold.items()))
    scores: dict[str, Scores] = {}
    for name, folds in (("ensemble", None), (f"fold {best}", (best,))):
        out = options.out / name.replace(" ", "_")
        autoseg.predict(options.run, "held-out", out, folds=folds)
        scores[name] = autoseg.evaluate(options.labels, out)
        for structure, summary in scores[name].summary.items():
            print(f"{name}: {structure}: {described(summary)}")
    ensemble, single = scores["ensemble"], scores[f"fold {best}"]
    for one in compare_scores(single.cases, ensemble.cases, figures=("dice", "hd95_mm")):
        digits = 4 if one.figure == "dice" else 2
        low, high = one.interval if one.interval else (float("nan"), float("nan"))
        print(
            f"{one.structure}: {one.figure}, ensemble - fold {best}: {one.difference:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}] "
            f"over {one.cases} cases of {one.subjects} subjects"
        )


def best_fold(folder: RunFolder) -> tuple[str, dict[str, float]]:
    """The fold of the default configuration with the highest mean Dice in its own validation."""
    name = folder.plan().default
    paths = {fold: folder.fold_scores(name, fold) for fold in folder.folds(name)}
    dice = {fold: Scores.load(path).mean_dice or 0.0 for fold, path in paths.items() if path.exists()}
    return max(dice, key=lambda fold: dice[fold]), dice


def described(summary: object) -> str:
    """A summary's figures in a line."""
    fields = {
        "Dice": "dice",
        "median": "dice_median",
        "HD95 mm": "hd95_mm",
        "ASSD mm": "assd_mm",
        "HC MAE mm": "circumference_mae_mm",
    }
    values = {label: getattr(summary, field) for label, field in fields.items()}
    return ", ".join(f"{label} {value:.4f}" for label, value in values.items() if value is not None)


if __name__ == "__main__":
    main()
