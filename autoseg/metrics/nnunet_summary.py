"""nnU-Net's `summary.json` from our scores, so that scripts which read it go on working.

Names and rules are those of nnU-Net 2.8.1 (`nnunetv2/evaluation/evaluate_predictions.py`), and differ from those of `scores.json`: a false
alarm has Dice 0 and counts in the mean, and only what is in neither mask is left out. docs/metrics.md has both side by side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from autoseg.metrics.scoring import mean_of
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import CaseScores, Dataset, StructureScores, ValueEncoding

FIGURES = ("Dice", "FN", "FP", "IoU", "TN", "TP", "n_pred", "n_ref")

Files = tuple[str, str]


def nnunet_summary(cases: Sequence[CaseScores], keys: Mapping[str, str], files: Mapping[str, Files]) -> str:
    """The text of the file. nnU-Net writes `NaN` where a figure is not defined, which Python reads and strict JSON does not know.

    Args:
        cases: scored by this version, with their counts; at least one.
        keys: what nnU-Net calls a structure, by its name; structures without are left out. See `nnunet_keys`.
        files: the case's mask and its reference, by the case's id.
    """
    per_case = [{key: _figures(case.structures[name]) for name, key in keys.items()} for case in cases]
    mean = {key: {figure: _mean(metrics[key][figure] for metrics in per_case) for figure in FIGURES} for key in keys.values()}
    content = {
        "foreground_mean": {figure: sum(means[figure] for means in mean.values()) / len(mean) for figure in FIGURES},
        "mean": mean,
        "metric_per_case": [
            {"metrics": metrics, "prediction_file": files[case.id][0], "reference_file": files[case.id][1]}
            for case, metrics in sorted(zip(cases, per_case, strict=True), key=lambda pair: files[pair[0].id])
        ],
    }
    return json.dumps(content, indent=4, sort_keys=True) + "\n"


def nnunet_keys(structures: Sequence[ScoredStructure], dataset: Dataset) -> dict[str, str]:
    """What nnU-Net calls each target: `"1"` for a label, `"(1, 2, 3)"` for a region. Derived unions are not in its file.

    A label is called by the value that a mask holds for it. A region is called by all values that it is made of, as the data set's
    labels hold them, in ascending order; of one that is a single value nnU-Net writes `"3"` or `"(3,)"`, as `dataset.json` has it, and
    here it is `"3"`.
    """
    declared = {target.name: target.values for target in dataset.targets}
    stored = _stored_values(dataset)
    keys = {}
    for structure in structures:
        if not structure.target:
            continue
        if dataset.regions and structure.name in declared:
            values = [stored.get(value, value) for value in declared[structure.name]]
        else:
            values = sorted(structure.painted_values)
        keys[structure.name] = str(values[0]) if len(values) == 1 else str(tuple(values))
    return keys


def _stored_values(dataset: Dataset) -> dict[int, int]:
    """What a label file holds for each internal value; empty where files do not hold values."""
    encoding = next(iter(dataset.encodings.values()), None)
    return {value: stored for stored, value in encoding.values.items()} if isinstance(encoding, ValueEncoding) else {}


def _figures(scores: StructureScores) -> dict[str, float]:
    tp, fp, fn, tn = (int(count or 0) for count in (scores.tp, scores.fp, scores.fn, scores.tn))
    anywhere = tp + fp + fn
    return {
        "Dice": 2 * tp / (2 * tp + fp + fn) if anywhere else math.nan,
        "FN": fn,
        "FP": fp,
        "IoU": tp / anywhere if anywhere else math.nan,
        "TN": tn,
        "TP": tp,
        "n_pred": fp + tp,
        "n_ref": fn + tp,
    }


def _mean(values: Iterable[float]) -> float:
    """Over what is defined; of nothing it is not defined either."""
    mean = mean_of(None if math.isnan(value) else value for value in values)
    return math.nan if mean is None else mean
