"""Workers: order, bounds, and failures that name their case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoseg import parallel
from autoseg.errors import CaseError, DataError, Fault
from autoseg.parallel import SMALLEST_POOL_WORK, Programs, available_cores, map_cases, other_load

CASES = list(range(SMALLEST_POOL_WORK + 2))


def square(number: int) -> int:
    return number * number


def fails_at_three(number: int) -> int:
    if number == 3:
        raise ZeroDivisionError("boom")
    return number


def refuses_three(number: int) -> int:
    if number == 3:
        raise DataError([Fault("three", "is odd")])
    return number


def dies_at_three(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order(workers: int) -> None:
    done: list[int] = []
    results = list(map_cases(square, CASES, name=str, workers=workers, on_done=done.append))
    assert results == [n * n for n in CASES]
    assert done == [n + 1 for n in CASES]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_names_its_case(workers: int) -> None:
    with pytest.raises(CaseError, match="case 3: ZeroDivisionError: boom"):
        list(map_cases(fails_at_three, CASES, name=lambda n: f"case {n}", workers=workers))
    with pytest.raises(DataError, match="three: is odd"):
        list(map_cases(refuses_three, CASES, name=str, workers=workers))


def test_a_dead_worker_is_reported() -> None:
    with pytest.raises(CaseError, match="fewer --workers"):
        list(map_cases(dies_at_three, CASES, name=str, workers=2))


def test_no_cases() -> None:
    assert list(map_cases(square, [], name=str, workers=2)) == []
    assert available_cores() >= 1


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """The parent is killed while its workers sleep; they must not be left behind."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from autoseg.parallel import map_cases\n"
        "def wait(n):\n"
        f"    (Path({str(tmp_path)!r}) / f'{{os.getpid()}}.pid').touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(map_cases(wait, list(range(10)), name=str, workers=2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    waiting = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < waiting:
        time.sleep(0.1)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    gone = time.monotonic() + 20
    while any(_alive(worker) for worker in workers) and time.monotonic() < gone:
        time.sleep(0.1)
    assert not any(_alive(worker) for worker in workers)


SLOW = """
import signal, sys, time
from pathlib import Path
from autoseg.parallel import map_cases
from autoseg.writing import part_folder

def write(task):
    folder, number, seconds = task
    (folder / f"{number}.begun").touch()
    time.sleep(seconds)
    (folder / f"{number}.ended").touch()

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with part_folder(Path(sys.argv[1])) as part:
        part.mkdir()
        print("begins", flush=True)
        try:
            list(map_cases(write, [(part, number, float(sys.argv[2])) for number in range(20)], name=str, workers=2))
        except KeyboardInterrupt:
            print(*(file.suffix for file in part.iterdir()))
            raise SystemExit(130)
"""


def interrupted(
    tmp_path: Path, seconds: float, when: Callable[[], Any], times: int, number: int = signal.SIGINT
) -> tuple[int, list[str], str]:
    """A signal to all processes of the program, as a terminal sends Ctrl-C, so many times: the exit code, what had been written, what was said."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script), str(tmp_path / "out"), str(seconds)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, start_new_session=True) as program:
        assert program.stdout is not None and program.stdout.readline() == "begins\n"
        waited_for(when)
        for _ in range(times):
            os.killpg(program.pid, number)
            time.sleep(0.3)
        out, err = program.communicate(timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["slow.py"], "nothing is left"
    return program.returncode, out.split(), err


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes")
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3])
def test_workers_that_start_say_nothing_of_ctrl_c(tmp_path: Path, delay: float) -> None:
    code, _, said = interrupted(tmp_path, 0.5, lambda: time.sleep(delay) or True, 1)
    assert (code, said) == (130, "")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes")
def test_ctrl_c_waits_for_the_cases_under_way(tmp_path: Path) -> None:
    code, written, said = interrupted(tmp_path, 1.0, lambda: list(tmp_path.glob(".out.*.part/*.begun")), 1)
    assert (code, said) == (130, "") and 0 < written.count(".begun") == written.count(".ended") < 20


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes")
def test_the_order_to_end_for_all_processes_is_followed_in_silence(tmp_path: Path) -> None:
    code, written, said = interrupted(tmp_path, 100.0, lambda: list(tmp_path.glob(".out.*.part/*.begun")), 1, signal.SIGTERM)
    assert (code, written, said) == (143, [], "")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes")
def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    code, written, said = interrupted(tmp_path, 100.0, lambda: list(tmp_path.glob(".out.*.part/*.begun")), 2)
    assert (code, said) == (130, "") and ".ended" not in written


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


PARENT = """
import sys, threading
from pathlib import Path
from autoseg.parallel import Programs

child = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
codes = []
with Programs() as programs:
    thread = threading.Thread(
        target=lambda: codes.append(programs.run([sys.executable, "-c", child], Path(sys.argv[1]))), daemon=True
    )
    thread.start()
    thread.join()
"""


def test_programs_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(log)]) as parent:
        child = int(waited_for(lambda: log.read_text().strip() if log.exists() else ""))
        parent.terminate()
        assert parent.wait(30) == 128 + signal.SIGTERM
    assert not _alive(child), "it was waited for"


def test_programs_end_with_an_error_beside_them(tmp_path: Path) -> None:
    codes: list[int] = []
    log = tmp_path / "child.log"
    command = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    with pytest.raises(KeyError), Programs() as programs:
        thread = threading.Thread(target=lambda: codes.append(programs.run(command, log)))
        thread.start()
        waited_for(lambda: log.exists() and log.read_text())
        raise KeyError
    thread.join(30)
    assert codes == [-signal.SIGTERM]
    assert programs.ending and programs.run(command, log) is None, "nothing is started any more"


def test_a_program_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SECONDS_TO_END", 0.5)
    codes: list[int | None] = []
    log = tmp_path / "child.log"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
    before = signal.getsignal(signal.SIGTERM)
    with Programs() as programs:
        thread = threading.Thread(target=lambda: codes.append(programs.run([sys.executable, "-c", deaf], log)))
        thread.start()
        waited_for(lambda: log.exists() and log.read_text())
    thread.join(30)
    assert codes == [-signal.SIGKILL]
    assert signal.getsignal(signal.SIGTERM) is before


def test_own_work_is_not_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"time": 0.0, "busy": 100.0, "own": 5.0}
    monkeypatch.setattr(parallel.time, "monotonic", lambda: clock["time"])
    monkeypatch.setattr(parallel, "_busy_seconds", lambda cores: clock["busy"])
    monkeypatch.setattr(parallel, "_own_seconds", lambda process: clock["own"])
    with other_load() as load:
        clock |= {"time": 10.0, "busy": 118.0, "own": 20.0}  # 18 s busy in 10 s, 15 of them ours
    assert load.cores == pytest.approx(0.3)
    assert load.share == pytest.approx(0.3 / load.available)


def test_the_load_of_this_very_process_is_told_apart() -> None:
    """The system's clocks tick alike: what this process burns is subtracted, whatever else runs on the machine."""
    begin, busy = parallel._own_seconds(psutil.Process()), parallel._busy_seconds([0])
    assert busy is not None and busy > 0
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    assert parallel._own_seconds(psutil.Process()) - begin == pytest.approx(0.5, abs=0.2)
    assert parallel._busy_seconds([10**6]) is None, "cores that are switched off cannot be told by number"


def waited_for(condition: Callable[[], Any]) -> Any:
    for _ in range(600):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def test_a_program_that_is_told_to_end_clears_up() -> None:
    told = "with reported(context): os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)"
    lines = [
        "import os, signal, time, types",
        "from autoseg.cli_console import reported",
        "context = types.SimpleNamespace(parent=None, info_name='select')",
        "import typer",
        "try:",
        f"    {told}",
        "except typer.Exit as end: print(end.exit_code)",
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)",
    ]
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["143", "True"]
    assert found.stderr == "error: told to end (SIGTERM); give the same command again\n"


def test_some_are_drawn_evenly_from_the_first_to_the_last() -> None:
    assert parallel.evenly(range(79), 40)[:2] == [0, 2] and parallel.evenly(range(79), 40)[-1] == 78
    assert len(set(parallel.evenly(range(313), 40))) == 40 and parallel.evenly([1, 2], 40) == [1, 2]
    assert parallel.evenly([1, 2, 3], 1) == [1]
