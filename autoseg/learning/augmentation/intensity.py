"""What is done to the values of a patch: noise, blur, brightness, contrast, resolution, gamma, in nnU-Net's order.

All work in place on rows (n, *patch), a row being one channel of one sample that a transform fired for; their parameters (n, k)
lie on the CPU. On a CPU rows come one at a time, so that one stays in the cache through all transforms; elsewhere all rows of a
transform come together, since there it is launching that takes the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from autoseg.learning.augmentation.draw import SampleDraw

SMALLEST = 1e-7  # divisors are at least this, so that a constant channel stays what it is
TRUNCATE = 6.0  # width of the blurring kernel in sigmas (batchgeneratorsv2)
UPWARDS = {2: "bilinear", 3: "trilinear"}

Transform = Callable[[Tensor, Tensor], None]


def vary_values(images: Tensor, draws: Sequence[SampleDraw], *, sliced: bool) -> None:
    """Vary images (B, C, *patch) float32 in place, each as its draw says; `sliced`: the first axis keeps its resolution."""
    rows = images.flatten(0, 1)
    channels = images.shape[1]
    if images.device.type == "cpu":
        for index, draw in enumerate(draws):
            _add_noise(images[index], draw)
            for channel in range(channels):
                row = rows[index * channels + channel].unsqueeze(0)
                for transform, parameters in _fired(draw, channel, images.dim() - 2, sliced):
                    transform(row, torch.tensor([parameters]))
        return
    for image, draw in zip(images, draws, strict=True):
        _add_noise(image, draw)
    vary_together(rows, draws, channels, sliced=sliced)


def vary_together(rows: Tensor, draws: Sequence[SampleDraw], channels: int, *, sliced: bool) -> None:
    """All transforms but the noise, each for all its rows at once; rows (samples x channels, *patch)."""
    for transform in TRANSFORMS:
        chosen, given = [], []
        for index, draw in enumerate(draws):
            for channel in range(channels):
                for found, parameters in _fired(draw, channel, rows.dim() - 1, sliced):
                    if found is transform:
                        chosen.append(index * channels + channel)
                        given.append(parameters)
        if chosen:
            _on_chosen(transform, rows, chosen, torch.tensor(given))


def blur(rows: Tensor, sigmas: Tensor) -> None:
    """Gaussian blur, borders reflected; `sigmas` (n, axes) in pixels, anywhere."""
    for axis in range(1, rows.dim()):
        kernels = [blur_kernel(float(sigma)) for sigma in sigmas[:, axis - 1].tolist()]
        half = max(len(kernel) for kernel in kernels) // 2
        weights = np.stack([np.pad(kernel, half - len(kernel) // 2) for kernel in kernels])
        padded = _reflected(rows, axis, half)
        shape = (-1, *[1] * (rows.dim() - 1))
        if len(rows) == 1:
            factors: list[float | Tensor] = weights[0].tolist()
        else:
            on_device = torch.from_numpy(weights).to(rows.device)
            factors = [on_device[:, step].view(shape) for step in range(2 * half + 1)]
        size = rows.shape[axis]
        torch.mul(padded.narrow(axis, half, size), factors[half], out=rows)
        for step in range(2 * half + 1):
            if step != half:
                part = padded.narrow(axis, step, size)
                factor = factors[step]
                if isinstance(factor, Tensor):
                    rows.addcmul_(part, factor)
                else:
                    rows.add_(part, alpha=factor)


def blur_kernel(sigma: float) -> np.ndarray:
    """A Gaussian of the odd size nearest to 6 sigma + 0.5, as batchgeneratorsv2 rounds it; adds up to 1, float32."""
    wanted = sigma * TRUNCATE + 0.5
    size = round(wanted)
    if size % 2 == 0:
        size += 1 if wanted >= size else -1
    values = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return (values / values.sum()).astype(np.float32)


def brighten(rows: Tensor, factors: Tensor) -> None:
    """Multiply; `factors` (n, 1)."""
    rows.flatten(1).mul_(factors.to(rows.device, non_blocking=True))


def change_contrast(rows: Tensor, factors: Tensor) -> None:
    """Stretch about the mean, and keep the range; `factors` (n, 1)."""
    flat = rows.flatten(1)
    factor, mean = factors.to(rows.device, non_blocking=True), flat.mean(dim=1, keepdim=True)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    flat.mul_(factor).add_(mean * (1 - factor))
    torch.clamp(flat, low, high, out=flat)


def coarsen(rows: Tensor, zooms: Tensor) -> None:
    """Sample down (nearest) and up again (linear); `zooms` (n, axes), 1 leaves an axis as it is."""
    shape = rows.shape[1:]
    for row, zoom in zip(rows, zooms.tolist(), strict=True):
        small = [max(1, round(size * part)) for size, part in zip(shape, zoom, strict=True)]
        down = interpolate(row[None, None], small, mode="nearest-exact")
        row.copy_(interpolate(down, shape, mode=UPWARDS[len(shape)])[0, 0])


def gamma(rows: Tensor, exponents: Tensor) -> None:
    """Raise to a power between the row's extremes, then give back its mean and deviation; `exponents` (n, 1)."""
    _gamma(rows, exponents, inverted=False)


