"""Where an array lies in space, and the axis convention of the whole package.

Arrays are `(channel, *spatial)`; spatial axes are in the order SimpleITK hands to numpy: `(z, y, x)` in 3D, `(y, x)`
in 2D. `spacing_mm` has the same order and length. Origin and direction stay in SimpleITK's own order `(x, y[, z])`,
are never computed with except to turn an array into the canonical orientation, and reach the output untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class Geometry:
    """Spacing in mm per array axis (None where unknown: never silently 1 mm), origin and direction as SimpleITK has them."""

    rank: int
    spacing_mm: tuple[float, ...] | None
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def plain(cls, rank: int, spacing_mm: tuple[float, ...] | None = None) -> Geometry:
        """Origin zero, identity direction."""
        identity = tuple(1.0 if row == column else 0.0 for row in range(rank) for column in range(rank))
        return cls(rank, spacing_mm, (0.0,) * rank, identity)

    def with_spacing(self, spacing_mm: tuple[float, ...] | None) -> Geometry:
        """The same place with another spacing."""
        return replace(self, spacing_mm=spacing_mm)
