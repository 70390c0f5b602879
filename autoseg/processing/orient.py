"""One canonical orientation for 3D volumes, by permuting and flipping axes only, and the exact way back.

Canonical is LPS, the orientation in which SimpleITK's direction matrix is the identity: x runs to the patient's left, y to
posterior, z to superior. A volume is never interpolated here: an oblique direction stays oblique, its axes are only named
after the nearest anatomical ones. 2D pictures have no anatomical axes and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from autoseg.volume.geometry import Geometry


@dataclass(frozen=True)
class Reorientation:
    """New spatial axis i is old spatial axis `permutation[i]`, reversed where `flipped[i]`; array axis order (z, y, x)."""

    permutation: tuple[int, ...]
    flipped: tuple[bool, ...]

    @classmethod
    def none(cls, rank: int) -> Reorientation:
        """Leaves everything where it is."""
        return cls(tuple(range(rank)), (False,) * rank)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Reorient `(..., *spatial)`; leading axes stay. The result is a view."""
        leading = array.ndim - len(self.permutation)
        moved = array.transpose(*range(leading), *(leading + axis for axis in self.permutation))
        return moved[self._reversal(leading)]

    def undo(self, array: np.ndarray) -> np.ndarray:
        """Go back: what `apply` was given, element by element. The result is a view."""
        leading = array.ndim - len(self.permutation)
        unflipped = array[self._reversal(leading)]
        return unflipped.transpose(*range(leading), *(leading + int(axis) for axis in np.argsort(self.permutation)))

    def _reversal(self, leading: int) -> tuple[slice, ...]:
        return (slice(None),) * leading + tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)


def to_canonical(array: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry, Reorientation]:
    """Bring `(C, *spatial)` to LPS as closely as permutations and flips allow.

    Returns:
        The array (a view), where it now lies, and what was done. Every voxel keeps its place in space; where the spacing is
        unknown the origin cannot be moved along a flipped axis and is left as it was.
    """
    if geometry.rank != 3:
        return array, geometry, Reorientation.none(geometry.rank)
    direction = np.asarray(geometry.direction, dtype=float).reshape(3, 3)
    old_axis, reverse = _nearest_axes(direction)
    # SimpleITK counts axes x, y, z; arrays count z, y, x: axis i of the one is axis 2 - i of the other.
    change = Reorientation(tuple(2 - old_axis[2 - i] for i in range(3)), tuple(reverse[2 - i] for i in range(3)))
    canonical = replace(
        geometry,
        spacing_mm=geometry.spacing_mm and tuple(geometry.spacing_mm[axis] for axis in change.permutation),
        origin=_moved_origin(geometry, direction, old_axis, reverse, array.shape[-3:]),
        direction=tuple(float(-direction[row, old] if flip else direction[row, old])
                        for row in range(3) for old, flip in zip(old_axis, reverse, strict=True)),
    )  # fmt: skip
    return change.apply(array), canonical, change


def _nearest_axes(direction: np.ndarray) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """For each physical axis x, y, z the image axis (x, y, z) that runs along it most, and whether it runs against it."""
    along = np.abs(direction)
    best = max(permutations(range(3)), key=lambda order: sum(round(float(along[i, order[i]]), 6) for i in range(3)))
    return best, tuple(bool(direction[i, best[i]] < 0) for i in range(3))


def _moved_origin(
    geometry: Geometry, direction: np.ndarray, old_axis: tuple[int, ...], reverse: tuple[bool, ...], shape: tuple[int, ...]
) -> tuple[float, ...]:
    """The centre of the voxel that becomes the first one."""
    if geometry.spacing_mm is None or not any(reverse):
        return geometry.origin
    steps = np.zeros(3)
    for old, flip in zip(old_axis, reverse, strict=True):
        if flip:
            steps[old] = (shape[2 - old] - 1) * geometry.spacing_mm[2 - old]
    return tuple(float(value) for value in np.asarray(geometry.origin) + direction @ steps)
