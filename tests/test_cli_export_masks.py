"""The verb `export-masks` as a door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoseg.stages.dicom_masks import ExportedMask

from .conftest import exit_code


def test_everything_is_passed_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    double = replaced("export_masks", (ExportedMask("a", Path("segs/a.dcm")),))
    assert exit_code("export-masks", "masks", "segs", "--overwrite") == 0
    assert double.call_args.args == (Path("masks"), Path("segs"))
    assert double.call_args.kwargs["overwrite"] is True
    assert "1 DICOM-SEG in segs; they name the patient, as their images do" in capsys.readouterr().out


def test_failures_are_named_and_answered_with_1(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    done = [ExportedMask("a", Path("segs/a.dcm")), *(ExportedMask(f"case{index}", None, "it is gone") for index in range(22))]
    replaced("export_masks", tuple(done))
    assert exit_code("export-masks", "masks") == 1
    told = capsys.readouterr().out
    assert "failed: case0: it is gone" in told
    assert "case20" not in told
    assert "... and 2 more" in told


def test_a_folder_without_a_record_is_unusable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("export-masks", str(tmp_path)) == 2
    assert "has no predictions.json" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("words", [("out",), ()])
def test_other_formats_are_handed_on(replaced: Any, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    double = replaced("hand_on_masks", [Path("out/annotations.xml")])
    assert exit_code("export-masks", "masks", *words, "--to", "cvat") == 0
    assert double.call_args.args == (Path("masks"), Path("out") if words else Path("masks/cvat"), "cvat")
    assert "The masks are in out/annotations.xml" in capsys.readouterr().out
