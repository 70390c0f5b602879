"""Every line of docs/datasets.md, on the sets that are at hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from autoseg.records import ImportReport
from autoseg.stages.index import index_dataset

from .conftest import exit_code

PAGE = Path(__file__).resolve().parents[1] / "docs" / "datasets.md"
ROWS = re.findall(
    r"^\| (?P<set>[^|]+) \| (?P<cases>\d+)[^|]*\| `(?P<line>autoseg [^`]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


def test_the_table_is_read_whole() -> None:
    assert len(ROWS) == PAGE.read_text(encoding="utf-8").count("| `autoseg ")


@pytest.mark.parametrize(("name", "cases", "line"), ROWS, ids=[row[0] for row in ROWS])
def test_a_line_brings_in_all_cases(shared_data: Path, tmp_path: Path, name: str, cases: str, line: str) -> None:
    words = [word.replace("DATA", str(shared_data)).replace("DST", str(tmp_path / "set")) for word in shlex.split(line)[1:]]
    if words[0] == "plan":
        dataset, faults = index_dataset(Path(words[1]))
        assert dataset is not None and not faults and len(dataset.cases) == int(cases), name
        return
    assert exit_code(*words, "--workers", "0") == 0
    report = ImportReport.load(tmp_path / "set" / "import.json")
    assert (report.cases, report.failed) == (int(cases), ()) and report.empty == 0
    dataset, faults = index_dataset(tmp_path / "set")
    assert dataset is not None and not faults and len(dataset.cases) == int(cases)
