"""Several engines: which is used, what is compared, and what the masks are meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from autoseg.errors import OutOfMemory
from autoseg.inference.networks import MOST_EMPTY, CheckedEngines, Choice, told
from autoseg.records import Parity, PredictedCase
from tests.stages.predicting import Threshold, plan_of, predict, save_picture

REFERENCE = "torch-float32"


class Shifted(Threshold):
    """Calls pixels foreground from a threshold of its own on."""

    def __init__(self, name: str, threshold: float = 0.5):
        super().__init__()
        self.name, self.threshold = name, threshold

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        self.tiles += len(tiles)
        yield torch.cat([self.threshold - tiles[:, :1], tiles[:, :1] - self.threshold], dim=1)


class Broken(Shifted):
    """Fails at every tile that shows something."""

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        if tiles.any():
            raise RuntimeError("not built for this processor")
        yield from super().__call__(tiles)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six pictures with 400 bright pixels each, so that three suffice for a verdict."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        array = np.zeros((40, 30), np.uint8)
        array[5 + number : 25 + number, 5:25] = 1
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder


def checked(*engines: Shifted, verdicts: dict[str, bool] | None = None, heard: list[Parity] | None = None) -> CheckedEngines:
    openers = {engine.name: (lambda engine=engine: engine) for engine in engines}
    listen = None if heard is None else heard.append
    return CheckedEngines(lambda _: Choice(openers, verdicts or {}), ("a" * 64,), torch.device("cpu"), listen)


def engines_of(cases: tuple[PredictedCase, ...]) -> list[str | None]:
    return [case.engine for case in cases]


def test_an_engine_that_agrees_is_used_after_three_cases(images: Path, tmp_path: Path) -> None:
    quick, reference, heard = Shifted("openvino-bfloat16"), Shifted(REFERENCE), []
    predictions = predict(images, tmp_path / "out", plan_of(2), checked(quick, reference, heard=heard))
    assert engines_of(predictions.cases) == [REFERENCE] * 3 + ["openvino-bfloat16"] * 3
    assert [(p.engine, p.n_cases, p.differing, p.passed) for p in heard] == [("openvino-bfloat16", 3, 0, True)]
    assert predictions.parity == tuple(heard)
    assert reference.tiles < quick.tiles


def test_one_that_differs_is_left_and_the_next_is_tried(images: Path, tmp_path: Path) -> None:
    """All masks are right, whatever the first engine says; one of the same precision is not tried."""
    wrong, alike, good = Shifted("openvino-bfloat16", 2.0), Shifted("torch-bfloat16"), Shifted("openvino-float32")
    networks = checked(wrong, alike, good, Shifted(REFERENCE))
    predictions = predict(images, tmp_path / "out", plan_of(2), networks)
    assert [case.pixels["Head"] for case in predictions.cases] == [400] * 6
    assert engines_of(predictions.cases) == [REFERENCE] * 6
    assert [(p.engine, p.passed) for p in predictions.parity] == [("openvino-bfloat16", False), ("openvino-float32", True)]
    assert alike.tiles == 0


def test_verdicts_of_earlier_days_count(images: Path, tmp_path: Path) -> None:
    wrong, good, reference = Shifted("openvino-bfloat16", 2.0), Shifted("openvino-float32"), Shifted(REFERENCE)
    known = {"openvino-bfloat16": False, "openvino-float32": True}
    predictions = predict(images, tmp_path / "out", plan_of(2), checked(wrong, good, reference, verdicts=known))
    assert engines_of(predictions.cases) == ["openvino-float32"] * 6
    assert wrong.tiles == reference.tiles == 0 and predictions.parity == ()


def test_an_engine_that_breaks_is_left(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictions = predict(images, tmp_path / "out", plan_of(2), checked(Broken("openvino-bfloat16"), Shifted(REFERENCE)))
    assert engines_of(predictions.cases) == [REFERENCE] * 6
    assert [case.pixels["Head"] for case in predictions.cases] == [400] * 6
    assert "openvino-bfloat16 cannot be used: RuntimeError: not built for this processor" in caplog.text


def test_one_that_cannot_be_opened_is_left(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Shifted:
        raise RuntimeError("no such instruction")

    openers = {"openvino-bfloat16": fails, REFERENCE: lambda: Shifted(REFERENCE)}
    for verdicts in ({}, {"openvino-bfloat16": True}):
        networks = CheckedEngines(lambda _, known=verdicts: Choice(openers, known), ("a" * 64,), torch.device("cpu"))
        predictions = predict(images, tmp_path / f"out{len(verdicts)}", plan_of(2), networks)
        assert engines_of(predictions.cases) == [REFERENCE] * 6
    assert "openvino-bfloat16 cannot be used: RuntimeError: no such instruction" in caplog.text


def test_a_trusted_engine_that_breaks_is_replaced(images: Path, tmp_path: Path) -> None:
    networks = checked(Broken("openvino-bfloat16"), Shifted(REFERENCE), verdicts={"openvino-bfloat16": True})
    assert engines_of(predict(images, tmp_path / "out", plan_of(2), networks).cases) == [REFERENCE] * 6


def test_an_image_at_fault_is_not_blamed_on_the_engine(images: Path, tmp_path: Path) -> None:
    """A value that no network can use: the reference says so, too, and the engine stays."""

    class Honest(Shifted):
        def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
            yield from (logits / (tiles.max() < 200) for logits in super().__call__(tiles))

    array = np.full((40, 30), 255, np.uint8)
    Image.fromarray(array).save(images / "0.png")
    predictions = predict(images, tmp_path / "out", plan_of(2), checked(Honest("openvino-bfloat16"), Honest(REFERENCE)))
    assert [case.status for case in predictions.cases] == ["failed"] + ["done"] * 5
    assert engines_of(predictions.cases)[1:] == [REFERENCE] * 3 + ["openvino-bfloat16"] * 2


def test_memory_that_does_not_suffice_ends_the_work(images: Path, tmp_path: Path) -> None:
    class Hungry(Shifted):
        def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
            if tiles.any():
                raise OutOfMemory("one tile does not fit")
            yield from super().__call__(tiles)

    with pytest.raises(OutOfMemory):
        predict(images, tmp_path / "out", plan_of(2), checked(Hungry("openvino-bfloat16"), Shifted(REFERENCE)))


def test_empty_images_are_not_compared_for_ever(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(MOST_EMPTY + 2):
        save_picture(tmp_path / "images" / f"{number:02d}.png", 100)  # below the picture: nothing in it
    quick = Shifted("openvino-bfloat16")
    predictions = predict(tmp_path / "images", tmp_path / "out", plan_of(2), checked(quick, Shifted(REFERENCE)))
    assert engines_of(predictions.cases) == [REFERENCE] * MOST_EMPTY + ["openvino-bfloat16"] * 2
    assert predictions.parity == ()


def test_nothing_is_opened_where_nothing_is_to_do(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", plan_of(2))

    def never(_: int) -> Choice:
        raise AssertionError("opened")

    again = predict(images, tmp_path / "out", plan_of(2), CheckedEngines(never, ("a" * 64,), torch.device("cpu")))
    assert len(again.cases) == 6


def test_a_verdict_in_words() -> None:
    passed = Parity(engine="openvino-bfloat16", n_cases=3, foreground=20_000, differing=6, largest_mm=0.021, passed=True)
    assert (
        "agrees with PyTorch in float32 (labels equal on 99.97 % of the foreground of 3 cases, measurements within 0.021 mm)"
        in told(passed)
    )
    failed = passed.model_copy(update={"differing": 50, "largest_mm": None, "passed": False})
    assert "is not used, as it differs" in told(failed) and "99.75 %" in told(failed) and "at least 99.9 %" in told(failed)


def test_the_masks_do_not_depend_on_who_is_compared(images: Path, tmp_path: Path) -> None:
    networks = checked(Shifted("openvino-bfloat16", 2.0), Shifted(REFERENCE))
    masks = [case.mask_sha256 for case in predict(images, tmp_path / "out", plan_of(2), networks).cases]
    alone = [case.mask_sha256 for case in predict(images, tmp_path / "alone", plan_of(2)).cases]
    assert masks == alone and len(np.unique([mask or "" for mask in masks])) == 6
