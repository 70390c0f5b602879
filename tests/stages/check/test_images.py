"""Images of one value, channels, scales and number types."""

from __future__ import annotations

from autoseg.stages.check import images
from autoseg.stages.check.look import ChannelLook
from tests.stages.check.sets import image_look, look, numbered, set_look

FLAT, FULL = ChannelLook(3.0, 3.0, 3.0), ChannelLook(0.0, 255.0, 200.0)


def bright(name: str, value: float):
    return look(name, image_look(channels=(ChannelLook(0.0, value, value),)))


def test_nothing_to_be_said_of_sound_images() -> None:
    the_set = set_look(numbered(10))
    assert images.contents(the_set) + images.scales(the_set) + images.depths(the_set) + images.colours(the_set) == []


def test_images_and_channels_of_one_value() -> None:
    looks = [look("flat", image_look(channels=(FLAT, FLAT))), look("half", image_look(channels=(FULL, FLAT)))]
    looks.append(look("nan", image_look(channels=(FULL, FULL), not_finite=2)))
    found = images.contents(set_look(looks, channels=("T1", "T2")))
    assert [(one.kind, one.severity, one.cases) for one in found] == [
        ("constant image", "error", ("flat",)),
        ("constant channel", "warning", ("half",)),
        ("not finite", "error", ("nan",)),
    ]
    assert "3 everywhere" in found[0].told and "T2 (3 everywhere)" in found[1].told and "2 values" in found[2].told


def test_channels_that_are_equal() -> None:
    twice = image_look(channels=(FULL, FULL), identical=((0, 1),))
    single = [look(f"c{place}", image_look(channels=(FULL, FULL))) for place in range(9)]
    (found,) = images.contents(set_look([*single, look("x", twice)], channels=("T1", "T2")))
    assert found.kind == "identical channels" and found.severity == "warning" and found.cases == ("x",)
    (found,) = images.contents(set_look([look("x", twice), look("y", twice)], channels=("T1", "T2")))
    assert found.severity == "note"


def test_a_scale_ten_times_the_others() -> None:
    (found,) = images.scales(set_look([*numbered(9), bright("far", 2000.0)]))
    assert found.kind == "intensity scale" and found.severity == "warning" and found.cases == ("far",)
    assert "is 2000 in 1 case, the set's median 200" in found.told
    (found,) = images.scales(set_look([*numbered(9), bright("dark", 20.0)]))
    assert found.cases == ("dark",)
    assert images.scales(set_look([*numbered(9), bright("near", 1990.0)])) == []
    assert images.scales(set_look([*numbered(2), bright("far", 2000.0)])) == []  # too few to tell
    assert images.scales(set_look([*numbered(9), look("flat", image_look(channels=(FLAT,)))])) == []  # is empty, which is told
    many = [bright(f"d{place}", 2000.0) for place in range(3)]
    (found,) = images.scales(set_look([*numbered(7), *many]))
    assert found.severity == "note"  # 3 of 10: the set is like that


def test_scales_are_not_told_where_most_images_are_black() -> None:
    assert images.far_from_median([0.0, 0.0, 0.0, 50.0]) == ([False] * 4, 0.0)
    assert images.far_from_median([]) == ([], 0.0)


def test_number_types_and_colours_that_are_mixed() -> None:
    (found,) = images.depths(set_look([*numbered(3), look("deep", image_look(dtype="uint16"))]))
    assert found.severity == "note" and found.cases == ("deep",) and "uint8 in 3 cases, uint16 in 1 case" in found.told
    coloured = look("marks", image_look(coloured=True))
    (found,) = images.colours(set_look([*numbered(3), coloured]))
    assert found.severity == "warning" and found.cases == ("marks",) and "1 image of 4 is in colour" in found.told
    assert images.colours(set_look([coloured])) == []
