"""Files that are whole or not there, and a full disk told as what it is."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoseg.errors import DiskFull, RunFolderError
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
    """A hidden name for a folder to write to; nothing is left under it, however the body ends.

    It lies beside `path`, or in it where that is an empty folder: one that is another disk, or in which somebody's shell stands, cannot
    be replaced. The body gives the folder its place when it is complete: see `replace_folder`.
    """
    path = path.resolve() if path.name in ("", "..") else path  # "." has no name
    clear_dead_parts(path)
    part = part_of(path / path.name if path.is_dir() and not any(path.iterdir()) else path)
    new = [folder for folder in path.parents if not folder.exists()]
    remove_folder(part)
    try:
        yield part
    finally:
        remove_folder(part)
        for folder in [] if path.exists() else new:
            with suppress(OSError):  # it was never made, or others have written to it
                folder.rmdir()


def replace_folder(part: Path, path: Path) -> None:
    """Let a folder that is complete take the place of another, which is removed only then; the part of an empty folder fills it."""
    before = part.with_suffix(".before")
    with heard_later():
        if part.parent.resolve() == path.resolve():
            for one in part.iterdir():
                one.rename(path / one.name)
            return
        shutil.rmtree(before, ignore_errors=True)  # of a program that was killed
        if path.exists():
            path.rename(before)
        part.rename(path)
        shutil.rmtree(before, ignore_errors=True)


def holds_something(path: Path) -> bool:
    """Whether it is a folder with anything in it but what killed programs have left, or something else than a folder."""
    clear_dead_parts(path)
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def refuse_unwritable(path: Path) -> None:
    """Tell before the work what would fail after it.

    Raises:
        RunFolderError: no folder can be made or filled here.
    """
    near = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not near.is_dir():
        raise RunFolderError(f"{path} cannot be made, since {near} is a file; give another folder")
    if not os.access(near, os.W_OK | os.X_OK):
        raise RunFolderError(f"{path}: you may not write to {near}; give another folder")


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
    for before in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.before")):
        if path.exists():
            shutil.rmtree(before, ignore_errors=True)
        else:  # it was killed between the two moves
            before.rename(path)
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def clear_dead_parts(path: Path) -> None:
    """Remove what programs that have ended, killed perhaps, have left of `path`; others may be writing theirs at this moment."""
    begin = f".{path.name}."
    places = [path.parent, *([path] if path.is_dir() else [])]
    for part in [part for place in places for part in place.glob(f"{glob.escape(begin)}*.part*")]:
        import psutil  # planning has no time for it

        number = part.name.removeprefix(begin).partition(".")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(part, ignore_errors=True)
