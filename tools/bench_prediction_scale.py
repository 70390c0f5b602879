"""What tools/bench_prediction.py measures of very many images, and of very many classes."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench_export_nnunet import BEGUN
from timed_command import MIB, Sample, Timed, paired_ratio, run_timed, sourced, table

from autoseg.phantom import write_fetal_head
from autoseg.records import Predictions
from autoseg.volume.files import read

HERE = Path(__file__).parent


def many(arguments: argparse.Namespace) -> dict[str, Any]:
    """One prediction of very many small images."""
    drawn = draw(
        arguments.work / f"phantom_{arguments.files}_{'x'.join(map(str, arguments.size))}", arguments.files, arguments.size
    )
    found = {}
    for engine in arguments.engine or [None]:
        name = engine or "as given"
        out = arguments.work / "out" / name.replace(" ", "_")
        words = [
            sys.executable,
            "-m",
            "autoseg",
            "predict",
            str(arguments.run),
            str(drawn / "chosen"),
            str(out),
            "--device",
            "cpu",
        ]
        words += ["--profile", arguments.profile, "--spacing", str(drawn / "pixel_size.csv"), "--overwrite"]
        words += (["--engine", engine] if engine else []) + (["--memory", arguments.memory] if arguments.memory else [])
        for old in out.glob("*.png"):
            old.unlink()
        timed = run_timed(words, arguments.work / "logs" / f"{name}.txt", count=lambda out=out: masks_in(out))
        found[name] = of_many(timed, Predictions.load(out / "predictions.json"), arguments.files)
    figures = list(next(iter(found.values())))
    print(table(("", *found), [(figure, *(values[figure] for values in found.values())) for figure in figures]))
    return {"engines": found}


def draw(folder: Path, files: int, size: Sequence[int]) -> Path:
    """Phantoms, one to three a subject; `chosen` holds as many as are wanted."""
    chosen = folder / "chosen"
    if not chosen.is_dir():
        write_fetal_head(folder, subjects=files // 2 + 3 * math.isqrt(files) + 1, size=(size[0], size[1]))
        images = sorted((folder / "images").iterdir())[:files]
        if len(images) < files:
            raise SystemExit(f"only {len(images)} images were drawn")
        chosen.mkdir()
        for image in images:
            (chosen / image.name).symlink_to(image.resolve())
    return folder


def masks_in(out: Path) -> int:
    if not out.is_dir():
        return 0
    with os.scandir(out) as entries:
        return sum(entry.name.endswith(".png") for entry in entries)


def of_many(timed: Timed, predictions: Predictions, files: int) -> dict[str, Any]:
    """Memory by quarters of the images done, and times."""
    done = [case for case in predictions.cases if case.status == "done"]
    network = sum(case.network_seconds or 0.0 for case in done)
    first, last = quarters(timed.samples, files)
    if not first or not last:
        raise SystemExit("too few images for samples in the first and the last quarter; give more --files")
    return {
        "images done": len(done),
        "seconds": timed.seconds,
        "seconds an image": timed.seconds / files,
        "until the first mask": next(sample.seconds for sample in timed.samples if sample.count),
        "seconds in the network": network,
        "share of the network": network / timed.seconds,
        "processor seconds": timed.cpu_seconds,
        "MiB in the first quarter, median": median(first),
        "MiB in the last quarter, median": median(last),
        "MiB in the first quarter, most": max(first),
        "MiB in the last quarter, most": max(last),
        "last to first, medians": median(last) / median(first),
        "peak MiB": timed.peak_main_mib,
        "others' share": timed.others_share,
    }


def quarters(samples: Sequence[Sample], files: int) -> tuple[list[float], list[float]]:
    """MiB of the main process while the first quarter of the images was done, and while the last was."""
    first = [sample.main / MIB for sample in samples if 0 < sample.count <= files / 4]
    last = [sample.main / MIB for sample in samples if files * 3 / 4 < sample.count]
    return first, last


def export(arguments: argparse.Namespace) -> dict[str, Any]:
    """From logits to a mask on disk, in turns; seconds are measured inside the programs, peaks are theirs (VmHWM)."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for n_classes in arguments.classes:
        shared = ["--classes", str(n_classes), "--shape", *map(str, arguments.shape)]
        programs = {"autoseg": [sys.executable, str(HERE / "bench_export.py"), *shared, "--patch", str(arguments.patch)]}
        for resampling in arguments.resampling or ["default"]:
            words = ["python", str(HERE / "bench_export_nnunet.py"), *shared, "--resampling", resampling]
            programs[f"nnU-Net {resampling}"] = sourced(arguments.peer, words)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
        for number in range(arguments.rounds):
            for name, words in programs.items():
                runs[name].append(one_export(name, words, n_classes, number, arguments))
        found[str(n_classes)] = runs
        print_export(n_classes, arguments.shape, runs)
        if (differing := masks_differ(arguments.work, n_classes, list(programs))) is not None:
            print(f"voxels where the masks differ: {differing:.2e}")
    return {"classes": found}


