"""Codes of structures, as pydicom has them, and private ones for other names."""

from __future__ import annotations

import pytest

from autoseg.volume.dicom.codes import ABNORMAL, ANATOMY, FINDINGS, LEARNED, ORGANS, OTHER_NAMES, SIDES, Concept, property_of


def test_every_code_is_in_dicoms_tables_with_its_meaning() -> None:
    codes = pytest.importorskip("pydicom.sr.codedict").codes
    known = {}
    for name in codes.SCT.dir():
        known.setdefault(getattr(codes.SCT, name).value, set()).add(getattr(codes.SCT, name).meaning)
    for value, meaning in (*ORGANS.values(), *FINDINGS.values(), *((side.value, side.meaning) for side in SIDES.values())):
        assert meaning in known[value]
    assert (ANATOMY.value, ABNORMAL.value) == (
        codes.cid7150.AnatomicalStructure.value,
        codes.cid7150.MorphologicallyAbnormalStructure.value,
    )
    assert (LEARNED.value, LEARNED.scheme) == (codes.cid7162.ArtificialIntelligence.value, "DCM")


def test_other_names_lead_to_names_in_the_tables() -> None:
    assert set(OTHER_NAMES.values()) <= {*ORGANS, *FINDINGS}


@pytest.mark.parametrize(
    ("name", "value", "category"),
    [
        ("Brain", "12738006", ANATOMY),
        ("liver", "10200004", ANATOMY),
        ("Kidneys", "64033007", ANATOMY),
        ("Tumour", "108369006", ABNORMAL),
        ("whole_tumor", "108369006", ABNORMAL),
        ("hippocampus", "5366008", ANATOMY),
        ("CSP", "74968005", ANATOMY),
        ("left atrium", "82471001", ANATOMY),
    ],
)
def test_common_names_have_their_code(name: str, value: str, category: Concept) -> None:
    found = property_of(name)
    assert (found.type.value, found.type.scheme, found.category, found.side) == (value, "SCT", category, None)


@pytest.mark.parametrize("name", ["left kidney", "Kidney_left", "KIDNEY-LEFT"])
def test_a_side_is_told_apart(name: str) -> None:
    found = property_of(name)
    assert (found.type.meaning, found.side) == ("Kidney", Concept("7771000", "SCT", "Left"))


def test_a_name_that_means_several_things_is_private() -> None:
    assert property_of("LV").type == Concept("LV", "99AUTOSEG", "LV")
    assert property_of("left").type == Concept("left", "99AUTOSEG", "left")


def test_private_codes_are_short_and_differ() -> None:
    one, other = (property_of(f"a structure with a long name {index}").type for index in (1, 2))
    assert one.value != other.value
    assert one.value.startswith("a_structu_")
    assert max(len(one.value), len(other.value)) <= 16
    assert one.meaning == "a structure with a long name 1"
    umlaut = property_of("größe").type.value
    assert umlaut.isascii()
    assert umlaut != property_of("grösse").type.value
