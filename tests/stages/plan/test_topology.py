"""Depth and pooling by hand."""

from __future__ import annotations

from autoseg.stages.plan.topology import network_of, topology, topology_2015


def test_isotropic_patch_is_halved_down_to_four() -> None:
    layout = topology((1.0, 1.0), (32, 16))
    # 32x16 -> 16x8 -> 8x4; then one axis alone is left with 8, and it would need 12
    assert layout.strides == ((1, 1), (2, 2), (2, 2))
    assert layout.kernel_sizes == ((3, 3),) * 3
    assert (layout.patch_size, layout.divisor) == ((32, 16), (4, 4))


def test_a_coarse_axis_waits_and_is_not_convolved() -> None:
    layout = topology((4.0, 1.0, 1.0), (16, 64, 64))
    assert layout.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert layout.kernel_sizes == ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))


def test_a_patch_is_padded_to_its_strides() -> None:
    assert topology((1.0, 1.0), (36.5, 50)).patch_size == (40, 56)


def test_a_tiny_patch_gets_one_stage() -> None:
    layout = topology((1.0, 1.0), (7, 5))
    assert (layout.strides, layout.patch_size) == (((1, 1),), (7, 5))


def test_features_double_up_to_the_limit() -> None:
    layout = topology((1.0, 1.0), (64, 64))
    network = network_of(layout, family="plain_unet", base_features=16, max_features=100, in_channels=3, out_channels=2)
    assert network.features == (16, 32, 64, 100, 100)
    assert (network.in_channels, network.out_channels, network.rank) == (3, 2, 2)


def test_residual_networks_have_more_blocks_the_deeper_they_get() -> None:
    layout = topology((1.0, 1.0), (128, 128))
    network = network_of(layout, family="residual_unet", base_features=32, max_features=512, in_channels=1, out_channels=2)
    assert network.encoder_blocks == (1, 3, 4, 6, 6, 6)
    assert network.decoder_convs == (1,) * 5


def test_the_layout_of_2015_halves_every_axis_four_times_at_most() -> None:
    large = topology_2015((1.0, 1.0), (500, 160))
    assert large.strides == ((1, 1), *((2, 2),) * 4)
    assert large.patch_size == (512, 160)
    flat = topology_2015((5.0, 1.0, 1.0), (9, 64, 30))  # 9 -> 5 pixels, 30 -> 15 -> 8 -> 4
    assert flat.strides == ((1, 1, 1), (2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 1))
    assert flat.patch_size == (10, 64, 32)
    assert topology_2015((1.0, 1.0), (7, 7)).strides == ((1, 1),)
