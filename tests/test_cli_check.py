"""The verb `check`, from words to a table, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.pipeline.checking import CheckOutcome
from autoseg.records import CheckFinding, CheckReport, LeftOut, RepairedCase, RepairReport

from .conftest import exit_code
from .layouts.written import declare, picture


def report(*findings: CheckFinding) -> CheckReport:
    severities = [one.severity for one in findings]
    return CheckReport(
        dataset="d",
        layout="folders",
        root="r",
        rank=2,
        cases=9,
        labelled=9,
        subjects=8,
        folds=5,
        splits=None,
        errors=severities.count("error"),
        warnings=severities.count("warning"),
        notes=severities.count("note"),
        read=("read as folders",),
        findings=findings,
    )


def test_check_passes_everything_on(replaced: Any) -> None:
    check = replaced("check", CheckOutcome(report()))
    words = "check data --layout folders --spacing 0.2 --subjects P\\d+ --splits s.json --out page --fix copy --workers 0"
    assert exit_code(*words.split()) == 0
    arguments, options = check.call_args
    options.pop("progress")
    assert arguments == (Path("data"),)
    assert options == {
        "layout": "folders",
        "spacing": 0.2,
        "subjects": "P\\d+",
        "splits": Path("s.json"),
        "out": Path("page"),
        "fix": Path("copy"),
        "workers": 0,
    }


def test_errors_are_named_and_kinds_are_counted(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    errors = [CheckFinding(kind="grid", severity="error", told=f"sizes {n} differ", cases=(f"case{n}",)) for n in range(5)]
    note = CheckFinding(kind="bit depth", severity="note", told="mixed", cases=tuple(f"n{n}" for n in range(8)))
    replaced("check", CheckOutcome(report(*errors, note)))
    assert exit_code("check", "data") == 1
    out = capsys.readouterr().out
    assert "5 errors, 0 warnings, 1 note" in out and "Errors: 5" in out and "sizes 2 differ" in out
    assert "... and 2 more of this kind" in out and "sizes 3 differ" not in out
    assert "Cases with errors: case0, case1, case2, case3, case4" in out
    assert "n0, n1, n2, n3, n4 and 3 more" in out


def test_a_repaired_copy_is_told(replaced: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repairs = RepairReport(
        source="r",
        cases=(RepairedCase(id="a", filled=(1,), changes=("values: 255 -> 1",)), RepairedCase(id="b")),
        left_out=(LeftOut(id="c", reason="sizes differ"),),
    )
    replaced("check", CheckOutcome(report(), repairs))
    assert exit_code("check", "data", "--fix", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "1 label changed, 1 as it was, 1 case left out" in out
    assert "changed: a: values: 255 -> 1" in out and "left out: c: sizes differ" in out
    assert "outlines filled in 1 label: a" in out and "--subjects" not in out, "there is no such table in the copy"
    (tmp_path / "subjects.csv").touch()
    assert exit_code("check", "data", "--fix", str(tmp_path)) == 0
    assert f"--subjects {tmp_path / 'subjects.csv'}" in capsys.readouterr().out.replace("\n", "")
    odd = tmp_path / "März (2)"
    assert exit_code("check", "data", "--fix", str(odd)) == 0
    assert f'Next: autoseg check "{odd}"' in capsys.readouterr().out.replace("\n", "")


def test_everything_that_is_not_in_the_copy_is_named(replaced: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first three with their reasons; up to 40 names beyond them."""
    out = [LeftOut(id=f"c{place}", reason=f"reason {place}") for place in range(6)]
    repairs = RepairReport(source="r", cases=(), left_out=tuple(out), unused=("labels/x.png", "labels/y.png"))
    check = replaced("check", CheckOutcome(report(), repairs))
    assert exit_code("check", "data", "--fix", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert "6 cases left out" in told and "left out: c2: reason 2" in told and "reason 3" not in told
    assert "left out, too: c3, c4, c5\n" in told and "not copied, as no case has them: labels/x.png, labels/y.png\n" in told
    many = tuple(LeftOut(id=f"c{place}", reason="r") for place in range(45))
    check.return_value = CheckOutcome(report(), repairs.model_copy(update={"left_out": many, "unused": ("labels/x.png",)}))
    assert exit_code("check", "data", "--fix", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert "c42 and 2 more\n" in told and "not copied, as no case has it: labels/x.png\n" in told


def test_usage(replaced: Any) -> None:
    check = replaced("check", CheckOutcome(report()))
    assert exit_code("check", "data", "--spacing", "nothing") == 2
    assert exit_code("check", "data", "--subjects", "(") == 2
    assert exit_code("check") == 2
    assert not check.called


def test_a_whole_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for place in range(6):
        picture(tmp_path / "set" / "images" / f"c{place}.png", random.integers(0, 256, (40, 50)))
        mask = np.zeros((40, 50))
        mask[5 : 20 + place, 10:30] = 1
        picture(tmp_path / "set" / "labels" / f"c{place}.png", mask)
    declare(tmp_path / "set", labels={"background": 0, "head": 1})
    assert exit_code("check", str(tmp_path / "set"), "--workers", "0") == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    mask[0, 0] = 9
    picture(tmp_path / "set" / "labels" / "c5.png", mask)
    assert exit_code("check", str(tmp_path / "set"), "--workers", "0", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["cases"]) for one in found["findings"] if one["severity"] == "error"] == [
        ("undeclared values", ["c5"])
    ]
    assert exit_code("check", str(tmp_path / "nowhere")) == 2


def test_what_was_found_is_told_where_no_copy_can_be_made(
    replaced: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replaced("check", CheckOutcome(report(), no_copy="every case has an error"))
    assert exit_code("check", "data", "--fix", str(tmp_path)) == 1
    printed = capsys.readouterr()
    assert "0 errors" in printed.out and "no repaired copy was written: every case has an error" in printed.out + printed.err
