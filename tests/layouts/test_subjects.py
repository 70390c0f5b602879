"""Whose a case is by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.layouts.base import ReadOptions
from autoseg.layouts.folders import read
from autoseg.layouts.subjects import EACH_ITS_OWN, roboflow_original, subject_in, told_copies
from tests.layouts.written import mask, picture


@pytest.mark.parametrize(
    ("name", "original", "subject"),
    [
        ("scan00_png.rf.96a3be3cf272e017046d1b2674a52bd3.jpg", "scan00", "scan00"),
        ("a_b_JPEG.rf.0f", "a_b", "a_b"),
        ("x.1_tiff.rf.0f.png", "x.1", "x.1"),
        ("003_2HC_webp.rf.0f", "003_2HC", "003"),
        ("003_HC", None, "003"),
        ("scan_png", None, None),
        ("scan_gif.rf.0f", None, None),
    ],
)
def test_what_a_copy_was_made_of(name: str, original: str | None, subject: str | None) -> None:
    assert (roboflow_original(name), subject_in(name)) == (original, subject)


def test_copies_are_told_where_there_are_several_of_one() -> None:
    assert told_copies(["a_png.rf.1", "a_png.rf.2", "b_jpg.rf.3", "c"]) == [
        "3 images are copies of 2 originals, by Roboflow's names; a copy and its original are one subject"
    ]
    assert told_copies(["a_png.rf.1", "b_png.rf.2", "c"]) == []


def test_copies_in_plain_folders_are_one_subject(tmp_path: Path) -> None:
    for name in ("a_png.rf.1", "a_png.rf.2", "b"):
        picture(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "labels" / f"{name}.png", 1)
    dataset = read(tmp_path, ReadOptions()).dataset
    assert dataset is not None and [case.subject for case in dataset.cases] == ["a", "a", "b"]
    assert (
        any(note.startswith("2 images are copies of 1 originals") for note in dataset.notes) and EACH_ITS_OWN not in dataset.notes
    )
