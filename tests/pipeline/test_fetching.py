"""A public set by its name: downloaded, unpacked, and planned as it lies."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import autoseg
from autoseg import pipeline
from autoseg.errors import DataError, RunFolderError
from autoseg.stages.fetch import SOURCES, RemoteFile, Source, files_of
from autoseg.stages.index import index_dataset

from ..stages.fetch.serving import serving


def hc18_files(root: Path) -> list[Path]:
    """The published set's files, small."""
    place = root / "training_set"
    place.mkdir(parents=True)
    rows = ["filename,pixel size(mm),head circumference (mm)"]
    for name in ("000_HC", "001_HC", "001_2HC"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (54, 80), np.uint8)).save(place / f"{name}.png")
        outline = Image.new("L", (80, 54))
        ImageDraw.Draw(outline).ellipse((15, 10, 65, 44), outline=255, width=2)
        outline.save(place / f"{name}_Annotation.png")
        rows.append(f"{name}.png,0.1,13.2")
    table = root / "training_set_pixel_size_and_HC.csv"
    table.write_text("\n".join(rows))
    archive = root / "training_set.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(place.iterdir()):
            opened.write(file, f"training_set/{file.name}")
    return [archive, table]


def listing(files: list[Path], url: str) -> Callable[[Source], tuple[RemoteFile, ...]]:
    found = tuple(
        RemoteFile(file.name, f"{url}/{file.name}", f"md5:{hashlib.md5(file.read_bytes()).hexdigest()}") for file in files
    )
    return lambda _: found


def test_hc18_is_planned_as_it_was_fetched(tmp_path: Path) -> None:
    files = hc18_files(tmp_path / "server")
    with serving(tmp_path / "server") as (url, asked):
        source = pipeline.fetch("hc18", tmp_path / "HC18", listed=listing(files, url))
        again = pipeline.fetch("hc18", tmp_path / "HC18", listed=listing(files, url))
    assert source == again == SOURCES["hc18"] and len(asked) == 2, "nothing is downloaded twice, though the archive is gone"
    assert not (tmp_path / "HC18" / "training_set.zip").exists()
    dataset, faults = index_dataset(tmp_path / "HC18")
    assert dataset is not None and not faults and dataset.layout == "hc18"
    assert {case.id: (case.subject, case.spacing_mm) for case in dataset.cases} == {
        "000_HC": ("000", (0.1, 0.1)), "001_HC": ("001", (0.1, 0.1)), "001_2HC": ("001", (0.1, 0.1)),
    }  # fmt: skip


def test_a_task_of_the_decathlon_loses_its_outer_folder(tmp_path: Path) -> None:
    place = tmp_path / "server"
    (place / "Task04_Hippocampus" / "imagesTr").mkdir(parents=True)
    (place / "Task04_Hippocampus" / "dataset.json").write_text("{}")
    for name in ("a.nii.gz", "._a.nii.gz"):
        (place / "Task04_Hippocampus" / "imagesTr" / name).touch()
    archive = place / "Task04_Hippocampus.tar"
    with tarfile.open(archive, "w") as opened:
        opened.add(place / "Task04_Hippocampus", "Task04_Hippocampus")
    with serving(place) as (url, _):
        pipeline.fetch("hippocampus", tmp_path / "set", keep_archives=True, listed=listing([archive], url))
    names = sorted(path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*") if path.is_file())
    assert names == [".fetched", "Task04_Hippocampus.tar", "dataset.json", "imagesTr/a.nii.gz"]


def test_where_the_decathlon_lies_is_known_without_asking() -> None:
    for name, source in SOURCES.items():
        if source.doi is None:
            (file,) = files_of(source)
            assert file.name == f"{source.task}.tar" and len(file.checksum.removeprefix("md5:")) == 32, name


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    def offline(_: Source) -> tuple[RemoteFile, ...]:
        raise ConnectionError("no route")

    with pytest.raises(
        DataError, match=r"there is no set 'hc17', did you mean 'hc18'\? \(there are fetal-head, hc18, brain-tumour"
    ):
        autoseg.fetch("hc17", tmp_path / "a")
    told = "cannot be looked up: doi.org cannot be reached; see whether you are online, and give the same command again"
    with pytest.raises(DataError, match=rf"\(training set\) {told}$"):
        autoseg.fetch("hc18", tmp_path / "a", listed=offline)
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="holds something else"):
        autoseg.fetch("hc18", tmp_path / "mine")


