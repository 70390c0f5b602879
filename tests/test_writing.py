"""Files are whole or not there, also where the disk is full."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.errors import DiskFull, RunFolderError
from autoseg.writing import (
    add_to_folder,
    clear_dead_parts,
    clear_parts,
    holds_something,
    part_folder,
    part_of,
    refuse_unwritable,
    remove_folder,
    replace_folder,
    whole_file,
)


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with whole_file(target) as place:
        place.write_text("all")
        assert not target.exists() and place == part_of(target)
    assert target.read_text() == "all" and list(target.parent.iterdir()) == [target]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("before")
    with pytest.raises(DiskFull, match=r"a\.txt: the disk is full; what was there before is intact"), whole_file(target) as place:
        place.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert target.read_text() == "before" and list(tmp_path.iterdir()) == [target]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), whole_file(tmp_path / "a.txt") as place:
        place.write_text("ha")
        raise PermissionError(errno.EACCES, "no")
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    old, part = tmp_path / "pictures", part_of(tmp_path / "pictures")
    for folder, name in ((old, "old.png"), (part, "new.png")):
        folder.mkdir()
        (folder / name).touch()
    part.with_suffix(".before").mkdir()  # of a program that was killed
    replace_folder(part, old)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"] and [path.name for path in old.iterdir()] == ["new.png"]


def test_what_killed_programs_left_is_cleared_or_put_back(tmp_path: Path) -> None:
    place = tmp_path / "masks"
    for name in (".masks.11.part", ".masks.12.before"):
        (tmp_path / name).mkdir()
    (tmp_path / ".masks.12.before" / "whole.png").touch()
    clear_parts(place)
    assert [path.name for path in tmp_path.iterdir()] == ["masks"] and (place / "whole.png").exists()
    (tmp_path / ".masks.13.before").mkdir()
    clear_parts(place)
    assert [path.name for path in tmp_path.iterdir()] == ["masks"] and (place / "whole.png").exists()


def test_parts_of_programs_that_have_ended_are_removed(tmp_path: Path) -> None:
    """And not of one that is at work, nor of a folder whose name goes on."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (
        f".out.{ended.pid}.part",
        f".out.{ended.pid}.part.source",
        f".out.{os.getpid()}.part",
        f".outer.{ended.pid}.part",
    ):
        (tmp_path / name / "images").mkdir(parents=True)
    clear_dead_parts(tmp_path / "out")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([f".out.{os.getpid()}.part", f".outer.{ended.pid}.part"])


def test_a_folder_is_there_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "out"
    with part_folder(place) as part:
        part.mkdir(parents=True)
        (part / "a.png").touch()
        replace_folder(part, place)
    assert [path.name for path in place.parent.iterdir()] == ["out"] and (place / "a.png").exists()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_of_a_folder_that_was_not_finished(tmp_path: Path, kind: type[BaseException]) -> None:
    """Neither what was written, nor folders that were made for it; what a killed program left goes, too."""
    (tmp_path / "here").mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".out.{ended.pid}.part").mkdir()
    for place in (tmp_path / "far" / "away" / "out", tmp_path / "here" / "out", tmp_path / "out"):
        with pytest.raises(kind), part_folder(place) as part:
            (part / "images").mkdir(parents=True)
            raise kind
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_an_empty_folder_is_filled_and_stays_the_folder_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another disk; or somebody's shell stands in it, and calls it by no name."""
    place = tmp_path / "out"
    place.mkdir()
    number = place.stat().st_ino
    monkeypatch.chdir(place)
    for name in ("", str(place)):
        with pytest.raises(KeyError), part_folder(Path(name)) as part:
            part.mkdir()
            raise KeyError
        assert not any(place.iterdir())
    with part_folder(Path()) as part:
        assert part.parent == place
        (part / "images").mkdir(parents=True)
        replace_folder(part, Path())
    assert place.stat().st_ino == number and [path.name for path in place.iterdir()] == ["images"]
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_with_what_a_killed_program_left_holds_nothing(tmp_path: Path) -> None:
    place = tmp_path / "out [1]"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (place / f".out [1].{ended.pid}.part" / "images").mkdir(parents=True)
    assert not holds_something(place) and not any(place.iterdir())
    (place / f".out [1].{os.getpid()}.part").mkdir()
    assert holds_something(place)
    (tmp_path / "file").touch()
    assert holds_something(tmp_path / "file") and not holds_something(tmp_path / "nowhere")


def test_places_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    refuse_unwritable(tmp_path / "far" / "away")
    with pytest.raises(RunFolderError, match=r"cannot be made, since .*file is a file; give another folder"):
        refuse_unwritable(tmp_path / "file" / "out")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # whoever is root may write anywhere
    with pytest.raises(RunFolderError, match=f"out: you may not write to {tmp_path}; give another folder"):
        refuse_unwritable(tmp_path / "out")


def test_files_are_added_to_a_folder_that_holds_more(tmp_path: Path) -> None:
    part, place = tmp_path / "part", tmp_path / "place"
    for folder, text in ((part, "new"), (place, "old")):
        (folder / "pictures").mkdir(parents=True)
        (folder / "pictures" / "a.png").write_text(text)
    (place / "pictures" / "mine.png").touch()
    (part / "index.html").touch()
    add_to_folder(part, place)
    assert (place / "pictures" / "a.png").read_text() == "new"
    assert sorted(path.name for path in place.rglob("*.*")) == ["a.png", "index.html", "mine.png"]


def test_a_second_ctrl_c_leaves_no_half_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoseg import writing

    remove = writing.shutil.rmtree

    def interrupted(path: Path, ignore_errors: bool) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(writing.shutil, "rmtree", interrupted)
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists()
