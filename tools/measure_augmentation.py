"""How long it takes to read and augment a sample, by parts, against batchgeneratorsv2; and what it costs a GPU.

    python tools/measure_augmentation.py FOLDER [--device cuda] [--threads 1] [--preset default] [--run RUN ...]

FOLDER receives cases of noise and blobs, prepared as preprocessing does. With --run the prepared cases and the patches of runs are
taken instead. Both backends alternate on the same steps; medians over rounds, in
milliseconds per sample. Then the operations that a GPU would be given are counted as they are dispatched, on random draws: bytes read
and written, floating-point operations, kernels.
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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autoseg.engines.device import synchronize
from autoseg.learning.augmentation import Augmentation
from autoseg.learning.augmentation.intensity import vary_together, vary_values
from autoseg.learning.augmentation.spatial import resample, values_of
from autoseg.learning.sampler import PatchSampler
from autoseg.processing.prepare import prepare_image
from autoseg.processing.store import PreparedCase, open_case, sample_locations, write_case
from autoseg.records import AugmentationSpec, Normalization, Preparation, TrainingSpec
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


VIEWS = (
    "view",
    "reshape",
    "slice",
    "select",
    "squeeze",
    "expand",
    "alias",
    "detach",
    "permute",
    "transpose",
    "split",
    "empty",
    "t.",
)
OPERATIONS = {
    "grid_sampler": 30,
    "pow": 20,
    "normal": 10,
    "upsample": 8,
    "exp": 10,
}  # floating-point, per element that comes out; else 1
TRANSFERS = ("_to_copy", "lift_fresh")


@dataclass
class Work:
    """What was done: bytes read and written, floating-point operations, kernels."""

    moved: float = 0
    operations: float = 0
    kernels: float = 0


class Counter(TorchDispatchMode):
    """Adds up what every operation reads and writes; one operation is one kernel, views are none."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::")
        if not name.lstrip("_").startswith(VIEWS) or name.startswith("expand_copy"):
            tensors = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor)]
            out = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
            self.work.kernels += 1
            self.work.moved += sum(x.numel() * x.itemsize for x in (*tensors, *out))
            each = next((count for part, count in OPERATIONS.items() if part in name), 1)
            if not name.startswith(("copy", "cat", "flip", "index", "_to_copy")):
                self.work.operations += each * sum(x.numel() for x in out)
        return result


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
    print(f"\nas a GPU would do it, of {BYTES_PER_SECOND / 1e12:g} TB/s and {LAUNCH_SECONDS * 1e6:g} us per kernel:")
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


PARTS = ("rotation", "noise", "blur", "brightness", "contrast", "low_resolution", "gamma_inverted", "gamma", "mirroring")
BATCHES = 40


def count(setting: Setting, preset: str) -> None:
    """Expected work of a batch as a GPU does it, counted on random draws, and from which speed of training on it would hold up."""
    spec = augmentation_for(preset, setting.patch)
    total = counted(setting, spec, BATCHES)
    voxels = prod(setting.patch) * setting.batch
    by_memory = total.moved / setting.batch / BYTES_PER_SECOND
    by_launch = total.kernels * LAUNCH_SECONDS / setting.batch
    size = "x".join(map(str, setting.patch))
    print(
        f"{size:>16} batch {setting.batch} labels {setting.classes}: {total.moved / voxels:.0f} bytes and {total.operations / voxels:.0f} "
        f"operations per voxel, {total.kernels:.0f} kernels per batch; memory {by_memory * 1e6:.0f} us + launches {by_launch * 1e6:.0f} us "
        f"per sample: {1 / (by_memory + by_launch):,.0f} samples/s"
    )
    for name in PARTS if setting is SETTINGS[0] else ():
        alone = {
            part: getattr(spec, part).model_copy(update={"probability": float(part == name)})
            for part in (*PARTS, "scaling", "elastic")
        }
        work = counted(setting, spec.model_copy(update=alone), 10)
        often = getattr(spec, name).probability
        print(
            f"    {name:<15} probability {often:4.2f}; when it fires {work.moved / voxels:5.0f} bytes, {work.operations / voxels:4.0f} operations, "
            f"{work.kernels / setting.batch:5.1f} kernels per sample (reading into the batch included)"
        )


def counted(setting: Setting, spec: AugmentationSpec, batches: int) -> Work:
    """Per batch: samples are placed one by one, values are varied together, as on a GPU."""
    augmentation = Augmentation(spec, setting.patch, tuple(range(len(setting.patch))), channels=1)
    rng = np.random.default_rng(0)
    counter = Counter()
    for _ in range(batches):
        draws = [augmentation.draw(rng) for _ in range(setting.batch)]
        images = torch.zeros((setting.batch, 1, *setting.patch))
        labels = torch.zeros((setting.batch, 1, *setting.patch), dtype=torch.int16)
        for index, draw in enumerate(draws):
            image = torch.rand(1, *draw.read_size).half()
            marks = torch.zeros(1, *draw.read_size, dtype=torch.int8)
            rows = torch.arange(draw.read_size[-1]) * setting.classes // draw.read_size[-1]
            marks += rows.to(torch.int8)
            values = [values_of(marks[0])]
            with counter:
                if draw.matrix is not None:
                    image, marks = resample(image, marks, values, draw, setting.patch)
                elif draw.mirrored:
                    axes = [axis + 1 for axis in draw.mirrored]
                    image, marks = image.flip(axes), marks.flip(axes)
                images[index].copy_(image)
                labels[index].copy_(marks)
                if draw.noise:
                    images[index].add_(torch.empty_like(images[index]).normal_(0, draw.noise))
        with counter:
            vary_together(images.flatten(0, 1), draws, 1, sliced=augmentation.sliced)
    work = counter.work
    return Work(work.moved / batches, work.operations / batches, work.kernels / batches)


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
