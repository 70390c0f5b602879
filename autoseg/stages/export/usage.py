"""How each kind of file is used, as its model card says it."""

from __future__ import annotations

from autoseg.stages.export.contents import Contents

GRAPH_FILES = {
    "onnx": "`fold_*.onnx` run in ONNX Runtime and whatever else reads ONNX",
    "openvino": "`fold_*.xml` with `fold_*.bin` run in OpenVINO",
    "torchscript": "`fold_*.pt` run in PyTorch (`torch.jit.load`) and libtorch",
}


def usage(contents: Contents, form: str, name: str) -> str:
    """A paragraph for the card.

    Args:
        contents: what is in the file.
        form: `zip`, `monai-bundle` or one of the graphs.
        name: of the file.
    """
    in_mm = contents.dataset.rank == 2 and contents.configuration.preparation.spacing_mm is not None
    if form == "zip":
        size = " --spacing MM" if in_mm else ""
        return (
            f"    autoseg predict {name} IMAGES OUT{size}\n\n"
            "writes a mask for every image, the same as the model makes where it was trained. `autoseg import-model` unpacks it into a folder. "
            "Weights are safetensors; their SHA-256 stands in `model.json` and is checked."
        )
    if form == "monai-bundle":
        size = " --pixel_size_mm MM" if in_mm else ""
        told = (
            " The pixel size of pictures must be given in mm, as one number or, in `configs/inference.json`, by file name."
            if in_mm
            else ""
        )
        return (
            f"    unzip {name} && cd {name.removesuffix('.zip').removesuffix('.monai-bundle')}\n"
            f"    python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir MASKS{size}\n\n"
            f"`models/model.ts` is the mean over folds and mirrored copies (profile `{contents.profile}`).{told}"
        )
    return (
        f"{GRAPH_FILES[form]}: image (batch, channel, *patch) to logits, float32. They are networks alone. All that is to be done before and "
        f"after (profile `{contents.profile}`) stands in `inference.json`, in numbers and in words."
    )
