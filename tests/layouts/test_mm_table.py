"""mm tables as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.layouts.mm_table import has_pixel_size, name_key, read_spacings, read_subjects

NAMES = {"a": ("a",), "b.1": ("b.1",)}


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "sizes.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Label,Pixel in mm\na.png,0.1\nb.1.png,0.2\n", "utf-8"),
        ("Label,Pixel  in mm\r\na.png, 0.1\r\nb.1,0.2\r\n", "utf-8-sig"),
        ("name;pixel size (mm)\na;0,1\nb.1;0,2\n", "utf-8"),
        ("name\tspacing\na.PNG\t0.1\nimages/b.1.png\t0.2\n", "utf-16"),
        ("filename,pixel size(mm),head circumference (mm)\na.png,0.1,68.7\nb.1.png,0.2,69\n", "utf-8"),
        ("comment,file,mm\nfirst,a.png,0.1\nsecond,b.1.png,0.2\n", "utf-8"),
        ("name,pixel size (µm)\na,100\nb.1,200\n", "utf-8"),
    ],
)
def test_one_pixel_size_column(tmp_path: Path, text: str, encoding: str) -> None:
    result = read_spacings(table(tmp_path, text, encoding), NAMES)
    assert result.faults == []
    assert result.values["a"] == pytest.approx((0.1, 0.1))
    assert result.values["b.1"] == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize(
    "header", ["name,pixel size x,pixel size y", "name,pixel_width_mm,pixel_height_mm", "name,colSpacing,rowSpacing"]
)
def test_two_columns_are_told_by_name_and_returned_as_y_x(tmp_path: Path, header: str) -> None:
    result = read_spacings(table(tmp_path, f"{header}\na,0.1,0.3\nb.1,0.2,0.4\n"), NAMES)
    assert result.values == {"a": (0.3, 0.1), "b.1": (0.4, 0.2)}


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    names = {name: (name,) for name in ("text", "zero", "negative", "infinite", "twice", "absent", "fine")}
    rows = "text,abc\nzero,0\nnegative,-1\ninfinite,inf\ntwice,0.1\ntwice,0.2\nfine,0.5\nfine,0.5\nstranger,x\n"
    result = read_spacings(table(tmp_path, "name,pixel size mm\n" + rows), names)
    assert {fault.case for fault in result.faults} == {"text", "zero", "negative", "infinite", "twice", "absent"}
    assert any("line 2" in fault.message and "'abc'" in fault.message for fault in result.faults)
    assert result.values["fine"] == (0.5, 0.5)
    assert any(note.startswith("1 rows") and note.endswith("ignored: stranger") for note in result.notes)


def test_an_empty_cell_declares_the_size_unknown(tmp_path: Path) -> None:
    result = read_spacings(table(tmp_path, "name,pixel mm\na,\nb.1,0.2\n"), NAMES)
    assert result.faults == []
    assert result.values == {"a": None, "b.1": (0.2, 0.2)}
    assert any("1 cases" in note and "unknown" in note for note in result.notes)


def test_a_decimal_comma_between_commas_is_not_read_as_zero(tmp_path: Path) -> None:
    result = read_spacings(table(tmp_path, "name,pixel mm\na,0,19\nb.1,0.2\n"), NAMES)
    assert [fault.case for fault in result.faults] == ["a"]
    assert "decimal comma" in result.faults[0].message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,age\na,3\n", "expected one pixel-size column"),
        ("name,pixel size,pixel spacing\na,1,2\n", "expected one pixel-size column"),
        ("name,pixel mm\nother,1\n", "no column holds image names"),
        ("", "empty"),
    ],
)
def test_unusable_tables(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_spacings(table(tmp_path, text), NAMES)


def test_has_pixel_size(tmp_path: Path) -> None:
    assert has_pixel_size(table(tmp_path, "name,Pixel in mm\n"))
    assert not has_pixel_size(table(tmp_path, "name,subject,comment\n"))


def test_subjects(tmp_path: Path) -> None:
    subjects, faults = read_subjects(table(tmp_path, "image,age,patient id\na.png,30,P1\na.png,30,P2\n"), NAMES)
    assert subjects == {"a": "P1"}
    assert {fault.case for fault in faults} == {"a", "b.1"}


@pytest.mark.parametrize(("name", "key"), [("x/Y.PNG", "y"), ("v.nii.gz", "v"), ("b.1", "b.1"), (" c ", "c"), ("", "")])
def test_name_key(name: str, key: str) -> None:
    assert name_key(name) == key


def test_a_file_s_name_that_several_cases_share_means_none_of_them(tmp_path: Path) -> None:
    """Frames of two persons in folders of their own, both called frame.png: the table has to name the cases."""
    names = {"p1_frame": ("p1_frame", "frame"), "p2_frame": ("p2_frame", "frame"), "other": ("other",)}
    (tmp_path / "s.csv").write_text("image,subject\nother,b\np1_frame,a\nframe,c\n")
    subjects, faults = read_subjects(tmp_path / "s.csv", names)
    assert subjects == {"other": "b", "p1_frame": "a"} and [fault.case for fault in faults] == ["p2_frame"]
