from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.processing.orient import Reorientation, to_canonical
from autoseg.volume.geometry import Geometry

SPACING_ZYX = (3.0, 2.0, 1.0)
ORIGIN = (10.0, -20.0, 30.0)


def _directions() -> list[tuple[float, ...]]:
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[row, column] = sign
            found.append(tuple(matrix.ravel()))
    return found


def _place(geometry: Geometry, index_zyx: tuple[int, ...]) -> np.ndarray:
    steps = np.array(index_zyx[::-1]) * np.array(geometry.spacing_mm[::-1])
    return np.array(geometry.origin) + np.array(geometry.direction).reshape(3, 3) @ steps


def test_there_are_48_orientations() -> None:
    assert len(set(_directions())) == 48


@pytest.mark.parametrize("direction", _directions())
def test_every_orientation_becomes_identity_keeps_places_and_comes_back(direction: tuple[float, ...]) -> None:
    array = np.arange(2 * 2 * 3 * 4, dtype=np.int32).reshape(2, 2, 3, 4)
    geometry = Geometry(3, SPACING_ZYX, ORIGIN, direction)
    turned, canonical, change = to_canonical(array, geometry)
    assert canonical.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert np.array_equal(change.undo(turned), array)
    assert np.array_equal(change.apply(array), turned)
    for index in np.ndindex(turned.shape[1:]):
        old = np.argwhere(array[0] == turned[(0, *index)])[0]
        assert np.allclose(_place(canonical, index), _place(geometry, tuple(old)))


@pytest.mark.parametrize("code", ["RAS", "LAS", "PSR", "AIL", "SRP"])
def test_equals_simpleitk(code: str) -> None:
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin(ORIGIN)
    image.SetDirection(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code))
    expected = sitk.DICOMOrient(image, "LPS")
    turned, canonical, _ = to_canonical(array[None], Geometry(3, SPACING_ZYX, ORIGIN, image.GetDirection()))
    assert np.array_equal(turned[0], sitk.GetArrayFromImage(expected))
    assert canonical.spacing_mm == expected.GetSpacing()[::-1]
    assert np.allclose(canonical.origin, expected.GetOrigin())
    assert canonical.direction == expected.GetDirection()


def test_oblique_stays_oblique_and_nearest_axes_are_found() -> None:
    angle = np.deg2rad(30)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    # image x runs mostly along -y, image y mostly along +x
    direction = (s, c, 0.0, -c, s, 0.0, 0.0, 0.0, 1.0)
    array = np.arange(24).reshape(1, 2, 3, 4)
    turned, canonical, change = to_canonical(array, Geometry(3, SPACING_ZYX, ORIGIN, direction))
    assert change == Reorientation((0, 2, 1), (False, True, False))
    assert turned.shape == (1, 2, 4, 3)
    assert canonical.spacing_mm == (3.0, 1.0, 2.0)
    assert np.allclose(canonical.direction, (c, -s, 0, s, c, 0, 0, 0, 1))
    assert np.array_equal(change.undo(turned), array)


def test_identity_and_2d_are_left_alone() -> None:
    array = np.arange(6.0).reshape(1, 2, 3)
    geometry = Geometry(2, (1.0, 2.0), (0.0, 0.0), (0.0, 1.0, 1.0, 0.0))
    turned, canonical, change = to_canonical(array, geometry)
    assert turned is array and canonical is geometry and change == Reorientation.none(2)
    volume = Geometry.plain(3, SPACING_ZYX)
    assert to_canonical(np.zeros((1, 2, 3, 4)), volume)[1] == volume


def test_unknown_spacing_stays_unknown() -> None:
    geometry = Geometry(3, None, ORIGIN, (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    _, canonical, change = to_canonical(np.zeros((1, 2, 3, 4)), geometry)
    assert canonical.spacing_mm is None and canonical.origin == ORIGIN
    assert change.flipped == (False, True, True)
