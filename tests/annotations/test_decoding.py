"""Label maps as they lie on disk: colours, palettes and values, what nobody named, and what is nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.annotations.base import AnnotationSet, ReadOptions
from autoseg.annotations.colours import table_of, with_options
from autoseg.annotations.decoding import Naming, decode
from autoseg.errors import DataError
from tests.annotations.pictures import decoded, save

RED, GREEN = (255, 0, 0), (0, 255, 0)


def set_of(table_entries: list[tuple[str, tuple[int, int, int] | None]]) -> AnnotationSet:
    table = with_options(table_of(table_entries, "t"), ReadOptions())
    return AnnotationSet("voc", table.labels, (), table.colours, table.values)


def test_label_maps_in_colours_palettes_and_values(tmp_path: Path) -> None:
    """Two labels, and one colour (two pixels) that is not named."""
    found = set_of([("Brain", RED), ("CSP", GREEN)])
    expected = [[0, 1, 2], [0, 0, 1]]
    colours = [[(0, 0, 0), RED, GREEN], [(255, 255, 0), (255, 255, 0), RED]]
    rgb = decoded(save(tmp_path / "rgb.png", colours), found)
    assert rgb.labels.tolist() == expected and rgb.labels.dtype == np.uint16 and rgb.unknown == {"255,255,0": 2}
    alpha = np.dstack([np.array(colours, np.uint8), np.full((2, 3), 255, np.uint8)])
    assert decoded(save(tmp_path / "rgba.png", alpha), found).labels.tolist() == expected
    palette = [0, 0, 0, *GREEN, *RED, 255, 255, 0]
    indexed = decoded(save(tmp_path / "p.png", [[0, 2, 1], [3, 3, 2]], palette), found)
    assert indexed.labels.tolist() == expected and indexed.unknown == {"255,255,0": 2}, "a palette is its colours"
    grey = decoded(save(tmp_path / "grey.png", [[0, 1, 2], [9, 9, 1]]), found)
    assert grey.labels.tolist() == expected and grey.unknown == {"9": 2}
    as_grey = decoded(save(tmp_path / "grey.png", [[0, 128]]), set_of([("Brain", RED), ("LV", (128, 128, 128))]))
    assert as_grey.labels.tolist() == [[0, 2]], "a grey of the table, in a grey picture"


def test_what_is_no_label_map(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.5, 1]], np.float32)).save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=r"m.tif: holds numbers that are not whole"):
        decoded(tmp_path / "m.tif", set_of([]))


def test_the_nearest_value_of_a_smoothed_grey_picture(tmp_path: Path) -> None:
    names = Naming(("csp", "head"), {0: "", 127: "csp", 255: "head"}, {})
    file = save(tmp_path / "a.png", [[0, 60, 64, 127, 190, 192, 255]])
    assert decode(file, names, "nearest").labels.tolist() == [[0, 0, 1, 1, 1, 2, 2]]
    found = decode(file, names, "background")
    assert found.labels.tolist() == [[0, 0, 0, 1, 0, 0, 2]] and found.unknown == {"60": 1, "64": 1, "190": 1, "192": 1}
    greys = set_of([("csp", (127, 127, 127)), ("head", (255, 255, 255))])
    assert decoded(file, greys, "nearest").labels.tolist() == [[0, 0, 1, 1, 1, 2, 2]], "greys that a table names"


def test_values_of_a_volume_are_never_near(tmp_path: Path) -> None:
    file = tmp_path / "a.nii.gz"
    array = np.array([[[0, 1, 4], [4, 4, -1]]], np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(file))
    names = Naming(("core", "edema"), {1: "core", 2: "edema"}, {})
    with pytest.raises(DataError, match=r"a.nii.gz: holds values that nobody named \(-1, 4\).*give --unknown background"):
        decode(file, names, "nearest")
    found = decode(file, names, "background")
    assert found.labels.tolist() == [[[0, 1, 0], [0, 0, 0]]] and found.unknown == {"4": 3, "-1": 1}
    complete = Naming(("core", "edema"), {1: "core", 4: "edema", -1: ""}, {})
    assert decode(file, complete, "nearest").labels.tolist() == [[[0, 1, 2], [2, 2, 0]]]


def test_numbers_that_are_no_values(tmp_path: Path) -> None:
    for number in (np.nan, np.inf, 0.5):
        Image.fromarray(np.array([[0, number]], np.float32)).save(tmp_path / "a.tif")
        with pytest.raises(DataError, match="holds numbers that are not whole"):
            decode(tmp_path / "a.tif", Naming(("a",), {1: "a"}, {}), "refuse")


def test_a_palette_is_its_indices_where_values_are_named(tmp_path: Path) -> None:
    file = save(tmp_path / "p.png", [[0, 1, 2]], [0, 0, 0, *RED, *GREEN])
    by_value = with_options(table_of([], "t"), ReadOptions(values={1: "Brain", 2: "CSP"}))
    assert decode(file, Naming(by_value.labels, by_value.values, by_value.colours), "refuse").labels.tolist() == [[0, 1, 2]]


def test_values_that_were_written_as_a_colour(tmp_path: Path) -> None:
    """`--structure head=1,2,3`, where `head=1+2+3` is meant."""
    file = save(tmp_path / "a.png", [[0, 1, 2, 3]])
    names = Naming(("head",), {}, {(0, 0, 0): "", (1, 2, 3): "head"})
    volume = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.array([[[0, 2]]], np.uint8)), str(volume))
    for one in (file, volume):
        with pytest.raises(
            DataError, match=r"no pixel has the colour 1,2,3 of head; values are joined with \+: --structure head=1\+2\+3"
        ):
            decode(one, names, "background")
    coloured = save(tmp_path / "rgb.png", [[(0, 0, 0), (1, 2, 3)]])
    assert decode(coloured, names, "refuse").labels.tolist() == [[0, 1]]
