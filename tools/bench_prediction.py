"""Time whole predictions of autoseg and nnU-Net v2 on the same images, in turns, with memory and agreement.

    python tools/bench_prediction.py nnunet MODEL IMAGES WORK --peer PEER/env.sh --engine auto --engine torch-float32 --cases 40 --rounds 2
    python tools/bench_prediction.py ours RUN LABELS WORK MODEL --peer PEER/env.sh --rounds 2
    python tools/bench_prediction.py many RUN WORK --files 2000
    python tools/bench_prediction.py export WORK --classes 3 --classes 105 --peer PEER/env.sh

- `nnunet`: one nnU-Net model, read by both programs; the masks of autoseg are held against nnU-Net's own.
- `ours`: a run of autoseg (fold 0, its validation cases) in every profile, and nnU-Net models on the same images, which need not be of the
  same quality; the masks of autoseg are held against the data set's labels.
- `many`: very many small images in one call; whether memory grows, and what share of the time is the network's.
- `export`: from logits to a mask on disk, without a network (tools/bench_export.py, tools/bench_export_nnunet.py).

PEER/env.sh puts `nnUNetv2_predict_from_modelfolder` and its Python on PATH. Commands are timed whole, start of the program included, one
after another: all programs, then all again in the next round. A ratio is the median over the rounds. Both find images and libraries
in the file cache, since both are started once before. Prints tables, and writes WORK/<subcommand>.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_prediction_scale import export, many
from export_logits import SHAPE
from timed_command import Timed, paired_ratio, run_timed, sourced, table, timed_table

import autoseg
from autoseg.inference.inputs import find_inputs
from autoseg.parallel import available_cores
from autoseg.records import Dataset
from autoseg.run_folder import RunFolder
from autoseg.volume.files import read

PROFILES = ("best", "balanced", "fast")
Programs = Mapping[str, Sequence[str]]  # commands; `{out}` stands for the folder that they write


def main() -> None:
    arguments = parser().parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = {"nnunet": nnunet, "ours": ours, "many": many, "export": export}[arguments.verb](arguments)
    options = {name: str(value) for name, value in vars(arguments).items()}
    record = {"options": options, "cores": available_cores(), **found}
    place = arguments.work / f"{arguments.verb}.json"
    place.write_text(json.dumps(record, indent=1), encoding="utf-8")
    print(f"written to {place}")


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = whole.add_subparsers(dest="verb", required=True)
    same, own, lot, logits = (verbs.add_parser(name) for name in ("nnunet", "ours", "many", "export"))
    same.add_argument("model", type=Path, help="folder of a trained nnU-Net model: plans.json, dataset.json, fold_0")
    same.add_argument("images", type=Path)
    own.add_argument("run", type=Path)
    own.add_argument("labels", type=Path, help="the data set of the run")
    lot.add_argument("run", type=Path, help="of 2D images")
    for verb in (same, own, lot, logits):
        verb.add_argument("work", type=Path)
    own.add_argument("models", type=Path, nargs="*", help="folders of trained nnU-Net models")
    own.add_argument("--profile", action="append", choices=PROFILES, help="[default: all]")
    lot.add_argument("--profile", choices=PROFILES, default="balanced")
    add_sizes(lot, logits)
    for verb in (same, own, logits):
        verb.add_argument("--peer", type=Path, help="script that sets nnU-Net's environment [default: it is on PATH]")
        verb.add_argument("--rounds", type=int, default=2)
    for verb in (same, own):
        verb.add_argument("--cases", type=int, help="the first ones [default: all]")
        verb.add_argument("--workers", type=int, action="append", help="nnU-Net's -npp and -nps; 0: its own 3 [default: 1]")
    for verb in (same, own, lot):
        verb.add_argument("--engine", action="append", help="repeatable [default: none is given to autoseg]")
        verb.add_argument("--memory", help="handed on to autoseg")
    return whole


def add_sizes(lot: argparse.ArgumentParser, logits: argparse.ArgumentParser) -> None:
    lot.add_argument("--files", type=int, default=2000)
    lot.add_argument("--size", type=int, nargs=2, default=(192, 192))
    logits.add_argument("--classes", type=int, action="append", required=True)
    logits.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    logits.add_argument("--patch", type=int, default=128, help="of autoseg's tiles; at most the coarse grid's size")
    logits.add_argument("--resampling", action="append", choices=("default", "torch"), help="of nnU-Net [default: default]")
    logits.add_argument("--most-gib", type=float, default=18.0, help="memory at which nnU-Net is ended")


def nnunet(arguments: argparse.Namespace) -> dict[str, Any]:
    """The same model in both programs."""
    declared = json.loads((arguments.model / "dataset.json").read_text(encoding="utf-8"))
    images = arguments.work / "images"
    cases = link_images(arguments.images, len(declared["channel_names"]), images, arguments.cases)
    programs: dict[str, Sequence[str]] = {}
    for engine in arguments.engine or [None]:
        words = autoseg_command(arguments.model, images, engine, arguments.memory, "--profile", "best")
        programs[f"autoseg {engine or ''}".strip()] = words
    mine = list(programs)
    programs |= peer_programs([arguments.model], images, arguments)
    found = in_turns(programs, arguments)
    print(timed_table(found, len(cases)))
    theirs = [name for name in programs if name not in mine]
    ratios = print_ratios(found, mine, theirs)
    reference = arguments.work / "out" / slug(theirs[0])
    agreement = {name: agreement_of(arguments.work / "out" / slug(name), reference) for name in mine}
    print(f"\nDice against the masks of {theirs[0]}, over the cases where either has the label")
    print(table(("program", "label", "cases", "mean", "least", "voxels that differ"), agreement_rows(agreement)))
    return {"cases": cases, "runs": recorded(found), "ratios": ratios, "agreement": agreement}


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """A run of autoseg in all profiles, nnU-Net beside it."""
    folder = RunFolder.open(arguments.run)
    dataset, images = folder.dataset(), arguments.work / "images"
    cases = link_validation(dataset, folder.splits().folds[0].validation[: arguments.cases], images)
    options = ["--fold", "0"]
    if dataset.rank == 2 and (sizes := pixel_sizes(dataset, cases, arguments.work / "pixel_size.csv")):
        options += ["--spacing", str(sizes)]
    programs: dict[str, Sequence[str]] = {}
    for profile in arguments.profile or PROFILES:
        for engine in arguments.engine or [None]:
            words = autoseg_command(arguments.run, images, engine, arguments.memory, "--profile", profile, *options)
            programs[f"autoseg {profile} {engine or ''}".strip()] = words
    mine = list(programs)
    programs |= peer_programs(arguments.models, images, arguments)
    found = in_turns(programs, arguments)
    print(timed_table(found, len(cases)))
    ratios = print_ratios(found, mine, [name for name in programs if name not in mine])
    scores = {name: autoseg.evaluate(arguments.labels, arguments.work / "out" / slug(name)) for name in mine}
    dice = {name: {"mean": one.mean_dice} | {key: part.dice for key, part in one.summary.items()} for name, one in scores.items()}
    print("\nDice against the labels")
    print(table(("program", *next(iter(dice.values()))), [(name, *values.values()) for name, values in dice.items()]))
    return {"cases": cases, "runs": recorded(found), "ratios": ratios, "dice": dice}


def autoseg_command(model: Path, images: Path, engine: str | None, memory: str | None, *options: str) -> list[str]:
    words = [sys.executable, "-m", "autoseg", "predict", str(model), str(images), "{out}", "--device", "cpu", *options]
    words += ["--engine", engine] if engine else []
    return words + (["--memory", memory] if memory else [])


def peer_programs(models: Sequence[Path], images: Path, arguments: argparse.Namespace) -> dict[str, Sequence[str]]:
    """nnU-Net's command for every model and number of processes."""
    programs = {}
    for model in models:
        for workers in arguments.workers or [1]:
            words = [
                "nnUNetv2_predict_from_modelfolder",
                "-i",
                str(images),
                "-o",
                "{out}",
                "-m",
                str(model),
                "-f",
                "0",
                "-device",
                "cpu",
            ]
            words += ["--disable_progress_bar"] + (["-npp", str(workers), "-nps", str(workers)] if workers else [])
            origin = f" {model.resolve().parent.name}/{model.name}" if len(models) > 1 else ""
            programs[f"nnU-Net{origin} -npp {workers or 3} -nps {workers or 3}"] = sourced(arguments.peer, words)
    return programs


