"""Runs with tiny networks that were never trained but find every structure somewhere, and images for them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy import ndimage

from autoseg import pipeline
from autoseg.engines.weights import file_sha256
from autoseg.records import (
    Case,
    Configuration,
    Dataset,
    Decision,
    Model,
    NetworkSpec,
    Normalization,
    Plan,
    Preparation,
    Structure,
    TrainedFold,
    TrainingSpec,
    ValueEncoding,
)
from autoseg.records.plan import InferenceSpec
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.augmentation import augmentation_for
from autoseg.volume.files import read
from tests.engines.networks import network_of

PATIENT, SUBJECT = "Miller_Anna", "anna-miller"
PIXEL_MM = 0.7
THICK_MM = (4.0, 0.9, 0.9)  # (z, y, x)


def picture_run(root: Path, folds: tuple[str, ...] = ("0", "1")) -> Path:
    """2D, millimetres, z-scores inside what is not zero, two structures with values of their own, mirrored along both axes."""
    preparation = Preparation(
        canonical_orientation=False,
        transpose=(0, 1),
        crop_to_nonzero=True,
        spacing_mm=(1.1, 1.1),
        normalization=(Normalization(scheme="zscore", use_mask=True),),
    )
    targets = (Structure(name="head", values=(1,), output_value=255), Structure(name="csf", values=(2,), output_value=100))
    configuration = _configuration("2d", preparation, _spec(2, 3), (32, 32), mirror_axes=(0, 1))
    return _write(root, {"2d": configuration}, targets, ("US",), regions=False, folds={"2d": folds})


def volume_run(root: Path, *, slices: bool = False, cascade: bool = False, regions: bool = True, channels: int = 1) -> Path:
    """3D with thick slices, canonical orientation, turned axes, clipped intensities, and overlapping regions.

    `slices`: a 2D network that goes through it slice by slice. `cascade`: a second stage behind it. `channels`: 2 adds one that is
    z-scored.
    """
    turned = (0, 1, 2) if slices else (1, 0, 2)
    spacing: tuple[float | None, ...] = (None, 1.3, 1.3) if slices else (1.3, 4.4, 1.3)
    preparation = Preparation(
        canonical_orientation=True,
        transpose=turned,
        crop_to_nonzero=True,
        spacing_mm=spacing,
        normalization=(Normalization(scheme="ct", mean=90.0, std=40.0, lower=5.0, upper=180.0), Normalization(scheme="zscore"))[
            :channels
        ],
    )
    names = ("CT", "MR")[:channels]
    values = ((1, 2), (2,)) if regions else ((1,), (2,))
    targets = tuple(
        Structure(name=name, values=own, output_value=index)
        for index, (name, own) in enumerate(zip(("organ", "lesion"), values, strict=True), 1)
    )
    outputs = 2 if regions else 3
    if slices:
        configuration = _configuration("2d", preparation, _spec(2, outputs), (16, 16), mirror_axes=(0,), slice_axis=0)
        return _write(root, {"2d": configuration}, targets, names, regions=regions, folds={"2d": ("0",)})
    first = _configuration("3d_lowres", preparation, _spec(3, outputs, channels), (16, 4, 16), mirror_axes=(0, 1, 2))
    if not cascade:
        return _write(root, {"3d_lowres": first}, targets, names, regions=regions, folds={"3d_lowres": ("0",)})
    second = _configuration(
        "3d_cascade_fullres", preparation, _spec(3, outputs, channels=3), (16, 4, 16), mirror_axes=(0,)
    ).model_copy(update={"previous_stage": "3d_lowres"})
    held = {"3d_lowres": first.model_copy(update={"next_stage": second.name}), second.name: second}
    return _write(root, held, targets, names, regions=regions, folds={"3d_lowres": ("0", "1"), second.name: ("1",)})


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (120, 90)) -> Path:
    """Smooth noise of a size with a black frame around it, 8 bits."""
    array = np.pad(_noise(size, 4, 200, seed), ((6, 4), (3, 11)))
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


def volume(
    path: Path, seed: int = 0, size: tuple[int, int, int] = (9, 40, 34), spacing_mm: tuple[float, float, float] = THICK_MM
) -> Path:
    """Smooth noise of a size with air around it, in an orientation that is not LPS."""
    image = sitk.GetImageFromArray(np.pad(_noise(size, (0.7, 3, 3), 220, seed), ((1, 1), (3, 3), (2, 4))))
    image.SetSpacing(spacing_mm[::-1])
    image.SetOrigin((5.0, -7.0, 3.0))
    image.SetDirection((0, -1, 0, -1, 0, 0, 0, 0, -1))
    sitk.WriteImage(image, str(path))
    return path


def _noise(size: tuple[int, ...], sigma: float | tuple[float, ...], largest: int, seed: int) -> np.ndarray:
    """Whole numbers from 1 to `largest` + 1, float32."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), sigma)
    return np.rint(1 + largest * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def image_for(run: Path, folder: Path, **like: object) -> tuple[list[Path], float | None]:
    """Files of one new case, one per channel, and the size of its pixels."""
    folder.mkdir(exist_ok=True)
    plan = RunFolder(run).plan()
    if plan.rank == 2:
        return [picture(folder / "new.png", **like)], PIXEL_MM  # type: ignore[arg-type]
    names = [f"new_{channel:04d}.nii.gz" for channel in range(len(plan.channels))] if len(plan.channels) > 1 else ["new.nii.gz"]
    return [volume(folder / name, seed, **like) for seed, name in enumerate(names)], None  # type: ignore[arg-type]


def mask_of(model: Path, folder: Path, run: Path, **options: object) -> np.ndarray:
    """What is predicted with `model` for the image of `run`."""
    (image, *_), spacing = image_for(run, folder / "images")
    out = folder / f"masks of {model.name}"
    (case,) = pipeline.predict(model, image, out, spacing=spacing, device="cpu", **options).cases  # type: ignore[arg-type]
    assert case.status == "done", case.error
    found: np.ndarray = read(out / (case.mask or "")).array[0]
    return found


def unzipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as opened:
        opened.extractall(folder)
    return folder


def dataset_of(plan: Plan, root: str = "/home/radiology/trial-7/data") -> Dataset:
    """With the names of a patient."""
    return Dataset(
        name="Heads of spring",
        layout="folders",
        root=root,
        rank=plan.rank,
        channels=plan.channels,
        targets=plan.targets,
        derived=plan.derived,
        regions=plan.regions,
        ignore_value=plan.ignore_value,
        encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2})},
        cases=(Case(id=PATIENT, subject=SUBJECT, images=(f"images/{PATIENT}_US.png",), label=f"labels/{PATIENT}_mask.png"),),
        notes=(f"{PATIENT}: its label was mended",),
    )


