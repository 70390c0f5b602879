"""A MONAI bundle: `configs/metadata.json`, `configs/inference.json`, `models/model.ts` and `docs/README.md` in one folder.

The network is a single one: the mean over folds and mirrored copies. There is no `model.pt`, which would be a pickle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from autoseg.engines.graph_files import MeanOfCopies, write_torchscript
from autoseg.engines.torch_engine import load_networks
from autoseg.inference.mirroring import mirror_subsets
from autoseg.layouts.json_part import JsonObject
from autoseg.records import ModelCard, Normalization, write_text
from autoseg.stages.export.bundle_config import MODEL_FILE, inference_config
from autoseg.stages.export.contents import Contents

BUNDLE_VERSION = "0.1.0"
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
READERS = ("nibabel", "pillow")  # optional for MONAI, which reads files with them
NO_COPYRIGHT = "not stated"
INTENDED_USE = "Research and development. Not a medical device, and not for diagnosis or treatment."
VALUE_RANGES: dict[str, list[float]] = {"rescale_to_0_1": [0, 1], "rgb_to_0_1": [0, 1]}


def write_bundle(contents: Contents, folder: Path, readme: str) -> None:
    """Write the bundle's files.

    Args:
        contents: of a single stage.
        folder: of the bundle, to be made.
        readme: the model card.
    """
    configuration, plan = contents.configuration, contents.plan
    network = MeanOfCopies(
        load_networks(configuration.network, contents.weights()), mirror_subsets(configuration.inference.mirror_axes)
    )
    model = folder / MODEL_FILE
    model.parent.mkdir(parents=True)
    write_torchscript(network, model, configuration.training.patch_size, in_channels=configuration.network.in_channels)
    configs = {"metadata": metadata(contents), "inference": inference_config(plan, configuration)}
    for name, content in configs.items():
        write_text(folder / "configs" / f"{name}.json", json.dumps(content, indent=1) + "\n")
    write_text(folder / "docs" / "README.md", readme)


def metadata(contents: Contents) -> JsonObject:
    """The content of `metadata.json`, with all keys that MONAI's specification asks for."""
    card, names = contents.card, [target.name for target in contents.plan.targets]
    dice = {figures.structure: figures.dice for figures in card.validation if figures.dice is not None}
    return {
        "schema": SCHEMA,
        "version": BUNDLE_VERSION,
        "changelog": {BUNDLE_VERSION: f"exported by {card.made_with}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {name: found for name in READERS if (found := _version(name))},
        "name": card.data,
        "task": f"Segmentation of {', '.join(names)}",
        "description": f"{card.configuration} network of a U-Net family, planned and trained by {card.made_with} on {card.data}",
        "authors": card.source.get("authors", "not stated"),
        "copyright": card.source.get("licence", card.source.get("license", NO_COPYRIGHT)),
        "data_source": card.source.get("url", card.source.get("reference", card.data)),
        "data_type": "2D images" if card.rank == 2 else "volumes",
        "image_classes": f"channels: {', '.join(card.channels)}",
        "label_classes": _label_classes(contents),
        "pred_classes": _label_classes(contents),
        "eval_metrics": {f"dice_{name}": round(value, 4) for name, value in dice.items()},
        "intended_use": INTENDED_USE,
        "references": ["Isensee et al., nnU-Net, Nature Methods 18, 203-211 (2021)"],
        "network_data_format": _data_format(contents, card),
    }


def _label_classes(contents: Contents) -> str:
    values = [f"{target.output_value} is {target.name}" for target in contents.plan.targets]
    return f"single channel data, 0 is background, {', '.join(values)}"


def _data_format(contents: Contents, card: ModelCard) -> JsonObject:
    configuration, plan = contents.configuration, contents.plan
    outputs = [target.name for target in plan.targets] if plan.regions else ["background", *(t.name for t in plan.targets)]
    patch: Sequence[int] = configuration.training.patch_size
    common: JsonObject = {"type": "image", "spatial_shape": list(patch), "dtype": "float32", "is_patch_data": True}
    return {
        "inputs": {
            "image": {
                **common,
                "format": "magnitude",
                "modality": ", ".join(card.channels),
                "num_channels": len(card.channels),
                "value_range": _value_range(configuration.preparation.normalization),
                "channel_def": {str(index): name for index, name in enumerate(card.channels)},
            }
        },
        "outputs": {
            "pred": {
                **common,
                "format": "classes" if plan.regions else "labels",
                "modality": "n/a",
                "num_channels": len(outputs),
                "value_range": [],
                "channel_def": {str(index): name for index, name in enumerate(outputs)},
            }
        },
    }


def _value_range(schemes: Sequence[Normalization]) -> list[float]:
    """Empty where it is open: z-scores have none."""
    ranges = [VALUE_RANGES.get(one.scheme, []) for one in schemes]
    return ranges[0] if all(one == ranges[0] for one in ranges) else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
