"""`configs/inference.json` of a MONAI bundle: the way from image to mask in MONAI's own transforms.

Axes. MONAI's arrays are (x, y, z) with an affine towards right, anterior, superior; ours are (z, y, x). A canonical volume is
brought to ours by `Orientationd`, which knows how to go back; other images are transposed at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.layouts.json_part import JsonObject
from autoseg.processing.normalise import SMALLEST_DIVISOR
from autoseg.records import Configuration, Normalization, Plan
from autoseg.stages.export.description import GAUSSIAN_SIGMA_FRACTION

CANONICAL = "SPL"  # towards superior, posterior, left: z, y and x of LPS in DICOM's terms
TOWARDS = [["L", "R"], ["P", "A"], ["I", "S"]]
INTERPOLATION: dict[int, tuple[int | str, str]] = {0: ("nearest", "border"), 1: ("bilinear", "border"), 3: (3, "nearest")}
MODEL_FILE = "models/model.ts"


def inference_config(plan: Plan, configuration: Configuration) -> JsonObject:
    """The content of the file, for `monai.bundle.ConfigParser`; its entry `run` predicts every image of `dataset_dir`.

    Args:
        plan: of the model.
        configuration: a single stage, with the profile's step; mirrored copies and folds are inside the network.
    """
    pictures = plan.rank == 2
    config: JsonObject = {
        "imports": ["$import glob", "$import os", "$import numpy", "$import torch", "$import monai"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/masks'",
    }
    if _needs_pixel_size(plan, configuration):
        config["pixel_size_mm"] = None  # of all images, or by file name; there is no default that would be right
    config["device"] = "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')"
    config["datalist"] = _datalist(plan, configuration)
    config["network_def"] = f"$torch.jit.load(@bundle_root + '/{MODEL_FILE}', map_location=@device).eval()"
    config["network"] = "$@network_def.to(@device)"
    config["loading"] = {"_target_": "Compose", "transforms": _loading(plan, configuration)}
    config["preprocessing"] = {"_target_": "Compose", "transforms": _preprocessing(plan, configuration)}
    config["dataset"] = {
        "_target_": "Dataset",
        "data": "@datalist",
        "transform": "$lambda item: @preprocessing(@loading(item))",
    }
    config["inferer"] = _inferer(configuration)
    config["postprocessing"] = {"_target_": "Compose", "transforms": _postprocessing(plan, ".png" if pictures else ".nii.gz")}
    logits = "@inferer(item['image'].unsqueeze(0).to(@device), @network).squeeze(0).cpu()"
    config["predict"] = f"$torch.no_grad()(lambda item: @postprocessing({{**item, 'pred': {logits}}}))"
    config["run"] = ["$[@predict(item) for item in @dataset]"]
    return config


def differences(plan: Plan, configuration: Configuration) -> list[str]:
    """Where MONAI computes otherwise than `autoseg predict`, as lines of a list."""
    preparation = configuration.preparation
    lines = [
        "- Tiles: MONAI's keep a fixed step, and the last one is moved to the border; autoseg spreads them evenly. Gaussian weights are centred "
        "half a pixel elsewhere in patches of even size.",
        "- An image that is 0 throughout, or constant, is not provided for.",
    ]
    if preparation.spacing_mm is not None:
        lines.append(
            "- Grid: `Spacingd` puts the first pixels' centres upon each other, autoseg the outer edges of the images, so that grids are shifted by "
            "less than a pixel and may differ by one in size."
        )
        if preparation.image_order == 3:
            lines.append("- Logits come back by the image's cubic spline; autoseg takes linear interpolation.")
    if plan.rank == 3 and preparation.spacing_mm is not None:
        lines.append(
            "- Thick slices: autoseg takes the nearest slice where spacings differ more than threefold; here all axes are interpolated."
        )
    if preparation.antialias:
        lines.append("- Shrinking axes are smoothed by autoseg, not here.")
    if any(how.use_mask for how in preparation.normalization):
        lines.append(
            "- The mask of non-zero pixels is each channel's own here, with its holes; autoseg's is that of all channels, holes filled."
        )
    if plan.rank == 2:
        lines.append("- A grey picture that is stored in colour has three channels here; autoseg takes one of three equal ones.")
    return lines


def _needs_pixel_size(plan: Plan, configuration: Configuration) -> bool:
    return plan.rank == 2 and configuration.preparation.spacing_mm is not None


def _datalist(plan: Plan, configuration: Configuration) -> str:
    """Items with an image, one file per channel where there are several: nnU-Net's names, CASE_0000.nii.gz."""
    size = ", 'pixel_size_mm': @pixel_size_mm" if _needs_pixel_size(plan, configuration) else ""
    if len(plan.channels) == 1 or plan.rank == 2:
        return f"$[{{'image': path{size}}} for path in sorted(glob.glob(@dataset_dir + '/*.*'))]"
    others = f"[path.replace('_0000.', '_%04d.' % channel) for channel in range({len(plan.channels)})]"
    return f"$[{{'image': {others}{size}}} for path in sorted(glob.glob(@dataset_dir + '/*_0000.*'))]"


def _loading(plan: Plan, configuration: Configuration) -> list[JsonObject]:
    steps: list[JsonObject] = [_step("LoadImaged"), _step("EnsureChannelFirstd")]
    if _needs_pixel_size(plan, configuration):
        name = "os.path.basename(item['image'].meta['filename_or_obj'])"
        own = f"(item['pixel_size_mm'][{name}] if isinstance(item['pixel_size_mm'], dict) else float(item['pixel_size_mm']))"
        affine = f"torch.diag(torch.tensor([{own}, {own}, 1.0, 1.0], dtype=torch.float64))"
        placed = f"monai.data.MetaTensor(item['image'].as_tensor(), meta={{**item['image'].meta, 'affine': {affine}}})"
        steps.append({"_target_": "Lambda", "func": f"$lambda item: {{**item, 'image': {placed}}}"})
    return steps


