"""nnU-Net's own export, from the logits of a whole volume to a mask on disk; run by tools/bench_prediction.py in nnU-Net's environment.

    python tools/bench_export_nnunet.py OUT --classes 3 --shape 300 512 512 --resampling default

The logits are the same as in tools/bench_export.py: float16 on a grid 1.5 times coarser, as nnU-Net's predictor hands them over. What is
timed is `export_prediction_from_logits` alone: neither the sums of tiles before it nor the copy to the process that exports count.
`--resampling torch` takes what nnU-Net's plans with `_torchres` have.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from export_logits import COARSER, SHAPE, coarse, logits_of

RESAMPLING = {
    "default": (
        "resample_data_or_seg_to_shape",
        {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
    ),
    "torch": (
        "resample_torch_fornnunet",
        {"is_seg": False, "force_separate_z": False, "memefficient_seg_resampling": False},
    ),
}

BEGUN = "exporting since "  # and the clock of the system, for the program that watches this one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--classes", type=int, default=3, help="outputs, the background included")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    parser.add_argument("--resampling", choices=list(RESAMPLING), default="default")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(export(arguments.out, tuple(arguments.shape), arguments.classes, arguments.resampling)))


def export(out: Path, shape: tuple[int, ...], n_classes: int, resampling: str) -> dict[str, float]:
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(plans_of(resampling))
    labels = {"background": 0, **{f"class {index}": index for index in range(1, n_classes)}}
    logits = logits_of((0, 0, 0), coarse(shape), coarse(shape), n_classes)
    print(f"{BEGUN}{time.monotonic()}", file=sys.stderr, flush=True)
    begin = time.process_time(), time.perf_counter()
    export_prediction_from_logits(
        logits,
        properties_of(shape),
        plans.get_configuration("3d_fullres"),
        plans,
        {"labels": labels, "file_ending": ".nii.gz"},
        str(out / "volume"),
    )
    return {"export": time.process_time() - begin[0], "export_wall": time.perf_counter() - begin[1], "peak_mib": peak_mib()}


def plans_of(resampling: str) -> dict[str, Any]:
    """What the export reads of plans.json: the grid, the axes, the resampling, the writer."""
    function, options = RESAMPLING[resampling]
    configuration = {
        "spacing": [COARSER] * 3,
        "resampling_fn_probabilities": function,
        "resampling_fn_probabilities_kwargs": options,
        "architecture": {},  # not looked into
    }
    return {
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "configurations": {"3d_fullres": configuration},
    }


def properties_of(shape: tuple[int, ...]) -> dict[str, Any]:
    """Of a volume of 1 mm, of which nothing was cropped."""
    return {
        "sitk_stuff": {"spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)},
        "spacing": [1.0] * 3,
        "shape_before_cropping": shape,
        "shape_after_cropping_and_before_resampling": shape,
        "bbox_used_for_cropping": [[0, size] for size in shape],
    }


def peak_mib() -> int:
    """Largest resident size of this process so far."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
