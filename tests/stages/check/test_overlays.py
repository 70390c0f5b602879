"""Text in pictures, told as one note."""

from __future__ import annotations

from autoseg.stages.check import overlays
from autoseg.stages.check.look import TextBox
from tests.stages.check.sets import image_look, look, numbered, set_look


def with_text(name: str, box: tuple[int, int, int, int], *, labelled: float = 0.0, faint: bool = False):
    return look(name, image_look(text=(TextBox(box, labelled, faint),)))


def test_pictures_without_text() -> None:
    assert overlays.text(set_look(numbered(5))) == []


def test_text_is_counted_and_what_lies_over_a_structure_comes_first() -> None:
    looks = [*numbered(2), with_text("a", (5, 5, 15, 60)), with_text("b", (50, 50, 60, 99), labelled=0.5)]
    (found,) = overlays.text(set_look(looks))
    assert found.severity == "note" and found.cases == ("b", "a")
    assert "2 pictures of 4, at 2 places; in 1 picture over a labelled structure" in found.told
    assert found.boxes == {"a": (5, 5, 15, 60), "b": (50, 50, 60, 99)} and "b, rows 50 to 60, columns 50 to 99" in found.told
    (found,) = overlays.text(set_look([*numbered(2), with_text("a", (5, 5, 15, 60), labelled=0.05)]))
    assert "over no labelled structure" in found.told


def test_faint_marks_count_where_they_come_back() -> None:
    """At one height and of one width in three pictures; echoes lie anywhere."""
    again = [with_text(f"t{place}", (26, 60 + 20 * place, 34, 90 + 20 * place), faint=True) for place in range(3)]
    echo = with_text("echo", (77, 10, 85, 60), faint=True)
    (found,) = overlays.text(set_look([*numbered(5), *again, echo]))
    assert found.cases == ("t0", "t1", "t2")
    assert overlays.text(set_look([*numbered(5), *again[:2], echo])) == []
