"""Records: strict, atomic, digested."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from autoseg.errors import DiskFull, RecordError
from autoseg.records import Fold, Splits, write_text
from autoseg.records.base import lies_inside, write_texts


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "rule": "r", "seed": "2", "folds": []}', 'seed: must be a whole number, not "2"'),
        ('{"format": 1, "rule": "r", "seed": 2.0, "folds": []}', "seed: must be a whole number, not 2.0"),
        ('{"format": 1, "rule": "r", "seed": true, "folds": []}', "seed: must be a whole number, not true"),
        ('{"format": 1, "rule": "r", "seed": 2, "seed": 3, "folds": []}', "keys that stand twice in one object: seed"),
        ('{"format": 1, "rule": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_nothing_is_taken_for_what_it_is_not(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "splits.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=message):
        Splits.load(path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    splits().save(tmp_path / "splits.json")
    text = (tmp_path / "splits.json").read_text(encoding="utf-8")
    (tmp_path / "splits.json").write_text(text, encoding="utf-8-sig")
    assert Splits.load(tmp_path / "splits.json") == splits()


def test_files_that_belong_together_are_replaced_together(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    write_texts({first: "old", second: "old"})
    with pytest.raises(UnicodeEncodeError):
        write_texts({first: "new", second: "\ud800"})
    assert first.read_text() == second.read_text() == "old", "an old set stays whole where the new one cannot be written"
    assert len(list(tmp_path.iterdir())) == 2
    write_texts({first: "new", second: "new"})
    assert first.read_text() == second.read_text() == "new" and len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_text(tmp_path / "a.json", "before")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DiskFull, match=r"a\.json: the disk is full; what was there before is intact"):
        write_text(tmp_path / "a.json", "after")
    assert (tmp_path / "a.json").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("a.png", True), ("fold_0/a..b.png", True), ("..png", True), ("", False), ("../a", False), ("a/../../b", False),
        ("/etc/passwd", False), ("\\\\host\\share", False), ("a\\..\\b", False), ("a\0b", False),
    ],
)  # fmt: skip
def test_names_that_reach_out_of_a_folder(name: str, inside: bool) -> None:
    assert lies_inside(name) is inside
