from __future__ import annotations

import numpy as np
import pytest

from autoseg.processing.facts import content_hash, orientation, structure_sizes, thickness
from autoseg.records import Dataset, Structure, ValueEncoding
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume


def test_thickness_of_boxes_counts_in_pixels_of_the_finest_axis() -> None:
    box = np.ones((5, 9, 20), dtype=bool)  # distance from the middle slice to the outside: 3 slices
    assert thickness(box, None) == 6
    assert thickness(box, (3.0, 1.0, 1.0)) == 10  # now y is the thinnest: 5 pixels
    assert thickness(box, (0.5, 1.0, 1.0)) == 6
    assert thickness(np.zeros((3, 4), dtype=bool), None) == 0
    assert thickness(np.ones((1, 1), dtype=bool), None) == 2


def test_thickness_of_a_large_disc_is_right_to_within_the_step() -> None:
    y, x = np.mgrid[-400:401, -400:401]
    disc = y**2 + x**2 <= 400**2  # 801 pixels: every fourth is looked at
    assert thickness(disc, None) == pytest.approx(801, abs=8)


def test_a_line_thinner_than_the_step_is_not_lost() -> None:
    line = np.zeros((1000, 1000), dtype=bool)
    line[:, 501] = True
    assert thickness(line, None) == 4


def test_sizes_in_mm2_and_ml_for_targets_and_derived() -> None:
    dataset = Dataset(
        name="t",
        layout="folders",
        root="",
        rank=2,
        channels=("x",),
        targets=(Structure(name="a", values=(1,), output_value=1), Structure(name="b", values=(2,), output_value=2)),
        derived=(Structure(name="both", values=(1, 2), output_value=3),),
        encodings={"default": ValueEncoding(values={0: 0})},
        cases=(),
    )
    labels = np.zeros((6, 8), dtype=np.int16)
    labels[1:4, 1:4] = 1
    sizes = structure_sizes(dataset, labels, (0.5, 2.0))
    assert (sizes["a"].pixels, sizes["a"].size, sizes["b"].pixels, sizes["b"].size, sizes["b"].thickness) == (9, 9.0, 0, 0.0, 0.0)
    assert sizes["both"] == sizes["a"]
    assert structure_sizes(dataset, labels, None)["a"].size is None
    volume = np.zeros((3, 6, 8), dtype=np.int16)
    volume[:, 0, 0], volume[0, 5, 7] = 2, 3  # 3: an ignore label
    found = structure_sizes(dataset, volume, (10.0, 10.0, 10.0))
    assert (found["b"].pixels, found["b"].size) == (3, 3.0)


def test_orientation_letters() -> None:
    assert orientation(Geometry.plain(2)) is None
    assert orientation(Geometry.plain(3)) == "LPS"
    assert orientation(Geometry(3, None, (0.0,) * 3, (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))) == "RAS"


def test_hash_tells_values_and_shape_apart() -> None:
    def hashed(array: np.ndarray) -> str:
        return content_hash(Volume(array.astype(np.float32), Geometry.plain(2)))

    ones = np.ones((1, 2, 6))
    assert hashed(ones) == hashed(ones.copy())
    assert hashed(ones) != hashed(np.ones((1, 3, 4)))
    ones[0, 0, 0] = 2
    assert hashed(ones) != hashed(np.ones((1, 2, 6)))
