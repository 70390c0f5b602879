"""A network in torch's own layers alone, for converters that follow a network layer by layer."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TypeVar

import torch
from torch import nn

from autoseg.networks.normalise import InstanceNormAct

Network = TypeVar("Network", bound=nn.Module)


def plain(network: Network) -> Network:
    """A copy that computes the same with `InstanceNorm` and `LeakyReLU` of torch, in eval mode and contiguous on the CPU.

    Names of weights stay. `InstanceNormAct` chooses its arithmetic by how a tensor lies in memory, and a converter would keep
    whichever branch its example took.
    """
    result = copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for parent in list(result.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNormAct):
                layers = [("N", child.N)] if child.A is None else [("N", child.N), ("A", child.A)]
                setattr(parent, name, nn.Sequential(OrderedDict(layers)))
    return result
