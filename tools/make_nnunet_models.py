"""Train small nnU-Net models of every kind, with images and nnU-Net's own masks of them, to hold autoseg's masks against.

Run by the interpreter of an environment with nnunetv2 2.8.1, which need not hold autoseg:

    python tools/make_nnunet_models.py OUT [--kinds pictures,cascade]

Every kind becomes `OUT/KIND/{images,outputs,outputs_float32,model}` (`model.zip` for the cascade, made by nnU-Net's export), which
`tools/compare_nnunet_models.py OUT` reads. The networks see a few dozen batches of drawn ellipsoids: enough that masks have
structures, which is all that the comparison needs.

nnU-Net sums the logits of tiles as float16, in which those at the corners of an image, with weights of 1e-7, become whole numbers.
`outputs_float32` are its masks with weights and sums of float32.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

STEPS = 15  # per epoch
TRAINING, TEST = 6, 3
STAGES, FEATURES = 3, 8
PATCH_MOST = {2: 48, 3: 24}  # per axis, so that images take several tiles
PLAIN_PLANNER, RESENC_PLANNER = "ExperimentPlanner", "nnUNetPlannerResEncM"


@dataclass(frozen=True)
class Kind:
    """A data set to draw, and what is trained on it."""

    number: int
    channels: tuple[str, ...] = ("MRI",)
    labels: dict[str, Any] = field(default_factory=lambda: {"background": 0, "organ": 1, "lesion": 2})
    order: tuple[int, ...] | None = None  # values painted for regions
    shape: tuple[int, ...] = (40, 44, 36)
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)  # array order
    spacing_spread: float = 0.3
    margin: int = 0  # zeros around the image
    configurations: tuple[str, ...] = ("3d_fullres",)
    planner: str = PLAIN_PLANNER
    fold: int | str = 0
    old_plans: bool = False  # as nnU-Net 2.0 to 2.2 wrote them
    no_mirroring: bool = False
    epochs: int = 4
    unmarked: bool = False  # parts of the labels are to be ignored

    @property
    def ending(self) -> str:
        return ".png" if len(self.shape) == 2 else ".nii.gz"


KINDS = {
    "pictures": Kind(901, ("red", "green", "rgb_to_0_1"), shape=(90, 120), configurations=("2d",)),
    "resenc": Kind(902, ("CT",), planner=RESENC_PLANNER, fold="all"),
    "regions": Kind(
        903,
        ("MRI", "rescale_to_0_1"),
        {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
        (7, 4),
        margin=4,
        no_mirroring=True,
        unmarked=True,
        epochs=12,  # for the smaller region to be found, too
    ),
    "anisotropic": Kind(904, shape=(48, 52, 14), spacing=(1.0, 1.1, 5.0), configurations=("3d_fullres", "2d")),
    "cascade": Kind(905, shape=(48, 52, 44), configurations=("3d_lowres", "3d_cascade_fullres"), fold="all"),
    "old_plans": Kind(906, ("CT",), old_plans=True, spacing=(2.0, 1.0, 1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--trained", action="store_true", help="predict only, with the models trained in OUT before")
    options = parser.parse_args()
    work = (options.out / "work").resolve()
    places = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}
    os.environ.update({name: str(work / folder) for name, folder in places.items()})
    os.environ.update(nnUNet_compile="f", nnUNet_n_proc_DA="1")  # read when nnunetv2 is imported
    for folder in places.values():
        (work / folder).mkdir(parents=True, exist_ok=True)
    for name in options.kinds.split(","):
        print(f"== {name}")
        make(name, KINDS[name], work, options.out, trained=options.trained)


def make(name: str, kind: Kind, work: Path, out: Path, *, trained: bool) -> None:
    dataset = f"Dataset{kind.number}_{name}"
    raw = work / "raw" / dataset
    if trained:
        results = work / "results" / dataset
        folders = {configuration: next(results.glob(f"*__{configuration}")) for configuration in kind.configurations}
    else:
        draw_dataset(raw, name, kind)
        plans_name = plan(kind, dataset, work)
        folders = {configuration: train(kind, configuration, dataset, plans_name) for configuration in kind.configurations}
    first_stage: Path | None = None
    for configuration, folder in folders.items():
        alone = len(kind.configurations) == 1 or "cascade" in configuration
        place = out / (name if alone else f"{name}_{configuration}")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(raw / "imagesTs", place / "images")
        for outputs in ("outputs", "outputs_float32"):
            masks = first_stage / outputs if first_stage and "cascade" in configuration else None
            with sums_of_float32() if outputs == "outputs_float32" else nullcontext():
                predict(kind, folder, place / "images", place / outputs, masks)
        if "cascade" in configuration:
            export(kind, dataset, place / "model.zip")
        else:
            shutil.copytree(folder, place / "model", ignore=shutil.ignore_patterns("validation", "predicted_next_stage"))
        first_stage = place if configuration == "3d_lowres" else first_stage


def draw_dataset(raw: Path, name: str, kind: Kind) -> None:
    """Images of two nested ellipsoids in noise, in nnU-Net's layout; the first cases train."""
    shutil.rmtree(raw, ignore_errors=True)
    random = np.random.default_rng(kind.number)
    for index in range(TRAINING + TEST):
        case, part = f"{name}_{index:03d}", "Tr" if index < TRAINING else "Ts"
        image, labels, spacing = draw_case(random, kind)
        if kind.unmarked:
            labels[..., : labels.shape[-1] // 8] = 3
        if len(kind.shape) == 2:
            save(raw / f"images{part}" / f"{case}_0000.png", np.moveaxis(image, 0, -1), spacing)
        else:
            for channel, values in enumerate(image):
                save(raw / f"images{part}" / f"{case}_{channel:04d}.nii.gz", values, spacing)
        save(raw / f"labels{part}" / f"{case}{kind.ending}", labels, spacing)
    declared = {
        "channel_names": {str(index): channel for index, channel in enumerate(kind.channels)},
        "labels": kind.labels,
        "numTraining": TRAINING,
        "file_ending": kind.ending,
    }
    if kind.order:
        declared["regions_class_order"] = list(kind.order)
    (raw / "dataset.json").write_text(json.dumps(declared))


def draw_case(random: np.random.Generator, kind: Kind) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Image (C, *spatial), labels, and a spacing that differs from case to case."""
    shape = tuple(size + int(random.integers(-4, 5)) for size in kind.shape)
    spread = random.uniform(1 - kind.spacing_spread, 1 + kind.spacing_spread, len(shape))
    spacing = tuple(float(one * factor) for one, factor in zip(kind.spacing, spread, strict=False)) if len(shape) == 3 else ()
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"))
    centre = random.uniform(-0.25, 0.25, len(shape)).reshape(-1, *[1] * len(shape))
    radius = random.uniform(0.45, 0.65, len(shape)).reshape(-1, *[1] * len(shape))
    distance = np.sqrt((((grid - centre) / radius) ** 2).sum(0))
    labels = np.where(distance < 0.45, 2, np.where(distance < 1, 1, 0)).astype(np.uint8)
    brightness = np.array([60.0, 130.0, 200.0])[labels]
    image = np.stack(
        [np.clip(brightness + random.normal(0, 12, shape) + 8 * channel, 1, 255) for channel in range(len(kind.channels))]
    )
    if kind.margin:
        outside = np.max(np.abs(grid), axis=0) > 1 - 2 * kind.margin / min(shape)
        image[:, outside], labels[outside] = 0, 0
    return image.astype(np.uint8 if len(shape) == 2 else np.float32), labels, spacing


def save(path: Path, array: np.ndarray, spacing: tuple[float, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        from skimage import io

        io.imsave(path, array, check_contrast=False)
        return
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    sitk.WriteImage(image, str(path))


def plan(kind: Kind, dataset: str, work: Path) -> str:
    """nnU-Net's plans, made small."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    extract_fingerprints([kind.number], num_processes=1, clean=True)
    plans_name = plan_experiments([kind.number], experiment_planner_class_name=kind.planner)
    path = work / "preprocessed" / dataset / f"{plans_name}.json"
    plans = json.loads(path.read_text())
    configurations = plans["configurations"]
    for configuration in configurations.values():
        if "inherits_from" not in configuration:
            make_small(configuration)
    if "3d_lowres" in kind.configurations and "3d_lowres" not in configurations:
        add_cascade(configurations)
    if kind.old_plans:
        plans["configurations"] = {name: in_old_format(one) for name, one in configurations.items()}
        plans["foreground_intensity_properties_by_modality"] = plans.pop("foreground_intensity_properties_per_channel")
    path.write_text(json.dumps(plans, indent=1))
    prepared = [name for name in kind.configurations if name != "3d_cascade_fullres"]
    prepared += ["3d_fullres"] if "3d_cascade_fullres" in kind.configurations else []
    preprocess([kind.number], plans_name, prepared, [1] * len(prepared))
    return plans_name


def make_small(configuration: dict[str, Any]) -> None:
    arguments = configuration["architecture"]["arch_kwargs"]
    blocks = next(key for key in ("n_conv_per_stage", "n_blocks_per_stage") if key in arguments)
    stages = min(STAGES, arguments["n_stages"])
    arguments["n_stages"] = stages
    for key in ("features_per_stage", "kernel_sizes", "strides", blocks):
        arguments[key] = arguments[key][:stages]
    arguments["n_conv_per_stage_decoder"] = arguments["n_conv_per_stage_decoder"][: stages - 1]
    arguments["features_per_stage"] = [FEATURES * 2**stage for stage in range(stages)]
    divisor = np.prod(arguments["strides"], axis=0)
    most = PATCH_MOST[len(configuration["patch_size"])]
    patch = [min(size, most) // step * step for size, step in zip(configuration["patch_size"], divisor.tolist(), strict=True)]
    configuration.update(patch_size=patch, batch_size=4)


def add_cascade(configurations: dict[str, Any]) -> None:
    """A first stage at a coarser spacing; nnU-Net plans one for larger images only."""
    fullres = configurations["3d_fullres"]
    configurations["3d_lowres"] = {
        **fullres,
        "spacing": [1.7 * value for value in fullres["spacing"]],
        "data_identifier": "coarse_3d_lowres",
        "next_stage": "3d_cascade_fullres",
    }
    configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}


def in_old_format(configuration: dict[str, Any]) -> dict[str, Any]:
    old = {key: value for key, value in configuration.items() if key != "architecture"}
    arguments = configuration["architecture"]["arch_kwargs"]
    return old | {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": FEATURES,
        "unet_max_num_features": 320,
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [2] * len(configuration["patch_size"]),
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }


def train(kind: Kind, configuration: str, dataset: str, plans_name: str) -> Path:
    """A few steps; returns the folder of the trained model."""
    import torch
    from nnunetv2.paths import nnUNet_preprocessed
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    place = Path(nnUNet_preprocessed) / dataset
    plans = json.loads((place / f"{plans_name}.json").read_text()) | {"continue_training": False}  # as its command hands it on
    torch.manual_seed(0)
    os.environ.update(nnUNet_n_proc_DA="0")  # batches are drawn in this process; planning does not take 0
    trainer = nnUNetTrainer(
        plans, configuration, kind.fold, json.loads((place / "dataset.json").read_text()), torch.device("cpu")
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = kind.epochs, STEPS, 1
    trainer.initialize()
    if kind.no_mirroring:
        trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size = without_mirroring(trainer)
    trainer.run_training()
    os.environ.update(nnUNet_n_proc_DA="1")
    if kind.fold == "all":  # masks of all cases, which the second stage of a cascade trains with
        trainer.perform_actual_validation(False)
    return Path(trainer.output_folder_base)


def without_mirroring(trainer: Any) -> Any:
    configure = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size

    def configured() -> tuple[Any, ...]:
        *others, _ = configure()
        trainer.inference_allowed_mirroring_axes = None
        return (*others, None)

    return configured


def predict(kind: Kind, model: Path, images: Path, out: Path, first_stage: Path | None) -> None:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), (kind.fold,))
    predictor.predict_from_files(
        str(images),
        str(out),
        save_probabilities=True,
        num_processes_preprocessing=1,
        num_processes_segmentation_export=1,
        folder_with_segs_from_prev_stage=None if first_stage is None else str(first_stage),
    )


@contextmanager
def sums_of_float32() -> Iterator[None]:
    """nnU-Net's sliding window with weights and sums of float32, as it would be without its saving of memory."""
    import torch
    from nnunetv2.inference import predict_from_raw_data as module

    weights = partial(module.compute_gaussian, dtype=torch.float32)
    weights.cache_clear = module.compute_gaussian.cache_clear  # which prediction calls
    with patch.object(torch, "half", torch.float32), patch.object(module, "compute_gaussian", weights):
        yield


def export(kind: Kind, dataset: str, path: Path) -> None:
    from nnunetv2.model_sharing.model_export import export_pretrained_model

    export_pretrained_model(dataset, str(path), configurations=kind.configurations, folds=(kind.fold,))


if __name__ == "__main__":
    main()
