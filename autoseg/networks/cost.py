"""What a U-Net costs, in closed form and without torch: feature map elements, multiply-adds, parameters, training memory.

All functions count the network that `NetworkSpec` describes: per encoder stage its `encoder_blocks` convolutions (the first
one strided), per decoder stage a transposed convolution with kernel = stride followed by its `decoder_convs` convolutions
on the concatenation with the skip, instance normalisation after every convolution, and a 1x1 output head at full
resolution; with deep supervision also at every other decoder resolution but the coarsest, whose loss weight is zero.
Convolutions in front of a normalisation have no bias, transposed ones and heads have one.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.records import NetworkSpec, Shape

# Bytes held per convolution output element and byte of precision while training: the output itself, its normalised copy,
# the gradient passing through, and workspaces. nnU-Net's reference (two samples of 560e6 elements in 16 bit) uses 7.7 GB.
TRAINING_COPIES = 7.7e9 / (2 * 560e6 * 2)
PARAMETER_BYTES = 16  # float32 weight, gradient, momentum, and one copy in the autocast type and for saving


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
    sum_s n F_s V_s + sum_decoder (n + 1) F_skip V_skip + C V_0.

    Args:
        network: the network.
        patch_size: spatial shape of its input.
        labels: C; nnU-Net counts all declared labels, background and ignore included. Default: the output channels.
    """
    volumes = [prod(shape) for shape in stage_shapes(network, patch_size)]
    encoder = sum(n * f * volume for n, f, volume in zip(network.encoder_blocks, network.features, volumes, strict=True))
    decoder = sum((n + 1) * f * volume for n, f, volume in zip(network.decoder_convs, network.features, volumes, strict=False))
    return encoder + decoder + (network.out_channels if labels is None else labels) * volumes[0]


def multiply_adds(network: NetworkSpec, patch_size: Shape, batch_size: int) -> float:
    """Multiply-adds of one forward pass of a batch (convolutions only; the output heads of deep supervision included)."""
    volumes = [prod(shape) for shape in stage_shapes(network, patch_size)]
    total = 0.0
    for stage, weights in enumerate(_stage_weights(network)):
        total += weights * volumes[stage]
    return total * batch_size


def n_parameters(network: NetworkSpec) -> int:
    """Trainable parameters: weights, biases, and the scale and shift of every instance normalisation."""
    total = 0
    for stage, features in enumerate(network.features):
        n = network.encoder_blocks[stage]
        before = network.in_channels if stage == 0 else network.features[stage - 1]
        taps = prod(network.kernel_sizes[stage])
        total += taps * features * (before + (n - 1) * features) + n * 2 * features
    for stage, features in enumerate(network.features[:-1]):
        n = network.decoder_convs[stage]
        taps, taps_up = prod(network.kernel_sizes[stage]), prod(network.strides[stage + 1])
        total += taps_up * network.features[stage + 1] * features + features
        total += taps * features * (2 * features + (n - 1) * features) + n * 2 * features
        if _has_head(network, stage):
            total += features * network.out_channels + network.out_channels
    return total


def training_bytes(network: NetworkSpec, patch_size: Shape, batch_size: int, value_bytes: int) -> float:
    """Estimated peak memory of a training step.

    Args:
        network: the network.
        patch_size: spatial shape of its input.
        batch_size: samples per step.
        value_bytes: 4 for float32, 2 for bfloat16 and float16.
    """
    activations = conv_feature_elements(network, patch_size) * batch_size * value_bytes * TRAINING_COPIES
    return activations + n_parameters(network) * PARAMETER_BYTES


def _has_head(network: NetworkSpec, stage: int) -> bool:
    """Whether the decoder puts out logits at this stage."""
    return stage == 0 or (network.deep_supervision and stage < network.n_stages - 2)


def _stage_weights(network: NetworkSpec) -> list[float]:
    """Multiply-adds per output element position of every stage, encoder and decoder together."""
    weights = []
    for stage, features in enumerate(network.features):
        n = network.encoder_blocks[stage]
        before = network.in_channels if stage == 0 else network.features[stage - 1]
        taps = prod(network.kernel_sizes[stage])
        here = float(taps * features * (before + (n - 1) * features))
        if stage < network.n_stages - 1:
            n = network.decoder_convs[stage]
            # every output element of a transposed convolution with kernel = stride sees exactly one tap
            here += network.features[stage + 1] * features
            here += taps * features * (2 * features + (n - 1) * features)
            if _has_head(network, stage):
                here += features * network.out_channels
        weights.append(here)
    return weights
