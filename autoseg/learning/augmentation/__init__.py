"""Training patches varied as nnU-Net varies them: whole batches, on the device where the network is.

`draw` decides before a patch is read, `Augmentation.apply` does it. A sample depends on its draw alone, and not on the batch it
is in. Mirroring, last in nnU-Net, happens while a patch is read into the batch, where it is free: all that comes before it treats
both directions of an axis alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from autoseg.learning.augmentation.batch import Batch, Drawn
from autoseg.learning.augmentation.draw import SampleDraw, draw_sample, is_sliced
from autoseg.learning.augmentation.intensity import vary_values
from autoseg.learning.augmentation.reference import ReferenceAugmentation, ReferenceDraw
from autoseg.learning.augmentation.spatial import Values, resample, values_of
from autoseg.learning.previous_stage import PreviousChannels
from autoseg.records import AugmentationSpec, Configuration, Shape, Structure

__all__ = ["Augmentation", "Batch", "Drawn", "SampleDraw"]

OUTSIDE: Values = (0, 1)


class Augmentation:
    """Random transforms of a configuration's patches.

    Args:
        spec: probabilities and ranges.
        patch_size: what comes out.
        mirror_axes: of the patch.
        channels: of the images.
        masked_channels: those whose zeros mark what lies outside the body; these stay zero.
        previous: how the masks of a cascade's first stage, plane 1 of the labels, become channels; None without a first stage.
    """

    def __init__(
        self,
        spec: AugmentationSpec,
        patch_size: Shape,
        mirror_axes: tuple[int, ...],
        *,
        channels: int,
        masked_channels: tuple[int, ...] = (),
        previous: PreviousChannels | None = None,
    ):
        self.spec, self.patch_size, self.mirror_axes = spec, patch_size, mirror_axes
        self.channels, self.masked_channels, self.previous = channels, masked_channels, previous
        self.sliced = is_sliced(patch_size)
        self.reference = ReferenceAugmentation(spec, patch_size, mirror_axes) if spec.backend == "batchgeneratorsv2" else None

    @classmethod
    def of(cls, configuration: Configuration, targets: Sequence[Structure] = ()) -> Self:
        """That of a configuration; channels are those of the prepared cases. The second stage of a cascade needs the targets."""
        second = configuration.previous_stage is not None
        normalization, training = configuration.preparation.normalization, configuration.training
        return cls(
            configuration.augmentation,
            training.patch_size,
            training.mirror_axes,
            channels=len(normalization),
            masked_channels=tuple(index for index, channel in enumerate(normalization) if channel.use_mask),
            previous=PreviousChannels(tuple(targets), configuration.augmentation.previous_stage) if second else None,
        )

    def draw(self, rng: np.random.Generator) -> SampleDraw:
        """Everything random about the next sample."""
        if self.reference is not None:
            drawn: SampleDraw = self.reference.draw(rng)
        else:
            drawn = draw_sample(rng, self.spec, self.patch_size, self.mirror_axes, self.channels)
        return drawn if self.previous is None else replace(drawn, previous=self.previous.draw(rng))

    def apply(self, drawn: Drawn, device: torch.device) -> Batch:
        """Samples as they were read to what the network sees; those drawn without augmentation come unvaried.

        Returns:
            images (B, C, *patch) float32 and labels (B, L, *patch) int16 on the device.
        """
        count, channels, planes = len(drawn.draws), len(drawn.images[0]), len(drawn.labels[0])
        images = torch.empty((count, channels, *self.patch_size), dtype=torch.float32, device=device)
        labels = torch.empty((count, planes, *self.patch_size), dtype=torch.int16, device=device)
        outside: list[Tensor | None] = []
        for index, (image, marks, draw) in enumerate(zip(drawn.images, drawn.labels, drawn.draws, strict=True)):
            outside.append(self._place(images[index], labels[index], image, marks, draw))
        vary_values(images, drawn.draws, sliced=self.sliced)
        for image, mask in zip(images, outside, strict=True):
            if mask is not None:
                for channel in self.masked_channels:
                    image[channel].masked_fill_(mask, 0)
        if self.previous is not None:
            images, labels = self.previous.append(images, labels, [draw.previous for draw in drawn.draws])
        return Batch(images, labels, drawn.cases)

    def _place(self, image_slot: Tensor, labels_slot: Tensor, image: Tensor, labels: Tensor, draw: SampleDraw) -> Tensor | None:
        """Bring a sample into its place in the batch, turned and mirrored; returns what lies outside the body, if that matters."""
        device, turned = image_slot.device, draw.matrix is not None
        # many small questions about labels are answered where no device has to be waited for
        values = [values_of(plane) for plane in labels] if turned else []
        image = image.to(device, non_blocking=True)
        marks = labels.to(device, non_blocking=True)
        if self.masked_channels:
            outside = (image[list(self.masked_channels)] == 0).all(dim=0, keepdim=True)
            marks, values = torch.cat([marks, outside.to(marks.dtype)]), [*values, OUTSIDE]
        if isinstance(draw, ReferenceDraw) and self.reference is not None:
            # the library works in place, on the CPU
            own = torch.empty(image.shape, dtype=torch.float32).copy_(image)
            image, marks = self.reference.apply(own, marks.cpu().contiguous(), draw)
        elif turned:
            image, marks = resample(image, marks, values, draw, self.patch_size)
        elif draw.mirrored:
            axes = [axis + 1 for axis in draw.mirrored]
            image, marks = image.flip(axes), marks.flip(axes)
        image_slot.copy_(image)
        labels_slot.copy_(marks[: len(labels_slot)])
        return marks[-1].to(device).bool() if self.masked_channels else None
