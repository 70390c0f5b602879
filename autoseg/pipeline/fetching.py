"""Fetch public data sets by their names."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from autoseg.errors import DataError, RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.stages.fetch import SOURCES, RemoteFile, Source, download, files_of, is_archive, unpack
from autoseg.writing import whole_file

MEGABYTE = 10**6
DONE = ".fetched"  # the set's name, and the archives that are unpacked
NAMED = "set "  # begins the line of the name


def fetch(
    name: str,
    out: str | Path,
    *,
    keep_archives: bool = False,
    listed: Callable[[Source], tuple[RemoteFile, ...]] = files_of,
    progress: Progress | None = None,
) -> Source:
    """Download a public data set into a folder that `plan` reads; goes on where it was interrupted.

    Args:
        name: of `autoseg.stages.fetch.SOURCES`.
        out: folder for the set.
        keep_archives: do not remove archives once they are unpacked.
        listed: tells the files of a source; the default asks where it is published.
        progress: listener.

    Returns:
        What was fetched, with its licence and whom to cite.

    Raises:
        DataError: there is no such set, the server is not reached, or what came is damaged.
        RunFolderError: `out` holds something else, or another set.
    """
    place, progress = Path(out), progress or SilentProgress()
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, 1)
        raise DataError(
            f"there is no set {name!r}{f', did you mean {close[0]!r}?' if close else ''} (there are {', '.join(SOURCES)})"
        )
    source = SOURCES[name]
    mark = place / DONE
    if place.exists() and (not place.is_dir() or (any(place.iterdir()) and not mark.is_file())):
        raise RunFolderError(f"{place} holds something else; give a new folder")
    _refuse_other_set(mark, name)
    progress.stage(f"asking for {source.title}")
    try:
        files = listed(source)
    except (OSError, ValueError) as error:
        raise DataError(f"{source.title} cannot be looked up; are you online? ({type(error).__name__}: {error})") from error
    place.mkdir(parents=True, exist_ok=True)
    unpacked = _unpacked(mark)
    _save(mark, name, unpacked)
    for file in files:
        if file.checksum in unpacked:
            continue
        progress.stage(f"downloading {file.name} (MB)")
        archive = download(file, place, lambda done: progress.advance(done // MEGABYTE))
        if source.unpack and is_archive(archive):
            progress.stage(f"unpacking {file.name}")
            unpack(archive, place, strip=source.strip)
            unpacked.add(file.checksum)
            _save(mark, name, unpacked)
            if not keep_archives:
                archive.unlink()
    return source


def _refuse_other_set(mark: Path, name: str) -> None:
    """Raises RunFolderError where the folder was begun for another set; one whose mark has no name is taken to hold this one."""
    named = [line.removeprefix(NAMED) for line in _lines(mark) if line.startswith(NAMED)]
    if named and named != [name]:
        raise RunFolderError(f"{mark.parent} holds the set {named[0]}; give {name} a folder of its own")


def _unpacked(mark: Path) -> set[str]:
    """Checksums of the archives that are unpacked."""
    return {line for line in _lines(mark) if not line.startswith(NAMED)}


def _lines(mark: Path) -> list[str]:
    return [line for line in mark.read_text(encoding="utf-8").splitlines() if line.strip()] if mark.is_file() else []


def _save(mark: Path, name: str, unpacked: set[str]) -> None:
    with whole_file(mark) as part:
        part.write_text("\n".join([f"{NAMED}{name}", *sorted(unpacked)]) + "\n", encoding="utf-8")