def in_turns(programs: Programs, arguments: argparse.Namespace) -> dict[str, list[Timed]]:
    """All of them, again and again; what each wrote last stays in WORK/out."""
    warm_up(programs, arguments)
    found: dict[str, list[Timed]] = {name: [] for name in programs}
    for number in range(arguments.rounds):
        for name, words in programs.items():
            out = arguments.work / "out" / slug(name)
            shutil.rmtree(out, ignore_errors=True)
            command = [word.replace("{out}", str(out)) for word in words]
            timed = run_timed(command, arguments.work / "logs" / f"{slug(name)}_{number}.txt")
            print(
                f"round {number + 1} {name}: {timed.seconds:.1f} s, others {timed.others_share:.0%}   {shlex.join(command[-14:])}",
                flush=True,
            )
            found[name].append(timed)
    return found


def warm_up(programs: Programs, arguments: argparse.Namespace) -> None:
    """Bring images and libraries into the file cache."""
    for file in (arguments.work / "images").iterdir():
        file.read_bytes()
    log = arguments.work / "logs" / "warm_up.txt"
    run_timed([sys.executable, "-c", "import torch, autoseg.pipeline.ensemble"], log)
    if any("nnUNetv2_predict_from_modelfolder" in words for words in programs.values()):
        run_timed(sourced(arguments.peer, ["nnUNetv2_predict_from_modelfolder", "-h"]), log)


