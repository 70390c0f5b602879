"""One process per fold, and none in the way of the next one once it is dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autoseg.errors import RunFolderError
from autoseg.learning import sign_of_life as module
from autoseg.learning.sign_of_life import Running, is_at_work, read_running, sign_of_life

HOLD = "import sys, time; from pathlib import Path; from autoseg.learning.sign_of_life import sign_of_life\n"
HOLD += "with sign_of_life(Path(sys.argv[1])): print('claimed', flush=True); time.sleep(60)"
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")


def elsewhere(file: Path) -> Running:
    """A claim of a process that cannot be looked up."""
    running = Running(pid=1, host="another-host", processes="", started="", token="a")
    file.write_text(running.model_dump_json())
    return running


def test_a_claim_is_there_while_the_work_is(tmp_path: Path) -> None:
    file = tmp_path / "fold_0" / "running.json"
    assert not is_at_work(file)
    with sign_of_life(file):
        assert is_at_work(file)
        assert read_running(file).pid == os.getpid()  # type: ignore[union-attr]
        with pytest.raises(RunFolderError, match=f"process {os.getpid()} on"), sign_of_life(file, silent_seconds=0.2):
            pass
        assert is_at_work(file), "a refused claim leaves the other's alone"
    assert not file.exists()


def test_it_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sign_of_life(tmp_path / "r"):
        raise KeyboardInterrupt
    assert not (tmp_path / "r").exists()


@LINUX
def test_a_killed_process_bars_nobody(tmp_path: Path) -> None:
    file = tmp_path / "r"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "claimed\n"
    assert is_at_work(file)
    with pytest.raises(RunFolderError, match=f"process {holder.pid} on"), sign_of_life(file):
        pass
    holder.kill()
    holder.wait()
    assert file.exists(), "it could not clear up"
    assert not is_at_work(file)
    start = time.monotonic()
    with sign_of_life(file):
        assert time.monotonic() - start < 5
        assert read_running(file).pid == os.getpid()  # type: ignore[union-attr]


@LINUX
def test_a_later_process_of_the_same_number_is_another(tmp_path: Path) -> None:
    file = tmp_path / "r"
    with sign_of_life(file):
        mine = read_running(file)
        assert mine is not None
        file.write_text(mine.model_copy(update={"started": "1"}).model_dump_json())
        assert not is_at_work(file)


def test_on_another_host_the_files_age_tells(tmp_path: Path) -> None:
    elsewhere(tmp_path / "r")
    touched = (tmp_path / "r").stat().st_mtime
    assert is_at_work(tmp_path / "r", now=touched + module.SILENT_SECONDS - 1)
    assert not is_at_work(tmp_path / "r", now=touched + module.SILENT_SECONDS + 1)


def test_on_another_host_a_silent_process_is_waited_for_and_replaced(tmp_path: Path) -> None:
    elsewhere(tmp_path / "r")
    with sign_of_life(tmp_path / "r", silent_seconds=0.3):
        assert read_running(tmp_path / "r").pid == os.getpid()  # type: ignore[union-attr]


def test_on_another_host_a_process_that_beats_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "r"
    with sign_of_life(file, beat_seconds=0.1):
        mine = read_running(file)
        assert mine is not None
        far = mine.model_copy(update={"host": "another-host"})
        file.write_text(far.model_dump_json())  # the thread beats for its own claim only
        before = file.stat().st_mtime_ns
        time.sleep(0.4)
        assert file.stat().st_mtime_ns == before
        file.write_text(mine.model_dump_json())
        before = file.stat().st_mtime_ns
        time.sleep(0.4)
        assert file.stat().st_mtime_ns > before
        assert module._is_touched_within(file, 5.0)


def test_a_cut_off_file_is_no_bar(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("{")
    assert not is_at_work(tmp_path / "r")
    with sign_of_life(tmp_path / "r", silent_seconds=0.2):
        pass
