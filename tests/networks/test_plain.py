"""The copy in torch's own layers computes the same, and leaves the network as it was."""

from __future__ import annotations

import pytest
import torch

from autoseg.networks.normalise import InstanceNormAct
from autoseg.networks.plain import plain
from autoseg.networks.unet import build_network
from tests.engines.networks import CASES, network_of, small_spec, tiles_for


@pytest.mark.parametrize(("rank", "family"), CASES)
def test_equal_to_the_bit_and_without_layers_of_our_own(rank: int, family: str) -> None:
    spec = small_spec(rank, family)
    network = network_of(spec)
    copied = plain(network)
    tiles = tiles_for(spec)
    with torch.inference_mode():
        assert torch.equal(copied(tiles), network(tiles))
    assert not any(isinstance(module, InstanceNormAct) for module in copied.modules())
    assert any(isinstance(module, InstanceNormAct) for module in network.modules()) == (family != "unet2015")


def test_names_of_weights_stay_and_weights_are_copied() -> None:
    network = network_of(small_spec())
    copied = plain(network)
    build_network(small_spec()).load_state_dict(copied.state_dict())
    with torch.no_grad():
        next(copied.parameters()).zero_()
    assert next(network.parameters()).abs().sum() > 0


def test_a_network_in_training_and_laid_channels_last_comes_out_plain() -> None:
    spec = small_spec()
    network = network_of(spec)
    tiles = tiles_for(spec)
    with torch.inference_mode():
        expected = network(tiles)
    network.to(memory_format=torch.channels_last).train()
    copied = plain(network)
    assert not copied.training and network.training
    assert all(weight.is_contiguous() for weight in copied.parameters())
    with torch.inference_mode():
        assert torch.equal(copied(tiles), expected)
