"""Costs worked out by hand on a two-stage network, and against the network itself."""

from __future__ import annotations

import pytest

from autoseg.networks import cost
from autoseg.records import NetworkSpec

# one input channel, 2 features at 4x4, 4 features at 2x2, 3 outputs
SMALL = NetworkSpec(
    rank=2,
    in_channels=1,
    out_channels=3,
    features=(2, 4),
    strides=((1, 1), (2, 2)),
    kernel_sizes=((3, 3), (3, 3)),
    encoder_blocks=(2,) * 2,
    decoder_convs=(2,) * 1,
)


def test_stage_shapes_round_up() -> None:
    assert cost.stage_shapes(SMALL, (4, 4)) == ((4, 4), (2, 2))
    assert cost.stage_shapes(SMALL, (5, 4)) == ((5, 4), (3, 2))


def test_feature_elements_by_hand() -> None:
    # encoder 2*2*16 + 2*4*4, decoder (1 transposed + 2) * 2 * 16, head 3 * 16
    assert cost.conv_feature_elements(SMALL, (4, 4)) == 64 + 32 + 96 + 48
    assert cost.conv_feature_elements(SMALL, (4, 4), labels=5) == 64 + 32 + 96 + 80


def test_multiply_adds_by_hand() -> None:
    encoder = 16 * 9 * (1 * 2 + 2 * 2) + 4 * 9 * (2 * 4 + 4 * 4)
    decoder = 16 * (4 * 2 + 9 * (4 * 2 + 2 * 2)) + 16 * 2 * 3
    assert cost.multiply_adds(SMALL, (4, 4), 1) == encoder + decoder
    assert cost.multiply_adds(SMALL, (4, 4), 3) == 3 * (encoder + decoder)


def test_parameters_by_hand() -> None:
    encoder = 9 * (2 + 4) + 2 * 4 + 9 * (8 + 16) + 2 * 8
    decoder = 4 * 4 * 2 + 2 + 9 * (8 + 4) + 2 * 4
    assert cost.n_parameters(SMALL) == encoder + decoder + 2 * 3 + 3


def test_training_bytes_grow_with_batch_and_precision() -> None:
    fixed = cost.n_parameters(SMALL) * cost.PARAMETER_BYTES
    one = cost.training_bytes(SMALL, (4, 4), 1, 2) - fixed
    assert one == pytest.approx(240 * 2 * cost.TRAINING_COPIES)
    assert cost.training_bytes(SMALL, (4, 4), 3, 4) - fixed == pytest.approx(6 * one)


@pytest.mark.parametrize("deep_supervision", [True, False])
def test_parameters_of_the_network_itself(deep_supervision: bool) -> None:
    unet = pytest.importorskip("autoseg.networks.unet")
    spec = NetworkSpec(
        rank=3,
        in_channels=2,
        out_channels=3,
        features=(4, 8, 16, 16),
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)),
        kernel_sizes=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        deep_supervision=deep_supervision,
        encoder_blocks=(2,) * 4,
        decoder_convs=(2,) * 3,
    )
    network = unet.build_network(spec)
    assert cost.n_parameters(spec) == sum(parameter.numel() for parameter in network.parameters())
