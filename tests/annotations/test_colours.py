"""Tables of colours, line by line, and label maps read with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.annotations.base import AnnotationSet, ReadOptions
from autoseg.annotations.colours import (
    any_entries,
    colour_first_entries,
    colour_of,
    labelmap_entries,
    read_label_map,
    table_of,
    voc_colour,
    with_options,
)
from autoseg.errors import DataError
from tests.annotations.pictures import save, write

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
    assert table.values == {0: "", 1: "Head", 2: "CSP", 7: "LV"}


def set_of(table_entries: list[tuple[str, tuple[int, int, int] | None]]) -> AnnotationSet:
    table = with_options(table_of(table_entries, "t"), ReadOptions())
    return AnnotationSet("voc", table.labels, (), table.colours, table.values)


def test_label_maps_in_colours_palettes_and_values(tmp_path: Path) -> None:
    """Two labels, and one colour (two pixels) that is not named."""
    found = set_of([("Brain", RED), ("CSP", GREEN)])
    expected = [[0, 1, 2], [0, 0, 1]]
    colours = [[(0, 0, 0), RED, GREEN], [(255, 255, 0), (255, 255, 0), RED]]
    rgb = read_label_map(save(tmp_path / "rgb.png", colours), found)
    assert rgb.labels.tolist() == expected and rgb.labels.dtype == np.uint16 and rgb.undeclared == {(255, 255, 0): 2}
    alpha = np.dstack([np.array(colours, np.uint8), np.full((2, 3), 255, np.uint8)])
    assert read_label_map(save(tmp_path / "rgba.png", alpha), found).labels.tolist() == expected
    palette = [0, 0, 0, *GREEN, *RED, 255, 255, 0]
    indexed = read_label_map(save(tmp_path / "p.png", [[0, 2, 1], [3, 3, 2]], palette), found)
    assert indexed.labels.tolist() == expected and indexed.undeclared == {(255, 255, 0): 2}, "a palette is its colours"
    grey = read_label_map(save(tmp_path / "grey.png", [[0, 1, 2], [9, 9, 1]]), found)
    assert grey.labels.tolist() == expected and grey.undeclared == {9: 2}
    as_grey = read_label_map(save(tmp_path / "grey.png", [[0, 128]]), set_of([("Brain", RED), ("LV", (128, 128, 128))]))
    assert as_grey.labels.tolist() == [[0, 2]], "a grey of the table, in a grey picture"


def test_what_is_no_label_map(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.5, 1]], np.float32)).save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=r"m.tif: its grey values are no whole numbers"):
        read_label_map(tmp_path / "m.tif", set_of([]))
