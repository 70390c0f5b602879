"""Files of trained nnU-Net models, written by hand: what nnU-Net's planner would put into them, small."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from autoseg.layouts.nnunet_folders import CheckpointFacts

Json = dict[str, Any]


def network(rank: int = 3, *, residual: bool = False, **changed: Any) -> Json:
    """`architecture` of a configuration: three stages, of which the second halves all axes but the first."""
    arguments = {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
        "kernel_sizes": [[1, 3, 3][-rank:], [3] * rank, [3] * rank],
        "strides": [[1] * rank, [1, 2, 2][-rank:], [2] * rank],
        "n_blocks_per_stage" if residual else "n_conv_per_stage": [1, 3, 4] if residual else [2, 2, 2],
        "n_conv_per_stage_decoder": [1, 1] if residual else [2, 2],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{rank}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": arguments | changed,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def configuration(rank: int = 3, **changed: Any) -> Json:
    """A configuration of one z-scored channel."""
    found: Json = {
        "data_identifier": "nnUNetPlans_x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 12][-rank:],
        "median_image_size_in_voxels": [20.0, 35.5, 30.0][-rank:],
        "spacing": [3.0, 0.8, 0.7][-rank:],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "architecture": network(rank),
        "batch_dice": rank == 2,
    }
    for what, is_seg, order in (("data", False, 3), ("seg", True, 1), ("probabilities", False, 1)):
        found[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        found[f"resampling_fn_{what}_kwargs"] = {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}
    return found | changed


def plans(**configurations: Json) -> Json:
    """`plans.json` for volumes; dashes of configurations' names as underscores, and `c` in front: `c3d_fullres`."""
    numbers = {
        "max": 900.0,
        "mean": 99.5,
        "median": 90.0,
        "min": -50.0,
        "percentile_00_5": -40.0,
        "percentile_99_5": 300.0,
        "std": 30.25,
    }
    return {
        "dataset_name": "Dataset007_Organs",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.0, 0.8, 0.7],
        "original_median_shape_after_transp": [20, 35, 30],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {name.removeprefix("c"): found for name, found in configurations.items()},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": dict(numbers), "1": dict(numbers)},
    }


def dataset(**changed: Any) -> Json:
    """`dataset.json` of one channel and two labels."""
    return {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
        "numTraining": 9,
        "file_ending": ".nii.gz",
    } | changed


def old_configuration(rank: int = 3) -> Json:
    """As nnU-Net 2.0 to 2.2 wrote it: the network of `network`, with two blocks per stage."""
    old = configuration(rank)
    arguments = old.pop("architecture")["arch_kwargs"]
    return old | {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [1, 2, 2][-rank:],
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }


def write_model(
    folder: Path, plans: Json, dataset: Json, folds: tuple[str, ...] = ("0",), checkpoint: str = "checkpoint_final.pth"
) -> Path:
    """A folder of a trained model whose checkpoints are empty files."""
    for fold in folds:
        (folder / f"fold_{fold}").mkdir(parents=True)
        (folder / f"fold_{fold}" / checkpoint).touch()
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def facts(configuration: str | None = None, mirror_axes: tuple[int, ...] = (0, 1)) -> Callable[[Path], CheckpointFacts]:
    """Stands for a reader of checkpoints; without a configuration it takes the one that the folder is named for."""

    def facts_of(path: Path) -> CheckpointFacts:
        name = configuration or path.parent.parent.name.rpartition("__")[2]
        return CheckpointFacts(name, "nnUNetTrainer", mirror_axes)

    return facts_of


def without(content: Json, *keys: str) -> Json:
    """A copy that lacks keys."""
    return {key: deepcopy(value) for key, value in content.items() if key not in keys}
