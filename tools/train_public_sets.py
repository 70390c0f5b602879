"""Every line of docs/datasets.md from the download to a trained network: imported or indexed, planned, and trained for some minutes each.

    python tools/train_public_sets.py DATA OUT --minutes 3

A set of several subjects trains fold 0 of as many folds as it has subjects, at most five; one subject alone trains `--fold full`, which has
nothing to validate on. Each command is what a user would type, and none may fail. OUT/trained.md gets the table; sets that are in
OUT already are left out, so that an interrupted study goes on.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "datasets.md"
ROW = re.compile(r"^\| (?P<set>[^|]+) \| \d[^|]*\| `(?P<line>autoseg [^`]+)` \|$", re.MULTILINE)


def autoseg(*words: str) -> float:
    """Run a command and return its seconds; the study ends with its output where it fails."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "autoseg", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"autoseg {shlex.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def train(line: str, data: Path, place: Path, minutes: float) -> dict[str, object]:
    """One set: what was planned, and what came of the training."""
    dataset, run = place / "set", place / "run"
    words = [word.replace("DATA", str(data)).replace("DST", str(dataset)) for word in shlex.split(line)[1:]]
    if words[0] == "import":
        autoseg(*words)
        words = ["plan", str(dataset), "RUN"]
    autoseg(*[str(run) if word == "RUN" else word for word in words], "--time-budget", f"{minutes:g}m")
    folds = sum(bool(fold["validation"]) for fold in json.loads((run / "splits.json").read_text())["folds"])
    fold = "0" if folds else "full"
    seconds = autoseg("train", str(run), "--fold", fold)
    told = subprocess.run(
        [sys.executable, "-m", "autoseg", "status", str(run), "--json"], capture_output=True, text=True, check=True
    ).stdout
    trained = next(one for one in json.loads(told)["folds"] if one["fold"] == fold)
    return {"folds": folds, "fold": fold, "seconds": round(seconds), "epochs": trained["epoch"], "dice": trained["dice"]}


def table(found: dict[str, dict[str, object]]) -> str:
    """Markdown: one row for each set."""
    lines = ["| set | folds | trained | seconds | Dice of the fold's own cases |", "|---|---|---|---|---|"]
    for name, one in found.items():
        scores = one["dice"] if isinstance(one["dice"], dict) else {}
        dice = ", ".join(f"{label} {value:.3f}" for label, value in scores.items() if value is not None) or "none to tell"
        lines.append(f"| {name} | {one['folds']} | `--fold {one['fold']}` | {one['seconds']} | {dice} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--only", default="", help="expression searched in the names of sets")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "trained.json"
    found: dict[str, dict[str, object]] = json.loads(file.read_text()) if file.is_file() else {}
    for number, row in enumerate(ROW.finditer(PAGE.read_text(encoding="utf-8"))):
        if row["set"] in found or not re.search(given.only, row["set"], re.IGNORECASE):
            continue
        place = given.out / f"{number:02d}_{time.strftime('%H%M%S')}"
        found[row["set"]] = train(row["line"], given.data, place, given.minutes)
        file.write_text(json.dumps(found, indent=1))
        print(table({row["set"]: found[row["set"]]}).splitlines()[-1], flush=True)
    (given.out / "trained.md").write_text(table(found))


if __name__ == "__main__":
    main()