def test_a_folder_holds_one_set(tmp_path: Path) -> None:
    files = hc18_files(tmp_path / "server")
    place = tmp_path / "HC18"
    with serving(tmp_path / "server") as (url, asked):
        pipeline.fetch("hc18", place, listed=listing(files, url))
        mark = place / ".fetched"
        assert mark.read_text().splitlines()[:2] == ["set hc18", f"md5:{hashlib.md5(files[0].read_bytes()).hexdigest()}"]
        held = [line.split(" ", 2) for line in mark.read_text().splitlines()[2:]]
        names = ("000_HC", "000_HC_Annotation", "001_2HC", "001_2HC_Annotation", "001_HC", "001_HC_Annotation")
        assert [name for _, _, name in held] == [f"training_set/{name}.png" for name in names]
        assert all(word == "file" and (place / name).stat().st_size == int(size) for word, size, name in held)
        with pytest.raises(RunFolderError, match=r"HC18 holds the set hc18; give hippocampus a folder of its own"):
            pipeline.fetch("hippocampus", place, listed=listing(files, url))
        mark.write_text(mark.read_text().splitlines()[1])  # as it was written before sets and files were named in it
        pipeline.fetch("hc18", place, listed=listing(files, url))
    assert len(asked) == 2 and mark.read_text().startswith("set hc18\n")


def test_a_mark_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = hc18_files(tmp_path / "server")
    with serving(tmp_path / "server") as (url, _):
        pipeline.fetch("hc18", tmp_path / "HC18", listed=listing(files, url))
        before = (tmp_path / "HC18" / ".fetched").read_text()

        def broken(*_: object) -> None:
            raise OSError("power cut")

        monkeypatch.setattr("autoseg.writing.os.replace", broken)
        with pytest.raises(OSError, match="power cut"):
            pipeline.fetch("hc18", tmp_path / "HC18", listed=listing(files, url))
    assert (tmp_path / "HC18" / ".fetched").read_text() == before


def test_what_is_missing_is_restored_and_what_was_changed_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = hc18_files(tmp_path / "server")
    place = tmp_path / "HC18"
    with serving(tmp_path / "server") as (url, asked):
        pipeline.fetch("hc18", place, listed=listing(files, url))
        image, changed, table = (
            place / "training_set" / "000_HC.png",
            place / "training_set" / "001_HC.png",
            place / files[1].name,
        )
        before = image.read_bytes()
        image.unlink()
        table.unlink()
        changed.write_bytes(b"mine")
        (place / "training_set" / "own.txt").write_text("mine")
        pipeline.fetch("hc18", place, listed=listing(files, url))
        assert len(asked) == 4
        pipeline.fetch("hc18", place, listed=listing(files, url))
        assert len(asked) == 4 and not (place / "training_set.zip").exists()
    assert image.read_bytes() == before and table.read_bytes() == files[1].read_bytes()
    assert changed.read_bytes() == b"mine" and (place / "training_set" / "own.txt").exists()
    said = [record.message for record in caplog.records]
    assert "1 files that were fetched are missing (training_set/000_HC.png), and are fetched again" in said
    assert "1 files are of another size than they were fetched with, and stay (training_set/001_HC.png)" in said[0]


def test_what_killed_programs_left_is_swept(tmp_path: Path) -> None:
    files = hc18_files(tmp_path / "server")
    place = tmp_path / "HC18"
    with serving(tmp_path / "server") as (url, _):
        pipeline.fetch("hc18", place, listed=listing(files, url))
        (place / "tmpa1b2_x9z").write_bytes(b"half")
        (place / "tmp_notes.txt").write_text("mine")
        (place / ".training_set.zip.q7x.part" / "content").mkdir(parents=True)
        (place / ".training_set.zip.part").write_bytes(b"half")
        pipeline.fetch("hc18", place, listed=listing(files, url))
    left = {path.name for path in place.iterdir()}
    assert left == {".fetched", ".training_set.zip.part", "tmp_notes.txt", "training_set", files[1].name}


def test_a_damaged_archive_leaves_nothing_half_unpacked(tmp_path: Path) -> None:
    files = hc18_files(tmp_path / "server")
    files[0].write_bytes(files[0].read_bytes()[:-200])
    with serving(tmp_path / "server") as (url, _), pytest.raises(DataError, match=r"training_set.zip: cannot be unpacked"):
        pipeline.fetch("hc18", tmp_path / "HC18", listed=listing(files, url))
    assert sorted(path.name for path in (tmp_path / "HC18").iterdir()) == [".fetched", "training_set.zip"]
