"""Zips from strangers: what is unpacked, and what is refused with nothing left behind."""

from __future__ import annotations

import random
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg import pipeline
from autoseg.errors import AutosegError, DataError, RecordError, RunFolderError
from autoseg.layouts import archives
from autoseg.stages.export import archive
from tests.stages.export.runs import mask_of, picture_run


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_run(tmp_path_factory.mktemp("heads") / "run")


@pytest.fixture(scope="module")
def handed_over(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.export_model(heads, tmp_path_factory.mktemp("zip") / "model.zip")


def rewritten(source: Path, path: Path, change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes] | None]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            if (changed := change(member, old.read(member))) is not None:
                new.writestr(*changed, compress_type=zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("name", ["../evil.json", "/tmp/evil.json", "models/../../evil.json", "..\\evil.json", "C:\\evil.json"])
def test_paths_that_lead_out(handed_over: Path, tmp_path: Path, name: str) -> None:
    path = rewritten(handed_over, tmp_path / "in.zip", lambda member, content: (member, content))
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), b"evil")
    with pytest.raises(DataError, match="leads out of the folder"):
        pipeline.import_model(path, tmp_path / "run")
    assert [one.name for one in tmp_path.rglob("*")] == ["in.zip"]


def test_links_are_refused(handed_over: Path, tmp_path: Path) -> None:
    def linked(member: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if member.filename.endswith("fold_0/weights.safetensors"):
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            content = b"/etc/passwd"
        return member, content

    with pytest.raises(DataError, match=r"holds the link models/2d/fold_0/weights.safetensors"):
        pipeline.import_model(rewritten(handed_over, tmp_path / "in.zip", linked), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bombs_are_refused(handed_over: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grown(member: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        return member, content + bytes(10**7) if member.filename.endswith("safetensors") else content

    monkeypatch.setattr(archives, "GROWS_FREELY", 10**6)
    with pytest.raises(DataError, match="that such an archive can sensibly hold"):
        pipeline.import_model(rewritten(handed_over, tmp_path / "in.zip", grown), tmp_path / "run")
    monkeypatch.setattr(archive, "MOST_RECORD_BYTES", 100)
    with pytest.raises(DataError, match="which no such file has"):
        pipeline.import_model(handed_over, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_zips(handed_over: Path, tmp_path: Path) -> None:
    whole = handed_over.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="was cut short; copy it again"):
        pipeline.predict(tmp_path / "cut.zip", tmp_path, tmp_path / "out")
    scratched = bytearray(whole)
    place = whole.index(b"models/2d/fold_0/weights.safetensors") + 5000
    scratched[place : place + 8] = b"scratch!"
    (tmp_path / "scratched.zip").write_bytes(scratched)
    with pytest.raises(DataError, match=r"scratched.zip: cannot be unpacked \(Bad CRC-32"):
        pipeline.predict(tmp_path / "scratched.zip", tmp_path, tmp_path / "out")


def test_bytes_that_were_changed_are_told_in_words(handed_over: Path, tmp_path: Path) -> None:
    """Whatever is wrong with the table of contents, no error of a library comes through, and nothing is left behind."""
    whole, draw = handed_over.read_bytes(), random.Random(0)
    contents = whole.index(b"PK\x01\x02")
    refused = 0
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(draw.choice((1, 3))):
            changed[draw.randrange(contents, len(whole))] = draw.randrange(256)
        (tmp_path / "in.zip").write_bytes(changed)
        try:
            pipeline.import_model(tmp_path / "in.zip", tmp_path / "run")
            shutil.rmtree(tmp_path / "run")
        except AutosegError:
            refused += 1
        assert [path.name for path in tmp_path.iterdir()] == ["in.zip"]
    assert 50 < refused < 150


def test_weights_are_those_of_the_record(handed_over: Path, heads: Path, tmp_path: Path) -> None:
    def other(member: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        return member, content[:-4] + b"\0\0\0\0" if member.filename.endswith("fold_1/weights.safetensors") else content

    model = rewritten(handed_over, tmp_path / "other.zip", other)
    with pytest.raises(DataError, match="the weights of fold 1 are not those of its record"):
        mask_of(model, tmp_path, heads)
    lacking = rewritten(handed_over, tmp_path / "lacking.zip", lambda m, c: None if "fold_1/" in m.filename else (m, c))
    with pytest.raises(RunFolderError, match="the weights of fold 1, are missing"):
        pipeline.import_model(lacking, tmp_path / "run")


@pytest.mark.parametrize("place", ["/etc/weights.safetensors", "models/../../fold_0/w.safetensors", "plan.json"])
def test_a_record_that_names_files_elsewhere(handed_over: Path, tmp_path: Path, place: str) -> None:
    def elsewhere(member: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if member.filename == "model.json":
            content = content.replace(b"models/2d/fold_0/weights.safetensors", place.encode())
        return member, content

    with pytest.raises((RunFolderError, RecordError), match=r"no place inside a model|is no name of a file in the run folder"):
        pipeline.import_model(rewritten(handed_over, tmp_path / "in.zip", elsewhere), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_records_that_do_not_belong_together(handed_over: Path, heads: Path, tmp_path: Path) -> None:
    def renamed(member: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        return member, content.replace(b'"head"', b'"foot"') if member.filename == "dataset.json" else content

    with pytest.raises(RunFolderError, match=r"plan.json and dataset.json differ in targets"):
        mask_of(rewritten(handed_over, tmp_path / "in.zip", renamed), tmp_path, heads)
