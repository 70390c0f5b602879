"""The same numbers as nnU-Net's own evaluation of the same masks.

The numbers are those of nnU-Net 2.8.1, `compute_metrics_on_folder(..., regions_or_labels=[1, 2, 3], ignore_label=4)` and
`[(1, 2, 3), (2, 3), 3]`, of the masks below written as NIfTI.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from autoseg.metrics.nnunet_summary import nnunet_keys, nnunet_summary
from autoseg.metrics.scoring import score_masks
from autoseg.metrics.structures import ScoredStructure, match_structures
from autoseg.records import CaseScores, ColourEncoding, Dataset, LabelEncoding, Predictions, Structure, ValueEncoding

Ends = tuple[int, int]
Painted = tuple[Ends, Ends, Ends, int]
NAN = math.nan
# Label 1 is shifted and in one case absent, 2 missed in one case and a false alarm in the next, 3 absent in one; 4 is not annotated.
MASKS: dict[str, tuple[list[Painted], list[Painted]]] = {
    "case_1": (
        [((0, 3), (1, 5), (1, 5), 1), ((1, 2), (1, 4), (6, 9), 2), ((0, 1), (6, 8), (6, 10), 3)],
        [((0, 3), (2, 6), (1, 5), 1), ((0, 2), (6, 8), (6, 10), 3)],
    ),
    "case_2": (
        [((0, 2), (2, 6), (2, 7), 1), ((2, 3), (5, 8), (0, 10), 4)],
        [((0, 2), (2, 6), (3, 7), 1), ((2, 3), (0, 2), (0, 3), 2), ((2, 3), (6, 7), (2, 8), 1)],
    ),
    "case_3": ([((1, 3), (0, 3), (0, 4), 2), ((1, 3), (1, 2), (1, 3), 3)], [((1, 3), (0, 3), (1, 5), 2)]),
}
# In the order of FIGURES.
FIGURES = ("Dice", "FN", "FP", "IoU", "TN", "TP", "n_pred", "n_ref")
OF_LABELS = {
    "case_1": {
        "1": (0.75, 12, 12, 0.6, 180, 36, 48, 48),
        "2": (0.0, 9, 0, 0.0, 231, 0, 0, 9),
        "3": (2 / 3, 0, 8, 0.5, 224, 8, 16, 8),
    },
    "case_2": {
        "1": (8 / 9, 8, 0, 0.8, 170, 32, 32, 40),
        "2": (0.0, 0, 6, 0.0, 204, 0, 6, 0),
        "3": (NAN, 0, 0, NAN, 210, 0, 0, 0),
    },
    "case_3": {
        "1": (NAN, 0, 0, NAN, 240, 0, 0, 0),
        "2": (0.6363636363636364, 6, 10, 0.4666666666666667, 210, 14, 24, 20),
        "3": (0.0, 4, 0, 0.0, 236, 0, 0, 4),
    },
}
MEAN_OF_LABELS = {
    "1": (0.8194444444444444, 20 / 3, 4.0, 0.7, 196.66666666666666, 22.666666666666668, 26.666666666666668, 29.333333333333332),
    "2": (0.21212121212121213, 5.0, 16 / 3, 0.15555555555555556, 215.0, 14 / 3, 10.0, 9.666666666666666),
    "3": (1 / 3, 4 / 3, 8 / 3, 0.25, 223.33333333333334, 8 / 3, 16 / 3, 4.0),
}
FOREGROUND = (0.45496632996632996, 4.333333333333334, 4.0, 0.3685185185185185, 211.66666666666666, 10.0, 14.0, 14.333333333333334)
MEAN_OF_REGIONS = {
    "(1, 2, 3)": (0.7508944543828265, 35 / 3, 32 / 3, 0.6044330775788577, 176.33333333333334, 31.333333333333332, 42.0, 43.0),
    "(2, 3)": (0.4116161616161616, 5.0, 20 / 3, 0.30666666666666664, 209.66666666666666, 26 / 3, 46 / 3, 41 / 3),
    "3": MEAN_OF_LABELS["3"],
}
FOREGROUND_OF_REGIONS = (0.49861464977744047, 6.0, 20 / 3, 0.3870332480818415, 203.11111111111111, 128 / 9, 188 / 9, 182 / 9)


def _drawn(boxes: list[Painted]) -> np.ndarray:
    array = np.zeros((3, 8, 10), np.int16)
    for z, y, x, value in boxes:
        array[slice(*z), slice(*y), slice(*x)] = value
    return array


def _summary(structures: dict[str, tuple[int, ...]], keys: dict[str, str]) -> dict[str, object]:
    scored = [ScoredStructure(name, frozenset(values), frozenset(values), True) for name, values in structures.items()]
    cases = [
        CaseScores(
            id=name,
            subject=name,
            structures=score_masks(
                _drawn(reference), _drawn(predicted).astype(np.uint8), scored, (1.0, 1.0, 1.0), ignore_value=4
            ),
        )
        for name, (reference, predicted) in reversed(MASKS.items())
    ]
    files = {name: (f"out/{name}.nii.gz", f"labels/{name}.nii.gz") for name in MASKS}
    return json.loads(nnunet_summary(cases, keys, files))  # type: ignore[no-any-return]


def _figures(numbers: tuple[float, ...]) -> object:
    return pytest.approx(dict(zip(FIGURES, numbers, strict=True)), nan_ok=True)


def test_labels() -> None:
    found = _summary({"a": (1,), "b": (2,), "c": (3,)}, {"a": "1", "b": "2", "c": "3"})
    assert set(found) == {"foreground_mean", "mean", "metric_per_case"}
    assert found["foreground_mean"] == _figures(FOREGROUND)
    assert {key: _figures(numbers) for key, numbers in MEAN_OF_LABELS.items()} == found["mean"]
    for case, (name, expected) in zip(found["metric_per_case"], OF_LABELS.items(), strict=True):  # type: ignore[call-overload]
        assert set(case) == {"metrics", "prediction_file", "reference_file"}
        assert (case["prediction_file"], case["reference_file"]) == (f"out/{name}.nii.gz", f"labels/{name}.nii.gz")
        assert {key: _figures(numbers) for key, numbers in expected.items()} == case["metrics"]
        assert isinstance(case["metrics"]["1"]["TP"], int)


def test_regions() -> None:
    regions = {"whole": (1, 2, 3), "core": (2, 3), "centre": (3,)}
    found = _summary(regions, {"whole": "(1, 2, 3)", "core": "(2, 3)", "centre": "3"})
    assert {key: _figures(numbers) for key, numbers in MEAN_OF_REGIONS.items()} == found["mean"]
    assert found["foreground_mean"] == _figures(FOREGROUND_OF_REGIONS)


def test_what_is_nowhere_is_no_number_and_so_is_the_mean_of_all() -> None:
    found = _summary({"a": (1,), "nowhere": (5,)}, {"a": "1", "nowhere": "5"})
    assert math.isnan(found["mean"]["5"]["Dice"]) and math.isnan(found["foreground_mean"]["Dice"])  # type: ignore[index, call-overload]
    assert found["mean"]["5"]["TP"] == 0.0  # type: ignore[index, call-overload]


def _keys(
    dataset_targets: tuple[Structure, ...],
    predicted: tuple[Structure, ...] | None = None,
    *,
    regions: bool = False,
    encoding: LabelEncoding | None = None,
    derived: tuple[Structure, ...] = (),
) -> dict[str, str]:
    dataset = Dataset(
        name="d", layout="nnunet", root="/", rank=3, channels=("x",), targets=dataset_targets, regions=regions, derived=derived,
        encodings={"default": encoding or ValueEncoding(values={0: 0, 1: 1, 2: 2, 3: 3})}, cases=(),
    )  # fmt: skip
    predictions = Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", targets=predicted or dataset_targets, derived=(), regions=regions,
        cases=(),
    )  # fmt: skip
    return nnunet_keys(match_structures(dataset, predictions), dataset)


def test_labels_are_called_by_what_a_mask_holds_and_unions_are_not_in_the_file() -> None:
    a, b = Structure(name="a", values=(1,), output_value=1), Structure(name="b", values=(2,), output_value=2)
    both = Structure(name="both", values=(1, 2), output_value=9)
    assert _keys((a, b), derived=(both,)) == {"a": "1", "b": "2"}
    assert _keys((a.model_copy(update={"output_value": 255}),)) == {"a": "255"}
    painted = (Structure(name="b", values=(1,), output_value=7), Structure(name="a", values=(2,), output_value=8))
    assert _keys((a, b), painted) == {"a": "8", "b": "7"}


def test_regions_are_called_by_the_values_of_the_label_files() -> None:
    whole, core = Structure(name="whole", values=(1, 2, 3), output_value=1), Structure(name="core", values=(2, 3), output_value=2)
    centre = Structure(name="centre", values=(3,), output_value=3)
    assert _keys((whole, core, centre), regions=True) == {"whole": "(1, 2, 3)", "core": "(2, 3)", "centre": "3"}
    sparse = ValueEncoding(values={0: 0, 10: 1, 20: 2, 40: 3})
    assert _keys((whole, core), regions=True, encoding=sparse) == {"whole": "(10, 20, 40)", "core": "(20, 40)"}
    colours = ColourEncoding(colours={"0,0,0": 0, "255,0,0": 1})
    assert _keys((whole, core), regions=True, encoding=colours) == {"whole": "(1, 2, 3)", "core": "(2, 3)"}


def test_a_label_that_is_a_union_of_what_was_painted() -> None:
    head = Structure(name="head", values=(1,), output_value=1)
    parts = (Structure(name="brain", values=(1,), output_value=1), Structure(name="csp", values=(2,), output_value=2))
    dataset = Dataset(
        name="d", layout="folders", root="/", rank=2, channels=("x",), targets=(head,), cases=(),
        encodings={"default": ValueEncoding(values={0: 0, 255: 1})},
    )  # fmt: skip
    predictions = Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", targets=parts, regions=False, cases=(),
        derived=(Structure(name="head", values=(1, 2), output_value=3),),
    )  # fmt: skip
    assert nnunet_keys(match_structures(dataset, predictions), dataset) == {"head": "(1, 2)"}
