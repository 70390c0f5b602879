"""Small networks of every family, with normalisations that are no identities, and tiles for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from autoseg.networks.unet import build_network
from autoseg.records import NetworkSpec

PATCHES = {2: (32, 48), 3: (16, 24, 16)}
CASES = [(2, "plain_unet"), (3, "plain_unet"), (2, "residual_unet"), (3, "residual_unet"), (2, "unet2015"), (3, "unet2015")]


def small_spec(rank: Any = 2, family: Any = "plain_unet", in_channels: int = 2) -> NetworkSpec:
    residual = family == "residual_unet"
    return NetworkSpec(
        family=family,
        rank=rank,
        in_channels=in_channels,
        out_channels=3,
        features=(8, 16, 24),
        strides=((1,) * rank, (2,) * rank, (2,) * rank),
        kernel_sizes=((3,) * rank,) * 3,
        encoder_blocks=(1, 2, 1) if residual else (2, 2, 2),
        decoder_convs=(1, 1) if residual else (2, 2),
    )


def network_of(spec: NetworkSpec, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = build_network(spec).eval()
    for name, weights in network.named_parameters():
        if ".N." in name:  # as they begin, they would hide a mix-up of scale and shift
            nn.init.uniform_(weights, 0.5, 1.5)
    return network


def tiles_for(spec: NetworkSpec, count: int = 2, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, spec.in_channels, *PATCHES[spec.rank], generator=generator)


def distance(logits: torch.Tensor, reference: torch.Tensor) -> float:
    """Largest difference as a share of the largest logit."""
    assert logits.shape == reference.shape and logits.dtype == torch.float32
    return float((logits - reference).abs().max() / reference.abs().max())
