"""Declarations of labels, and colours in the ways people write them."""

from __future__ import annotations

import pytest

from autoseg.errors import DataError, Fault
from autoseg.layouts.label_scheme import colour_scheme, declared_labels, derived_structures, mapping_notes, parse_colour
from autoseg.records import Structure


def test_values_in_order_of_the_values_whatever_the_order_of_names() -> None:
    scheme = declared_labels({"b": 2, "background": 0, "a": 1})
    assert [(target.name, target.values, target.output_value) for target in scheme.targets] == [("a", (1,), 1), ("b", (2,), 2)]
    assert scheme.notes == ()


def test_the_decathlons_direction() -> None:
    assert (
        declared_labels({"0": "background", "1": "a", "2": "b"}).targets
        == declared_labels({"background": 0, "a": 1, "b": 2}).targets
    )


def test_regions_of_sparse_values_use_their_sorted_set() -> None:
    scheme = declared_labels({"background": 0, "whole": [10, 40], "core": 40}, regions_class_order=[10, 40])
    assert [(target.name, target.values, target.output_value) for target in scheme.targets] == [
        ("whole", (1, 2), 10),
        ("core", (2,), 40),
    ]
    assert scheme.encoding.model_dump()["values"] == {0: 0, 10: 1, 40: 2}


def test_every_fault_of_a_declaration_is_named() -> None:
    with pytest.raises(DataError) as caught:
        declared_labels({"a": -1, "b": True, "c": [], "d": 3, "ignore": 3})
    assert len(caught.value.faults) == 4


def test_mapping_notes() -> None:
    assert mapping_notes({0: 0, 1: 1}) == ()
    assert mapping_notes({0: 0, 255: 1}) == ("label values on disk are mapped: 0 -> 0, 255 -> 1",)


@pytest.mark.parametrize("colour", ["1,2,3", " 1 , 2,3", "#010203", [1, 2, 3]])
def test_colours(colour: object) -> None:
    faults: list[Fault] = []
    assert parse_colour(colour, "f", faults) == "1,2,3"
    assert faults == []


@pytest.mark.parametrize("colour", ["red", "1,2", "1,2,300", "#12345", 7, [1, 2]])
def test_what_is_no_colour(colour: object) -> None:
    faults: list[Fault] = []
    assert parse_colour(colour, "f", faults) == ""
    assert len(faults) == 1


def test_colours_with_ignore_and_another_background() -> None:
    scheme = colour_scheme({"background": "9,9,9", "a": "0,0,0", "b": "1,1,1"}, output_values={"b": 70}, ignore="#ffffff")
    assert scheme.encoding.model_dump()["colours"] == {"9,9,9": 0, "0,0,0": 1, "1,1,1": 2, "255,255,255": 3}
    assert scheme.ignore_value == 3
    assert [target.output_value for target in scheme.targets] == [1, 70]


def test_derived_unions_and_their_faults() -> None:
    targets = (Structure(name="a", values=(1,), output_value=1), Structure(name="b", values=(2,), output_value=5))
    assert derived_structures({"ab": ["a", "b"]}, targets) == (Structure(name="ab", values=(1, 2), output_value=6),)
    with pytest.raises(DataError) as caught:
        derived_structures({"a": ["b"], "x": ["nobody"]}, targets)
    assert len(caught.value.faults) == 2
