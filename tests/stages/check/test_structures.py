"""Empty and full labels, structures that are absent, rare or a few strokes, lines, and subjects."""

from __future__ import annotations

import pytest

from autoseg.stages.check import structures
from autoseg.stages.check.look import CaseLook
from tests.stages.check.sets import label_look, look, numbered, set_look

EMPTY, FULL = {"0": 10_000}, {"0": 200, "1": 9800}


def test_empty_and_full_labels() -> None:
    looks = [*numbered(8), look("empty", label=label_look(EMPTY)), look("full", label=label_look(FULL))]
    empty, full = structures.extents(set_look(looks))
    assert (empty.kind, empty.severity, empty.cases) == ("empty label", "warning", ("empty",))
    assert (full.kind, full.severity, full.cases) == ("full label", "warning", ("full",))
    nearly = [*numbered(8), look("a", label=label_look({"0": 9999, "1": 1})), look("b", label=label_look({"0": 201, "1": 9799}))]
    assert structures.extents(set_look(nearly)) == []


def test_where_many_labels_are_empty_or_full_the_set_is_like_that() -> None:
    (found,) = structures.extents(set_look([*numbered(7), *(look(f"e{place}", label=label_look(EMPTY)) for place in range(3))]))
    assert found.severity == "note"
    dense = [look(f"f{place}", label=label_look(FULL)) for place in range(6)]
    (found,) = structures.extents(set_look([*numbered(4), *dense]))
    assert (found.severity, found.cases) == ("note", ()) and "is what is around everything declared as a structure" in found.told


def test_a_structure_that_is_nowhere() -> None:
    (found,) = structures.presence(set_look(numbered(6), names=("head", "tail")))
    assert found.kind == "absent structure" and found.told.startswith("tail is in no label") and found.severity == "warning"
    bare = [look(f"e{place}", label=label_look(EMPTY)) for place in range(3)]
    (found,) = structures.presence(set_look(bare, names=("head", "tail")))
    assert found.kind == "absent structure" and found.severity == "error" and "3 labels looked at" in found.told


def test_structures_of_few_subjects_and_few_labels() -> None:
    both = {"0": 9000, "1": 900, "2": 100}
    few = [*numbered(20), *(look(f"d{place}", label=label_look(both)) for place in range(4))]
    (found,) = structures.presence(set_look(few, names=("head", "lesion")))
    assert found.kind == "rare structure" and found.severity == "warning" and len(found.cases) == 4
    assert "lesion is in 4 labels of 24, of 4 subjects, fewer than the 5 folds" in found.told
    frames = [*numbered(20), *(look(f"d{place}", subject="one", label=label_look(both)) for place in range(5))]
    (found,) = structures.presence(set_look(frames, names=("head", "lesion")))
    assert "5 labels of 25, of 1 subject, fewer than" in found.told
    rare = [*numbered(99), *(look(f"d{place}", label=label_look(both)) for place in range(5))]
    (found,) = structures.presence(set_look(rare, names=("head", "lesion")))
    assert found.severity == "note"  # 5 of 104 labels, of 5 subjects
    enough = [*numbered(95), *(look(f"d{place}", label=label_look(both)) for place in range(5))]
    assert structures.presence(set_look(enough, names=("head", "lesion"))) == []


def test_a_structure_of_a_few_pixels() -> None:
    looks = [
        *numbered(12),
        look("slip", label=label_look({"0": 9993, "1": 7})),
        look("small", label=label_look({"0": 9992, "1": 8})),
    ]
    (found,) = structures.strokes(set_look(looks))  # 2 % of the usual 400 are 8
    assert found.kind == "stray structure" and found.cases == ("slip",) and "7 pixels only" in found.told


def test_labels_with_stray_values_say_nothing_of_structures() -> None:
    looks = [*numbered(5), look("stray", label=label_look({"0": 9000, "9": 1000}))]
    assert structures.presence(set_look(looks)) == []


LINE, WALL = {"outlines": {"1": 3000}, "by_pen": ("1",)}, {"outlines": {"1": 3000}}


def drawn(number: int, name: str = "line", **how: object) -> list[CaseLook]:
    return [look(f"{name}{place}", label=label_look({"0": 9700, "1": 300}, **how)) for place in range(number)]


def test_lines_in_place_of_structures() -> None:
    (found,) = structures.outlines(set_look(drawn(4, **LINE)))
    assert (found.kind, found.severity, found.fixable) == ("outline", "warning", True) and len(found.cases) == 4
    assert "the line is 10% of what it encloses" in found.told and found.told.endswith("fill it")


@pytest.mark.parametrize(
    "looks",
    [
        [*numbered(3), *drawn(1, **LINE)],
        drawn(2, **LINE),
        [*drawn(18, **LINE), *drawn(2, "wall", **WALL)],
        [*drawn(18, **LINE), *numbered(2)],
        drawn(20, **WALL),
    ],
    ids=["one among discs", "two labels", "walls in a tenth", "discs in a tenth", "all wider than a pen"],
)
def test_lines_that_may_be_rings_are_not_for_a_copy_to_fill(looks: list[CaseLook]) -> None:
    found = structures.outlines(set_look(looks))
    assert found and not any(one.fixable for one in found) and "right of a ring" in found[0].told
    assert structures.fillable(set_look(looks)) == {}


def test_a_wide_line_among_many_of_a_pen_is_told_apart() -> None:
    found = structures.outlines(set_look([*drawn(39, **LINE), *drawn(1, "wall", **WALL)]))
    assert [(len(one.cases), one.fixable) for one in found] == [(39, True), (1, False)]


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([*drawn(38, **LINE), *drawn(2, "open", by_pen=("1",))], "in 2 labels, too, but neither closed nor most of an ellipse"),
        ([*drawn(8, **LINE), *drawn(2, "open", by_pen=("1",))], "in 2 labels, too, but neither closed nor most of an ellipse"),
        ([*drawn(9, **LINE), *drawn(10, "open", by_pen=("1",))], ""),
        ([*drawn(2, **LINE), *drawn(1, "open", by_pen=("1",))], ""),
    ],
    ids=["2 of 40", "2 of 10", "vessels, some of which form a ring", "too few to tell"],
)
def test_lines_that_enclose_nothing_among_outlines(looks: list[CaseLook], told: str) -> None:
    """A copy leaves them out where it fills the others: those of 95 % of the labels."""
    found = structures.outlines(set_look(looks))
    assert [one.told for one in found[1:]] == [one.told for one in found if told and told in one.told]
    for one in found[1:]:
        assert not one.fixable and one.cases == ("open0", "open1") and ("leaves it out" in one.told) == found[0].fixable
    assert len(found) == (2 if told else 1)


def test_subjects_for_the_folds() -> None:
    assert structures.subjects(set_look(numbered(5))) == []
    (found,) = structures.subjects(set_look(numbered(4)))
    assert found.severity == "warning" and "4 subjects for 5 folds" in found.told
    (found,) = structures.subjects(set_look([look("a", subject="p"), look("b", subject="p")]))
    assert found.severity == "warning" and "only `train --fold full` is left" in found.told
