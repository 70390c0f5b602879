"""Every line of docs/datasets.md, on the sets that are at hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from autoseg.records import ImportReport
from autoseg.stages.index import index_dataset

from .conftest import exit_code
from .public_layouts import LAYOUTS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "datasets.md"
ROWS = re.findall(
    r"^\| (?P<set>[^|]+) \| (?P<cases>\d+)[^|]*\| `(?P<line>autoseg [^`]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)


OTHERS = re.findall(r"^\| (?P<set>[^|,]+)[^|]*\| `(?P<line>autoseg [^`]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
OTHERS = [row for row in OTHERS if row[1] not in {line for _, _, line in ROWS}]
FOUND = {  # cases, subjects, empty cases, structures; whether they are regions
    "DRIVE": (4, 4, 0, {"vessels"}, False),
    "BUSI": (7, 7, 2, {"lesion"}, False),
    "REFUGE": (3, 3, 0, {"cup", "disc"}, True),
    "IDRiD": (4, 4, 1, {"microaneurysms", "haemorrhages", "hard", "soft"}, False),
    "ISIC 2018": (4, 4, 0, {"lesion"}, False),
    "Kvasir-SEG": (4, 4, 0, {"polyp"}, False),
    "BraTS 2021": (3, 3, 0, {"whole", "core", "enhancing"}, True),
    "LiTS": (3, 3, 0, {"liver", "tumour"}, True),
    "Data Science Bowl 2018": (3, 3, 0, {"nuclei"}, False),
    "FIVES": (5, 5, 0, {"vessels"}, False),
    "STARE": (3, 3, 0, {"vessels"}, False),
    "ACDC": (4, 2, 0, {"right", "myocardium", "left"}, False),
}


def test_the_tables_are_read_whole() -> None:
    assert len(ROWS) + len(OTHERS) == PAGE.read_text(encoding="utf-8").count("| `autoseg ")
    assert {name.strip() for name, _ in OTHERS} == set(FOUND) == set(LAYOUTS)


@pytest.mark.parametrize(("name", "line"), OTHERS, ids=[row[0] for row in OTHERS])
def test_a_line_brings_in_a_set_that_is_laid_out_so(tmp_path: Path, name: str, line: str) -> None:
    data = LAYOUTS[name.strip()](tmp_path / "data")
    words = [word.replace("DATA", str(data)).replace("DST", str(tmp_path / "set")) for word in shlex.split(line)[1:]]
    assert exit_code(*words, "--workers", "0") == 0
    report = ImportReport.load(tmp_path / "set" / "import.json")
    cases, subjects, empty, structures, regions = FOUND[name.strip()]
    assert (report.cases, report.subjects, report.empty, report.failed) == (cases, subjects, empty, ())
    dataset, faults = index_dataset(tmp_path / "set")
    assert dataset is not None and not faults and dataset.regions == regions
    assert {one.name for one in dataset.targets} == structures == {one.name for one in report.labels if one.pixels}


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
