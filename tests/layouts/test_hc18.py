"""HC18's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.layouts.base import ReadOptions
from autoseg.layouts.hc18 import read, recognise
from autoseg.records import OutlineEncoding
from tests.layouts.written import mask, picture

NAMES = ("002_HC", "002_2HC", "010_HC")
TABLE = "training_set_pixel_size_and_HC.csv"


def write(folder: Path, images: str = "training_set") -> Path:
    for name in NAMES:
        picture(folder / images / f"{name}.png")
        mask(folder / images / f"{name}_Annotation.png", 255)
    rows = "".join(f"{name}.png,0.{index}5,68.75\r\n" for index, name in enumerate(NAMES, start=1))
    (folder / TABLE).write_text(f"filename,pixel size(mm),head circumference (mm)\r\n{rows}300_HC.png,0.1,70\r\n")
    return folder


@pytest.mark.parametrize(("images", "given"), [("training_set", "."), (".", "."), ("training_set", "training_set")])
def test_frames_spacing_and_subjects_wherever_the_folder_is_given(tmp_path: Path, images: str, given: str) -> None:
    folder = write(tmp_path, images) / given
    recognition = recognise(folder)
    assert recognition is not None and recognition.why == f"found {TABLE} and *_Annotation.png"
    result = read(folder, ReadOptions())
    assert result.faults == ()
    assert result.dataset is not None
    assert {case.id: (case.subject, case.spacing_mm) for case in result.dataset.cases} == {
        "002_HC": ("002", (0.15, 0.15)),
        "002_2HC": ("002", (0.25, 0.25)),
        "010_HC": ("010", (0.35, 0.35)),
    }
    assert result.dataset.encodings == {"default": OutlineEncoding(value=1)}
    assert result.dataset.path(result.dataset.cases[0].label or "").is_file()


def test_faults_together(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "training_set/010_HC_Annotation.png").unlink()
    (folder / "training_set/002_2HC.png").unlink()
    picture(folder / "training_set/777_HC.png")
    mask(folder / "training_set/777_HC_Annotation.png", 255)
    faults = {fault.case: fault.message for fault in read(folder, ReadOptions()).faults}
    assert set(faults) == {"010_HC", "002_2HC", "777_HC"}
    assert "no label" in faults["010_HC"] and "no image" in faults["002_2HC"] and "no row" in faults["777_HC"]


def test_without_a_table_the_spacing_is_unknown_and_said(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / TABLE).unlink()
    result = read(folder, ReadOptions())
    assert result.faults == () and result.dataset is not None
    assert {case.spacing_mm for case in result.dataset.cases} == {None}
    assert any("unknown" in note for note in result.dataset.notes)


def test_other_annotations_are_not_hc18(tmp_path: Path) -> None:
    picture(tmp_path / "cat.png")
    mask(tmp_path / "cat_Annotation.png", 255)
    assert recognise(tmp_path) is None


def test_the_real_set(shared_data: Path) -> None:
    result = read(shared_data / "HC18", ReadOptions())
    assert result.faults == () and result.dataset is not None
    assert len(result.dataset.cases) == 386
    first = next(case for case in result.dataset.cases if case.id == "002_HC")
    assert first.spacing_mm == (0.062032562715, 0.062032562715)
