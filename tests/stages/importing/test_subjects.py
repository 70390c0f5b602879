"""Whose each imported case is, and what is said where nothing tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations.base import AnnotatedImage
from autoseg.errors import DataError
from autoseg.layouts.subjects import EACH_ITS_OWN
from autoseg.stages.importing.matching import Source
from autoseg.stages.importing.subjects import subjects_of

ROOT = Path("/set")


def sources(*paths: str, subject: str | None = None) -> list[Source]:
    """Images at these paths, called as they lie, and cases called as the images are."""
    return [Source(Path(path).stem, (ROOT / path,), AnnotatedImage(path, None, subject=subject)) for path in paths]


def test_copies_and_their_original_are_one_subject() -> None:
    several = sources("train/a_png.rf.1.jpg", "train/a_png.rf.2.jpg", "valid/b_jpg.rf.3.jpg")
    subjects, notes = subjects_of(several, None, ROOT)
    assert subjects == {"a_png.rf.1": "a", "a_png.rf.2": "a", "b_jpg.rf.3": "b"}
    assert notes == ["3 images are copies of 2 originals, by Roboflow's names; a copy and its original are one subject"]


def test_a_copy_is_found_where_its_case_has_folders_in_front() -> None:
    several = [
        Source(f"{part}_a_png.rf.1", (ROOT / part / "a_png.rf.1.jpg",), AnnotatedImage(f"{part}/a_png.rf.1.jpg", None))
        for part in ("train", "valid")
    ]
    assert set(subjects_of(several, None, ROOT)[0].values()) == {"a"}


def test_cases_of_their_own_are_told_unless_something_tells_whose_they_are() -> None:
    assert subjects_of(sources("a.png", "b.png"), None, ROOT) == ({"a": "a", "b": "b"}, [EACH_ITS_OWN])
    assert subjects_of(sources("a_png.rf.1.jpg", "b.png"), None, ROOT)[1] == [EACH_ITS_OWN]
    assert subjects_of(sources("001_HC.png", "002_HC.png"), None, ROOT) == ({"001_HC": "001", "002_HC": "002"}, [])
    assert subjects_of(sources("a.png"), None, ROOT)[1] == []
    assert subjects_of(sources("a.png", "b.png", subject="x"), None, ROOT)[1] == []
    assert subjects_of(sources("p1_a.png", "p2_a.png"), r"p\d", ROOT) == (
        {"p1_a": "p1", "p2_a": "p2"},
        ["subjects by the expression 'p\\\\d': 2 in 2 cases"],
    )
    with pytest.raises(DataError, match="does not match its name"):
        subjects_of(sources("a.png"), r"\d", ROOT)


@pytest.mark.parametrize(
    ("paths", "expression"),
    [
        (["patient1/patient1_{}.png", "patient2/patient2_{}.png", "patient10/patient10_{}.png"], r"(patient\d+)"),
        (["x/T_CS_1/T_CS_1_{}.png", "x/T_DU_2/T_DU_2_{}.png", "x/T_HT_3/T_HT_3_{}.png"], r"^(.+)[-_ ][^-_ ]*$"),
        (["A1/x_a{}.png", "B2/x_b{}.png", "C3/x_c{}.png"], r"([^/]+)/[^/]+$"),
        (["A1/images/x_a{}.png", "B2/images/x_b{}.png", "C3/images/x_c{}.png"], r"([^/]+)/[^/]+/[^/]+$"),
    ],
)
def test_folders_of_patients_are_told_with_what_joins_their_cases(paths: list[str], expression: str) -> None:
    several = sources(*(path.format(number) for path in paths for number in (1, 2)))
    (note,) = subjects_of(several, None, ROOT)[1]
    first = Path(paths[0]).parts[-3 if "images" in paths[0] else -2]
    assert f"3 folders such as {first} hold several" in note and f"--subjects '{expression}'" in note
    assert len(set(subjects_of(several, expression, ROOT)[0].values())) == 3


@pytest.mark.parametrize("folders", [("train1", "val1", "test1"), ("benign", "malignant", "normal"), ("s1", "s2")])
def test_folders_that_are_no_patients(folders: tuple[str, ...]) -> None:
    several = sources(*(f"{folder}/{folder}_{number}.png" for folder in folders for number in (1, 2)))
    assert subjects_of(several, None, ROOT)[1] == [EACH_ITS_OWN]
    assert subjects_of(sources("a1/1.png", "a2/2.png", "a3/3.png"), None, ROOT)[1] == [EACH_ITS_OWN]
