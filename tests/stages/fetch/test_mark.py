"""What a folder says of the set in it."""

from __future__ import annotations

from pathlib import Path

from autoseg.stages.fetch import Mark, changed_of, missing_of


def test_a_mark_is_read_as_it_was_written(tmp_path: Path) -> None:
    mark = Mark("hc18", {"md5:1": {"a/b c.png": 3, "d": 0}, "md5:0": {}})
    mark.save(tmp_path / ".fetched")
    assert (tmp_path / ".fetched").read_text() == "set hc18\nmd5:0\nmd5:1\nfile 3 a/b c.png\nfile 0 d\n"
    assert Mark.load(tmp_path / ".fetched") == mark
    assert Mark.load(tmp_path / "none") == Mark(None, {})


def test_a_mark_without_files_is_of_an_earlier_version(tmp_path: Path) -> None:
    (tmp_path / ".fetched").write_text("md5:1\n\nmd5:0\n")
    assert Mark.load(tmp_path / ".fetched") == Mark(None, {"md5:1": {}, "md5:0": {}})


def test_files_that_are_gone_or_have_another_size(tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes(b"123")
    (tmp_path / "other").write_bytes(b"1")
    files = {"same": 3, "other": 3, "in/gone": 3}
    assert (missing_of(files, tmp_path), changed_of(files, tmp_path)) == (["in/gone"], ["other"])
