"""Matching of structures by name, and what painted values stand for."""

from __future__ import annotations

import pytest

from autoseg.errors import DataError
from autoseg.metrics.structures import ScoredStructure, match_structures, painted_memberships
from autoseg.records import Dataset, Predictions, Structure, ValueEncoding

BRAIN = Structure(name="Brain", values=(1,), output_value=1)
CSP = Structure(name="CSP", values=(2,), output_value=2)
LV = Structure(name="LV", values=(3,), output_value=3)
HEAD = Structure(name="head", values=(1, 2, 3), output_value=4)
HEAD_ALONE = Structure(name="head", values=(1,), output_value=255)
WHOLE = Structure(name="whole", values=(1, 2, 3), output_value=10)
CORE = Structure(name="core", values=(2, 3), output_value=20)
ENHANCING = Structure(name="enhancing", values=(3,), output_value=30)


def _dataset(*targets: Structure, derived: tuple[Structure, ...] = (), regions: bool = False) -> Dataset:
    return Dataset(
        name="d", layout="folders", root="/", rank=2, channels=("x",), targets=targets, derived=derived, regions=regions,
        encodings={"default": ValueEncoding(values={})}, cases=(),
    )  # fmt: skip


def _predictions(*targets: Structure, derived: tuple[Structure, ...] = (), regions: bool = False) -> Predictions:
    return Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", targets=targets, derived=derived, regions=regions, cases=()
    )  # fmt: skip


def _by_name(found: tuple[ScoredStructure, ...]) -> dict[str, tuple[set[int], set[int], bool]]:
    return {one.name: (set(one.reference_values), set(one.painted_values), one.target) for one in found}


def test_same_names_numbered_differently() -> None:
    csp, lv = Structure(name="CSP", values=(1,), output_value=10), Structure(name="LV", values=(2,), output_value=20)
    brain = Structure(name="Brain", values=(3,), output_value=30)
    found = match_structures(_dataset(BRAIN, CSP, LV, derived=(HEAD,)), _predictions(csp, lv, brain))
    assert _by_name(found) == {
        "Brain": ({1}, {30}, True),
        "CSP": ({2}, {10}, True),
        "LV": ({3}, {20}, True),
        "head": ({1, 2, 3}, {10, 20, 30}, False),
    }


def test_union_that_only_the_predictions_declare_is_told_in_the_labels_values() -> None:
    lv, csp = Structure(name="LV", values=(1,), output_value=1), Structure(name="CSP", values=(2,), output_value=2)
    brain = Structure(name="Brain", values=(3,), output_value=3)
    fluid = Structure(name="fluid", values=(1, 2), output_value=9)
    found = _by_name(match_structures(_dataset(BRAIN, CSP, LV), _predictions(lv, csp, brain, derived=(fluid,))))
    assert found["fluid"] == ({2, 3}, {1, 2}, False)


def test_labels_of_a_union_against_a_model_of_its_parts_and_the_reverse() -> None:
    found = match_structures(_dataset(HEAD_ALONE), _predictions(BRAIN, CSP, LV, derived=(HEAD,)))
    assert _by_name(found) == {"head": ({1}, {1, 2, 3}, True)}
    found = match_structures(_dataset(BRAIN, CSP, LV, derived=(HEAD,)), _predictions(HEAD_ALONE))
    assert _by_name(found) == {"head": ({1, 2, 3}, {255}, True)}


def test_different_names_are_refused_with_both_lists() -> None:
    with pytest.raises(DataError, match=r"Brain, CSP, LV.*CSP, LV, brian"):
        match_structures(_dataset(BRAIN, CSP, LV), _predictions(Structure(name="brian", values=(1,), output_value=1), CSP, LV))
    with pytest.raises(DataError, match="Brain, CSP"):
        match_structures(_dataset(BRAIN), _predictions(BRAIN, CSP))


def test_regions_painted_over_one_another() -> None:
    regions = (WHOLE, CORE, ENHANCING)
    assert painted_memberships(regions) == {10: {1}, 20: {2}, 30: {3}}
    found = _by_name(match_structures(_dataset(*regions, regions=True), _predictions(*regions, regions=True)))
    assert found == {
        "whole": ({1, 2, 3}, {10, 20, 30}, True),
        "core": ({2, 3}, {20, 30}, True),
        "enhancing": ({3}, {30}, True),
    }


def test_union_among_regions_is_what_remains_visible() -> None:
    oedema = Structure(name="oedema", values=(1,), output_value=40)
    regions = (WHOLE, CORE, ENHANCING)
    found = _by_name(match_structures(_dataset(*regions, derived=(oedema,), regions=True), _predictions(*regions, regions=True)))
    assert found["oedema"] == ({1}, {10}, False)


def test_crossing_regions_hold_what_was_painted_last() -> None:
    left, right = Structure(name="left", values=(1, 2), output_value=1), Structure(name="right", values=(2, 3), output_value=2)
    found = _by_name(match_structures(_dataset(left, right, regions=True), _predictions(left, right, regions=True)))
    assert found == {"left": ({1, 2}, {1}, True), "right": ({2, 3}, {2}, True)}


def test_region_painted_over_entirely_keeps_its_values() -> None:
    assert painted_memberships((CORE, WHOLE)) == {20: {2, 3}, 10: {1, 2, 3}}
