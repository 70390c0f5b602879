"""Images and labels that do not find one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import Fault
from autoseg.stages.check import pairing
from tests.layouts.written import mask, picture
from tests.stages.check.sets import look, set_look


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("has no label; expected labels/a with any readable suffix, or a_mask", "pairing"),
        ("has a label (labels/a.png) but no image of that name", "pairing"),
        ("has several tables with a pixel size (a.csv, b.csv); choose one with --spacing", "pixel-size table"),
        ("a.nii.gz: 3 values are NaN or infinite; replace by finite numbers, or take the case out", "not finite"),
        ("label a.jpg is a JPEG, which changes label values; save it from its source as PNG", "JPEG labels"),
        ("has no row in t.csv; add one (leave the pixel size empty where it is unknown)", "pixel-size table"),
        ("is 2D while 3 of 4 cases are 3D; a data set holds one kind", "grid"),
        ("a.png: cannot be read (image file is truncated); the file is damaged", "unreadable"),
        ("a.png: is in colour, where one grey channel is expected", "case fault"),
    ],
)
def test_the_kind_of_a_fault(message: str, kind: str) -> None:
    (found,) = pairing.of_faults([Fault("a", message), Fault("a", message)])
    assert (found.kind, found.severity, found.told, found.cases) == (kind, "error", message, ("a",))


def test_names_that_differ_by_case_are_told_once() -> None:
    image, label = "has no label; expected labels/P1", "has a label (labels/p1.png) but no image of that name"
    (found,) = pairing.of_faults([Fault("P1", image), Fault("p1", label)])
    assert found.kind == "names" and found.cases == ("P1", "p1")
    near = pairing.of_faults([Fault("P1", image), Fault("p2", label)])
    assert [one.kind for one in near] == ["pairing", "pairing"]


def test_rows_without_an_image_are_told() -> None:
    notes = ["mm per pixel from t.csv, column mm", "2 rows of t.csv name no image of this set and are ignored: a, b"]
    (found,) = pairing.of_notes(notes)
    assert found.kind == "pixel-size table" and found.severity == "note" and ": a, b" in found.told


def test_files_that_no_case_uses(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.png")
        mask(tmp_path / "labels" / f"{name}.png", 1)
    dataset = set_look([look("a"), look("b")], root=tmp_path).dataset
    assert pairing.unused_files(dataset, []) == []
    mask(tmp_path / "labels" / "c.png", 1)
    mask(tmp_path / "labels" / "d.png", 1)
    (tmp_path / "labels" / "notes.txt").write_text("no image")
    (found,) = pairing.unused_files(dataset, [Fault("d", "has a label (labels/d.png) but no image of that name")])
    assert found.cases == ("c",) and "1 file of labels belongs to no case and takes no part: c.png" in found.told
    assert pairing.unused_by_folder(dataset, []) == {"labels": ["labels/c.png", "labels/d.png"]}


def test_a_fault_of_the_whole_set_concerns_no_case() -> None:
    (found,) = pairing.of_faults([Fault("heads", "has several tables with a pixel size (a.csv, b.csv)")], of_the_set="heads")
    assert found.severity == "error" and found.cases == ()
