"""The machine that a plan is made for: measured where the plan's size depends on it, named only where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from autoseg.errors import PlanError
from autoseg.parallel import OtherLoad, available_cores
from autoseg.progress import Progress
from autoseg.records import Configuration, Dataset, MachineProfile, NetworkSpec, Plan, Shape
from autoseg.run_folder import RunFolder
from autoseg.stages.plan import PlanOptions, load_preset
from autoseg.stages.plan.timing import speed_of

NNUNET_MEMORY_BYTES = 8 * 10**9  # what nnU-Net's own preset is made for
PROBE_SECONDS = 20.0  # for all measuring
BUSY = 0.15  # of the cores taken by others, from which on it is told: a step then takes noticeably longer
ROUNDS = 12  # of planning and measuring what was planned, if they are quick
UNSEEN_PRECISION: dict[str, Literal["float32", "bfloat16"]] = {"cuda": "bfloat16", "mps": "float32", "cpu": "float32"}
STEPS_OF_A_PROBE = 4  # training steps and forward passes that a measurement takes at least, in training steps
AUGMENTED_OF_A_PROBE = 14  # samples that it augments


@dataclass(frozen=True)
class Workplace:
    """A machine, and whether it is the one at hand, on which more can be measured until `deadline` (monotonic seconds)."""

    profile: MachineProfile
    here: bool = False
    deadline: float = 0.0


def machine_for(
    device: str,
    options: PlanOptions,
    dataset: Dataset,
    progress: Progress,
    *,
    throughput: Path | None = None,
    measure: bool = False,
) -> Workplace:
    """Describe the device, and probe its speed.

    A preset that plans as nnU-Net does looks at no device, so torch is not even imported for it, unless `measure` asks for its
    speed all the same. `throughput` is the machine.json of another machine. A device that is not here is planned for by its
    memory alone.

    Raises:
        PlanError: the device is not here, and its memory was not given either; or it is not that of `throughput`.
        RecordError: `throughput` is no profile.
    """
    if throughput is not None:
        return Workplace(_profile_of(throughput, device, options))
    if load_preset(options.preset).budget is None and not measure:
        return Workplace(unseen_machine(device, options, None))
    progress.stage(f"measuring this machine (at most {PROBE_SECONDS:.0f} seconds)")
    deadline = time.monotonic() + PROBE_SECONDS
    from autoseg.engines.device import is_present, pick_device
    from autoseg.learning.probe import probe_machine

    if device != "auto" and options.memory_bytes and not is_present(device):
        return Workplace(unseen_machine(device, options, None))
    outputs = len(dataset.targets) + (not dataset.regions)
    profile = probe_machine(pick_device(device), (2,) if dataset.rank == 2 else (2, 3), len(dataset.channels), outputs)
    return Workplace(profile, here=True, deadline=deadline)


def refuse_absent_device(device: str, options: PlanOptions, throughput: Path | None) -> None:
    """Before the data are read, what `machine_for` would find only after it.

    Raises:
        PlanError, RecordError: as there.
    """
    if throughput is not None:
        _profile_of(throughput, device, options)
    elif device not in ("auto", "cpu") and not options.memory_bytes and load_preset(options.preset).budget is not None:
        from autoseg.engines.device import pick_device

        pick_device(device)


def unseen_machine(device: str, options: PlanOptions, throughput: Path | None) -> MachineProfile:
    """A machine that is planned for without looking at any: that of `throughput`, or one of a kind, with typical speed.

    Raises:
        PlanError, RecordError: `throughput` is of another device, or no profile.
    """
    if throughput is not None:
        return _profile_of(throughput, device, options)
    name = cast("Literal['cpu', 'cuda', 'mps']", "cuda" if device == "auto" else device.partition(":")[0])
    memory = int(options.memory_bytes or NNUNET_MEMORY_BYTES)
    cores = available_cores() if name == "cpu" else 0
    return MachineProfile(
        device=name, name="a machine that was not looked at", cores=cores, memory_bytes=memory, precision=UNSEEN_PRECISION[name]
    )


def plan_and_measure(place: Workplace, make: Callable[[MachineProfile], Plan], progress: Progress) -> tuple[Plan, MachineProfile]:
    """Plan, measure the very networks that were chosen, and plan again, until the choice stands on measurements of its own.

    So the predicted time is that of the planned network, not of one like it; of volumes those of the 2D and of the 3D network,
    which compete. Ends early when the time for measuring is used up; what does not fit the memory is tried once.
    """
    machine = place.profile
    plan = make(machine)
    tried: set[tuple[NetworkSpec, Shape, int]] = set()
    for _ in range(ROUNDS if place.here else 0):
        more = None
        for configuration in _competing(plan):
            key = (configuration.network, configuration.training.patch_size, configuration.training.batch_size)
            if more is None and key not in tried:
                tried.add(key)
                more = _measured(machine, configuration, place.deadline)
        if more is None:
            break
        machine = more
        plan = make(machine)
    progress.advance(1)
    return plan, machine


def told_of_others(load: OtherLoad, place: Workplace, plan: Plan) -> str | None:
    """What to say when other programs kept the processor busy while it was measured for a plan; None: nothing."""
    training = plan.configurations[plan.default].training
    if not place.here or plan.device != "cpu" or load.share <= BUSY or training.time_budget_seconds is None:
        return None
    return (
        f"warning: other programs kept {load.cores:.1f} of {load.available} cores busy while this machine was measured, and the plan is "
        "made for what they left; planned on a quiet machine, the same time buys a larger training"
    )


def _competing(plan: Plan) -> list[Configuration]:
    """The default configuration, and those that could have been it; the stages of a cascade could not."""
    others = [c for c in plan.configurations.values() if c.previous_stage is None and c.next_stage is None]
    return sorted(others, key=lambda configuration: configuration.name != plan.default)


def _measured(machine: MachineProfile, chosen: Configuration, deadline: float) -> MachineProfile | None:
    """The profile with a probe of a configuration's network; None where there is one already, or no time for it."""
    import torch

    from autoseg.learning.probe import measure

    network, patch, batch = chosen.network, chosen.training.patch_size, chosen.training.batch_size
    speed = speed_of(machine, network.rank)
    expected = STEPS_OF_A_PROBE * speed.step_seconds(network, patch, batch)
    expected += AUGMENTED_OF_A_PROBE / batch * speed.data_seconds(network, patch, batch)
    if speed.probe_of(network, patch, batch) or time.monotonic() + expected > deadline:
        return None
    try:
        probe = measure(network, patch, batch, torch.device(machine.device), machine.precision)
    except (MemoryError, RuntimeError):  # planning goes on with what is known; training would say it by name
        return None
    return machine.model_copy(update={"throughput": (*machine.throughput, probe)})


def _profile_of(path: Path, device: str, options: PlanOptions) -> MachineProfile:
    profile = RunFolder.open(path).machine() if path.is_dir() else MachineProfile.load(path)
    if device.partition(":")[0] not in ("auto", profile.device):
        raise PlanError(
            f"--device {device}, but {path} was measured on {profile.device}; leave --device away, or give another file"
        )
    if not profile.throughput:
        raise PlanError(
            f"{path} holds no measured throughput; plan on that machine without --preset nnunet, and take its machine.json"
        )
    return profile.model_copy(update={"memory_bytes": int(options.memory_bytes)}) if options.memory_bytes else profile
