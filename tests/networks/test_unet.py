"""The U-Net's topology: sizes, heads, and parameters counted by hand."""

from __future__ import annotations

import pytest
import torch

from autoseg.networks.unet import build_network, count_parameters
from autoseg.records import NetworkSpec
from tests.learning.cases import small_configuration


def test_parameters_of_a_two_stage_network() -> None:
    """Convolutions 9*(1*4 + 4*4) + 9*(4*8 + 8*8); up 4*8*4 + 4; decoder 9*(8*4 + 4*4); norms 2*(4+4+8+8+4+4); head 4*2 + 2."""
    spec = NetworkSpec(
        rank=2,
        in_channels=1,
        out_channels=2,
        features=(4, 8),
        strides=((1, 1), (2, 2)),
        kernel_sizes=((3, 3), (3, 3)),
        encoder_blocks=(2,) * 2,
        decoder_convs=(2,) * 1,
    )
    expected = 9 * (4 + 16) + 9 * (32 + 64) + (128 + 4) + 9 * (32 + 16) + 2 * 32 + 10
    assert count_parameters(build_network(spec)) == expected


@pytest.mark.parametrize("patch", [(32, 48), (16, 16, 24)])
def test_shapes(patch: tuple[int, ...]) -> None:
    spec = small_configuration(patch=patch, out_channels=5).network
    rank = len(patch)
    deeper = {
        "features": (4, 8, 8, 8),
        "strides": (*spec.strides, (2,) * rank),
        "kernel_sizes": (*spec.kernel_sizes, (3,) * rank),
        "encoder_blocks": (2,) * 4,
        "decoder_convs": (2,) * 3,
    }
    spec = spec.model_copy(update=deeper)
    network = build_network(spec)
    outputs = network.train()(torch.randn(2, 1, *patch))
    assert [tuple(output.shape) for output in outputs] == [(2, 5, *patch), (2, 5, *(n // 2 for n in patch))]
    assert network.eval()(torch.randn(2, 1, *patch)).shape == (2, 5, *patch)


def test_anisotropic_strides() -> None:
    spec = NetworkSpec(
        rank=3,
        in_channels=2,
        out_channels=3,
        features=(4, 8, 8),
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        kernel_sizes=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        encoder_blocks=(2,) * 3,
        decoder_convs=(2,) * 2,
    )
    assert spec.divisor == (2, 4, 4)
    assert build_network(spec).eval()(torch.randn(1, 2, 6, 16, 20)).shape == (1, 3, 6, 16, 20)


def test_every_parameter_learns() -> None:
    network = build_network(small_configuration().network).train()
    sum(output.square().mean() for output in network(torch.randn(2, 1, 32, 32))).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
