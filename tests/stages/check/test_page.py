"""The page: findings by severity and kind, cases and pictures, and nothing that runs."""

from __future__ import annotations

from pathlib import Path

from autoseg.records import CheckFinding, CheckReport
from autoseg.stages.check.drawing import draw
from autoseg.stages.check.page import page_of
from tests.layouts.written import mask, picture
from tests.stages.check.sets import look, set_look


def report(*findings: CheckFinding) -> CheckReport:
    return CheckReport(
        dataset="A <set>",
        layout="folders",
        root="/r",
        rank=2,
        cases=50,
        labelled=50,
        subjects=50,
        folds=5,
        splits=None,
        errors=0,
        warnings=1,
        notes=0,
        read=("read as folders",),
        findings=findings,
    )


def test_a_page_names_what_was_found() -> None:
    cases = tuple(f"c{place}" for place in range(45))
    one = CheckFinding(
        kind="empty label", severity="warning", told="45 < 50", cases=cases, pictures={"c0": "pictures/001 c0.png"}
    )
    page = page_of(report(one))
    assert "A &lt;set&gt;" in page and "45 &lt; 50" in page and "c39 and 5 more" in page and "Warnings: 1" in page
    assert 'src="pictures/001%20c0.png" loading="lazy"' in page
    assert "<script" not in page and "http" not in page
    assert "Nothing was found" in page_of(report())


def test_pictures_of_the_first_cases(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / "images" / f"{name}.png", 90)
        mask(tmp_path / "labels" / f"{name}.png", 1, 2)
    (tmp_path / "images" / "b.png").write_bytes(b"no picture")
    dataset = set_look([look(name) for name in "abcd"], root=tmp_path).dataset
    told = CheckFinding(
        kind="empty label", severity="warning", told="t", cases=("stranger", "a", "b", "c", "d"), boxes={"a": (1, 2, 5, 9)}
    )
    nothing = CheckFinding(kind="few subjects", severity="warning", told="t")
    first, second = draw(dataset, [told, nothing], tmp_path / "out" / "pictures")
    assert first.pictures == {"a": "pictures/001_a.png", "c": "pictures/001_c.png"} and second.pictures == {}
    assert (tmp_path / "out" / "pictures" / "001_a.png").is_file()
