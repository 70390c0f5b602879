"""Files that are whole or not there, and a full disk told as what it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoseg.errors import DiskFull
from autoseg.interrupts import heard_later

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is written there takes its place, and nothing is left of it where the body fails.

    Raises:
        DiskFull: there is no room.
    """
    temporary = part_of(path)
    with telling_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def telling_full_disk(path: Path) -> Iterator[None]:
    """Errors of the body that come from a full disk name the file and the cure.

    Raises:
        DiskFull: there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE or isinstance(error, DiskFull):
            raise
        raise DiskFull(
            f"{path}: the disk is full; what was there before is intact. Free some space and give the same command again"
        ) from error


def part_of(path: Path) -> Path:
    """The hidden name under which this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def part_folder(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` for a folder to write to; nothing is left under it, however the body ends.

    The body gives the folder its place when it is complete: see `replace_folder`.
    """
    path = path if path.name not in ("", "..") else path.resolve()  # "." has no name
    part = part_of(path)
    new = [folder for folder in path.parents if not folder.exists()]
    clear_dead_parts(path)
    remove_folder(part)
    try:
        yield part
    finally:
        remove_folder(part)
        for folder in [] if path.exists() else new:
            with suppress(OSError):  # it was never made, or others have written to it
                folder.rmdir()


def replace_folder(part: Path, path: Path) -> None:
    """Let a folder that is complete take the place of another, which is removed only then; an empty one is filled."""
    before = part.with_suffix(".before")
    with heard_later():
        shutil.rmtree(before, ignore_errors=True)  # of a program that was killed
        if path.is_dir() and not any(path.iterdir()):  # somebody's shell may stand in it
            for one in part.iterdir():
                one.rename(path / one.name)
            return
        if path.exists():
            path.rename(before)
        part.rename(path)
        shutil.rmtree(before, ignore_errors=True)


def add_to_folder(part: Path, path: Path) -> None:
    """Move all files of a folder that is complete into another, which may hold more; those of one name are replaced."""
    with heard_later():
        for file in sorted(file for file in part.rglob("*") if file.is_file()):
            target = path / file.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there, to the end: a second Ctrl-C does not leave half of it."""
    with heard_later():
        shutil.rmtree(path, ignore_errors=True)


def clear_parts(path: Path) -> None:
    """Remove what programs that were killed have left of `path`, or put it back in its place; nobody else may be writing it."""
    for before in sorted(path.parent.glob(f".{path.name}.*.before")):
        if path.exists():
            shutil.rmtree(before, ignore_errors=True)
        else:  # it was killed between the two moves
            before.rename(path)
    for part in path.parent.glob(f".{path.name}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def clear_dead_parts(path: Path) -> None:
    """Remove what programs that have ended, killed perhaps, have left of `path`; others may be writing theirs at this moment."""
    for part in path.parent.glob(f".{path.name}.*.part*"):
        import psutil  # planning has no time for it

        number = part.name.removeprefix(f".{path.name}.").partition(".")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(part, ignore_errors=True)