def _spec(rank: int, outputs: int, channels: int = 1) -> NetworkSpec:
    return NetworkSpec(
        rank=rank,  # type: ignore[arg-type]
        in_channels=channels,
        out_channels=outputs,
        features=(6, 8),
        strides=((1,) * rank, (2,) * rank),
        kernel_sizes=((3,) * rank,) * 2,
        encoder_blocks=(2, 2),
        decoder_convs=(2,),
    )


def _configuration(
    name: str,
    preparation: Preparation,
    spec: NetworkSpec,
    patch: tuple[int, ...],
    *,
    mirror_axes: tuple[int, ...],
    slice_axis: int | None = None,
) -> Configuration:
    told = [
        ("spacing", "The grid is that of the median image."),
        ("patch", f"As large as {PATIENT} allows."),
        ("depth", "Like /home/radiology/other."),
    ]
    return Configuration(
        name=name,
        slice_axis=slice_axis,
        preparation=preparation,
        network=spec,
        training=TrainingSpec(
            patch_size=patch,
            batch_size=2,
            epochs=1,
            steps_per_epoch=1,
            validation_steps=1,
            batch_dice=False,
            mirror_axes=mirror_axes,
        ),
        augmentation=augmentation_for("default", patch),
        inference=InferenceSpec(mirror_axes=mirror_axes, tile_batch_size=4),
        median_shape=patch,
        decisions=tuple(
            Decision(name=concern, choice="so", rule="ours", reason=reason, numbers={}, alternative="none")
            for concern, reason in told
        ),
    )


def _write(
    root: Path,
    configurations: dict[str, Configuration],
    targets: tuple[Structure, ...],
    channels: tuple[str, ...],
    *,
    regions: bool,
    folds: dict[str, tuple[str, ...]],
) -> Path:
    plan = Plan(
        preset="default",
        device="cpu",
        rank=len(next(iter(configurations.values())).preparation.transpose),  # type: ignore[arg-type]
        channels=channels,
        targets=targets,
        derived=(),
        regions=regions,
        ignore_value=None,
        dataset_digest="0",
        default=list(configurations)[-1],
        configurations=configurations,
    )
    dataset = dataset_of(plan)
    plan = plan.model_copy(update={"dataset_digest": dataset.digest()})
    folder = RunFolder(root)
    trained = {
        name: tuple(_fold(folder, configurations[name], fold, seed) for seed, fold in enumerate(members))
        for name, members in folds.items()
    }
    folder.save(dataset, plan, Model.of(plan, trained))
    return root


def _fold(folder: RunFolder, configuration: Configuration, fold: str, seed: int) -> TrainedFold:
    network = network_of(configuration.network, seed)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(4, configuration.network.in_channels, *configuration.training.patch_size, generator=generator)
    smooth = torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), (0, 0, *(2.0,) * configuration.network.rank)))
    with torch.no_grad():
        logits = network(4 * smooth)
        spatial = (0, *range(2, logits.ndim))
        network.heads[0].weight /= logits.std(spatial).reshape(-1, *(1,) * (logits.ndim - 1))  # no output drowns the others
        network.heads[0].bias -= network(4 * smooth).mean(spatial)
    path = folder.fold(configuration.name, fold) / "weights.safetensors"
    path.parent.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return TrainedFold(fold=fold, weights=path.relative_to(folder.root).as_posix(), sha256=file_sha256(path))
