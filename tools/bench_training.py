"""Time training steps of autoseg and nnU-Net v2 at nnU-Net's own plan, on the same data, alternating.

    . PEER/env.sh     # sets nnUNet_raw, nnUNet_preprocessed, nnUNet_results; the sets planned and preprocessed by nnU-Net before
    python tools/bench_training.py DATA WORK --peer-python PEER/venv/bin/python --set Task04_Hippocampus:4:3d_fullres --rounds 3

`DATA/Task04_Hippocampus` is planned with `--preset nnunet` (the same patch, batch and network), and `autoseg benchmark` trains on
its real cases with the plan's augmentation; nnU-Net's own trainer and loaders do the same in a process of their own. The first
steps of both are left out. Prints one JSON line a measurement, and the medians with their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

PEER = """
import json, sys, time, torch
from batchgenerators.utilities.file_and_folder_operations import load_json, join
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
if __name__ == "__main__":
    number, configuration, steps, warm = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    name = maybe_convert_to_dataset_name(number)
    folder = join(nnUNet_preprocessed, name)
    torch.set_num_threads(int(sys.argv[5]))
    plans = {**load_json(join(folder, "nnUNetPlans.json")), "continue_training": False}
    declared = load_json(join(folder, "dataset.json"))
    trainer = nnUNetTrainer(plans, configuration, 0, declared, torch.device("cpu"))
    trainer.disable_checkpointing = True
    trainer.initialize()
    trainer.on_train_start()
    trainer.network.train()
    for _ in range(warm):
        trainer.train_step(next(trainer.dataloader_train))
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        trainer.train_step(next(trainer.dataloader_train))
        times.append(time.perf_counter() - start)
    print("TIMES", json.dumps({"seconds": times, "batch": trainer.batch_size}), flush=True)
    time.sleep(60)  # until it is ended from outside, with its loaders
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--peer-python", type=Path, help="of an environment with nnunetv2; without it only autoseg is timed")
    parser.add_argument("--set", action="append", required=True, metavar="NAME:NUMBER:CONFIGURATION")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of nnU-Net, timed each round")
    parser.add_argument("--seconds", type=float, default=60, help="of autoseg each round")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for entry in arguments.set:
        compare(entry, arguments)


def compare(entry: str, arguments: argparse.Namespace) -> None:
    """One data set: plan once, then both in turns."""
    name, number, configuration = entry.split(":")
    run = arguments.work / name
    if not (run / "plan.json").exists():
        autoseg("plan", str(arguments.data / name), str(run), "--preset", "nnunet")
        autoseg("preprocess", str(run), "--configuration", configuration)
    speeds: dict[str, list[float]] = {"autoseg": [], "nnU-Net": []}
    for _ in range(arguments.rounds):
        answer = json.loads(
            autoseg("benchmark", str(run), "--configuration", configuration, "--seconds", f"{arguments.seconds}", "--json")
        )
        print(json.dumps({"set": name, "autoseg": answer}), flush=True)
        speeds["autoseg"].append(answer["figures"]["samples_per_second"])
        if arguments.peer_python:
            seconds, batch = peer(arguments, number, configuration)
            print(json.dumps({"set": name, "nnU-Net": {"seconds": seconds, "batch": batch}}), flush=True)
            speeds["nnU-Net"].append(batch / statistics.median(seconds))
    medians = {who: statistics.median(values) for who, values in speeds.items() if values}
    ratio = f", {medians['autoseg'] / medians['nnU-Net']:.2f} times" if "nnU-Net" in medians else ""
    print(f"{name}: " + ", ".join(f"{who} {value:.3f} samples/s" for who, value in medians.items()) + ratio, flush=True)


def autoseg(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "autoseg", *words], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def peer(arguments: argparse.Namespace, number: str, configuration: str) -> tuple[list[float], int]:
    """Seconds of nnU-Net's steps, and its batch."""
    script = arguments.work / "peer_steps.py"
    script.write_text(PEER, encoding="utf-8")
    command = [str(arguments.peer_python), str(script), number, configuration, str(arguments.steps), "1", str(arguments.threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            line = next((line for line in process.stdout if line.startswith("TIMES ")), None)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its loaders would outlive it
    if line is None:
        raise SystemExit(f"nnU-Net's steps failed: {' '.join(command)}")
    answer = json.loads(line.removeprefix("TIMES "))
    return answer["seconds"], answer["batch"]


if __name__ == "__main__":
    main()
