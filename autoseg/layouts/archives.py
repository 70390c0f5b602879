"""Unpacking of zips inside a downloaded data set, into `<DATASET>.unpacked` beside it: the download itself stays untouched.

Each archive is extracted into a temporary folder that is renamed when whole, so an interrupted call leaves nothing that
looks complete, and a second call reuses what is there.
"""

from __future__ import annotations

import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from autoseg.errors import DataError, Fault
from autoseg.writing import remove_folder, whole_file

JUNK = "__MACOSX"
UNPACKED_FROM = ".unpacked-from"  # size and time of the zip that a folder of the store was made of
# What `zipfile` raises where bytes are not as they should be; seeking to a place that a damaged entry names is an OSError.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)
MOST_GROWTH, GROWS_FREELY = 20, 2**30  # weights hardly shrink in a zip; a small one may hold so many bytes whatever its size
MOST_DEPTH = 8  # a published set nests four folders; a wrong path must not walk through a whole disk


def store_of(root: Path) -> Path:
    """Where the archives of a data set are unpacked: `<DATASET>.unpacked` beside the folder (or beside the zip)."""
    return root.with_name((root.stem if root.suffix.casefold() == ".zip" else root.name) + ".unpacked")


def unpack_archives(root: Path, *, wanted: Callable[[str], bool]) -> tuple[list[Path], list[Path]]:
    """Unpack the zips of a data set, and those inside them, that are not unpacked beside themselves already.

    Args:
        root: the data set's folder, or one zip that holds it.
        wanted: whether a path (of an archive, or of a member in it) is of use; others are left packed.

    Returns:
        the folders to search (the data set and, where something is unpacked, its store), and the archives read.

    Raises:
        DataError: an archive is damaged, or a member's path leads out of the folder; all such archives are named.
    """
    store = store_of(root)
    places = [root] if root.is_dir() else []
    faults: list[Fault] = []
    unpacked: list[Path] = []
    waiting = [root] if root.is_file() else find_archives(root, wanted)
    if store.is_dir() and root.is_dir():
        waiting += find_archives(store, wanted)
    seen: set[Path] = set()
    while waiting:
        archive = waiting.pop(0)
        if archive in seen or (archive != root and _unpacked_beside(archive)):
            continue
        seen.add(archive)
        target = _target(archive, root, store)
        try:
            _extract_once(archive, target, wanted)
            unpacked.append(archive)
            waiting += find_archives(target, wanted)
        except DataError as error:
            faults += error.faults
        except (*DAMAGED, OSError) as error:
            faults.append(Fault(archive.name, f"cannot be unpacked ({error}); download it again, or unpack it beside itself"))
    if faults:
        raise DataError(faults)
    return places + ([store] if unpacked else []), unpacked


def unpack_one(archive: Path, root: Path) -> Path:
    """Unpack one zip of a data set whole, into the set's store (once), or take what lies unpacked beside it.

    Raises:
        DataError: it is damaged, or a member's path leads out of the folder.
    """
    if _unpacked_beside(archive):
        return archive.with_name(archive.stem.strip())
    target = _target(archive, root, store_of(root))
    try:
        _extract_once(archive, target, lambda _: True)
    except DataError:
        raise
    except (*DAMAGED, OSError) as error:
        raise DataError([Fault(archive.name, f"cannot be unpacked ({error}); download it again")]) from error
    return target


def _extract_once(archive: Path, target: Path, wanted: Callable[[str], bool]) -> None:
    """Unpack a zip unless that was done of the very same; see `extract`."""
    state, mark = archive.stat(), target / UNPACKED_FROM
    told = f"{state.st_size} {state.st_mtime_ns}\n"
    try:
        if mark.read_text(encoding="utf-8") == told:
            return
    except (OSError, ValueError):
        pass
    if target.is_dir():
        remove_folder(target)
    extract(archive, target, wanted)
    mark.write_text(told, encoding="utf-8")


def extract_more(archive: Path, target: Path, wanted: Callable[[str], bool]) -> None:
    """Add members to what was unpacked of a zip before; those that are there stay.

    Raises:
        DataError: a member's path leads out of the folder, or the disk has no room.
    """
    with zipfile.ZipFile(archive) as opened:
        members = [one for one in opened.infolist() if _is_wanted(one, archive, wanted)]
        missing = [one for one in members if not target.joinpath(*_inside(one).parts).exists()]
        _refuse_oversize(archive, sum(one.file_size for one in missing), target, None)
        for member in missing:
            with (
                opened.open(member) as source,
                whole_file(target.joinpath(*_inside(member).parts)) as part,
                part.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink)


