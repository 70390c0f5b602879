"""Faults of a configuration that field types cannot see: sizes that do not go together."""

from __future__ import annotations

from autoseg.records import Configuration
from autoseg.stages.plan.patch import nearest_divisible


def configuration_faults(configuration: Configuration) -> list[str]:
    """Every fault as `path: what is wrong, and the cure`; empty when the configuration can be trained."""
    network, training = configuration.network, configuration.training
    faults = _network_faults(configuration)
    if len(training.patch_size) != network.rank:
        faults.append(f"training.patch_size: {_text(training.patch_size)} must have {network.rank} axes, as the network has")
    elif not faults and any(n % d or n < d for n, d in zip(training.patch_size, network.divisor, strict=True)):
        nearest = nearest_divisible(training.patch_size, network.divisor)
        faults.append(
            f"training.patch_size: {_text(training.patch_size)} is not a multiple of the network's strides "
            f"{_text(network.divisor)}; the nearest that is: {','.join(map(str, nearest))}"
        )
    numbers = {
        "training.batch_size": training.batch_size,
        "training.epochs": training.epochs,
        "training.steps_per_epoch": training.steps_per_epoch,
        "training.initial_lr": training.initial_lr,
        "training.gradient_clip": training.gradient_clip,
        "inference.tile_batch_size": configuration.inference.tile_batch_size,
        "inference.step_fraction": configuration.inference.step_fraction,
    }
    faults += [f"{path}: {value} must be above 0" for path, value in numbers.items() if value <= 0]
    shares = {
        "inference.step_fraction": configuration.inference.step_fraction,
        "training.foreground_fraction": training.foreground_fraction,
    }
    faults += [f"{path}: {value} must be at most 1" for path, value in shares.items() if value > 1]
    mirroring = {"training.mirror_axes": training.mirror_axes, "inference.mirror_axes": configuration.inference.mirror_axes}
    for path, axes in mirroring.items():
        if any(not 0 <= axis < network.rank for axis in axes) or len(set(axes)) < len(axes):
            faults.append(f"{path}: {_text(axes)} must be different axes of 0 .. {network.rank - 1}")
    spacing = configuration.preparation.spacing_mm
    if spacing is not None and any(value is not None and value <= 0 for value in spacing):
        faults.append(f"preparation.spacing_mm: {spacing} must be above 0")
    return faults


def _network_faults(configuration: Configuration) -> list[str]:
    network, faults = configuration.network, []
    stages = {"features": len(network.features), "strides": len(network.strides), "kernel_sizes": len(network.kernel_sizes)}
    if len(set(stages.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in stages.items())
        faults.append(f"network: one entry per stage is needed, but there are {counts}; set them together")
    for name, shapes in (("strides", network.strides), ("kernel_sizes", network.kernel_sizes)):
        if any(len(shape) != network.rank or min(shape) < 1 for shape in shapes):
            faults.append(f"network.{name}: every entry needs {network.rank} positive numbers")
    if any(k % 2 == 0 for shape in network.kernel_sizes for k in shape):
        faults.append("network.kernel_sizes: kernels must be odd")
    if any(count < 1 for count in network.features):
        faults.append("network.features: must be above 0")
    return faults


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "none"
