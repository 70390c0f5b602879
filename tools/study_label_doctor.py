"""How many planted label faults the doctor ranks among the first: plant, plan, train, look.

    python tools/study_label_doctor.py DATASET OUT --cases 200 --faults 20 --seed 0 --budget 4m

A copy of DATASET with faults (`plant_label_faults.py`, which knows nothing of the ranking) is planned in five folds, trained on the faulty
labels with BUDGET of wall time per fold, and examined by `autoseg doctor`. OUT/study.json and a table tell at which ranks the planted
cases came, by kind. What is done already is kept, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from math import log
from pathlib import Path

from plant_label_faults import plant

import autoseg
from autoseg.cli_values import parse_seconds
from autoseg.records import Diagnosis

ORDERS = ("suspicion", "excess", "surprise", "dice", "confident", "distance", "softmin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=200, help="drawn from the data set")
    parser.add_argument("--faults", type=int, default=20, help="planted")
    parser.add_argument("--first", type=int, default=40, help="cases that a person looks at")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", default="4m", help="wall time of a fold")
    given = parser.parse_args()
    data, run = given.out / "data", given.out / "run"
    if not (data / "planted.json").is_file():
        plant(given.dataset, data, cases=given.cases, faults=given.faults, seed=given.seed)
    if not (run / "plan.json").is_file():
        spacing = data / "spacing.csv"
        autoseg.plan(
            data,
            run,
            time_budget_seconds=parse_seconds(given.budget, "--budget"),
            subjects=data / "subjects.csv",
            spacing=spacing if spacing.is_file() else None,
        )
    autoseg.train(run, fold="all")
    diagnosis = autoseg.doctor(run, show=given.first)
    planted = {one["case"]: one for one in json.loads((data / "planted.json").read_text())}
    report(diagnosis, planted, given.first, given.out / "study.json", vars(given))


def report(diagnosis: Diagnosis, planted: dict[str, dict[str, str]], first: int, out: Path, given: dict[str, object]) -> None:
    ranks = {name: ranks_by(diagnosis, name) for name in ORDERS}
    own = ranks["suspicion"]
    rows = [
        {**fault, "rank": own.get(case), "findings": [f.told for one in diagnosis.cases if one.id == case for f in one.findings]}
        for case, fault in planted.items()
    ]
    rows.sort(key=lambda row: row["rank"] or len(own) + 1)
    among = {name: sum(order.get(case, first + 1) <= first for case in planted) for name, order in ranks.items()}
    result = {
        "settings": {name: str(value) for name, value in given.items()},
        "cases": len(own),
        "planted": len(planted),
        "among_first": among,
        "ranks": rows,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(own)} cases judged, {len(planted)} with planted faults")
    print(f"among the first {first}, ordered by: {', '.join(f'{name} {found}' for name, found in among.items())}")
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row["rank"])
    for kind, found in by_kind.items():
        print(f"{kind:10} {sum(rank is not None and rank <= first for rank in found)} of {len(found)}, ranks {found}")
    for row in rows:
        print(f"{row['rank']!s:>4} {row['case']:24} {row['kind']:8} {row['told']:40} {'; '.join(row['findings'])}")


def ranks_by(diagnosis: Diagnosis, name: str) -> dict[str, int]:
    """Rank of every case when the cases are ordered by one figure, that of the worst structure (`softmin` has no structures)."""

    def badness(case) -> float:
        there = [one for one in case.structures.values() if one.suspicion is not None]
        if name == "suspicion":
            return case.suspicion
        if name == "softmin":
            return -case.softmin
        if name == "dice":
            return max((-one.dice for one in there), default=-1.0)
        if name == "excess":
            return max((log((1.01 - one.dice) / (1.01 - one.expected_dice)) for one in there), default=0.0)
        if name == "surprise":
            return max((one.expected_dice - one.dice for one in there), default=0.0)
        if name == "confident":
            return max((one.confident for one in there), default=0.0)
        return max((one.distance if one.distance is not None else 1.0 for one in there), default=0.0)

    ordered = sorted(diagnosis.cases, key=badness, reverse=True)
    return {case.id: rank for rank, case in enumerate(ordered, start=1)}


if __name__ == "__main__":
    main()
