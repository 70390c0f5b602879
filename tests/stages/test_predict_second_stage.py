"""The second stage of a cascade sees the masks of the first, and is told where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from autoseg.records import (
    Plan,
    PredictedCase,
)
from autoseg.stages.predict import FirstStage, PredictionInput
from tests.stages.predicting import Threshold, by_id, pixels_of, plan_of, predict


class Second(Threshold):
    """Finds what the first stage's mask, channel 1, says."""

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        self.tiles += len(tiles)
        yield torch.cat([0.5 - tiles[:, 1:2], tiles[:, 1:2] - 0.5], dim=1)


def second_stage(mirror_axes: tuple[int, ...] = ()) -> Plan:
    """A cascade of pictures, of which the configuration `2d` is the second stage."""
    plan = plan_of(2)
    own = plan.configurations["2d"]
    network = own.network.model_copy(update={"in_channels": 2})
    inference = own.inference.model_copy(update={"mirror_axes": mirror_axes})
    own = own.model_copy(update={"previous_stage": "low", "network": network, "inference": inference})
    return plan.model_copy(update={"configurations": {"2d": own}})


def test_a_second_stage_sees_the_first_ones_mask(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Masks that say something else than the images come out, mirrored or not; an image without a mask fails alone."""
    for name, top in (("a.png", 20), ("b.png", 3)):
        mask = np.zeros((40, 30), np.uint8)
        mask[top : top + 4, 2:9] = 7
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / name)
    asked: list[list[str]] = []

    def masks(inputs: list[PredictionInput]) -> dict[str, Path]:
        asked.append([item.id for item in inputs])
        return {name: tmp_path / "masks" / f"{name}.png" for name in ("a", "b")}

    first = FirstStage("low", "digest", masks)
    out = tmp_path / "out"
    found = predict(images, out, second_stage((0, 1)), Second(), first_stage=first)
    assert by_id(found) == {"a": "done", "b": "done", "c": "failed"}
    assert found.cases[2].error == "low, the first stage, made no mask of it"
    for name in ("a.png", "b.png"):
        assert np.array_equal(pixels_of(out / name), pixels_of(tmp_path / "masks" / name))
    predict(images, out, second_stage((0, 1)), Second(), first_stage=first)
    assert asked == [["a", "b", "c"], ["c"]], "only what is predicted anew needs a mask"
    predict(images, out, second_stage((0, 1)), Second(), first_stage=FirstStage("low", "other", masks))
    assert asked[2] == ["a", "b", "c"], "masks of other networks: everything is made anew"


def test_a_second_stage_without_a_first_is_a_mistake(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2d takes masks of low"):
        predict(images, tmp_path / "out", second_stage(), Second())
    with pytest.raises(ValueError, match="2d takes masks of None"):
        predict(images, tmp_path / "out", plan_of(2), first_stage=FirstStage("low", "digest", lambda inputs: {}))


def test_what_the_first_stage_failed_at_is_told(images: Path, tmp_path: Path) -> None:
    """With its own reason; the others are predicted with their masks."""
    plan = plan_of(2)
    configuration = plan.configurations[plan.default]
    network = configuration.network.model_copy(update={"in_channels": 2})
    second = configuration.model_copy(update={"previous_stage": "3d_lowres", "network": network})
    plan = plan.model_copy(update={"configurations": {plan.default: second}})
    failure = PredictedCase(id="b", images=(), status="failed", error="needs about 9.9GB", reason="memory")

    def masks(inputs: Sequence[PredictionInput]) -> dict[str, Path | PredictedCase]:
        for item in inputs:
            Image.fromarray(np.zeros((40, 30), np.uint8)).save(tmp_path / f"{item.id}.png")
        return {item.id: failure if item.id == "b" else tmp_path / f"{item.id}.png" for item in inputs}

    predictions = predict(images, tmp_path / "out", plan, first_stage=FirstStage("3d_lowres", "1", masks))
    assert by_id(predictions) == {"a": "done", "b": "failed", "c": "done"}
    (failed,) = (case for case in predictions.cases if case.status == "failed")
    assert (failed.error, failed.reason) == ("needs about 9.9GB", "memory")
