"""The verb `import`, from words to what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoseg.records import Covered, FailedCase, ImportedLabel, ImportReport

from .conftest import exit_code

REPORT = ImportReport(
    source="set",
    kind="coco",
    cases=3,
    subjects=2,
    empty=1,
    labels=(ImportedLabel(name="Brain", cases=2, pixels=700),),
    overlap="order",
    covered=(Covered(below="Brain", above="LV", pixels=12),),
    notes=("2 images are not annotated",),
)


def test_import_passes_everything_on(replaced: Any, tmp_path: Path) -> None:
    double = replaced("import_dataset", REPORT)
    words = (
        "import set out --from voc --structure Brain=1+2 --structure LV=3 --only LV,head=Brain+CSP --overlap smaller --unknown nearest "
        "--images pictures --spacing 0.2 --subjects P\\d+ --every 5 --missing empty --folders-are-labels --overwrite --workers 0"
    )
    assert exit_code(*words.split()) == 0
    arguments, options = double.call_args
    options.pop("progress")
    assert arguments == (Path("set"), Path("out"))
    assert options == {
        "format": "voc",
        "structures": {"Brain": (1, 2), "LV": (3,)},
        "colours": None,
        "only": {"LV": ("LV",), "head": ("Brain", "CSP")},
        "overlap": "smaller",
        "unknown": "nearest",
        "images": None,
        "labels": None,
        "images_folder": Path("pictures"),
        "spacing": 0.2,
        "subjects": "P\\d+",
        "folders_are_labels": True,
        "missing": "empty",
        "every": 5,
        "overwrite": True,
        "workers": 0,
    }


def test_patterns_and_colours(replaced: Any) -> None:
    double = replaced("import_dataset", REPORT)
    words = ["--image", "T1={case}/t1.nii.gz", "--image", "T2={case}/t2=b.nii.gz", "--label", "{case}/a=b.nii.gz"]
    assert exit_code("import", "set", "out", *words, "--structure", "Brain = 255, 0,0") == 0
    options = double.call_args[1]
    assert options["images"] == {"T1": "{case}/t1.nii.gz", "T2": "{case}/t2=b.nii.gz"}
    assert options["labels"] == {"": "{case}/a=b.nii.gz"}
    assert (options["structures"], options["colours"]) == (None, {"Brain": (255, 0, 0)})


@pytest.mark.parametrize(
    "words",
    [
        ("--structure", "a=1", "--structure", "b=1,2,3"),
        ("--structure", "b=1,2,300"),
        ("--label", "{case}_a.png", "--label", "{case}_b.png"),
        ("--image", "T1={case}.png", "--image", "T1={case}_2.png"),
        ("--only", "a=b+"),
        ("--only", "=b"),
        ("--only", "a=b,a=c"),
    ],
)
def test_what_contradicts_itself_is_a_usage_error(replaced: Any, words: tuple[str, ...]) -> None:
    double = replaced("import_dataset", REPORT)
    assert exit_code("import", "set", "out", *words) == 2 and not double.called


def test_what_came_of_it_is_told(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    replaced("import_dataset", REPORT.model_copy(update={"failed": (FailedCase(id="x.png", reason="there is no such image"),)}))
    assert exit_code("import", "set", "out") == 1
    told = capsys.readouterr().out
    for words in (
        "3 cases of 2 subjects, read as coco",
        "note: 1 cases have no labelled pixel",
        "note: 2 images are not annotated",
        "note: LV lies over Brain at 12 pixels; the upper one counts (--overlap)",
        "failed: x.png: there is no such image",
        "Next: autoseg plan out RUN",
    ):
        assert words in told


def test_the_record_is_printed_where_it_is_asked_for(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    replaced("import_dataset", REPORT)
    assert exit_code("import", "set", "out", "--json") == 0
    assert ImportReport.model_validate_json(capsys.readouterr().out) == REPORT
