"""Records: strict, atomic, digested."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import RecordError
from autoseg.records import Fold, Splits, write_text


def splits() -> Splits:
    return Splits(rule="by hand", seed=1, folds=(Fold(train=("a",), validation=("b",)),))


def test_round_trip(tmp_path: Path) -> None:
    splits().save(tmp_path / "deep" / "splits.json")
    assert Splits.load(tmp_path / "deep" / "splits.json") == splits()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["splits.json"], "no temporary file stays"


def test_digest_follows_content() -> None:
    assert splits().digest() == splits().digest()
    assert splits().digest() != splits().model_copy(update={"seed": 2}).digest()
    assert len(splits().digest()) == 12


def test_all_faults_of_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text('{"format": 1, "rule": 3, "seed": "x", "folds": [], "colour": "red"}')
    with pytest.raises(RecordError) as caught:
        Splits.load(path)
    assert all(name in str(caught.value) for name in ("rule", "seed", "colour"))


def test_missing_cut_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    with pytest.raises(RecordError, match="does not exist"):
        Splits.load(path)
    path.write_text('{"format": 1, "ru')
    with pytest.raises(RecordError, match="not a valid Splits record"):
        Splits.load(path)
    splits().model_copy(update={"format": 2}).save(path)
    with pytest.raises(RecordError, match="format 2"):
        Splits.load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