def gamma_inverted(rows: Tensor, exponents: Tensor) -> None:
    """The same with dark and bright exchanged."""
    _gamma(rows, exponents, inverted=True)


def _gamma(rows: Tensor, exponents: Tensor, *, inverted: bool) -> None:
    flat = rows.flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    flat.sub_(mean)
    deviation = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    extent = (high - low).clamp_(min=SMALLEST)
    if inverted:
        flat.sub_(high).div_(-extent)
    else:
        flat.sub_(low).div_(extent)
    if len(flat) == 1 and flat.device.type == "cpu":
        flat.pow_(float(exponents))
    else:
        flat.pow_(exponents.to(flat.device, non_blocking=True))
    flat.sub_(flat.mean(dim=1, keepdim=True))
    ratio = deviation / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_(min=SMALLEST)
    flat.mul_(-ratio if inverted else ratio).add_(mean)


def _add_noise(image: Tensor, draw: SampleDraw) -> None:
    """Gaussian noise on all channels, the same on a device for the same seed."""
    if draw.noise:
        generator = torch.Generator(device=image.device).manual_seed(draw.seed)
        image.add_(torch.empty_like(image).normal_(0.0, draw.noise, generator=generator))


TRANSFORMS: tuple[Transform, ...] = (blur, brighten, change_contrast, coarsen, gamma_inverted, gamma)


def _fired(draw: SampleDraw, channel: int, axes: int, sliced: bool) -> list[tuple[Transform, tuple[float, ...]]]:
    """What happens to a channel, in order, with its parameters."""
    found: list[tuple[Transform, tuple[float, ...]]] = []
    if draw.blur and (sigmas := draw.blur[channel]) is not None:
        found.append((blur, sigmas))
    if draw.brightness:
        found.append((brighten, (draw.brightness[channel],)))
    if draw.contrast:
        found.append((change_contrast, (draw.contrast[channel],)))
    if draw.low_resolution and (zoom := draw.low_resolution[channel]) is not None:
        found.append((coarsen, (1.0, *[zoom] * (axes - 1)) if sliced else (zoom,) * axes))
    if draw.gamma_inverted:
        found.append((gamma_inverted, (draw.gamma_inverted[channel],)))
    if draw.gamma:
        found.append((gamma, (draw.gamma[channel],)))
    return found


def _on_chosen(transform: Transform, rows: Tensor, chosen: list[int], parameters: Tensor) -> None:
    """Rows that lie together are worked on where they are, others are gathered and put back."""
    if chosen == list(range(chosen[0], chosen[0] + len(chosen))):
        transform(rows[chosen[0] : chosen[0] + len(chosen)], parameters)
        return
    places = torch.tensor(chosen).to(rows.device, non_blocking=True)
    gathered = rows.index_select(0, places)
    transform(gathered, parameters)
    rows.index_copy_(0, places, gathered)


def _reflected(rows: Tensor, axis: int, half: int) -> Tensor:
    """Rows with `half` more pixels on both sides of an axis, mirrored about its outermost pixels, however short it is."""
    size = rows.shape[axis]
    places = np.pad(np.arange(size), half, mode="reflect") if size > 1 else np.zeros(2 * half + 1, int)
    before, after = (
        torch.cat([rows.narrow(axis, int(place), 1) for place in side], dim=axis) for side in (places[:half], places[-half:])
    )
    return torch.cat([before, rows, after], dim=axis)
