"""How far a mask is an ellipse, in the terms of overlap: for a fetal head, evidence of a good mask that needs no network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.metrics.biometry import head_ellipse_mm
from autoseg.metrics.overlap import count, dice
from autoseg.volume.ellipse import fill_ellipse


def ellipse_dice(mask: np.ndarray, spacing_mm: Sequence[float] = (1.0, 1.0)) -> float | None:
    """Dice of a mask with the filled ellipse that is fitted to its outline, as `head_circumference_mm` fits it.

    Args:
        mask: boolean `(y, x)`.
        spacing_mm: size of a pixel, `(y, x)`; only the ratio of the two matters, so the default does for unknown square pixels.

    Returns:
        In [0, 1]; None where no ellipse can be fitted (nothing there, too small, cut off).
    """
    ellipse = head_ellipse_mm(mask, spacing_mm)
    if ellipse is None:
        return None
    return dice(count(mask, fill_ellipse(mask.shape, ellipse, spacing_mm)))
