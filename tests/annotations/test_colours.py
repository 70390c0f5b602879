"""Tables of colours, line by line, and label maps read with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.annotations.base import ReadOptions
from autoseg.annotations.colours import (
    any_entries,
    colour_first_entries,
    colour_of,
    labelmap_entries,
    runs_in,
    table_of,
    voc_colour,
    with_options,
)
from autoseg.errors import DataError
from tests.annotations.pictures import write

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_the_colours_of_pascal_voc() -> None:
    """As they are published: aeroplane, bicycle, bird, person, tvmonitor, and the undecided border."""
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    assert {place: voc_colour(place) for place in published} == published and voc_colour(255) == (224, 224, 192)


def test_each_kind_of_table(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    write(file, "# label:color_rgb:parts:actions\nBrain:255,0,0::\nno colour:::\nplain\nwith parts:0, 255, 0:head,hand:run\n")
    assert labelmap_entries(file) == [("Brain", RED), ("no colour", None), ("plain", None), ("with parts", GREEN)]
    write(file, "255 0 0 Brain\n0\t255\t0\tLateral Ventricle 2\n")
    assert colour_first_entries(file) == [("Brain", RED), ("Lateral Ventricle 2", GREEN)]
    write(file, "Brain\nCSP\n")
    assert colour_first_entries(file) == [("Brain", None), ("CSP", None)] and any_entries(file) == []
    write(file, 'name,r,g,b\n"Brain",255,0,0\nLV 2: 0 255 0\n0,0,255,CSP\n')
    assert any_entries(file) == [("Brain", RED), ("LV 2", GREEN), ("CSP", (0, 0, 255))]
    write(file, "Brain:255,0,999::\n")
    with pytest.raises(DataError, match=r"t.txt: line 'Brain:255,0,999::' is no name with a colour"):
        labelmap_entries(file)


def test_the_labelmap_of_the_fetal_head_set(shared_data: Path) -> None:
    entries = labelmap_entries(shared_data / "fetal_head_layout" / "labelmap.txt")
    table = table_of(entries, "labelmap.txt")
    assert table.labels == ("Brain", "CSP", "LV")
    assert table.colours == {RED: "Brain", GREEN: "CSP", (0, 0, 255): "LV", (0, 0, 0): ""}
    assert table.values == {0: "", 1: "Brain", 2: "CSP", 3: "LV"}, "the background, listed last, is 0"


def test_colours_as_users_write_them() -> None:
    for text in ("255,0,0", "255 0 0", "#ff0000", [255, 0, 0]):
        assert colour_of(text) == RED
    for text in ("255,0", "red", "256,0,0", None, 3):
        assert colour_of(text) is None


def test_what_a_table_leaves_open() -> None:
    table = table_of([("Brain", None), ("CSP", None)], "t")
    assert table.colours == {(0, 0, 0): "", (128, 0, 0): "Brain", (0, 128, 0): "CSP"}
    assert table_of([("background", (0, 128, 0)), ("Brain", RED)], "t").colours == {(0, 128, 0): "", RED: "Brain"}
    assert table_of([("Void", (0, 0, 0)), ("Brain", RED)], "t").colours == {(0, 0, 0): "Void", RED: "Brain"}
    with pytest.raises(DataError, match="t: Brain and CSP both have the colour 255,0,0"):
        table_of([("Brain", RED), ("CSP", RED)], "t")


def test_what_the_caller_names_counts_more() -> None:
    table = with_options(
        table_of([("Brain", RED), ("CSP", GREEN)], "t"),
        ReadOptions(colours={RED: "Head", (9, 9, 9): "background"}, values={7: "LV"}),
    )
    assert table.labels == ("Head", "CSP", "LV")
    assert table.colours == {(0, 0, 0): "", RED: "Head", GREEN: "CSP", (9, 9, 9): ""}
    assert table.values == {0: "", 1: "Head", 2: "CSP", 7: "LV", 9: ""}


def test_greys_of_a_table_are_no_places() -> None:
    """In a table of low greys the place of one label could be the grey of another."""
    shifted = table_of([("a", (1, 1, 1)), ("b", (3, 3, 3)), ("c", (2, 2, 2)), ("void", (0, 0, 0))], "t")
    assert shifted.values == {0: "void", 1: "a", 3: "b", 2: "c"}
    assert table_of([("a", (2, 2, 2)), ("b", (4, 4, 4))], "t").values == {0: "", 2: "a", 4: "b"}
    high = table_of([("background", (0, 0, 0)), ("a", (128, 128, 128)), ("b", (255, 255, 255))], "t")
    assert high.values == {0: "", 1: "a", 2: "b", 128: "a", 255: "b"}, "no place is as high as its greys"
    mixed = table_of([("void", (0, 0, 0)), ("a", RED), ("b", (2, 2, 2))], "t")
    assert mixed.values == {0: "", 2: "b"}
    named = with_options(high, ReadOptions(colours={(1, 1, 1): "c"}, values={2: "d"}))
    assert named.values == {0: "", 1: "c", 2: "d", 128: "a", 255: "b"}, "what the caller names counts most"


def test_runs_of_any_array() -> None:
    for array in (
        np.array([[-1, -1, 5], [5, 5, -1]]),
        np.zeros((2, 0), int),
        np.arange(24).reshape(2, 3, 4) // 5,
        np.array([[1.5]]),
    ):
        distinct, back, lengths = runs_in(array)
        assert np.array_equal(np.repeat(distinct[back], lengths).reshape(array.shape), array)
        assert len(lengths) == np.count_nonzero(np.diff(array.ravel())) + bool(array.size)
