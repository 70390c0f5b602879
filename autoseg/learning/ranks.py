"""Several processes that train one network together: plain PyTorch under `torchrun`, each with a part of every batch.

A batch is the same however many processes share it, and so are loss and gradients, to rounding: Dice and cross-entropy are
taken over the whole batch (`learning/loss.py`), and DistributedDataParallel averages the gradients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from autoseg.engines.device import pick_device
from autoseg.errors import PlanError, StoppedElsewhere

T = TypeVar("T")
PATIENCE = timedelta(days=2)  # the others wait while the first process prepares cases and validates


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; `rank` 0 writes files and speaks."""

    rank: int = 0
    size: int = 1
    patient: dist.ProcessGroup | None = None  # through which they wait for one another, for hours where need be

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def part_of(self, batch_size: int) -> slice:
        """Samples of a batch that fall to this process: as even as can be, the first ones get what is left over."""
        share, rest = divmod(batch_size, self.size)
        start = self.rank * share + min(self.rank, rest)
        return slice(start, start + share + (self.rank < rest))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, without a gradient; `values` is left as it is."""
        if self.size == 1:
            return values.detach()
        summed = values.detach().clone()
        dist.all_reduce(summed)
        return summed

    def agreed(self, value: T) -> T:
        """What the first process has: for what is decided by the clock, or read from files that only it writes."""
        if self.size == 1:
            return value
        held: list[T] = [value]
        dist.broadcast_object_list(held, src=0, group=self.patient)
        return held[0]

    def gathered(self, values: Sequence[T]) -> tuple[T, ...]:
        """What all processes have, in their order."""
        if self.size == 1:
            return tuple(values)
        held: list[Sequence[T]] = [()] * self.size
        dist.all_gather_object(held, values, group=self.patient)
        return tuple(value for part in held for value in part)

    def only_first(self, work: Callable[[], T]) -> T | None:
        """Let the first process do something while the others wait; what it returns there, None elsewhere.

        Raises:
            StoppedElsewhere: in the other processes, where the work failed; the first one raises what happened.
        """
        if self.size == 1:
            return work()
        result, failure = None, None
        if self.first:
            try:
                result = work()
            except BaseException as error:  # Ctrl-C, too: the others must not wait for ever
                failure = error
        failed = self.agreed(failure is not None)
        if failure is not None:
            raise failure
        if failed:
            raise StoppedElsewhere("the first of the processes that train together has stopped; its message tells why")
        return result

    def wait(self) -> None:
        """Until all processes have come here."""
        if self.size > 1:
            dist.barrier(group=self.patient)

    def shared(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network with its gradients averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


ALONE = Ranks()


def is_launched() -> bool:
    """Whether `torchrun` started this process among others."""
    return dist.is_available() and dist.is_torchelastic_launched()


@contextlib.contextmanager
def joined_ranks(batch_size: int, device: str) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, for as long as the body runs; alone without it.

    Raises:
        PlanError: there are more processes than samples in a batch.
    """
    if not is_launched():
        yield ALONE
        return
    mine = own_device(pick_device(device))
    if mine.type == "cuda":
        torch.cuda.set_device(mine)
    dist.init_process_group("nccl" if mine.type == "cuda" else "gloo")
    try:
        size = dist.get_world_size()
        if size > batch_size:
            raise PlanError(
                f"{size} processes cannot share a batch of {batch_size}; start at most {batch_size}, or plan with "
                f"--set training.batch_size={size}"
            )
        yield Ranks(dist.get_rank(), size, dist.new_group(backend="gloo", timeout=PATIENCE))
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The CUDA device that falls to this process on its machine; other devices as they are."""
    if device.type == "cuda" and is_launched():
        return pick_device(f"cuda:{dist.get_node_local_rank(fallback_rank=0)}")
    return device
