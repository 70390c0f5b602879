"""How long it takes to read and augment a sample, by parts, against batchgeneratorsv2; and what it costs a GPU.

    python tools/measure_augmentation.py FOLDER [--device cuda] [--threads 1] [--preset default] [--run RUN ...]

FOLDER receives cases of noise and blobs, prepared as preprocessing does. With --run the prepared cases and the patches of runs are
taken instead. Both backends alternate on the same steps; medians over rounds, in
milliseconds per sample. Then, by the same draws, what each transform does to a voxel: bytes moved and floating-point operations,
times how often it fires, and the kernels launched for a batch on a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from autoseg.engines.device import synchronize
from autoseg.learning.augmentation import Augmentation
from autoseg.learning.augmentation.intensity import vary_values
from autoseg.learning.sampler import PatchSampler
from autoseg.processing.prepare import prepare_image
from autoseg.processing.store import PreparedCase, open_case, sample_locations, write_case
from autoseg.records import Normalization, Preparation, TrainingSpec
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.augmentation import augmentation_for
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

BYTES_PER_SECOND = 1e12  # of a GPU's memory: the assumption
LAUNCH_SECONDS = 5e-6
CASES = 8


@dataclass(frozen=True)
class Setting:
    patch: tuple[int, ...]
    batch: int
    shape: tuple[int, ...]  # of a case
    classes: int


SETTINGS = (
    Setting((40, 56, 40), 6, (44, 58, 44), 3),
    Setting((256, 256), 2, (270, 380), 2),
    Setting((640, 896), 6, (640, 900), 2),
    Setting((256, 256), 2, (270, 380), 9),
    Setting((40, 56, 40), 6, (44, 58, 44), 9),
    Setting((128, 128, 128), 2, (160, 200, 200), 4),
)


@dataclass(frozen=True)
class Work:
    """Of one transform, per voxel and channel: elements read and written (4 bytes each), operations, and kernels per call."""

    moved: float
    operations: float
    kernels: float


def works(rank: int) -> dict[str, Work]:
    """By reading intensity.py and spatial.py: one pass reads and writes what it touches; a power counts as 20 operations."""
    corners, taps = 2**rank, 5.8  # mean size of a kernel for sigma 0.5 to 1
    return {
        "read into the batch": Work(2, 0, 1),
        "turn, scale (1 label)": Work(2 * rank + 2 * rank + 2 + 6, 2 * rank * rank + 2 * corners * 3 + 8 * rank, 22),
        "noise": Work(4, 12, 3),
        "blur": Work(rank * (2 + 3 * taps), rank * 2 * taps, rank * (8 + taps) + 2),
        "brightness": Work(2, 1, 2),
        "contrast": Work(3 + 6, 8, 10),
        "low resolution": Work(5, 3 * corners, 3),
        "inverted gamma": Work(15, 32, 16),
        "gamma": Work(15, 32, 16),
        "mirror": Work(2 * 1.25, 0, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--settings", type=int, nargs="*", default=range(len(SETTINGS)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"device {device}, {options.threads} threads, preset {options.preset}; milliseconds per sample, medians")
    print(
        f"{'patch':>16} {'batch':>5} {'labels':>6} | {'ours':>6} = {'read':>6} + {'spatial':>7} + {'values':>6} | {'library':>7}"
    )
    given = [of_run(run) for run in options.run] or [
        (SETTINGS[index], prepared(options.folder / str(index), SETTINGS[index])) for index in options.settings
    ]
    for setting, cases in given:
        measured = measure(setting, cases, options.preset, device, options.rounds, options.steps)
        size = "x".join(map(str, setting.patch))
        ours = f"{measured['ours']:6.2f} = {measured['read']:6.2f} + {measured['spatial']:7.2f} + {measured['values']:6.2f}"
        print(f"{size:>16} {setting.batch:5} {setting.classes:6} | {ours} | {measured['library']:7.2f}", flush=True)
    print("\non a GPU, expected over the draws: bytes and operations per voxel and channel, kernels per batch")
    for setting, _ in given:
        count(setting, options.preset)


def of_run(run: Path) -> tuple[Setting, list[PreparedCase]]:
    """Patch, batch and prepared cases of a run's default configuration."""
    folder = RunFolder.open(run)
    plan = folder.plan()
    chosen = plan.configurations[plan.default]
    names = [path.stem for path in sorted(folder.prepared(chosen).glob("*.json"))][:CASES]
    cases = [open_case(folder.prepared(chosen), name).load_into_memory() for name in names]
    training = chosen.training
    return Setting(training.patch_size, training.batch_size, cases[0].shape, 1 + len(plan.targets)), cases


def training_of(setting: Setting) -> TrainingSpec:
    rank = len(setting.patch)
    return TrainingSpec(
        patch_size=setting.patch,
        batch_size=setting.batch,
        epochs=1,
        steps_per_epoch=1,
        validation_steps=1,
        batch_dice=True,
        mirror_axes=tuple(range(rank)),
    )