def one_export(name: str, words: list[str], n_classes: int, number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    place = export_folder(arguments.work, n_classes, name)
    log = arguments.work / "logs" / f"{place.name}_{number}.txt"
    limit = None if name == "autoseg" else arguments.most_gib * 2**30
    command = [*words, str(place)]
    for old in place.rglob("volume.nii.gz"):
        old.unlink()  # where the program is ended, there is no mask
    timed = run_timed(command, log, most_bytes=limit)
    ended = time.monotonic()
    outcome: dict[str, Any] = timed.record()
    if timed.killed:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(BEGUN)]
        outcome["seconds_exporting"] = ended - float(lines[-1].removeprefix(BEGUN)) if lines else None
    else:
        outcome |= json.loads(log.read_text(errors="replace").strip().splitlines()[-1])
    print(f"{n_classes} classes, round {number + 1}, {name}: {told(outcome)}", flush=True)
    return outcome


def told(outcome: dict[str, Any]) -> str:
    if outcome["killed"]:
        seconds = outcome["seconds_exporting"]
        when = "before the export began" if seconds is None else f"after {seconds:.1f} s of the export"
        return f"killed at {outcome['peak_main_mib'] / 1024:.1f} GiB {when}"
    return f"{outcome['export_wall']:.2f} s ({outcome['export']:.2f} s of the processor), peak {outcome['peak_mib']} MiB"


def print_export(n_classes: int, shape: Sequence[int], runs: dict[str, list[dict[str, Any]]]) -> None:
    print(f"\n{n_classes} classes, {'x'.join(map(str, shape))}; autoseg: tiles to file, nnU-Net: logits of the volume to file")
    rows, mine = [], runs["autoseg"]
    for name, outcomes in runs.items():
        if any(one["killed"] for one in outcomes):
            rows.append((name, told(next(one for one in outcomes if one["killed"])), "", "", "", ""))
            continue
        wall, cpu = ([one[key] for one in outcomes] for key in ("export_wall", "export"))
        ratios = [paired_ratio([one[key] for one in outcomes], [one[key] for one in mine]) for key in ("export_wall", "export")]
        peak = max(one["peak_mib"] for one in outcomes)
        rows.append((name, median(wall), median(cpu), f"{peak}", *(f"{ratio:.2f}" for ratio in ratios)))
    print(table(("program", "seconds", "processor s", "peak MiB", "times as long", "times the processor"), rows))


def masks_differ(work: Path, n_classes: int, programs: Sequence[str]) -> float | None:
    """The largest share of voxels in which a mask of nnU-Net differs from ours; None where there is none."""
    mine = read(export_folder(work, n_classes, programs[0]) / "ours" / "volume.nii.gz").array
    places = [export_folder(work, n_classes, name) / "volume.nii.gz" for name in programs[1:]]
    return max((float(np.mean(read(place).array != mine)) for place in places if place.exists()), default=None)


def export_folder(work: Path, n_classes: int, name: str) -> Path:
    return work / f"{name.replace(' ', '_')}_{n_classes}"
