"""Shrinking a patch until it fits."""

from __future__ import annotations

from math import prod

import pytest

from autoseg.errors import PlanError
from autoseg.stages.plan.patch import largest_patch


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


def test_an_axis_of_one_pixel_is_left_as_it_is() -> None:
    # the single slice covers all of its axis, but the others have to shrink
    layout = largest_patch((1.0, 1.0, 1.0), (64.0, 1.0, 64.0), lambda layout: prod(layout.patch_size) <= 1000)
    assert layout.patch_size == (32, 1, 28)
