"""What the device module says of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from autoseg.engines.device import laid, peak_memory, pick_device, place
from autoseg.errors import PlanError


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its largest resident size")
def test_memory_that_was_used_before_is_counted_again() -> None:
    """An allocator that keeps what was freed would let the second use of 200 MB look like none."""

    def use() -> bytearray:
        blocks = [bytearray(100_000) for _ in range(2000)]  # below malloc's threshold for pages of their own
        return blocks[-1]  # holds the end of the heap, so that freeing the others gives nothing back

    kept, peaks = [], []
    for _ in range(2):
        with peak_memory(torch.device("cpu")) as peak:
            kept.append(use())
        peaks.append(peak.bytes)
    assert [peak is not None and 1.9e8 < peak < 3e8 for peak in peaks] == [True, True], peaks


@pytest.mark.parametrize("rank", [2, 3])
def test_weights_are_laid_there_and_back(rank: int) -> None:
    network = (nn.Conv2d if rank == 2 else nn.Conv3d)(4, 8, 3)
    values = network.weight.detach().clone()
    place(network, torch.device("cpu"), "channels_last")
    assert not network.weight.is_contiguous()
    place(network, torch.device("cpu"), "contiguous")
    assert network.weight.is_contiguous()
    assert torch.equal(network.weight, values)
    images = torch.randn(2, 4, *(5,) * rank)
    assert not laid(images, "channels_last").is_contiguous()
    assert torch.equal(laid(laid(images, "channels_last"), "contiguous"), images)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(PlanError, match="there is no device cuda:2; there are 2 GPUs"):
        pick_device("cuda:2")
