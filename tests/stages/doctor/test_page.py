"""Pictures, page and table of what was found."""

from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.records import Diagnosis, NotJudged, write_text
from autoseg.stages.doctor import draw, examine, page_of, ranked, save_csv
from autoseg.stages.doctor.words import further_down
from tests.stages.doctor.sets import FAULTY, write_set

EVIL = "<script>alert(1)</script> & co"


class Reader(HTMLParser):
    """Links, pictures, tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def diagnosed(tmp_path: Path, show: int) -> Diagnosis:
    dataset, predictions, folder = write_set(tmp_path, sound=10)
    dataset = dataset.model_copy(update={"name": EVIL})
    cases = ranked(dataset, examine(dataset, predictions, folder), "selection")
    cases = draw(dataset, predictions, cases, show, tmp_path, tmp_path / "doctor")
    missing = (NotJudged(id="<b>other", reason="it has no label", failed=False),)
    found = Diagnosis(
        configuration="2d",
        profile="balanced",
        folds=("0", "1"),
        weights=(),
        notes=("few <i>cases",),
        cases=cases,
        not_judged=missing,
    )
    write_text(tmp_path / "doctor" / "index.html", page_of(found, dataset, tmp_path, tmp_path / "doctor"))
    save_csv(found, tmp_path / "doctor.csv")
    return found


def test_first_cases_are_drawn_and_listed_in_order(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, show=4)
    pictures = sorted(path.name for path in (tmp_path / "doctor").glob("*.png"))
    assert pictures == [f"{case.rank:02d}_{case.id}.png" for case in found.cases[:4]]
    assert [case.picture for case in found.cases[:5]] == [*(f"doctor/{name}" for name in pictures), None]
    reader = Reader()
    reader.feed((tmp_path / "doctor" / "index.html").read_text(encoding="utf-8"))
    places = [reader.text.index(f"{case.rank}. {case.id}") for case in found.cases[:4]]
    assert places == sorted(places)
    assert all(finding.told in reader.text for case in found.cases[:4] for finding in case.findings)
    assert reader.links and all((tmp_path / "doctor" / link).exists() for link in reader.links), "links are relative"
    assert EVIL in reader.text and "<b>other: it has no label" in reader.text and not {"script", "b", "i"} & reader.tags
    assert "few <i>cases" in reader.text
    assert reader.text.count(str(tmp_path)) == 2, "where data set and run lie is said once"
    with Image.open(tmp_path / "doctor" / pictures[0]) as picture:
        assert picture.width > 3 * 400


def test_drawing_more_than_there_are(tmp_path: Path) -> None:
    assert all(case.picture for case in diagnosed(tmp_path, show=100).cases)


def test_table_has_a_row_for_every_structure_and_the_record_comes_back(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, show=1)
    with (tmp_path / "doctor.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (10 + len(FAULTY))
    first = found.cases[0]
    assert (rows[0]["rank"], rows[0]["case"], rows[0]["structure"]) == ("1", first.id, "A")
    assert float(rows[0]["dice"]) == round(first.structures["A"].dice, 6)
    empty = next(row for row in rows if row["case"] == "empty" and row["structure"] == "A")
    assert empty["distance"] == "" and empty["label_pixels"] == "0"
    found.save(tmp_path / "doctor.json")
    assert Diagnosis.load(tmp_path / "doctor.json") == found


def test_labels_with_stray_pixels_are_listed_though_they_agree(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=26)
    file = tmp_path / "labels" / "case_07.png"
    labels = np.asarray(Image.open(file)).copy()
    labels[1, 60] = 1
    Image.fromarray(labels).save(file)
    cases = ranked(dataset, examine(dataset, predictions, folder), "selection")
    cases = draw(dataset, predictions, cases, 1, tmp_path, tmp_path / "doctor")
    found = Diagnosis(configuration="2d", profile="balanced", folds=("0", "1"), weights=(), cases=cases, not_judged=())
    (island,) = [case for case in further_down(found) if case.id.startswith("case")]
    assert island.id == "case_07" and island.rank > len(FAULTY)
    write_text(tmp_path / "doctor" / "index.html", page_of(found, dataset, tmp_path, tmp_path / "doctor"))
    text = (tmp_path / "doctor" / "index.html").read_text(encoding="utf-8")
    assert "A is labelled in 2 pieces (0.25 mm2 beside the largest), and in nearly all other cases in one piece" in text
    assert "labels/case_07.png" in text
