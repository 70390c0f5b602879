"""What a profile makes of a plan, and which folds it takes."""

from __future__ import annotations

import pytest

from autoseg.inference.profiles import RULES, folds_for, with_profile
from autoseg.records import Configuration, InferenceProfile
from tests.learning.cases import small_configuration


@pytest.fixture
def configuration() -> Configuration:
    found = small_configuration()
    training = found.training.model_copy(update={"mirror_axes": (0, 1)})
    inference = found.inference.model_copy(update={"mirror_axes": (1,), "step_fraction": 0.4})
    return found.model_copy(update={"training": training, "inference": inference})


@pytest.mark.parametrize(("profile", "axes", "step"), [("best", (0, 1), 0.4), ("balanced", (0,), 0.4), ("fast", (), 0.75)])
def test_mirrors_and_step(configuration: Configuration, profile: InferenceProfile, axes: tuple[int, ...], step: float) -> None:
    applied = with_profile(configuration, profile)
    assert applied.inference.mirror_axes == axes and applied.inference.step_fraction == step
    assert applied.inference.tile_batch_size == configuration.inference.tile_batch_size
    assert applied.training == configuration.training


def test_copies_are_not_mirrored_where_training_was_not(configuration: Configuration) -> None:
    mirroring = configuration.augmentation.mirroring.model_copy(update={"probability": 0.0})
    augmentation = configuration.augmentation.model_copy(update={"mirroring": mirroring})
    assert with_profile(configuration.model_copy(update={"augmentation": augmentation}), "best").inference.mirror_axes == ()


def test_folds() -> None:
    assert [folds_for(("0", "2", "full"), profile) for profile in RULES] == [("0", "2"), ("0", "2"), ("full",)]
    assert [folds_for(("full",), profile) for profile in RULES] == [("full",)] * 3
    assert folds_for(("1", "3"), "fast") == ("1",)
