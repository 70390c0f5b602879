"""Instance normalisation and leaky ReLU at once, against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autoseg.networks.normalise import InstanceNormAct, channels_last, lies_channels_last


def layers(rank: int, act: bool) -> tuple[nn.Module, nn.LeakyReLU | None]:
    norm = (nn.InstanceNorm2d if rank == 2 else nn.InstanceNorm3d)(6, affine=True)
    generator = torch.Generator().manual_seed(1)
    norm.weight.data.uniform_(-1.5, 1.5, generator=generator)
    norm.bias.data.normal_(generator=generator)
    return norm, nn.LeakyReLU(0.01) if act else None


def values_and_gradients(run: nn.Module, norm: nn.Module, x: Tensor, upstream: Tensor) -> list[Tensor]:
    norm.zero_grad()
    x = x.detach().requires_grad_(True)
    y = run(x)
    y.backward(upstream)
    return [y.detach(), x.grad, norm.weight.grad, norm.bias.grad]


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize("lying", ["contiguous", "channels_last"])
def test_as_the_two_modules_one_after_the_other(rank: int, act: bool, lying: str) -> None:
    norm, rectify = layers(rank, act)
    generator = torch.Generator().manual_seed(0)
    shape = (2, 6, *(7, 5, 8)[:rank])
    x, upstream = (torch.randn(shape, generator=generator) * 3 + 1 for _ in range(2))
    if lying == "channels_last":
        x = x.contiguous(memory_format=channels_last(rank))
    ours = values_and_gradients(InstanceNormAct(norm, rectify), norm, x, upstream)
    theirs = values_and_gradients(nn.Sequential(norm, *([rectify] if rectify else [])), norm, x, upstream)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-4, atol=2e-5)
    assert lies_channels_last(ours[0]) == (lying == "channels_last")


def test_bfloat16_is_as_near_to_the_truth_as_pytorchs() -> None:
    norm, rectify = layers(3, True)
    generator = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn((2, 6, 12, 14, 10), generator=generator) * 2 + 0.5 for _ in range(2))
    truth = values_and_gradients(nn.Sequential(norm, rectify), norm, x.bfloat16().float(), upstream.bfloat16().float())
    half = x.bfloat16()
    lain = half.contiguous(memory_format=torch.channels_last_3d)
    ours = values_and_gradients(InstanceNormAct(norm, rectify), norm, lain, upstream.bfloat16())
    theirs = values_and_gradients(nn.Sequential(norm, rectify), norm, half, upstream.bfloat16())
    for true, mine, other in zip(truth, ours, theirs, strict=True):
        # where rounding moves a value across zero, its gradient changes by the slope, in either implementation: so by the norm
        error, theirs_error = (float((value.float() - true).norm() / true.norm()) for value in (mine, other))
        assert error < max(0.01, 1.5 * theirs_error)


def test_gradients_by_finite_differences() -> None:
    norm, rectify = layers(2, True)
    module = InstanceNormAct(norm, rectify).double()
    x = torch.randn((1, 6, 3, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
    assert torch.autograd.gradcheck(module, (x,))
