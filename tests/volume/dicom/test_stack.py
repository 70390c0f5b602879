"""Planes in space, with positions that can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.volume.dicom.facts import Plane
from autoseg.volume.dicom.stack import Stack, stacked

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)  # rows to the back, columns downwards; the normal points to the patient's right


def planes(depths: Sequence[float]) -> list[Plane]:
    return [Plane((-10.0, -20.0, depth), AXIAL, (0.5, 0.4)) for depth in depths]


def stack(found: Sequence[Plane]) -> Stack:
    return stacked(found, [f"slice {index}" for index in range(len(found))], "case")


def test_slices_are_sorted_by_where_they_lie() -> None:
    found = stack(planes([6.0, 0.0, 3.0]))
    assert found.order == (1, 2, 0)
    assert found.geometry.spacing_mm == (3.0, 0.5, 0.4)
    assert found.geometry.origin == (-10.0, -20.0, 0.0)
    assert found.geometry.direction == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert found.notes == ()


def test_the_normal_of_sagittal_slices_points_to_the_right() -> None:
    found = stack([Plane((x, 1.0, 2.0), SAGITTAL, (0.5, 0.4)) for x in (0.0, 2.0, 4.0)])
    assert found.order == (2, 1, 0)
    assert found.geometry.origin == (4.0, 1.0, 2.0)
    assert found.geometry.direction == (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def test_the_distance_is_that_of_the_positions_and_may_be_rounded() -> None:
    assert stack(planes([0.0, 1.3, 2.5, 3.7, 5.0])).geometry.spacing_mm[0] == pytest.approx(1.25)  # type: ignore[index]


def test_a_missing_slice_is_told_with_the_distances() -> None:
    with pytest.raises(
        DataError, match=r"case: its slices are not evenly spaced: 3 to 6 mm apart, mostly 3 mm; between slice 1 and slice 2"
    ):
        stack(planes([0.0, 3.0, 9.0, 12.0, 15.0]))


def test_doubled_slices_are_told_with_their_names() -> None:
    with pytest.raises(DataError, match=r"case: 1 of 4 slices lie where another one lies \(slice 1 and slice 2, at 3 mm\)"):
        stack(planes([0.0, 3.0, 3.0, 6.0]))


def test_several_times_at_each_place_are_told_as_that() -> None:
    with pytest.raises(DataError, match=r"case: holds 2 slices at each of 3 places \(times, echoes"):
        stack(planes([0.0, 0.0, 3.0, 3.0, 6.0, 6.0]))


def test_slices_in_other_directions_are_several_series() -> None:
    odd = [*planes([0.0, 3.0]), Plane((0.0, 0.0, 6.0), SAGITTAL, (0.5, 0.4))]
    with pytest.raises(
        DataError, match=r"case: 1 of 3 slices lie in another direction \(slice 2: \(0, 1, 0, 0, 0, -1\)\) than slice 0"
    ):
        stack(odd)


def test_slices_of_another_pixel_size_are_several_series() -> None:
    odd = [*planes([0.0, 3.0]), replace(planes([6.0])[0], spacing_mm=(0.7, 0.7))]
    with pytest.raises(
        DataError,
        match=r"case: 1 of 3 slices have another PixelSpacing \(slice 2: \(0\.7, 0\.7\) mm\) than slice 0 \(\(0\.5, 0\.4\) mm\)",
    ):
        stack(odd)


@pytest.mark.parametrize(
    ("field", "tag"),
    [("position", "ImagePositionPatient"), ("orientation", "ImageOrientationPatient"), ("spacing_mm", "PixelSpacing")],
)
def test_what_is_missing_is_named(field: str, tag: str) -> None:
    found = planes([0.0, 3.0, 6.0])
    with pytest.raises(DataError, match=rf"case: 1 of its 3 slices have no {tag} \(the first: slice 1\)"):
        stack([found[0], replace(found[1], **{field: None}), found[2]])


def test_a_pixel_size_of_zero_is_an_error() -> None:
    with pytest.raises(DataError, match=r"case: PixelSpacing of slice 0 is \(0, 0\.4\) mm"):
        stack([replace(plane, spacing_mm=(0.0, 0.4)) for plane in planes([0.0, 3.0])])


def test_directions_that_are_not_at_right_angles_are_an_error() -> None:
    skew = (1.0, 0.0, 0.0, 0.7, 0.7, 0.0)
    with pytest.raises(DataError, match="no two directions at right angles"):
        stack([replace(plane, orientation=skew) for plane in planes([0.0, 3.0])])


def test_a_tilted_gantry_shears_the_axes() -> None:
    """Slices move 3 mm up and 4 mm back each: 5 mm apart along the third axis, tilted by atan(4 / 3)."""
    found = stack([Plane((0.0, 4.0 * index, 3.0 * index), AXIAL, (0.5, 0.4)) for index in range(3)])
    assert found.geometry.spacing_mm == pytest.approx((5.0, 0.5, 0.4))
    np.testing.assert_allclose(np.reshape(found.geometry.direction, (3, 3))[:, 2], (0.0, 0.8, 0.6), atol=1e-12)
    assert f"tilted by {math.degrees(math.atan(4 / 3)):.1f} degrees" in found.notes[0]


def test_a_slice_beside_the_line_does_not_belong_to_the_others() -> None:
    found = planes([0.0, 3.0, 6.0])
    found[1] = replace(found[1], position=(-5.0, -20.0, 3.0))
    with pytest.raises(DataError, match=r"case: its slices do not lie behind one another: one is 5 mm beside the line"):
        stack(found)
