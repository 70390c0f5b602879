"""Time whole commands, with memory, processor seconds, and what other programs took meanwhile; read by tools/bench_prediction.py.

Wall time runs from before the program is started until it has ended. Memory is sampled by psutil, ten times a second: the resident size
of the main process, and the sum over it and all its descendants. Pages that several of them share count several times in that sum; once a
second they are counted once (proportional sizes, Linux only). Processor seconds are user and system time of all of them.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from autoseg.parallel import other_load

SAMPLE_SECONDS = 0.1
SHARED_SECONDS = 1.0  # between counts of shared pages; the kernel walks through all pages for it, and stops the program meanwhile
GIB, MIB = 2**30, 2**20


@dataclass
class Sample:
    """Bytes at a moment; `count` is whatever the caller counts."""

    seconds: float
    main: int
    tree: int
    tree_shared_once: int | None  # None: not counted at this moment
    count: int = 0


@dataclass
class Timed:
    """One command's figures. `killed`: it was ended for taking more memory than allowed."""

    seconds: float
    cpu_seconds: float
    peak_main_mib: float
    peak_tree_rss_mib: float
    peak_tree_mib: float
    others_share: float
    killed: bool = False
    samples: list[Sample] = field(default_factory=list, repr=False)

    def record(self) -> dict[str, float | bool]:
        """For JSON, without the samples."""
        return {name: value for name, value in vars(self).items() if name != "samples"}


def run_timed(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    most_bytes: float | None = None,
    count: Callable[[], int] = lambda: 0,
) -> Timed:
    """Run a command to its end, what it prints going to `log`.

    Args:
        command: program and arguments.
        log: is replaced.
        environment: variables set in addition.
        most_bytes: of all its processes; beyond that it is killed, and `killed` is set.
        count: called with every sample, for `Sample.count`.

    Raises:
        SystemExit: the command failed; with the end of what it printed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as file, other_load() as load:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        watch = Watch(process.pid, begin, most_bytes, count)
        watch.start()
        try:
            code = process.wait()
            seconds = time.perf_counter() - begin
        finally:
            end_group(process.pid)  # none where it came to its end; its workers, where this program is interrupted
            watch.stop()
    if code and not watch.killed:
        raise SystemExit(
            f"{' '.join(command)} ended with {code}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        )
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = max(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, watch.cpu_seconds())
    others = max(0.0, load.cores * seconds - cpu_seconds) / (seconds * load.available)
    return Timed(seconds, cpu_seconds, *watch.peaks_mib(), others, watch.killed, watch.samples)


def end_group(group: int) -> None:
    """Kill what is left of a process group that `run_timed` began."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


class Watch(threading.Thread):
    """Samples a process and its descendants until it is stopped."""

    def __init__(self, pid: int, begin: float, most_bytes: float | None, count: Callable[[], int]):
        super().__init__(daemon=True)
        self.pid, self.begin, self.most_bytes, self.count = pid, begin, most_bytes, count
        self.samples: list[Sample] = []
        self.killed = False
        self._cpu: dict[int, float] = {}
        self._shared_at = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                main = psutil.Process(self.pid)
                sample = self._sample([main, *main.children(recursive=True)])
            except psutil.Error:
                continue
            self.samples.append(sample)
            if self.most_bytes is not None and sample.tree > self.most_bytes:
                self.killed = True
                end_group(self.pid)
                return

    def _sample(self, processes: Sequence[psutil.Process]) -> Sample:
        seconds = time.perf_counter() - self.begin
        several = len(processes) > 1
        count_shared = several and seconds - self._shared_at >= SHARED_SECONDS
        resident, proportional = [], []
        for process in processes:
            try:
                memory = process.memory_full_info() if count_shared else process.memory_info()
                times = process.cpu_times()
            except psutil.Error:
                continue
            resident.append(memory.rss)
            proportional.append(getattr(memory, "pss", memory.rss))
            self._cpu[process.pid] = times.user + times.system
        if not resident:
            raise psutil.NoSuchProcess(self.pid)
        if count_shared:
            self._shared_at = seconds
        once = None if several and not count_shared else sum(proportional)
        return Sample(seconds, resident[0], sum(resident), once, self.count())

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def cpu_seconds(self) -> float:
        """Sum of what every process had used when it was seen last."""
        return sum(self._cpu.values())

    def peaks_mib(self) -> tuple[float, float, float]:
        """Largest main process, sum of resident sizes, sum of proportional ones."""
        columns = zip(*((one.main, one.tree, one.tree_shared_once or 0) for one in self.samples), strict=True)
        main, tree, once = (max(column) / MIB for column in columns) if self.samples else (0.0, 0.0, 0.0)
        return main, tree, once


def sourced(script: Path | None, command: Sequence[str]) -> list[str]:
    """A command in the environment that a shell script sets; the shell becomes the command."""
    return list(command) if script is None else ["bash", "-c", '. "$0" && exec "$@"', str(script), *command]


def paired_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """How many times longer they take: the median over the rounds, each round's two run after one another."""
    return median(their / our for their, our in zip(theirs, ours, strict=True))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned by their widest entry, the first to the left."""
    lines = [[shown(entry) for entry in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            entry.rjust(width) if column else entry.ljust(width)
            for column, (entry, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def shown(entry: object) -> str:
    if isinstance(entry, float):
        return f"{entry:.0f}" if abs(entry) >= 1000 else f"{entry:.4f}" if abs(entry) <= 1 else f"{entry:.2f}"
    return str(entry)


def timed_table(found: Mapping[str, Sequence[Timed]], n_cases: int) -> str:
    """Medians over the rounds (memory: the most) of every program."""
    header = ("program", "seconds", "a case", "rounds", "processor s", "main MiB", "tree MiB", "others' share")
    rows = []
    for name, runs in found.items():
        seconds = [run.seconds for run in runs]
        rows.append(
            (
                name,
                median(seconds),
                f"{median(seconds) / n_cases:.3f}",
                "/".join(f"{one:.1f}" for one in seconds),
                median(run.cpu_seconds for run in runs),
                f"{max(run.peak_main_mib for run in runs):.0f}",
                f"{max(run.peak_tree_mib for run in runs):.0f}",
                max(run.others_share for run in runs),
            )
        )
    return table(header, rows)
