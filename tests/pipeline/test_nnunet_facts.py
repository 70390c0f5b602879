"""The card of an nnU-Net model tells what its fingerprint does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoseg.pipeline.nnunet_facts import with_nnunet_facts
from autoseg.records import ModelCard, StructureFacts

CHANNEL = {"mean": 5.0, "median": 4.0, "std": 2.0, "min": 0.0, "max": 9.0, "percentile_00_5": 1.0, "percentile_99_5": 8.0}
TOLD = {
    "spacings": [[999.0, 0.3, 0.4], [999.0, 0.1, 0.2], [999.0, 0.2, 0.9]],
    "shapes_after_crop": [[1, 50, 60], [1, 40, 80], [1, 45, 70]],
    "foreground_intensity_properties_per_channel": {"0": CHANNEL},
    "median_relative_size_after_cropping": 1.0,
}


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        made_with="autoseg",
        data="Heads",
        channels=("US",),
        rank=2,
        configuration="2d",
        stages=("2d",),
        structures=(StructureFacts(name="head", output_value=1, present=None),),
        regions=False,
        folds=("0",),
    )


@pytest.mark.parametrize("place", [".", "Trainer__Plans__2d"])
def test_facts_of_pictures(card: ModelCard, tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "dataset_fingerprint.json").write_text(json.dumps(TOLD))
    found = with_nnunet_facts(card, tmp_path)
    assert found.spacing_mm is not None and found.shape is not None
    assert found.cases == 3
    assert (found.spacing_mm.smallest, found.spacing_mm.median, found.spacing_mm.largest) == ((0.1, 0.2), (0.2, 0.4), (0.3, 0.9))
    assert (found.shape.smallest, found.shape.largest) == ((40.0, 60.0), (50.0, 80.0))
    assert found.intensities[0].percentile_99_5 == 8.0


@pytest.mark.parametrize("content", [None, "{", "{}", json.dumps({**TOLD, "spacings": [[1.0]]})])
def test_nothing_is_made_up(card: ModelCard, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dataset_fingerprint.json").write_text(content)
    assert with_nnunet_facts(card, tmp_path) == card


def test_intensities_that_are_not_whole_are_left_out(card: ModelCard, tmp_path: Path) -> None:
    told = {**TOLD, "foreground_intensity_properties_per_channel": {"0": {"mean": 5.0}}}
    (tmp_path / "dataset_fingerprint.json").write_text(json.dumps(told))
    found = with_nnunet_facts(card, tmp_path)
    assert (found.cases, found.intensities) == (3, ())
