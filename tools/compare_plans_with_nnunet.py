"""Plan random data sets with nnU-Net's own planners and with ours, and print every difference.

    python tools/compare_plans_with_nnunet.py PEER_PYTHON --number 300 --seed 0

PEER_PYTHON is the interpreter of an environment in which nnunetv2 is installed. The data sets are made up: 2D images with and
without a pixel size, volumes isotropic and not, with axes in any order, of few slices, tiny and huge, with mixed sizes and
spacings, one to 100 labels, regions, an ignore label, several channels. A quarter of them are planned for another memory. Every
planner (default, ResEnc M, L, XL) is compared in every value.

nnU-Net makes every network that it considers, to count its feature maps. Here it makes them without weights (on torch's meta
device), which counts the same and takes less time; `--weights` leaves it as it is.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from autoseg.records import MachineProfile
from autoseg.stages.plan import PlanOptions
from autoseg.stages.plan.nnunet_files import as_json, plan_from_files

PLANNERS = {
    "nnunet": "ExperimentPlanner",
    "nnunet-resenc-m": "nnUNetPlannerResEncM",
    "nnunet-resenc-l": "nnUNetPlannerResEncL",
    "nnunet-resenc-xl": "nnUNetPlannerResEncXL",
}
KEYS = {  # ours: theirs
    "patch_size": "patch_size",
    "batch_size": "batch_size",
    "median_shape": "median_image_size_in_voxels",
    "spacing_mm": "spacing",
    "normalization": "normalization_schemes",
    "use_mask_for_norm": "use_mask_for_norm",
    "batch_dice": "batch_dice",
}
NETWORK_KEYS = {
    "strides": "strides",
    "kernel_sizes": "kernel_sizes",
    "features": "features_per_stage",
    "n_stages": "n_stages",
}
FAMILIES = {
    "plain_unet": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "residual_unet": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
}
MACHINE = MachineProfile(device="cpu", name="any", cores=1, memory_bytes=10**9, precision="float32")

PEER = """
import json, os, sys, contextlib, io
from pathlib import Path
root = Path(sys.argv[1]).parent
for name in ("raw", "preprocessed", "results"):
    (root / name).mkdir()
    os.environ["nnUNet_" + name] = str(root / name)
import torch
from batchgenerators.utilities.file_and_folder_operations import save_json
from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner as default
from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners as residual

class Reader:
    pass

build = default.get_network_from_plans
def on_no_device(*args, **kwargs):
    with torch.device("meta"):
        return build(*args, **kwargs)
if sys.argv[3] == "meta":
    default.get_network_from_plans = on_no_device
default.ExperimentPlanner.determine_reader_writer = lambda self: Reader
default.ExperimentPlanner.save_plans = lambda self, plans: default.recursive_fix_for_json_export(plans)

jobs, results = json.load(open(sys.argv[1])), []
for index, job in enumerate(jobs):
    name = f"Dataset{index % 900 + 100:03d}_{index}"
    for kind in ("raw", "preprocessed"):
        (root / kind / name).mkdir()
    for folder in ("imagesTr", "labelsTr"):
        (root / "raw" / name / folder).mkdir()
    job["dataset"]["file_ending"] = ".nii.gz"
    save_json(job["dataset"], str(root / "raw" / name / "dataset.json"))
    save_json(job["fingerprint"], str(root / "preprocessed" / name / "dataset_fingerprint.json"))
    found = {}
    for planner in job["planners"]:
        kind = getattr(default, planner, None) or getattr(residual, planner)
        options = {} if job["memory_gb"] is None else {"gpu_memory_target_in_gb": job["memory_gb"]}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found[planner] = kind(name, **options).plan_experiment()
        except Exception as error:
            found[planner] = {"error": f"{type(error).__name__}: {error}"}
    results.append(found)
