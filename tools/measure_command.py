"""Wall time and peak memory of a whole command, several times over.

    python tools/measure_command.py --runs 3 --fresh scratch/run -- autoseg plan DATASET scratch/run

Memory is the largest sum, over the command and all processes it starts, of their proportional set sizes (pages shared by
several processes count once), sampled every 50 ms from /proc: Linux only. `--fresh` deletes a folder before every run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time
from pathlib import Path

SAMPLE_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fresh", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("no command given")
    seconds, peaks = [], []
    for _ in range(options.runs):
        for folder in options.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        taken, peak = run_once(command)
        seconds.append(taken)
        peaks.append(peak)
    print(f"{' '.join(command)}")
    print(
        f"seconds: least {min(seconds):.2f}, median {statistics.median(seconds):.2f}, most {max(seconds):.2f} of {options.runs}"
    )
    print(f"peak memory of all its processes: {max(peaks) / 2**20:.0f} MiB")


def run_once(command: list[str]) -> tuple[float, int]:
    """Seconds, and the largest sum of memory in bytes; a command that fails ends the measurement."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(memory_of(pid) for pid in tree_of(process.pid)))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode != 0:
        raise SystemExit(f"the command failed ({process.returncode}):\n{process.stderr.read().decode()}")
    return time.perf_counter() - start, peak


def tree_of(root: int) -> list[int]:
    """A process and all its descendants."""
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def memory_of(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


if __name__ == "__main__":
    main()