def most_bytes_of_model(archive: Path) -> int:
    """What a zip of a model may unpack to."""
    return max(GROWS_FREELY, MOST_GROWTH * archive.stat().st_size)


def find_archives(folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """Zips anywhere in a folder that are wanted, sorted; hidden ones are left out."""
    zips = (file for file in files_below(folder) if file.suffix.casefold() == ".zip")
    return sorted(file for file in zips if wanted(file.relative_to(folder).as_posix()))


def files_below(folder: Path) -> Iterator[Path]:
    """Files in a folder and below it, to a bounded depth; hidden ones and what macOS adds are left out."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        deep = len(here.relative_to(folder).parts) >= MOST_DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith(".") and name != JUNK)
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def members_of(archive: Path) -> list[str]:
    """Names inside a zip; none where it is damaged (whoever unpacks it says so)."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return []


def _unpacked_beside(archive: Path) -> bool:
    beside = archive.with_name(archive.stem.strip())
    return beside.is_dir() and any(beside.iterdir())


def _target(archive: Path, root: Path, store: Path) -> Path:
    """`a/b.zip` of the data set goes to `<store>/a/b/`, one inside the store beside itself, a zipped set to the store."""
    if archive == root:
        return store
    if archive.is_relative_to(store):
        return archive.with_name(archive.stem.strip())
    return store / archive.relative_to(root).with_name(archive.stem.strip())


def extract(archive: Path, target: Path, wanted: Callable[[str], bool], *, most_bytes: int | None = None) -> None:
    """Unpack the wanted members of a zip into a new folder, which is there as a whole or not at all.

    Args:
        archive: the zip.
        target: a folder that does not exist, or is empty; if another process makes it meanwhile, it is taken as it is.
        wanted: whether a member's path is of use.
        most_bytes: that the members may have together; None leaves it to the room on the disk.

    Raises:
        DataError: a member's path leads out of the folder, or the members are larger than `most_bytes` or than the disk has room for.
        zipfile.BadZipFile, zlib.error: it is damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name.lstrip('.')}.", suffix=".part", dir=target.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if _is_wanted(member, archive, wanted)]
            _refuse_oversize(archive, sum(member.file_size for member in members), temporary, most_bytes)
            for member in members:
                destination = temporary.joinpath(*_inside(member).parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, destination.open("wb") as sink:
                    shutil.copyfileobj(source, sink)  # no more than the size that the member declares
        temporary.chmod(0o755)  # mkdtemp makes folders that only their owner may enter
        _take_place(temporary, target)
    finally:
        remove_folder(temporary)


def _take_place(temporary: Path, target: Path) -> None:
    """Give a whole folder its name; where another process has been quicker, and unpacked the same archive, its folder is taken."""
    try:
        os.replace(temporary, target)
    except OSError:
        if not (target.is_dir() and any(target.iterdir())):
            raise


def _is_wanted(member: zipfile.ZipInfo, archive: Path, wanted: Callable[[str], bool]) -> bool:
    inside = _inside(member)
    if inside.is_absolute() or ".." in inside.parts or ":" in (inside.parts or ("",))[0]:
        message = f"holds the path {member.filename}, which leads out of the folder; not unpacked"
        raise DataError([Fault(archive.name, message)])
    hidden = JUNK in inside.parts or inside.name.startswith(".")
    return not member.is_dir() and not hidden and wanted(inside.as_posix())


def _inside(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _refuse_oversize(archive: Path, n_bytes: int, place: Path, most_bytes: int | None) -> None:
    room = shutil.disk_usage(place).free
    allowed = room if most_bytes is None else min(room, most_bytes)
    if n_bytes > allowed:
        why = "the disk has room for" if allowed == room else "such an archive can sensibly hold"
        raise DataError(
            [Fault(archive.name, f"holds {n_bytes / 1e9:.1f} GB, more than the {allowed / 1e9:.1f} GB that {why}; not unpacked")]
        )
