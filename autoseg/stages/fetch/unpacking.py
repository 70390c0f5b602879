"""Archives of a downloaded set -> its folder."""

from __future__ import annotations

import glob
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.archives import DAMAGED, extract
from autoseg.writing import remove_folder, telling_full_disk

ZIP, TARS = ".zip", (".tar", ".tar.gz", ".tgz")
PART = ".part"
POOCH = re.compile(r"tmp[a-z0-9_]{8}")  # files into which earlier versions downloaded by way of pooch


def is_archive(path: Path) -> bool:
    """By its name."""
    return path.name.casefold().endswith((ZIP, *TARS))


def unpack(archive: Path, out: Path, *, strip: bool, only: Collection[str] = ()) -> dict[str, int]:
    """Unpack into a folder, all of it or nothing; files that are there are replaced.

    Args:
        archive: zip or tar.
        out: where to.
        strip: leave the outermost folder out, if there is a single one.
        only: restore these files alone, and leave all others as they are; none: all of them.

    Returns:
        All its files, by their paths from `out`, with their sizes.

    Raises:
        DataError: it is damaged, or a member leads out of the folder.
        DiskFull: there is no room.
    """
    out.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{archive.name}.", suffix=PART, dir=out))
    try:
        with telling_full_disk(out):
            _extract(archive, place / "content")
            top = place / "content"
            inside = sorted(top.iterdir())
            if strip and len(inside) == 1 and inside[0].is_dir():
                top = inside[0]
            files = {file.relative_to(top).as_posix(): file.stat().st_size for file in top.rglob("*") if file.is_file()}
            if only:
                for name in files.keys() & set(only):
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    (top / name).replace(out / name)
                return files
            for one in sorted(top.iterdir()):
                _take_place(one, out / one.name)
            return files
    finally:
        remove_folder(place)


def sweep(folder: Path, archives: Iterable[str]) -> None:
    """Remove what programs that were killed have left in the folder of a set; what was downloaded of a file stays, as it is gone on with."""
    for part in [part for name in archives for part in folder.glob(f".{glob.escape(name)}.*{PART}")]:
        remove_folder(part)
    for file in folder.glob("tmp*"):
        if POOCH.fullmatch(file.name) and file.is_file():
            file.unlink()


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
