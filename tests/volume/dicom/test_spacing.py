"""Which element gives the size of a pixel. Hand-worked numbers; no file is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.volume.dicom.facts import ImageFacts, Plane, Region
from autoseg.volume.dicom.spacing import frame_spacing

PLAIN = ImageFacts(
    path=Path("frame.dcm"),
    modality="US",
    image_type=(),
    series_number=1,
    instance_number=1,
    rows=400,
    columns=600,
    frames=1,
    channels=1,
    photometric="MONOCHROME2",
    bits_stored=8,
    signed=False,
    planes=(Plane(None, None, None),),
    pixel_spacing_mm=None,
    imager_spacing_mm=None,
    regions=(),
    series_uid="1",
    instance_uid="2",
)
LARGE = Region((0, 0, 399, 399), (0.02, 0.025), (3, 3), 1, 1)
SMALL = Region((400, 0, 599, 199), (0.04, 0.04), (3, 3), 1, 1)
SPECTRAL = Region((0, 200, 599, 399), (0.1, 0.001), (7, 4), 3, 3)  # velocity over time
FLOW = Region((0, 0, 599, 399), (0.03, 0.03), (3, 3), 1, 2)


def test_nothing_said_is_unknown_and_not_one_millimetre() -> None:
    assert frame_spacing(PLAIN) == (None, ())


def test_pixel_spacing_is_rows_first() -> None:
    assert frame_spacing(replace(PLAIN, pixel_spacing_mm=(0.3, 0.4))) == ((0.3, 0.4), ())


def test_regions_are_in_centimetres() -> None:
    spacing, notes = frame_spacing(replace(PLAIN, regions=(LARGE, SPECTRAL)))
    assert spacing == pytest.approx((0.2, 0.25))
    assert notes == ()


def test_axes_may_run_backwards() -> None:
    backwards = replace(LARGE, steps=(-0.02, 0.025))
    assert frame_spacing(replace(PLAIN, regions=(backwards,)))[0] == pytest.approx((0.2, 0.25))


def test_of_several_scales_the_largest_region_counts_and_this_is_noted() -> None:
    """A small one of tissue in a picture of flow is a view beside it."""
    spacing, notes = frame_spacing(replace(PLAIN, regions=(SMALL, FLOW, LARGE)))
    assert spacing == pytest.approx((0.3, 0.3))
    assert len(notes) == 1
    assert "the largest (100 % of the picture), 0.3 mm per pixel, counts, not 0.2 x 0.25 and 0.4" in notes[0]
    spacing, notes = frame_spacing(replace(PLAIN, regions=(SMALL, LARGE, SPECTRAL)))
    assert spacing == pytest.approx((0.2, 0.25)) and "the largest (67 % of the picture)" in notes[0]


def test_of_regions_as_large_as_each_other_that_of_tissue_counts() -> None:
    for regions in (
        (FLOW, replace(FLOW, steps=(0.01, 0.01), data_type=1)),
        (replace(FLOW, steps=(0.01, 0.01), data_type=1), FLOW),
    ):
        spacing, notes = frame_spacing(replace(PLAIN, regions=regions))
        assert spacing == pytest.approx((0.1, 0.1)) and "counts, not 0.3" in notes[0]


def test_two_views_of_one_scale_need_no_note() -> None:
    other = replace(LARGE, corners=(400, 0, 599, 399))
    assert frame_spacing(replace(PLAIN, regions=(LARGE, other)))[1] == ()


@pytest.mark.parametrize("useless", [SPECTRAL, replace(LARGE, units=(0, 0)), replace(LARGE, steps=(0.0, 0.02))])
def test_regions_without_centimetres_are_passed_over(useless: Region) -> None:
    assert frame_spacing(replace(PLAIN, regions=(useless,), pixel_spacing_mm=(0.3, 0.3)))[0] == (0.3, 0.3)


def test_regions_go_before_pixel_spacing_and_a_contradiction_is_noted() -> None:
    spacing, notes = frame_spacing(replace(PLAIN, regions=(LARGE,), pixel_spacing_mm=(0.5, 0.5)))
    assert spacing == pytest.approx((0.2, 0.25))
    assert "regions say 0.2 x 0.25 mm per pixel, PixelSpacing says 0.5" in notes[0]
    assert frame_spacing(replace(PLAIN, regions=(LARGE,), pixel_spacing_mm=(0.2001, 0.25)))[1] == ()


def test_the_spacing_at_the_detector_is_told_as_that() -> None:
    spacing, notes = frame_spacing(replace(PLAIN, imager_spacing_mm=(0.15, 0.15)))
    assert spacing == (0.15, 0.15)
    assert "0.15 mm per pixel are measured at the detector" in notes[0]
    both = replace(PLAIN, imager_spacing_mm=(0.15, 0.15), pixel_spacing_mm=(0.15, 0.15))
    assert "at the detector" in frame_spacing(both)[1][0]


def test_calibrated_pixel_spacing_goes_before_that_at_the_detector() -> None:
    assert frame_spacing(replace(PLAIN, imager_spacing_mm=(0.15, 0.15), pixel_spacing_mm=(0.12, 0.12))) == ((0.12, 0.12), ())


@pytest.mark.parametrize("name", ["pixel_spacing_mm", "imager_spacing_mm"])
def test_a_size_of_zero_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match=r"frame\.dcm: its (Imager)?PixelSpacing is 0 x 0\.2 mm; correct the file"):
        frame_spacing(replace(PLAIN, **{name: (0.0, 0.2)}))
