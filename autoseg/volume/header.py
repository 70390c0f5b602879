"""What a file says about its image before any value is read."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.volume.geometry import Geometry


@dataclass(frozen=True)
class Header:
    """Spatial `shape` in array order, spacing in mm in the same order (None where unknown), channels as `read` returns them.

    In a picture 2 channels are grey + alpha and 4 are RGB + alpha. `notes` are worth knowing about its place.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    channels: int
    geometry: Geometry
    notes: tuple[str, ...] = ()
