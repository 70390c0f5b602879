"""What labels hold that nothing declares, and how they are stored."""

from __future__ import annotations

import pytest

from autoseg.stages.check import values
from tests.stages.check.sets import image_look, label_look, look, numbered, set_look


def test_labels_as_they_are_declared_are_no_finding() -> None:
    the_set = set_look(numbered(10))
    assert values.storage(the_set) + values.undeclared(the_set) + values.habits(the_set) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"lossy": True}, "JPEG labels"),
        ({"broken": 3, "counts": {"0": 9600, "0.5": 3, "1": 397}, "dtype": "float32"}, "not whole numbers"),
        ({"soft": 50, "distinct": 40}, "soft borders"),
        ({"distinct": 200, "picture": True}, "exchanged files"),
    ],
)
def test_masks_that_cannot_be_learned_from(changes: dict[str, object], kind: str) -> None:
    the_set = set_look([*numbered(3), look("bad", label=label_look(**changes))])  # type: ignore[arg-type]
    (found,) = values.storage(the_set)
    assert (found.kind, found.severity, found.cases) == (kind, "error", ("bad",))
    assert values.undeclared(the_set) == []  # is told once


def test_as_many_values_as_an_atlas_has_are_no_picture() -> None:
    assert values.storage(set_look([look("a", label=label_look(distinct=117))])) == []


def test_image_and_label_that_are_exchanged() -> None:
    (found,) = values.storage(set_look([look("a", image_look(distinct=2), label_look(distinct=200, picture=True))]))
    assert "image and label are exchanged" in found.told


def test_undeclared_values_are_told_with_their_cases_and_pixels() -> None:
    stray = label_look({"0": 9585, "1": 400, "7": 10, "9": 5})
    found = values.undeclared(set_look([*numbered(3), look("x", label=stray), look("y", label=label_look({"0": 9998, "8": 2}))]))
    assert [one.cases for one in found] == [("x",), ("y",)]
    assert "values 7 (10 pixels), 9 (5 pixels), in 1 image only, are not declared; declared: 0; 1" in found[0].told
    assert "value 8 (2 pixels), in 1 image only, is not declared" in found[1].told


def test_colours_that_occur_in_some_images_only() -> None:
    colours = {"0,0,0": 0, "255,0,0": 1}
    red = {"0,0,0": 9000, "255,0,0": 1000}
    looks = [look(f"c{place}", label=label_look(red, coloured=True)) for place in range(5)]
    looks += [look(f"d{place}", label=label_look({**red, "0,0,9": 3}, coloured=True)) for place in range(3)]
    (found,) = values.undeclared(set_look(looks, colours=colours))
    assert found.cases == ("d0", "d1", "d2") and "colour 0,0,9 (9 pixels), in 3 images only, is not declared" in found.told
    grey = look("grey", label=label_look({"0": 10_000}))  # a mask without colour may be stored as grey
    assert values.undeclared(set_look([*looks[:5], grey], colours=colours)) == []


def test_0_and_255_where_one_is_declared() -> None:
    white = look("white", label=label_look({"0": 9000, "255": 1000}))
    (found,) = values.undeclared(set_look([*numbered(3), white]))
    assert (found.kind, found.severity, found.cases, found.fixable) == ("0 and 255", "error", ("white",), True)
    (found,) = values.undeclared(set_look([*numbered(3), white], names=("a", "b")))
    assert found.kind == "undeclared values"  # which of the two is it?


def test_habits_are_notes_and_fixable() -> None:
    looks = [
        *numbered(2),
        look("float", label=label_look(dtype="float32")),
        look("palette", label=label_look(palette=True)),
        look("white", label=label_look({"0": 9000, "255": 1000})),
        look("both", label=label_look({"0": 8000, "1": 1000, "255": 1000})),
    ]
    found = values.habits(set_look(looks, declared=False))
    assert [(one.kind, one.severity, one.cases, one.fixable) for one in found] == [
        ("float labels", "note", ("float",), True),
        ("palette", "note", ("palette",), True),
        ("0 and 255", "note", ("white",), True),
    ]
