"""What a U-Net costs, in closed form and without torch: feature map elements, multiply-adds, parameters, training memory.

All functions count the network that `NetworkSpec` describes: per encoder stage its `encoder_blocks` convolutions (the first
one strided) or residual blocks of two, per decoder stage a transposed convolution with kernel = stride followed by its
`decoder_convs` convolutions on the concatenation with the skip, instance normalisation after every convolution, and a 1x1
output head at full resolution; with deep supervision also at every other decoder resolution but the coarsest, whose loss
weight is zero. Convolutions in front of a normalisation have no bias, transposed ones, heads and those of 2015 have one.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.records import NetworkSpec, Shape

# Bytes held per convolution output element and byte of precision while training: the output itself, its normalised copy,
# the gradient passing through, and workspaces. nnU-Net's reference (two samples of 560e6 elements in 16 bit) uses 7.7 GB.
TRAINING_COPIES = 7.7e9 / (2 * 560e6 * 2)
# float32 weight, gradient, two averages (AdamW; SGD has one), and one copy in the autocast type and for saving
PARAMETER_BYTES = 20


def stage_shapes(network: NetworkSpec, patch_size: Shape) -> tuple[Shape, ...]:
    """Spatial shape at every stage, finest first (a strided convolution rounds up)."""
    shapes, shape = [], tuple(patch_size)
    for stride in network.strides:
        shape = tuple(ceil(size / step) for size, step in zip(shape, stride, strict=True))
        shapes.append(shape)
    return tuple(shapes)


def conv_feature_elements(network: NetworkSpec, patch_size: Shape, *, labels: int | None = None) -> int:
    """Output elements of all convolutions for one sample, deep supervision off.

    The closed form of what nnU-Net counts on an instantiated network to size patches:
    sum_s n F_s V_s + sum_decoder (d + 1) F_skip V_skip + C V_0; a residual stage has 2 n + [s > 0] in the place of n (the 1 is
    the skip's projection, which nnU-Net counts even where it only pools), and a stem of F_0 V_0.

    Args:
        network: the network.
        patch_size: spatial shape of its input.
        labels: C; nnU-Net counts all declared labels, background and ignore included. Default: the output channels.
    """
    volumes = [prod(shape) for shape in stage_shapes(network, patch_size)]
    residual = network.family == "residual_unet"
    total = network.features[0] * volumes[0] if residual else 0
    for stage, (blocks, features, volume) in enumerate(zip(network.encoder_blocks, network.features, volumes, strict=True)):
        total += (2 * blocks + (stage > 0) if residual else blocks) * features * volume
    for convs, features, volume in zip(network.decoder_convs, network.features, volumes, strict=False):
        total += (convs + 1) * features * volume
    return total + (network.out_channels if labels is None else labels) * volumes[0]


def multiply_adds(network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
    """Multiply-adds of one forward pass of a batch (convolutions only; the output heads of deep supervision included)."""
    volumes = [prod(shape) for shape in stage_shapes(network, patch_size)]
    total = 0.0
    for stage, weights in enumerate(_stage_weights(network)):
        total += weights * volumes[stage]
    return total * batch_size


def n_parameters(network: NetworkSpec) -> int:
    """Trainable parameters: weights, biases, and the scale and shift of every instance normalisation."""
    extra = 1 if network.family == "unet2015" else 2  # per convolution and feature: a bias, or scale and shift
    total = network.features[0] * extra if network.family == "residual_unet" else 0
    for stage, features in enumerate(network.features):
        total += sum(weights + extra * features for weights in _encoder_weights(network, stage))
    for stage, features in enumerate(network.features[:-1]):
        up, *convs = _decoder_weights(network, stage)
        # a transposed convolution has a tap per position it writes to
        total += prod(network.strides[stage + 1]) * up + features + sum(weights + extra * features for weights in convs)
    for stage in range(network.n_stages):
        if _has_head(network, stage):
            total += (network.features[stage] + 1) * network.out_channels
    return total + _stem_weights(network)


def training_bytes(network: NetworkSpec, patch_size: Shape, batch_size: int, value_bytes: int) -> float:
    """Estimated peak memory of a training step.

    Against measured peaks of training on a CPU (2D 256^2, 3D 48^3 and 64^3, width 16): 0.8 to 1.4 of the estimate for plain and
    residual networks, 0.6 to 1.2 for that of 2015, which keeps no normalised copies.

    Args:
        network: the network.
        patch_size: spatial shape of its input.
        batch_size: samples per step.
        value_bytes: 4 for float32, 2 for bfloat16 and float16.
    """
    activations = conv_feature_elements(network, patch_size) * batch_size * value_bytes * TRAINING_COPIES
    return activations + n_parameters(network) * PARAMETER_BYTES


def _has_head(network: NetworkSpec, stage: int) -> bool:
    """Whether logits are put out at this stage."""
    return stage == 0 or (network.deep_supervision and stage < network.n_stages - 2)


def _stage_weights(network: NetworkSpec) -> list[float]:
    """Multiply-adds per output position of every stage, encoder and decoder together."""
    result = []
    for stage in range(network.n_stages):
        here = sum(_encoder_weights(network, stage)) + (_stem_weights(network) if stage == 0 else 0)
        if stage < network.n_stages - 1:
            # every output element of a transposed convolution with kernel = stride sees exactly one tap
            here += sum(_decoder_weights(network, stage))
        if _has_head(network, stage):
            here += network.features[stage] * network.out_channels
        result.append(float(here))
    return result


def _stem_weights(network: NetworkSpec) -> int:
    if network.family != "residual_unet":
        return 0
    return prod(network.kernel_sizes[0]) * network.in_channels * network.features[0]


def _encoder_weights(network: NetworkSpec, stage: int) -> list[int]:
    """Weights of every convolution of an encoder stage, the projection of a residual skip included."""
    features, taps, count = network.features[stage], prod(network.kernel_sizes[stage]), network.encoder_blocks[stage]
    residual = network.family == "residual_unet"
    first = network.features[0] if residual else network.in_channels
    before = first if stage == 0 else network.features[stage - 1]
    convs = 2 * count if residual else count
    projection = [before * features] if residual and before != features else []
    return [taps * before * features, *[taps * features**2] * (convs - 1), *projection]


def _decoder_weights(network: NetworkSpec, stage: int) -> list[int]:
    """Weights of a decoder stage: one tap of the transposed convolution, then every convolution."""
    features, taps = network.features[stage], prod(network.kernel_sizes[stage])
    count = network.decoder_convs[stage]
    convs = [taps * 2 * features * features, *[taps * features**2] * (count - 1)] if count else []
    return [network.features[stage + 1] * features, *convs]