def print_ratios(found: Mapping[str, Sequence[Timed]], mine: Sequence[str], theirs: Sequence[str]) -> dict[str, dict[str, float]]:
    """How many times longer nnU-Net takes, for each pair."""
    seconds = {name: [run.seconds for run in runs] for name, runs in found.items()}
    ratios = {other: {name: paired_ratio(seconds[other], seconds[name]) for name in mine} for other in theirs}
    if ratios:
        print("\ntimes that nnU-Net takes longer (median of the rounds)")
        rows = [(name, *(f"{ratios[other][name]:.2f}" for other in theirs)) for name in mine]
        print(table(("program", *(f"than it: {other}" for other in theirs)), rows))
    return ratios


def recorded(found: Mapping[str, Sequence[Timed]]) -> dict[str, list[dict[str, float | bool]]]:
    return {name: [run.record() for run in runs] for name, runs in found.items()}


def slug(name: str) -> str:
    return name.replace(" ", "_").replace("/", "_")


def link_images(source: Path, n_channels: int, place: Path, most: int | None) -> list[str]:
    """The first cases, with nnU-Net's names, which both programs read."""
    inputs = find_inputs(source, [str(channel) for channel in range(n_channels)])[:most]
    return link({item.id: item.files for item in inputs}, place)


def link_validation(dataset: Dataset, cases: Sequence[str], place: Path) -> list[str]:
    by_id = {case.id: case for case in dataset.cases}
    return link({case: [dataset.path(file) for file in by_id[case].images] for case in cases}, place)


def link(files: Mapping[str, Sequence[Path]], place: Path) -> list[str]:
    """A folder with nothing but these; returns the cases."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for case, channels in files.items():
        for channel, file in enumerate(channels):
            ending = ".nii.gz" if file.name.endswith(".nii.gz") else file.suffix
            (place / f"{case}_{channel:04d}{ending}").symlink_to(file.resolve())
    return list(files)


def pixel_sizes(dataset: Dataset, cases: Sequence[str], table: Path) -> Path | None:
    """What the run knows of its cases' pixels, as `--spacing` takes it."""
    known = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm is not None and case.id in set(cases)}
    if not known:
        return None
    if any(spacing[0] != spacing[-1] for spacing in known.values()):
        raise SystemExit("pixels that are not square cannot be handed on")
    lines = ["filename,pixel size(mm)", *(f"{case},{spacing[0]!r}" for case, spacing in known.items())]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def agreement_of(masks: Path, reference: Path) -> dict[str, Any]:
    """Dice of every label in every case, and the share of voxels that differ."""
    by_case: dict[str, dict[str, float]] = {}
    differing = n_voxels = 0
    for mask in sorted(path for path in reference.iterdir() if path.suffix in (".png", ".gz", ".nrrd", ".mha")):
        one, other = (read(folder / mask.name).array[0] for folder in (masks, reference))
        by_case[mask.name] = dice_by_label(one, other)
        differing += int(np.count_nonzero(one != other))
        n_voxels += one.size
    return {"cases": by_case, "differing": differing / n_voxels}


def dice_by_label(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Of the labels that either holds, the background left out."""
    scores = {}
    for label in np.union1d(one, other):
        if label:
            first, second = one == label, other == label
            both = np.count_nonzero(first) + np.count_nonzero(second)
            scores[str(int(label))] = float(2 * np.count_nonzero(first & second) / both)
    return scores


def agreement_rows(agreement: Mapping[str, dict[str, Any]]) -> list[tuple[object, ...]]:
    rows = []
    for name, found in agreement.items():
        labels = sorted({label for scores in found["cases"].values() for label in scores}, key=int)
        for label in labels:
            values = [scores[label] for scores in found["cases"].values() if label in scores]
            rows.append((name, label, len(values), f"{np.mean(values):.5f}", f"{min(values):.5f}", f"{found['differing']:.2e}"))
    return rows


if __name__ == "__main__":
    main()