def measure(
    setting: Setting, cases: list[PreparedCase], preset: str, device: torch.device, rounds: int, steps: int
) -> dict[str, float]:
    """Milliseconds per sample of either backend, and of our parts, over the same steps in every round."""
    spec, training = augmentation_for(preset, setting.patch), training_of(setting)
    axes = training.mirror_axes
    ours = Augmentation(spec, setting.patch, axes, channels=1)
    library = Augmentation(spec.model_copy(update={"backend": "batchgeneratorsv2"}), setting.patch, axes, channels=1)
    found: dict[str, list[float]] = {name: [] for name in ("ours", "read", "spatial", "values", "library")}
    samplers = {a: PatchSampler(cases, training, slice_axis=None, stream=(1,), augmentation=a) for a in (ours, library)}
    for turn in range(rounds + 1):
        took = dict.fromkeys(found, 0.0)
        for step in range(steps):
            start = clock(device)
            drawn = samplers[ours][step]
            took["read"] += clock(device) - start
            ours.apply(drawn, device)
            took["ours"] += clock(device) - start
            images = torch.empty((setting.batch, 1, *setting.patch), device=device).normal_()
            start = clock(device)
            vary_values(images, drawn.draws, sliced=ours.sliced)
            took["values"] += clock(device) - start
            start = clock(device)
            library.apply(samplers[library][step], device)
            took["library"] += clock(device) - start
        took["spatial"] = took["ours"] - took["read"] - took["values"]
        if turn:  # the first warms up
            for name, seconds in took.items():
                found[name].append(1000 * seconds / steps / setting.batch)
    return {name: statistics.median(values) for name, values in found.items()}


def clock(device: torch.device) -> float:
    synchronize(device)
    return time.perf_counter()


def count(setting: Setting, preset: str) -> None:
    """Expected work of a batch on a GPU, and from which speed of training on it would hold up."""
    spec = augmentation_for(preset, setting.patch)
    rank = len(setting.patch)
    turned = 1 - (1 - spec.rotation.probability) * (1 - spec.scaling.probability) * (1 - spec.elastic.probability)
    unturned_mirrored = (1 - turned) * (1 - (1 - spec.mirroring.probability) ** rank)
    often = {
        "read into the batch": 1.0,
        "turn, scale (1 label)": turned,
        "noise": spec.noise.probability,
        "blur": spec.blur.probability * spec.blur.channel_probability,
        "brightness": spec.brightness.probability,
        "contrast": spec.contrast.probability,
        "low resolution": spec.low_resolution.probability * spec.low_resolution.channel_probability,
        "inverted gamma": spec.gamma_inverted.probability,
        "gamma": spec.gamma.probability,
        "mirror": unturned_mirrored,
    }
    singly = {"read into the batch", "turn, scale (1 label)", "noise", "low resolution", "mirror"}  # launched for each sample
    rows = {name: (often[name], work) for name, work in works(rank).items()}
    moved = sum(share * work.moved * 4 for share, work in rows.values())
    operations = sum(share * work.operations for share, work in rows.values())
    kernels = sum(
        work.kernels * (share * setting.batch if name in singly else 1 - (1 - share) ** setting.batch)
        for name, (share, work) in rows.items()
    )
    by_memory = prod(setting.patch) * moved / BYTES_PER_SECOND
    by_launch = kernels * LAUNCH_SECONDS / setting.batch
    size = "x".join(map(str, setting.patch))
    print(
        f"{size:>16} batch {setting.batch}: {moved:.0f} bytes, {operations:.0f} operations per voxel; {kernels:.0f} kernels per batch; "
        f"memory {by_memory * 1e6:.0f} us, launches {by_launch * 1e6:.0f} us per sample: "
        f"the bottleneck beyond {1 / max(by_memory, by_launch):,.0f} samples/s"
    )
    if setting is SETTINGS[0]:
        for name, (share, work) in rows.items():
            print(
                f"    {name:<22} fires {share:5.3f}, {work.moved * 4:5.0f} bytes, {work.operations:4.0f} operations, {work.kernels:3.0f} kernels"
            )


def prepared(folder: Path, setting: Setting) -> list[PreparedCase]:
    """Cases in memory: smooth noise, and as many blobs as there are classes."""
    rng = np.random.default_rng(0)
    rank = len(setting.shape)
    preparation = Preparation(
        canonical_orientation=False,
        transpose=tuple(range(rank)),
        crop_to_nonzero=False,
        spacing_mm=None,
        normalization=(Normalization(scheme="none"),),
    )
    result = []
    for index in range(CASES):
        image = rng.normal(size=(1, *setting.shape)).astype(np.float32)
        labels = np.zeros(setting.shape, np.int16)
        distance = ndimage.gaussian_filter(rng.normal(size=setting.shape), max(setting.shape) / 12)
        for value in range(1, setting.classes):
            labels[distance > np.quantile(distance, 0.6 + 0.4 * value / setting.classes)] = value
        _, placement = prepare_image(Volume(image, Geometry.plain(rank, (1.0,) * rank)), preparation)
        write_case(folder, str(index), image, labels, sample_locations(labels), placement, patch=setting.patch)
        result.append(open_case(folder, str(index)).load_into_memory())
    return result


if __name__ == "__main__":
    main()
