"""Which process is training a fold: `running.json` in the fold's folder, there as long as the process works on it.

Two processes must not train one fold, and a fold whose process died must not be barred from going on. The file names the
process and is touched every `BEAT_SECONDS` by a thread of it. Whether that process lives is told

- by the system, where reader and process share a table of processes (Linux, same host and pid namespace): at once, also after
  `kill -9`. The process's starting time tells it from a later one of the same number;
- by the file's time otherwise (another host over a network drive, a container, another system): a process that has not touched the
  file for `SILENT_SECONDS` is gone. `sign_of_life` does not even trust the clocks there: it waits and looks whether the file is
  touched.

No advisory lock is used: not every network file system has them. No torch is imported here.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from autoseg.errors import RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Part, write_text

BEAT_SECONDS = 10.0
SILENT_SECONDS = 45.0  # four missed beats, and some for a slow network drive
TAKE_OVER_SECONDS = 0.5  # longer than it takes to see that a process is gone and to write a file


class Running(Part):
    """The process that works on a fold."""

    pid: int
    host: str
    processes: str  # names the table of processes that `pid` is of; empty where the system does not tell
    started: str  # of the process, in the system's own count; empty where it does not tell
    token: str  # tells two claims apart


@contextlib.contextmanager
def sign_of_life(
    file: Path,
    *,
    beat_seconds: float = BEAT_SECONDS,
    silent_seconds: float = SILENT_SECONDS,
    progress: Progress | None = None,
) -> Iterator[None]:
    """Claim a fold for this process while the body runs; one process of those that train together does so for all.

    Args:
        file: `RunFolder.running(configuration, fold)`; its folder is made.
        beat_seconds: between touches of the file.
        silent_seconds: without a touch, after which a process that cannot be looked up counts as gone.
        progress: told when this has to be waited for.

    Raises:
        RunFolderError: another process that lives has claimed it; it is named.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    mine = _this_process()
    _claim(file, mine, silent_seconds, progress or SilentProgress())
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, mine, over, beat_seconds), name="sign of life", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        if read_running(file) == mine:  # another process took over from this one while it was suspended
            file.unlink(missing_ok=True)


def read_running(file: Path) -> Running | None:
    """Who claims the fold, alive or not; None where nobody does."""
    try:
        return Running.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def is_at_work(file: Path, *, now: float | None = None) -> bool:
    """Whether a process lives that claims the fold; `now` is the wall clock in seconds. Answers at once.

    For a process on another host the two clocks must agree to within half a minute.
    """
    running = read_running(file)
    if running is None:
        return False
    known = _lives(running)
    if known is not None:
        return known
    touched = _touched(file)
    return touched is not None and (time.time() if now is None else now) - touched < SILENT_SECONDS


def _claim(file: Path, mine: Running, silent_seconds: float, progress: Progress) -> None:
    text = mine.model_dump_json()
    try:
        with file.open("x", encoding="utf-8") as new:  # fails where another process was quicker
            new.write(text)
        return
    except FileExistsError:
        pass
    other = read_running(file)
    lives = None if other is None else _lives(other)  # an unreadable file is one that is being written, or was cut off
    if lives is None:
        who = f"process {other.pid} on {other.host}" if other else "another process"
        progress.message(f"looking for up to {silent_seconds:.0f} s whether {who} still trains this fold")
        lives = _is_touched_within(file, silent_seconds)
    if lives:
        raise _taken(file, read_running(file) or other)
    # its process is gone. Of several that find this out at the same time, the last one to write has it.
    write_text(file, text)
    time.sleep(TAKE_OVER_SECONDS)
    if (winner := read_running(file)) != mine:
        raise _taken(file, winner)


def _taken(file: Path, other: Running | None) -> RunFolderError:
    who = f"process {other.pid} on {other.host}" if other else "another process"
    return RunFolderError(
        f"{file.parent} is being trained by {who}; wait for it or stop it. `autoseg status` shows how far it is. "
        f"(If that process is not there any more, delete {file}.)"
    )


def _is_touched_within(file: Path, seconds: float) -> bool:
    """Watch whether the file changes, whatever its clock says; ends as soon as it does, or is gone."""
    before, end = _stamp(file), time.monotonic() + seconds
    while before is not None and time.monotonic() < end:
        time.sleep(min(0.5, seconds / 10))
        if _stamp(file) != before:
            return _stamp(file) is not None
    return False


def _beat(file: Path, mine: Running, over: threading.Event, seconds: float) -> None:
    while not over.wait(seconds):
        with contextlib.suppress(OSError):  # a network drive that is away for a while
            if read_running(file) == mine:
                os.utime(file)


def _touched(file: Path) -> float | None:
    """When the file was last touched, in seconds of the wall clock."""
    stamp = _stamp(file)
    return None if stamp is None else stamp / 1e9


def _stamp(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def _this_process() -> Running:
    pid = os.getpid()
    return Running(
        pid=pid, host=platform.node(), processes=_process_table(), started=_started(pid) or "", token=secrets.token_hex(8)
    )


def _lives(running: Running) -> bool | None:
    """Whether the process exists; None where that cannot be looked up from here."""
    if os.name != "posix" or running.host != platform.node() or running.processes != _process_table():
        return None  # on Windows, os.kill would end it
    try:
        os.kill(running.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    except OverflowError:
        return False
    started = _started(running.pid)
    return None if started is None or not running.started else started == running.started


def _process_table() -> str:
    """Boot and pid namespace: containers on one host have tables of their own, and a restart begins a new one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """The process's starting time in clock ticks since boot (field 22 of its status); None where the system does not tell.

    A process that has ended and was not yet waited for by its parent has none either: it counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in ("Z", "X") else fields[19]
