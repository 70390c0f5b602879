r"""From the logits of tiles to a mask on disk: seconds and peak memory for a large volume and many classes.

    python tools/bench_export.py WORK --classes 3
    python tools/bench_export.py WORK --classes 105

A volume of 512x512x300 voxels of 1 mm is predicted on a grid 1.5 times coarser, in tiles of 128 voxels with half steps. The networks are
replaced by an engine that makes up its answer (every class is a ball of its own in front of the background); the time that this takes is left
out. The peak is the process's (VmHWM), the image and the interpreter included. Processor time, so that
it tells the work and not what else runs; `*_wall` are seconds of the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from export_logits import COARSER, SHAPE, coarse, logits_of

from autoseg.inference.case import Job, prepare_case, segment, write_case
from autoseg.inference.inputs import PredictionInput
from autoseg.records import (
    Configuration,
    InferenceSpec,
    NetworkSpec,
    Normalization,
    Plan,
    Preparation,
    Structure,
    TrainingSpec,
)
from autoseg.stages.plan.augmentation import augmentation_for

PATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for the volume and the masks")
    parser.add_argument("--classes", type=int, default=3, help="outputs, the background included")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    parser.add_argument("--patch", type=int, default=PATCH)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = ours(arguments.work, tuple(arguments.shape), arguments.classes, arguments.patch)
    found |= {"classes": arguments.classes, "shape": arguments.shape, "peak_mib": peak_mib()}
    print(json.dumps(found))


def ours(work: Path, shape: tuple[int, ...], n_classes: int, patch: int) -> dict[str, float]:
    """Through `autoseg.inference`, from the file to the mask."""

    class Answers:
        """Cuts logits out, in the order of the sweep; the time it takes is noted."""

        name, device, n_folds, weights, seconds = "answers", torch.device("cpu"), 1, (), np.zeros(2)

        def __init__(self, corners: Iterator[tuple[int, ...]]):
            self.corners = corners

        def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
            begin = clocks()
            size = tuple(tiles.shape[2:])
            answers = [torch.from_numpy(logits_of(next(self.corners), size, coarse(shape), n_classes)) for _ in tiles]
            answer = answers[0][None] if len(answers) == 1 else torch.stack(answers)
            self.seconds = self.seconds + clocks() - begin
            yield answer

        def buffer_device(self, n_bytes: int) -> torch.device:
            return self.device

    job = job_for(n_classes, patch)
    file = work / "volume.nii.gz"
    noise = np.random.default_rng(0).integers(0, 1000, shape, np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(file), useCompression=False)
    del noise
    item = PredictionInput.of("volume", [file])
    begin = clocks()
    prepared = prepare_case(item, job)
    parts = {"read_and_prepare": clocks() - begin}
    engine = Answers(iter(job.sliding.grid(prepared.array.shape[1:])))
    begin = clocks()
    found = segment(prepared, job, engine)
    parts["tiles_to_labels"] = clocks() - begin - engine.seconds
    begin = clocks()
    write_case(item, found, job, work / "ours")
    parts["write"] = clocks() - begin
    parts["export"] = parts["tiles_to_labels"] + parts["write"]
    return {name + ending: float(value[index]) for index, ending in enumerate(("", "_wall")) for name, value in parts.items()}


def clocks() -> np.ndarray:
    """Seconds of the processor and of the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def job_for(n_classes: int, patch: int) -> Job:
    """A model of this many classes, 1.5 mm, tiles of `patch`. Its network is never made."""
    cube = (patch,) * 3
    configuration = Configuration(
        name="3d_fullres",
        preparation=Preparation(
            canonical_orientation=False,
            transpose=(0, 1, 2),
            crop_to_nonzero=False,
            spacing_mm=(COARSER,) * 3,
            normalization=(Normalization(scheme="zscore"),),
        ),
        network=NetworkSpec(
            rank=3,
            in_channels=1,
            out_channels=n_classes,
            features=(4, 8),
            strides=((1, 1, 1), (2, 2, 2)),
            kernel_sizes=((3, 3, 3),) * 2,
            encoder_blocks=(2, 2),
            decoder_convs=(2,),
        ),
        training=TrainingSpec(
            patch_size=cube, batch_size=2, epochs=1, steps_per_epoch=1, validation_steps=1, batch_dice=False, mirror_axes=()
        ),
        augmentation=augmentation_for("none", cube),
        inference=InferenceSpec(mirror_axes=()),
        median_shape=cube,
    )
    plan = Plan(
        preset="default",
        device="cpu",
        rank=3,
        channels=("image",),
        targets=tuple(Structure(name=f"class {k}", values=(k,), output_value=k) for k in range(1, n_classes)),
        derived=(),
        regions=False,
        ignore_value=None,
        dataset_digest="",
        default=configuration.name,
        configurations={configuration.name: configuration},
    )
    return Job(plan, configuration)


def peak_mib() -> int:
    """Largest resident size of this process so far."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
