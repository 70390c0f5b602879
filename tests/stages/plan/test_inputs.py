"""Which facts reach the planner."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoseg.errors import PlanError
from autoseg.records import Dataset, Fingerprint, Fold, Splits, StructureSize
from autoseg.stages.plan import inputs_from, load_preset

Records = tuple[Dataset, Fingerprint, Splits]
DEFAULT, NNUNET = load_preset("default"), load_preset("nnunet")


def test_held_out_cases_are_not_looked_at(records: Callable[..., Records]) -> None:
    dataset, fingerprint, _ = records()
    splits = Splits(rule="", seed=None, folds=(Fold(train=("case_0", "case_1"), validation=("case_2",)),), held_out=("case_3",))
    inputs = inputs_from(dataset, fingerprint, splits, DEFAULT)
    assert (inputs.n_training, inputs.n_validation, len(inputs.spacings_mm)) == (3, 1, 3)


def test_cases_without_facts_and_empty_folds(records: Callable[..., Records]) -> None:
    dataset, fingerprint, _ = records()
    with pytest.raises(PlanError, match="stranger"):
        inputs_from(dataset, fingerprint, Splits(rule="", seed=None, folds=(Fold(train=("stranger",), validation=()),)), DEFAULT)
    with pytest.raises(PlanError, match="no case is left"):
        inputs_from(dataset, fingerprint, Splits(rule="", seed=None, folds=()), DEFAULT)


def test_2d_spacing_counts_in_mm_for_default_only(records: Callable[..., Records]) -> None:
    assert inputs_from(*records(), DEFAULT).spacings_mm[0] == (0.2, 0.2)
    assert inputs_from(*records(), NNUNET).spacings_mm[0] is None


def test_canonical_order_of_axes(records: Callable[..., Records]) -> None:
    # x runs to posterior, y to inferior, z to the right: canonical z is array axis 1, y is axis 2, x is axis 0
    volumes = records(rank=3, shape=(10, 20, 30), spacings=((1.0, 2.0, 3.0),) * 10, orientation="PIR")
    inputs = inputs_from(*volumes, DEFAULT)
    assert inputs.shapes_after_crop[0] == (20, 30, 10)
    assert inputs.spacings_mm[0] == (2.0, 3.0, 1.0)
    assert (inputs.turned, inputs.oriented) == (10, 10)
    flipped = records(rank=3, shape=(10, 20, 30), spacings=((1.0, 2.0, 3.0),) * 10, orientation="RAS")
    assert inputs_from(*flipped, DEFAULT).turned == 0
    assert inputs_from(*volumes, NNUNET).shapes_after_crop[0] == (10, 20, 30)


def test_thickness_is_in_mm_over_cases_that_have_the_structure(records: Callable[..., Records]) -> None:
    dataset, fingerprint, splits = records(thickness=40.0)
    absent = fingerprint.cases[0].model_copy(update={"structures": {"head": StructureSize(pixels=0, size=None, thickness=0)}})
    fingerprint = fingerprint.model_copy(update={"cases": (absent, *fingerprint.cases[1:])})
    inputs = inputs_from(dataset, fingerprint, splits, DEFAULT)
    assert inputs.thickness == pytest.approx(8.0)
    assert inputs.thinnest == "head"
    assert inputs_from(dataset, fingerprint, splits, NNUNET).thickness == 40.0


def test_outputs_of_exclusive_labels_and_regions(records: Callable[..., Records]) -> None:
    dataset, fingerprint, splits = records()
    inputs = inputs_from(dataset, fingerprint, splits, DEFAULT)
    assert (inputs.n_labels, inputs.n_outputs) == (2, 2)
    regions = dataset.model_copy(update={"regions": True, "ignore_value": 2})
    inputs = inputs_from(regions, fingerprint, splits, DEFAULT)
    assert (inputs.n_labels, inputs.n_outputs) == (3, 1)
