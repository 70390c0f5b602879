"""What an import tells of the cases that it wrote."""

from __future__ import annotations

import pytest

from autoseg.annotations.decoding import Naming
from autoseg.stages.importing.reporting import report_of
from autoseg.stages.importing.writing import Written


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("voc", ("2 of 3 structures are in no image; --only takes some of them",)),
        ("msd", ("2 of 3 structures are in no image",)),
    ],
)
def test_structures_that_no_image_has_are_counted(kind: str, told: tuple[str, ...]) -> None:
    names = Naming(("cat", "dog", "cow"), {}, {})
    written = [Written("a", {1: 5}, {"cat": 5}), Written("b"), Written("c", by_label={"dog": 3}, error="cut off")]
    report = report_of("/set", kind, written, names, "order", subjects={"a": "a", "b": "b"}, faults=(), notes=())
    assert [(one.name, one.cases, one.pixels) for one in report.labels] == [("cat", 1, 5), ("dog", 0, 0), ("cow", 0, 0)]
    assert report.notes == told
    assert (
        report_of("/set", kind, written[:1], Naming(("cat",), {}, {}), "order", subjects={"a": "a"}, faults=(), notes=()).notes
        == ()
    )
