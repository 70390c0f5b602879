"""Fetch public data sets by their names."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from autoseg.errors import DataError, RunFolderError
from autoseg.progress import Progress, SilentProgress
from autoseg.stages.fetch import SOURCES, RemoteFile, Source, download, files_of, is_archive, unpack

MEGABYTE = 10**6
DONE = ".fetched"  # names the archives that are unpacked


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
        RunFolderError: `out` holds something else.
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
    progress.stage(f"asking for {source.title}")
    try:
        files = listed(source)
    except (OSError, ValueError) as error:
        raise DataError(f"{source.title} cannot be looked up; are you online? ({type(error).__name__}: {error})") from error
    place.mkdir(parents=True, exist_ok=True)
    mark.touch()
    unpacked = set(mark.read_text(encoding="utf-8").split())
    for file in files:
        if file.checksum in unpacked:
            continue
        progress.stage(f"downloading {file.name} (MB)")
        archive = download(file, place, lambda done: progress.advance(done // MEGABYTE))
        if source.unpack and is_archive(archive):
            progress.stage(f"unpacking {file.name}")
            unpack(archive, place, strip=source.strip)
            unpacked.add(file.checksum)
            mark.write_text("\n".join(sorted(unpacked)), encoding="utf-8")
            if not keep_archives:
                archive.unlink()
    return source
