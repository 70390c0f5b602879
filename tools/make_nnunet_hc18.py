"""Make nnU-Net's 2D model of HC18: network and windows as its own planner takes them, and so much training that masks hold a head.

Run by the interpreter of an environment with nnunetv2 2.8.1, which need not hold autoseg:

    OMP_NUM_THREADS=2 python tools/make_nnunet_hc18.py DATA/HC18 OUT [--epochs 6 --steps 20 --patch 256 384 --batch 2]

`OUT/model` then holds plans.json, dataset.json and fold_0/checkpoint_final.pth, and `OUT/images` validation images under nnU-Net's
names. Training sees smaller patches and batches than were planned, since a step of the planned ones takes a minute on two cores. The
network does not depend on the patch, so OUT/model has the plan as nnU-Net's planner wrote it: the model is for measuring how long a
prediction takes, not how good it is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

NUMBER, NAME = 18, "HC18"
DATASET = f"Dataset{NUMBER:03d}_{NAME}"
CONFIGURATION = "2d"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="HC18 as downloaded: training_set/NAME.png and NAME_Annotation.png")
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20, help="of an epoch")
    parser.add_argument("--patch", type=int, nargs=2, default=(256, 384), help="multiples of 128 for eight stages")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--images", type=int, default=80, help="validation images copied into OUT/images")
    options = parser.parse_args()
    work = (options.out / "work").resolve()
    places = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}
    os.environ.update({name: str(work / folder) for name, folder in places.items()})
    os.environ.update(nnUNet_compile="f", nnUNet_n_proc_DA="1")  # read when nnunetv2 is imported
    for folder in places.values():
        (work / folder).mkdir(parents=True, exist_ok=True)
    lay_out(options.source, work / "raw" / DATASET)
    plans = planned(work / "preprocessed" / DATASET)
    trained = train(plans, work / "preprocessed" / DATASET, options)
    model = options.out / "model"
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(trained, model, ignore=shutil.ignore_patterns("validation"))
    (model / "plans.json").write_text(json.dumps(plans, indent=1), encoding="utf-8")
    copy_validation_images(work, options.out / "images", options.images)
    found = plans["configurations"][CONFIGURATION]
    print(f"{model}: patch {found['patch_size']}, {found['architecture']['arch_kwargs']['n_stages']} stages")


def lay_out(source: Path, raw: Path) -> None:
    """As nnU-Net's raw data set; the outline, an ellipse, is filled by its convex hull."""
    from skimage import io
    from skimage.morphology import convex_hull_image

    if (raw / "dataset.json").exists():
        return
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    outlines = sorted((source / "training_set").glob("*_Annotation.png"))
    if not outlines:
        raise SystemExit(f"{source} has no training_set/*_Annotation.png")
    for outline in outlines:
        case = outline.name.removesuffix("_Annotation.png")
        shutil.copy(outline.with_name(f"{case}.png"), raw / "imagesTr" / f"{case}_0000.png")
        filled = convex_hull_image(io.imread(outline) > 0)
        io.imsave(raw / "labelsTr" / f"{case}.png", filled.astype(np.uint8), check_contrast=False)
    declared = {"channel_names": {"0": "US"}, "labels": {"background": 0, "head": 1}, "file_ending": ".png"}
    (raw / "dataset.json").write_text(json.dumps(declared | {"numTraining": len(outlines)}), encoding="utf-8")


def planned(place: Path) -> dict[str, Any]:
    """nnU-Net's default plans, and the cases preprocessed for them."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    if not (place / "nnUNetPlans.json").exists():
        extract_fingerprints([NUMBER], num_processes=1, clean=True)
        preprocess([NUMBER], plan_experiments([NUMBER]), [CONFIGURATION], [1])
    plans: dict[str, Any] = json.loads((place / "nnUNetPlans.json").read_text())
    return plans


def train(plans: dict[str, Any], place: Path, options: argparse.Namespace) -> Path:
    """A few steps on small patches; returns the folder of the trained model."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(0)
    os.environ.update(nnUNet_n_proc_DA="0")  # batches are drawn in this process
    smaller: dict[str, Any] = json.loads(json.dumps(plans)) | {"continue_training": False}  # as its command hands it on
    smaller["configurations"][CONFIGURATION].update(patch_size=list(options.patch), batch_size=options.batch)
    trainer = nnUNetTrainer(smaller, CONFIGURATION, 0, json.loads((place / "dataset.json").read_text()), torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = options.epochs, options.steps, 1
    trainer.run_training()
    return Path(trainer.output_folder_base)


def copy_validation_images(work: Path, out: Path, most: int) -> None:
    """The first images of the fold's own validation cases."""
    splits = json.loads((work / "preprocessed" / DATASET / "splits_final.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    for case in sorted(splits[0]["val"])[:most]:
        shutil.copy(work / "raw" / DATASET / "imagesTr" / f"{case}_0000.png", out)


if __name__ == "__main__":
    main()
