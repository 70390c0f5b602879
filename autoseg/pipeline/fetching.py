"""Fetch public data sets by their names."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from pathlib import Path

from autoseg.errors import DataError, RunFolderError
from autoseg.layouts.base import listed as listed_names
from autoseg.progress import Progress, SilentProgress
from autoseg.stages.fetch import (
    DOIS,
    SOURCES,
    Mark,
    RemoteFile,
    Source,
    changed_of,
    download,
    files_of,
    is_archive,
    missing_of,
    sweep,
    unpack,
    unreached,
)

MEGABYTE = 10**6
DONE = ".fetched"  # see `stages.fetch.mark`
log = logging.getLogger(__name__)


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
    held = Mark.load(mark)
    if held.name not in (None, name):  # one without a name is taken to be of this set
        raise RunFolderError(f"{place} holds the set {held.name}; give {name} a folder of its own")
    progress.stage(f"asking for {source.title}")
    files = _listed(source, listed)
    place.mkdir(parents=True, exist_ok=True)
    sweep(place, [file.name for file in files])
    held.name = name
    held.save(mark)
    for file in files:
        _bring(file, source, place, held, keep_archives, progress)
    return source


def _listed(source: Source, listed: Callable[[Source], tuple[RemoteFile, ...]]) -> tuple[RemoteFile, ...]:
    try:
        return listed(source)
    except OSError as error:
        raise DataError(
            f"{source.title} cannot be looked up: {unreached(error, DOIS)}, and give the same command again"
        ) from error
    except ValueError as error:
        raise DataError(f"{source.title} cannot be looked up where it is published ({error}); try again later") from error


def _bring(file: RemoteFile, source: Source, place: Path, held: Mark, keep_archives: bool, progress: Progress) -> None:
    """Download a file, and unpack it where that is wanted; of an archive that was unpacked before, restore what is missing."""
    lost: list[str] = []
    if file.checksum in held.archives:
        before = held.archives[file.checksum]
        if changed := changed_of(before, place):
            log.warning(
                "%d files are of another size than they were fetched with, and stay (%s); delete them to have them fetched again",
                len(changed),
                listed_names(changed),
            )
        lost = missing_of(before, place)
        if not lost:
            return
        log.warning("%d files that were fetched are missing (%s), and are fetched again", len(lost), listed_names(lost))
    progress.stage(f"downloading {file.name} (MB)")
    archive = download(file, place, lambda done: progress.advance(done // MEGABYTE))
    if source.unpack and is_archive(archive):
        progress.stage(f"unpacking {file.name}")
        held.archives[file.checksum] = unpack(archive, place, strip=source.strip, only=lost)
        held.save(place / DONE)
        if not keep_archives:
            archive.unlink()
