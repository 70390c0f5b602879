"""How many planted faults of data sets the check names, with their cases, and what it says of clean sets: copy, plant, check, look.

    python tools/study_check.py DATA OUT --seed 0 --cases 60 --faults 20

DATA holds HC18/ and Task04_Hippocampus/. Three copies are made, each clean and with faults (`plant_dataset_faults.py`, which knows nothing of
the checks): HC18 as it is, HC18 as filled masks in `folders`, and the volumes. A fault is found where a finding of a fitting kind names
its first case. OUT/study.json has everything; printed are the faults by set, the findings that name cases without a fault, and the
findings on the clean copies. OUT must be new.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from plant_dataset_faults import plant

import autoseg
from autoseg.records import CheckFinding, CheckReport

SETS = {"hc18": ("HC18", False), "folders": ("HC18", True), "msd": ("Task04_Hippocampus", False)}
FITTING = {
    "label lost": {"pairing"},
    "image lost": {"pairing", "unused files"},
    "name in other case": {"names"},
    "label on another grid": {"grid"},
    "undeclared value": {"undeclared values", "rare values"},
    "label as JPEG": {"JPEG labels"},
    "label smoothed": {"soft borders"},
    "label not whole": {"not whole numbers"},
    "label as float": {"float labels"},
    "label 0 and 255": {"0 and 255", "two codings"},
    "label as palette": {"palette"},
    "image with NaN": {"not finite"},
    "image of one value": {"constant image"},
    "label empty": {"empty label"},
    "label full": {"full label"},
    "structure of a few pixels": {"stray structure"},
    "spacing in another unit": {"spacing"},
    "pixel size lost": {"pixel-size table"},
    "pixel size without image": {"pixel-size table"},
    "image of another subject": {"exact duplicate"},
    "changed copy of another subject's image": {"near duplicate"},
    "label of another subject": {"equal labels"},
    "label as outline": {"outline"},
    "image and label exchanged": {"exchanged files", "case fault"},
    "image on another scale": {"intensity scale"},
    "image cut off": {"unreadable"},
    "subject on both sides": {"leak"},
    "case on both sides": {"leak"},
    "text over the structure": {"burned-in text"},
    "image with coloured marks": {"case fault", "mixed colours"},
    "label at another place": {"place"},
    "label with another spacing": {"grid"},
    "another orientation": {"orientation"},
    "a slice among volumes": {"grid"},
    "label without image": {"unused files", "pairing"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    study = {}
    for number, (name, (folder, as_folders)) in enumerate(SETS.items()):
        source, seed = given.data / folder, given.seed * len(SETS) + number
        faulty, clean = given.out / f"{name}_faulty", given.out / f"{name}_clean"
        planted = plant(source, faulty, cases=given.cases, faults=given.faults, seed=seed, as_folders=as_folders)
        plant(source, clean, cases=given.cases, faults=0, seed=seed, as_folders=as_folders)
        begin = time.perf_counter()
        report = checked(faulty, given.workers)
        seconds = time.perf_counter() - begin
        study[name] = {
            "cases": report.cases,
            "seconds": seconds,
            "planted": [judged(one.kind, one.cases, report) for one in planted],
            "others": [told(one) for one in report.findings if beside(one, {case for p in planted for case in p.cases})],
            "clean": [told(one) for one in checked(clean, given.workers).findings],
        }
    (given.out / "study.json").write_text(json.dumps(study, indent=1) + "\n")
    show(study)


def checked(folder: Path, workers: int | None) -> CheckReport:
    return autoseg.check(folder, splits=Path(f"{folder}.splits.json"), workers=workers).report


def judged(kind: str, cases: list[str], report: CheckReport) -> dict[str, object]:
    """The findings of a fitting kind that name the case, and whatever else names it."""
    naming = [one for one in report.findings if cases[0] in one.cases or (not one.cases and cases[0] in one.told)]
    fitting = [told(one) for one in naming if one.kind in FITTING[kind]]
    return {
        "kind": kind,
        "cases": cases,
        "found": fitting,
        "else": [told(one) for one in naming if one.kind not in FITTING[kind]],
    }


def beside(finding: CheckFinding, planted: set[str]) -> bool:
    """Whether a finding is an error or a warning about cases none of which was touched."""
    return finding.severity != "note" and not planted.intersection(finding.cases)


def told(finding: CheckFinding) -> str:
    return f"{finding.severity}: {finding.kind}: {', '.join(finding.cases[:3])}: {finding.told}"


def show(study: dict) -> None:
    found = Counter()
    total = Counter()
    for name, one in study.items():
        print(f"{name}: {one['cases']} cases in {one['seconds']:.1f} s")
        for fault in one["planted"]:
            total[name] += 1
            found[name] += bool(fault["found"])
            answer = fault["found"][0] if fault["found"] else f"NOT FOUND; else: {'; '.join(fault['else']) or 'nothing'}"
            print(f"  {fault['kind']} ({', '.join(fault['cases'])}) -> {answer}")
        print(f"  findings on cases without a fault: {len(one['others'])}")
        for line in one["others"]:
            print(f"    {line}")
        print(f"  findings on the clean copy: {len(one['clean'])}")
        for line in one["clean"]:
            print(f"    {line}")
    for name in total:
        print(f"{name}: {found[name]} of {total[name]} faults named with their case")
    print(f"together: {found.total()} of {total.total()}")


if __name__ == "__main__":
    main()
