"""Archives that several processes unpack at once."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.layouts import archives


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a/b.txt", "content")
    return path


def quicker(target: Path, *, holding: str | None) -> Callable[[str], bool]:
    """Whether a member is wanted; by then another process has made the folder."""

    def wanted(_: str) -> bool:
        target.mkdir(exist_ok=True)
        if holding is not None:
            (target / holding).write_text("from the other")
        return True

    return wanted


def test_the_folder_of_a_quicker_process_is_taken(tmp_path: Path) -> None:
    target = tmp_path / "set.unpacked"
    archives.extract(archive(tmp_path / "set.zip"), target, quicker(target, holding="b.txt"))
    assert [path.name for path in target.iterdir()] == ["b.txt"] and (target / "b.txt").read_text() == "from the other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.unpacked", "set.zip"], "nothing of ours is left"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "set.unpacked"
    archives.extract(archive(tmp_path / "set.zip"), target, quicker(target, holding=None))
    assert (target / "a" / "b.txt").read_text() == "content"


def test_other_reasons_are_told(tmp_path: Path) -> None:
    target = tmp_path / "set.unpacked"
    target.write_text("a file in the way")
    with pytest.raises(OSError):
        archives.extract(archive(tmp_path / "set.zip"), target, lambda _: True)
    assert target.read_text() == "a file in the way"