def _preprocessing(plan: Plan, configuration: Configuration) -> list[JsonObject]:
    """What `Invertd` undoes."""
    preparation, steps = configuration.preparation, []
    order = preparation.transpose  # of our axes
    turned = preparation.canonical_orientation and plan.rank == 3
    if turned:
        steps.append(_step("Orientationd", axcodes="".join(CANONICAL[axis] for axis in order), labels=TOWARDS))
    if preparation.crop_to_nonzero:
        steps.append(_step("CropForegroundd", source_key="image", select_fn="$lambda image: image != 0", allow_smaller=True))
    steps.append(_normalisation(preparation.normalization))
    of_monai = [plan.rank - 1 - axis for axis in order]  # where our axes are among MONAI's
    if preparation.spacing_mm is not None:
        spacing = [0.0 if step is None else step for step in preparation.spacing_mm]  # MONAI keeps an axis of 0
        pixdim = spacing if turned else [spacing[of_monai.index(axis)] for axis in range(plan.rank)]
        mode, padding_mode = INTERPOLATION[preparation.image_order]
        steps.append(_step("Spacingd", pixdim=pixdim, mode=mode, padding_mode=padding_mode))
    if not turned:
        steps.append(_step("Transposed", indices=[0, *(1 + axis for axis in of_monai)]))
    return steps


def _normalisation(schemes: Sequence[Normalization]) -> JsonObject:
    """MONAI's own transform where all channels are treated alike, else an expression."""
    first, alike = schemes[0], all((one.scheme, one.use_mask) == (schemes[0].scheme, schemes[0].use_mask) for one in schemes)
    if alike and first.scheme == "zscore":
        return _step("NormalizeIntensityd", nonzero=first.use_mask, channel_wise=True)
    if alike and first.scheme == "rescale_to_0_1":
        return _step("ScaleIntensityd", minv=0.0, maxv=1.0, channel_wise=True)
    if first.scheme == "ct" and len(schemes) == 1:
        ends = [(end - first.mean) / max(first.std, SMALLEST_DIVISOR) for end in (first.lower, first.upper)]
        return _step("ScaleIntensityRanged", a_min=first.lower, a_max=first.upper, b_min=ends[0], b_max=ends[1], clip=True)
    channels = ", ".join(_expression(one, f"image[{index}:{index + 1}]") for index, one in enumerate(schemes))
    return _step("Lambdad", func=f"$lambda image: torch.cat([{channels}])")


def _expression(how: Normalization, image: str) -> str:
    if how.scheme == "ct":
        return f"({image}.clamp({how.lower!r}, {how.upper!r}) - {how.mean!r}) / {max(how.std, SMALLEST_DIVISOR)!r}"
    if how.scheme == "zscore" and how.use_mask:
        return f"monai.transforms.NormalizeIntensity(nonzero=True)({image})"
    if how.scheme == "zscore":
        return f"({image} - {image}.mean()) / {image}.std(correction=0).clamp_min({SMALLEST_DIVISOR!r})"
    if how.scheme == "rescale_to_0_1":
        return f"({image} - {image}.min()) / ({image}.max() - {image}.min()).clamp_min({SMALLEST_DIVISOR!r})"
    return f"{image} / 255" if how.scheme == "rgb_to_0_1" else image


def _inferer(configuration: Configuration) -> JsonObject:
    inference, along = configuration.inference, configuration.slice_axis
    sliding: JsonObject = {
        "_target_": "SlidingWindowInferer" if along is None else "SliceInferer",
        "roi_size": list(configuration.training.patch_size),
        "sw_batch_size": inference.tile_batch_size,
        "overlap": 1 - inference.step_fraction,
        "mode": "gaussian",
        "sigma_scale": GAUSSIAN_SIGMA_FRACTION,
        "padding_mode": "constant",
        "cval": 0.0,
    }
    return sliding if along is None else {**sliding, "spatial_dim": along}


def _postprocessing(plan: Plan, ending: str) -> list[JsonObject]:
    largest = max(target.output_value for target in plan.targets)
    back: JsonObject = {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "nearest_interp": False,
    }
    save: JsonObject = {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": "",
        "output_ext": ending,
        "output_dtype": f"$numpy.{'uint8' if largest < 256 else 'uint16'}",
        "separate_folder": False,
        "resample": False,
        "print_log": False,
    }
    return [back, *_decision(plan), save]


def _decision(plan: Plan) -> list[JsonObject]:
    if plan.regions:
        painted = "torch.zeros_like(logits[:1])"
        for index, target in enumerate(plan.targets):
            painted = f"torch.where(logits[{index}:{index + 1}] > 0, {float(target.output_value)}, {painted})"
        return [{"_target_": "Lambdad", "keys": "pred", "func": f"$lambda logits: {painted}"}]
    values = {target.values[0]: target.output_value for target in plan.targets}
    decided: list[JsonObject] = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    if any(output != value for output, value in values.items()):
        mapping: JsonObject = {"orig_labels": [0, *values], "target_labels": [0, *values.values()]}
        decided.append({"_target_": "MapLabelValued", "keys": "pred", **mapping})
    return decided


def _step(target: str, **arguments: object) -> JsonObject:
    return {"_target_": target, "keys": "image", **arguments}
