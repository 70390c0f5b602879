"""Shrinking a patch until it fits."""

from __future__ import annotations

from math import prod

import pytest

from autoseg.errors import PlanError
from autoseg.stages.plan.patch import largest_patch, nearest_divisible


def test_an_image_that_fits_is_taken_whole() -> None:
    assert largest_patch((1.0, 1.0), (100.0, 60.0), lambda layout: True).patch_size == (112, 64)


def test_the_axis_that_covers_most_shrinks_first() -> None:
    layout = largest_patch((1.0, 1.0), (256.0, 256.0), lambda layout: prod(layout.patch_size) < 256 * 256)
    assert layout.patch_size == (256, 224)  # the last of two equals, and not in one leap to 192


def test_the_start_is_clipped_for_very_large_images() -> None:
    assert largest_patch((1.0, 1.0), (9000.0, 9000.0), lambda layout: True).patch_size == (2048, 2048)


def test_nothing_fits() -> None:
    with pytest.raises(PlanError, match="not even a patch"):
        largest_patch((1.0, 1.0), (64.0, 64.0), lambda layout: False)


def test_nearest_divisible() -> None:
    assert nearest_divisible((100, 3), (16, 16)) == (96, 16)
    assert nearest_divisible((104, 24), (16, 16)) == (112, 32)
