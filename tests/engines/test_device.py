"""What the device module says of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autoseg.engines.device import peak_memory


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
