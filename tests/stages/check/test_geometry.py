"""Grids, places and orientations."""

from __future__ import annotations

from dataclasses import replace

from autoseg.stages.check import geometry
from autoseg.volume.geometry import Geometry
from tests.stages.check.sets import image_look, label_look, look, numbered, set_look

CUBE = Geometry.plain(3, (1.0, 1.0, 3.0))


def volume(name: str, *, label: Geometry = CUBE, shape: tuple[int, ...] = (10, 10, 10), orientation: str = "LPS"):
    image = image_look(shape=(10, 10, 10), geometry=CUBE, spacing_mm=CUBE.spacing_mm, spacing_from_table=False)
    return look(name, replace(image, orientation=orientation), label_look({"0": 900, "1": 100}, shape=shape, geometry=label))


def test_sizes_and_spacings_that_differ() -> None:
    other = volume("b", label=CUBE.with_spacing((1.0, 1.0, 2.0)))
    found = geometry.grids(set_look([volume("a"), other, volume("c", shape=(10, 10, 9))], rank=3))
    assert [(one.severity, one.cases) for one in found] == [("error", ("b",)), ("error", ("c",))]
    assert "label spacing (1, 1, 2) mm, image spacing (1, 1, 3) mm" in found[0].told
    assert "label size (10, 10, 9), image size (10, 10, 10)" in found[1].told
    rounded = volume("b", label=CUBE.with_spacing((1.0, 1.0, 3.0005)))
    assert geometry.grids(set_look([rounded], rank=3)) == []


def test_places_that_differ_are_a_warning_unless_most_do() -> None:
    moved = replace(CUBE, origin=(5.0, 0.0, 0.0))
    few = set_look([volume("a"), volume("b"), volume("c", label=moved)], rank=3)
    (found,) = geometry.places(few)
    assert found.severity == "warning" and found.cases == ("c",)
    (found,) = geometry.places(set_look([volume("a"), volume("b", label=moved), volume("c", label=moved)], rank=3))
    assert found.severity == "note"
    hardly = replace(CUBE, origin=(0.0005, 0.0, 0.0))
    assert geometry.places(set_look([volume("a", label=hardly)], rank=3)) == []


def test_orientations_that_are_mixed() -> None:
    (found,) = geometry.orientations(set_look([volume("a"), volume("b"), volume("c", orientation="RAS")], rank=3))
    assert found.severity == "note" and found.cases == ("c",) and "LPS in 2 cases, RAS in 1 case" in found.told
    assert geometry.orientations(set_look([volume("a"), volume("b")], rank=3)) == []
    assert geometry.orientations(set_look(numbered(3))) == []  # pictures have none
