"""Every family: its shapes, and its costs in closed form against the network itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autoseg.networks import cost
from autoseg.networks.unet import build_network, count_parameters
from autoseg.records import NetworkSpec
from autoseg.records.plan import NetworkFamily
from autoseg.stages.plan.topology import Topology, network_of

FAMILIES: tuple[NetworkFamily, ...] = ("plain_unet", "residual_unet", "unet2015")
FLAT = Topology(((1, 1), (2, 2), (2, 2), (2, 2)), ((3, 3),) * 4, (32, 48), (8, 8))
COARSE_SLICES = Topology(
    ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)), ((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)), (8, 16, 24), (4, 8, 8)
)
ONE_STAGE = Topology(((1, 1),), ((3, 3),), (5, 7), (1, 1))


def spec_of(family: NetworkFamily, layout: Topology, most: int = 16) -> NetworkSpec:
    """Features 4, 8, 16, 16: the last stage changes no width, so that a residual skip is not projected there."""
    return network_of(layout, family=family, base_features=4, max_features=most, in_channels=2, out_channels=3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layout", [FLAT, COARSE_SLICES, ONE_STAGE])
def test_shapes(family: NetworkFamily, layout: Topology) -> None:
    network = build_network(spec_of(family, layout))
    image = torch.randn(2, 2, *layout.patch_size)
    assert network.eval()(image).shape == (2, 3, *layout.patch_size)
    outputs = network.train()(image)
    if family == "unet2015":
        assert outputs.shape == (2, 3, *layout.patch_size)
    else:
        assert outputs[0].shape[2:] == layout.patch_size
        assert len(outputs) == max(1, len(layout.strides) - 2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layout", [FLAT, COARSE_SLICES, ONE_STAGE])
def test_costs_are_those_of_the_network(family: NetworkFamily, layout: Topology) -> None:
    spec = spec_of(family, layout)
    network = build_network(spec).train()
    counted = {"work": 0.0, "elements": 0}

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        per_output = module.weight.numel() / output.shape[1]
        if module.transposed:  # type: ignore[truthy-bool]
            per_output /= torch.tensor(module.stride).prod().item()
        counted["work"] += per_output * output.numel()
        counted["elements"] += output.numel()

    for module in network.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            module.register_forward_hook(count)
    network(torch.randn(1, 2, *layout.patch_size))
    assert cost.multiply_adds(spec, layout.patch_size, 1) == counted["work"]
    assert cost.n_parameters(spec) == count_parameters(network)
    counted["elements"] = 0
    network.eval()(torch.randn(1, 2, *layout.patch_size))
    pooled_only = 0  # skips that nnU-Net counts though they are not projected
    if family == "residual_unet" and layout is not ONE_STAGE:
        pooled_only = 16 * torch.tensor(cost.stage_shapes(spec, layout.patch_size)[3]).prod().item()
    assert cost.conv_feature_elements(spec, layout.patch_size) == counted["elements"] + pooled_only


def test_a_residual_block_starts_as_its_skip() -> None:
    network = build_network(spec_of("residual_unet", FLAT)).eval()
    block = network.encoder[0][0]  # no stride, no projection: the skip is the identity
    image = torch.randn(1, 4, 32, 48)
    assert torch.equal(block(image), nn.functional.leaky_relu(image, 0.01))


def test_the_unet_of_2015() -> None:
    """31 million parameters for one channel and two classes: the paper's network (31,030,593 with one output and this padding)."""
    layout = Topology(((1, 1), (2, 2), (2, 2), (2, 2), (2, 2)), ((3, 3),) * 5, (64, 64), (16, 16))
    spec = network_of(layout, family="unet2015", base_features=64, max_features=1024, in_channels=1, out_channels=1)
    assert spec.features == (64, 128, 256, 512, 1024)
    assert not spec.deep_supervision
    assert cost.n_parameters(spec) == 31_030_593


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns(family: NetworkFamily) -> None:
    """A bright square in noise, thirty steps of nnU-Net's optimiser."""
    torch.manual_seed(0)
    spec = spec_of(family, FLAT)
    network = build_network(spec).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, nesterov=True)
    losses = []
    for step in range(30):
        image, labels = torch.randn(4, 2, 32, 48), torch.zeros(4, 32, 48, dtype=torch.long)
        row, column = 3 + step % 10, 5 + step % 20
        image[:, :, row : row + 12, column : column + 12] += 3
        labels[:, row : row + 12, column : column + 12] = 1
        outputs = network(image)
        finest = outputs[0] if isinstance(outputs, list) else outputs
        loss = nn.functional.cross_entropy(finest, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
