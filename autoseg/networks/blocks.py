"""What the U-Nets are put together from, on MONAI's convolution: a stack of convolutions, a residual block, a step up."""

from __future__ import annotations

from itertools import pairwise

import torch
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import Tensor, nn

from autoseg.networks.normalise import InstanceNormAct
from autoseg.records import NetworkSpec, Shape

NORM_ARGUMENTS = {"affine": True, "eps": 1e-5}
NEGATIVE_SLOPE = 0.01
# not in place: behind a normalisation that returns a view, autograd would copy the whole tensor to keep track of it
LEAKY_RELU = ("leakyrelu", {"negative_slope": NEGATIVE_SLOPE})


def convolution(
    spec: NetworkSpec, before: int, after: int, kernel: Shape, stride: Shape | None = None, *, act: bool = True
) -> nn.Module:
    """A convolution with "same" padding, and what the family puts behind it.

    Instance normalisation (and no bias, which it would take out again) and leaky ReLU; the U-Net of 2015 has a bias and ReLU.
    """
    old = spec.family == "unet2015"
    layer = Convolution(
        spec.rank,
        before,
        after,
        strides=stride or (1,) * spec.rank,
        kernel_size=kernel,
        adn_ordering="NA",
        norm=None if old else (Norm.INSTANCE, NORM_ARGUMENTS),
        act=None if not act else ("relu", {"inplace": True}) if old else LEAKY_RELU,
        bias=old,
    )
    if not old:
        layer.adn = InstanceNormAct(*layer.adn)
    return layer


def convolutions(spec: NetworkSpec, before: int, after: int, kernel: Shape, count: int, stride: Shape | None = None) -> nn.Module:
    """`count` convolutions, the first one strided."""
    widths = (before, *(after,) * count)
    return nn.Sequential(
        *(convolution(spec, a, b, kernel, stride if index == 0 else None) for index, (a, b) in enumerate(pairwise(widths)))
    )


def encoder_stage(spec: NetworkSpec, index: int, before: int) -> nn.Module:
    """One resolution of the encoder: entered by a strided convolution, or (2015) by max-pooling."""
    after, kernel, stride = spec.features[index], spec.kernel_sizes[index], spec.strides[index]
    count = spec.encoder_blocks[index]
    if spec.family == "residual_unet":
        strides = (stride, *((1,) * spec.rank,) * (count - 1))
        widths = (before, *(after,) * count)
        return nn.Sequential(*(ResidualBlock(spec, a, b, kernel, s) for (a, b), s in zip(pairwise(widths), strides, strict=True)))
    if spec.family == "unet2015":
        stack = convolutions(spec, before, after, kernel, count)
        return nn.Sequential(Pool[Pool.MAX, spec.rank](stride, stride), stack) if max(stride) > 1 else stack
    return convolutions(spec, before, after, kernel, count, stride)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip that is pooled and projected where sizes differ: the block of ResNet-D (He et al. 2019)."""

    def __init__(self, spec: NetworkSpec, before: int, after: int, kernel: Shape, stride: Shape):
        super().__init__()
        self.conv1 = convolution(spec, before, after, kernel, stride)
        self.conv2 = convolution(spec, after, after, kernel, act=False)
        skip: list[nn.Module] = []
        if max(stride) > 1:
            skip.append(Pool[Pool.AVG, spec.rank](stride, stride))
        if before != after:
            skip.append(convolution(spec, before, after, (1,) * spec.rank, act=False))
        self.skip = nn.Sequential(*skip)
        self.act = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, *spatial)` to `(B, C', *(spatial / stride))`."""
        result: Tensor = self.act(self.conv2(self.conv1(x)) + self.skip(x))
        return result

    def start_as_identity(self) -> None:
        """Let the block begin as its skip alone, as nnU-Net does: the last normalisation scales by 0."""
        nn.init.zeros_(self.conv2.get_parameter("adn.N.weight"))


class UpBlock(nn.Module):
    """A step up: transposed convolution with kernel = stride, concatenation with the skip, convolutions."""

    def __init__(self, spec: NetworkSpec, index: int):
        super().__init__()
        before, after, stride = spec.features[index + 1], spec.features[index], spec.strides[index + 1]
        self.up = Conv[Conv.CONVTRANS, spec.rank](before, after, stride, stride, bias=True)
        self.stack = convolutions(spec, 2 * after, after, spec.kernel_sizes[index], spec.decoder_convs[index])

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The coarser features and the encoder's of this resolution, to this resolution."""
        result: Tensor = self.stack(torch.cat((self.up(x), skip), dim=1))
        return result
