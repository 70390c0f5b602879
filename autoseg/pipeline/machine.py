"""The machine that a plan is made for: measured where the plan's size depends on it, named only where it does not."""

from __future__ import annotations

from typing import Literal, cast

from autoseg.progress import Progress
from autoseg.records import MachineProfile
from autoseg.stages.plan import PlanOptions, load_preset

NNUNET_MEMORY_BYTES = 8 * 10**9  # what nnU-Net's own preset is made for


def machine_for(device: str, options: PlanOptions, rank: int, progress: Progress) -> MachineProfile:
    """Describe the device, and probe its speed when the plan is to fit a time.

    A preset that plans as nnU-Net does looks at no device, so torch is not even imported for it.

    A device that is not here is planned for by its memory alone.

    Raises:
        PlanError: the device is not here, and its memory was not given either.
    """
    if load_preset(options.preset).budget is None:
        name = cast("Literal['cpu', 'cuda', 'mps']", "cuda" if device == "auto" else device)
        memory = int(options.memory_bytes or NNUNET_MEMORY_BYTES)
        return MachineProfile(device=name, name="not looked at", cores=0, memory_bytes=memory, precision="float32")
    progress.stage("measuring this machine (a few seconds)")
    from autoseg.engines.device import describe_machine, is_present, pick_device
    from autoseg.learning.probe import probe_machine

    if device != "auto" and options.memory_bytes and not is_present(device):
        named = cast("Literal['cpu', 'cuda', 'mps']", device)
        memory = int(options.memory_bytes)
        return MachineProfile(device=named, name="not here, not measured", cores=0, memory_bytes=memory, precision="bfloat16")
    chosen = pick_device(device)
    if chosen.type == "cuda" and options.time_budget_seconds is None:
        return describe_machine(chosen)
    return probe_machine(chosen, ranks=(2,) if rank == 2 else (2, 3))