json.dump(results, open(sys.argv[2], "w"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer_python", type=Path)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", action="store_true", help="let nnU-Net make its networks with weights")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    jobs = [random_job(rng) for _ in range(options.number)]
    configurations: Counter[str] = Counter()
    differences = values = failures = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        theirs = plans_of_nnunet(options.peer_python, jobs, place, "weights" if options.weights else "meta")
        for index, (job, plans) in enumerate(zip(jobs, theirs, strict=True)):
            for preset, planner in PLANNERS.items():
                if "error" in plans[planner]:
                    failures += 1
                    print(f"data set {index} ({job['kind']}), {preset}: nnU-Net fails: {plans[planner]['error']}")
                    continue
                mine = ours(job, preset, place)
                configurations.update(list(mine["configurations"]))
                found = compare(mine, plans[planner])
                values += len(found)
                for text in (text for text in found if text):
                    differences += 1
                    print(f"data set {index} ({job['kind']}), {preset}: {text}")
    print(", ".join(f"{count} x {name}" for name, count in configurations.items()))
    print(
        f"{options.number} data sets, {len(PLANNERS)} presets, {values} values compared, {differences} differ, "
        f"{failures} plans nnU-Net could not make"
    )


def plans_of_nnunet(python: Path, jobs: list[dict[str, Any]], place: Path, device: str) -> list[dict[str, Any]]:
    """What its planners choose, per data set and planner."""
    (place / "jobs.json").write_text(json.dumps(jobs))
    (place / "peer.py").write_text(PEER)
    command = [python, "-W", "ignore", place / "peer.py", place / "jobs.json", place / "plans.json", device]
    subprocess.run([str(part) for part in command], check=True)
    found: list[dict[str, Any]] = json.loads((place / "plans.json").read_text())
    return found


def random_job(rng: random.Random) -> dict[str, Any]:
    """Facts of a data set, and the memory to plan for (None: the planner's own)."""
    kind = rng.choice(["png", "2d in mm", "isotropic", "listed", "any", "any", "coarse", "thin", "tiny", "huge"])
    cases = [next_case(rng, kind) for _ in range(rng.choice([1, 2, 3, 4, 5, 10, 30, 31, 60]))]
    template = next_case(rng, kind)
    order = [0, 1, 2] if kind in ("png", "2d in mm") else rng.sample(range(3), 3)
    spacings, shapes = [], []
    for own_spacing, own_shape in cases:
        spacing, shape = template if rng.random() < 0.8 else (own_spacing, own_shape)
        if kind not in ("png", "2d in mm"):
            spacing = [value * rng.choice([1, 1, 1, 1.1, 0.75, rng.uniform(0.8, 1.2)]) for value in spacing]
        vary = rng.choice([1, 1, 1.5, 0.6, rng.uniform(0.7, 1.3)])
        shape = [1 if length == 1 else max(1, round(length * vary * rng.choice([1, 0.9, 1.05]))) for length in shape]
        spacings.append([spacing[axis] for axis in order])
        shapes.append([shape[axis] for axis in order])
    numbers = dict.fromkeys(("mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"), 1.0)
    dataset = random_dataset(rng, len(cases))
    n_channels = len(dataset.get("channel_names") or dataset["modality"])
    fingerprint = {
        "spacings": spacings,
        "shapes_after_crop": shapes,
        "foreground_intensity_properties_per_channel": {str(i): numbers for i in range(n_channels)},
        "median_relative_size_after_cropping": rng.choice([0.3, 0.7499, 0.75, 1.0]),
    }
    memory = rng.choice([4, 6.5, 11, 16, 48, 80]) if rng.random() < 0.25 else None
    return {
        "kind": kind,
        "dataset": dataset,
        "fingerprint": fingerprint,
        "memory_gb": memory,
        "planners": list(PLANNERS.values()),
    }


def next_case(rng: random.Random, kind: str) -> tuple[list[float], list[int]]:
    """Spacing and shape, coarse axis first."""
    width, height = (rng.choice([30, 49, 128, 250, 512, rng.randint(20, 1200)]) for _ in range(2))
    if kind == "png":
        scale = rng.choice([1, 2, 4])
        return [999, 1, 1], [1, height * scale, width * scale]
    if kind == "2d in mm":
        y, x = (rng.uniform(0.05, 0.5) for _ in range(2))
        return [max(y, x) * 999, y, x], [1, height, width]
    base = rng.choice([0.1, 0.35, 0.7, 1.0, 2.0])
    if kind == "isotropic":
        return [base] * 3, [rng.choice([20, 64, 160, 321]), height, height]
    if kind == "tiny":
        return [base * rng.choice([1, 2]), base, base], [rng.randint(2, 30) for _ in range(3)]
    if kind == "huge":
        return [base * rng.uniform(0.8, 4), base, base], [rng.randint(200, 1500), *(rng.randint(800, 2500) for _ in range(2))]
    if kind == "thin":
        return [base * rng.uniform(0.5, 12), base, base], [rng.randint(1, 6), height, width]
    if kind == "coarse":
        return [base * rng.uniform(2.8, 12), base, base], [rng.randint(5, 90), height, height]
    if kind == "any":
        return [base * rng.uniform(0.4, 3) for _ in range(3)], [rng.randint(8, 700), height, width]
    factors = [rng.choice([1, 1, 1.2, 2, 2.1, 3.3, 5, 10]), *([rng.choice([1, 1, 1, 1.3])] * 2)]
    return [base * factor for factor in factors], [rng.choice([12, 20, 37, 64, 140, 300, 700]), height, height]


def random_dataset(rng: random.Random, cases: int) -> dict[str, Any]:
    """A `dataset.json`: channels, labels or regions, perhaps an ignore label."""
    names = rng.choices(
        ["CT", "T1", "FLAIR", "noNorm", "rgb_to_0_1", "R", "zscore", "rescale_to_0_1", "ct"], k=rng.choice([1, 1, 2, 4])
    )
    n_labels = rng.choice([1, 1, 2, 3, 13, 100])
    labels: dict[str, Any] = {"background": 0} | {f"l{i}": i for i in range(1, n_labels + 1)}
    dataset: dict[str, Any] = {rng.choice(["channel_names", "channel_names", "modality"]): None, "labels": labels}
    dataset = {key: value or {str(i): name for i, name in enumerate(names)} for key, value in dataset.items()}
    if rng.random() < 0.2:
        labels["whole"] = list(range(1, n_labels + 1))
        dataset["regions_class_order"] = list(range(1, len(labels)))
    if rng.random() < 0.2:
        labels["ignore"] = n_labels + 1
    return dataset | {"numTraining": cases if rng.random() < 0.8 else rng.randint(1, 1500)}


def ours(job: dict[str, Any], preset: str, place: Path) -> dict[str, Any]:
    """Our plan of the same files."""
    facts, declared = place / "dataset_fingerprint.json", place / "dataset.json"
    facts.write_text(json.dumps(job["fingerprint"]))
    declared.write_text(json.dumps(job["dataset"]))
    options = PlanOptions(preset=preset, memory_bytes=None if job["memory_gb"] is None else job["memory_gb"] * 1e9)
    found: dict[str, Any] = json.loads(as_json(plan_from_files(facts, declared, options, MACHINE), preset))
    return found


def compare(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """A sentence per value that differs, and an empty text per value that does not."""
    result = [_difference("transpose_forward", mine["transpose_forward"], theirs["transpose_forward"])]
    names = theirs["configurations"]
    result.append(_difference("configurations", sorted(mine["configurations"]), sorted(names)))
    for name in sorted(set(names) & set(mine["configurations"])):
        entry, own = names[name], mine["configurations"][name]
        for key in ("previous_stage", "next_stage"):
            result.append(_difference(f"{name} {key}", own.get(key), entry.get(key)))
        entry = names[entry["inherits_from"]] if "inherits_from" in entry else entry
        architecture = entry["architecture"]["arch_kwargs"]
        for key, other in KEYS.items():
            result.append(_difference(f"{name} {key}", own[key], entry[other]))
        for key, other in NETWORK_KEYS.items():
            result.append(_difference(f"{name} {key}", own[key], architecture[other]))
        blocks = architecture.get("n_blocks_per_stage") or architecture["n_conv_per_stage"]
        result.append(_difference(f"{name} encoder_blocks", own["encoder_blocks"], blocks))
        result.append(_difference(f"{name} decoder_convs", own["decoder_convs"], architecture["n_conv_per_stage_decoder"]))
        result.append(_difference(f"{name} network", FAMILIES[own["network"]], entry["architecture"]["network_class_name"]))
    return result


def _difference(name: str, mine: Any, theirs: Any) -> str:
    return "" if _equal(mine, theirs) else f"{name} is {mine}, nnU-Net has {theirs}"


def _equal(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, list) and isinstance(theirs, (list, tuple)):
        return len(mine) == len(theirs) and all(_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    if isinstance(mine, float) or isinstance(theirs, float):
        return abs(float(mine) - float(theirs)) <= 1e-9 * max(1.0, abs(float(theirs)))
    return bool(mine == theirs)


if __name__ == "__main__":
    main()
