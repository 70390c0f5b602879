"""Masks that are ellipses, and masks that are not."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.ellipse_agreement import ellipse_dice
from autoseg.volume.ellipse import Ellipse, fill_ellipse


@pytest.mark.parametrize("angle", [0.0, 0.6, 2.2])
def test_a_filled_ellipse_is_one(angle: float) -> None:
    mask = fill_ellipse((120, 160), Ellipse((60.3, 75.8), (50.0, 35.0), angle))
    found = ellipse_dice(mask)
    assert found is not None and found > 0.995
    assert ellipse_dice(mask, (0.2, 0.2)) == pytest.approx(found)


def test_pixels_that_are_not_square() -> None:
    """Every second row of a circle: with rows twice as high it is a circle again."""
    mask = fill_ellipse((121, 121), Ellipse((60, 60), (50, 50), 0.0))[::2]
    found = ellipse_dice(mask, (2.0, 1.0))
    assert found is not None and found > 0.99


def test_a_half_is_not_an_ellipse() -> None:
    mask = fill_ellipse((120, 160), Ellipse((60, 80), (50, 35), 0.0))
    mask[:, 60:90] = False
    mask[50:70] = False
    found = ellipse_dice(mask)
    assert found is None or found < 0.9


def test_nothing_is_not_an_ellipse() -> None:
    assert ellipse_dice(np.zeros((50, 50), bool)) is None
    tiny = np.zeros((50, 50), bool)
    tiny[10:12, 10:12] = True
    assert ellipse_dice(tiny) is None
