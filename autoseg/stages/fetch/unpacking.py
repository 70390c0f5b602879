"""Archives of a downloaded set -> its folder."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.archives import DAMAGED, extract
from autoseg.writing import remove_folder, telling_full_disk

ZIP, TARS = ".zip", (".tar", ".tar.gz", ".tgz")


def is_archive(path: Path) -> bool:
    """By its name."""
    return path.name.casefold().endswith((ZIP, *TARS))


def unpack(archive: Path, out: Path, *, strip: bool) -> None:
    """Unpack into a folder, all of it or nothing; files that are there are replaced.

    Args:
        archive: zip or tar.
        out: where to.
        strip: leave the outermost folder out, if there is a single one.

    Raises:
        DataError: it is damaged, or a member leads out of the folder.
        DiskFull: there is no room.
    """
    out.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{archive.name}.", suffix=".part", dir=out))
    try:
        with telling_full_disk(out):
            _extract(archive, place / "content")
            top = place / "content"
            inside = sorted(top.iterdir())
            if strip and len(inside) == 1 and inside[0].is_dir():
                inside = sorted(inside[0].iterdir())
            for one in inside:
                _take_place(one, out / one.name)
    finally:
        remove_folder(place)


def _extract(archive: Path, target: Path) -> None:
    try:
        if archive.name.casefold().endswith(ZIP):
            extract(archive, target, lambda _: True)
            return
        with tarfile.open(archive) as opened:
            members = [one for one in opened.getmembers() if not Path(one.name).name.startswith("._")]  # what macOS adds
            opened.extractall(target, members, filter="data")
    except (tarfile.TarError, *DAMAGED) as error:
        if isinstance(error, DataError):
            raise
        raise DataError([Fault(archive.name, f"cannot be unpacked ({error}); delete it, and fetch it again")]) from error


def _take_place(one: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    one.replace(target)
