"""What goes from the sampler to the augmentation, and from there to the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autoseg.learning.augmentation.draw import SampleDraw


@dataclass(frozen=True, eq=False)
class Drawn:
    """The samples of a batch as they were read, on the CPU.

    `images` (C, *box) float32, or float16 where cases are stored so; `labels` (L, *box) int8 or int16, plane 0 holds the labels.
    They may be views into a case that is held in memory: nobody writes into them.
    """

    images: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    draws: tuple[SampleDraw, ...]
    cases: tuple[str, ...]

    def pin_memory(self) -> Drawn:
        """For faster copies to CUDA (called by torch's loader)."""
        return replace(
            self,
            images=tuple(image.pin_memory() for image in self.images),
            labels=tuple(labels.pin_memory() for labels in self.labels),
        )

    def packed(self) -> Drawn:
        """The same in one piece of memory per kind: a loader process hands on each piece by a file descriptor of its own."""
        return replace(self, images=_packed(self.images), labels=_packed(self.labels))


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network learns from, on its device: `images` (B, C, *patch) float32, `labels` (B, L, *patch) int16."""

    images: Tensor
    labels: Tensor
    cases: tuple[str, ...]


def _packed(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
    kind = (
        parts[0].dtype
        if len({part.dtype for part in parts}) == 1
        else max((part.dtype for part in parts), key=lambda d: d.itemsize)
    )
    whole = torch.empty(sum(part.numel() for part in parts), dtype=kind)
    pieces = whole.split([part.numel() for part in parts])
    return tuple(piece.view(part.shape).copy_(part) for piece, part in zip(pieces, parts, strict=True))
