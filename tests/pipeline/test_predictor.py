"""A model in memory: the same masks as from files, arrays of every shape, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import autoseg
from autoseg.errors import DataError, PlanError
from autoseg.records import Model, TrainedFold
from autoseg.run_folder import RunFolder
from tests.pipeline.runs import run_of
from tests.stages.predicting import pixels_of

MM = 0.5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("run") / "run", rank=2, spacing=(MM, MM))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (40, 50 + number), np.uint8) for number in range(5)]


def test_the_masks_are_those_of_the_command(run: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
    autoseg.predict(run, tmp_path / "images", tmp_path / "out", spacing=MM, engine="torch-float32", device="cpu")
    with autoseg.Predictor.load(run, engine="torch-float32", device="cpu") as predictor:
        for number, picture in enumerate(pictures):
            found = predictor(picture, spacing_mm=MM)
            assert np.array_equal(found.labels, pixels_of(tmp_path / "out" / f"{number}.png"))
            assert found.labels.any() and found.spacing_mm == (MM, MM) and found.engine == "torch-float32"
            assert np.array_equal(found.mask("Head"), found.labels == 7) and found.names == {7: "Head"}


def test_one_after_another(run: Path, pictures: list[np.ndarray]) -> None:
    predictor = autoseg.Predictor.load(run, engine="torch-float32", device="cpu")
    given = []

    def images():
        for picture in pictures:
            given.append(picture.shape)
            yield picture, (MM, MM)

    for number, found in enumerate(predictor.iterate(images())):
        assert found.labels.shape == pictures[number].shape
        assert len(given) <= number + 2, "no more than one ahead is taken"
        assert np.array_equal(found.labels, predictor(pictures[number], spacing_mm=MM).labels)
    assert len(given) == len(pictures)


def test_what_else_there_is(run: Path, pictures: list[np.ndarray]) -> None:
    predictor = autoseg.Predictor.load(run, save=("probabilities", "uncertainty"), engine="torch-float32", device="cpu")
    found = predictor(pictures[0], spacing_mm=MM)
    assert found.probabilities is not None and found.probabilities.shape == (2, *pictures[0].shape)
    clear = np.abs(found.probabilities[1] - 0.5) > 0.01  # float16 rounds
    assert clear.any() and np.array_equal(found.probabilities[1][clear] > 0.5, found.labels[clear] == 7)
    assert found.uncertainty is not None and found.uncertainty.shape == pictures[0].shape
    with pytest.raises(PlanError, match="not overlay"):
        autoseg.Predictor.load(run, save=("overlay",))


def test_a_channel_in_front_is_the_same(run: Path, pictures: list[np.ndarray]) -> None:
    predictor = autoseg.Predictor.load(run, engine="torch-float32", device="cpu")
    plain, channel = (predictor(image, spacing_mm=MM).labels for image in (pictures[0], pictures[0][None].astype(float)))
    assert np.array_equal(plain, channel)


@pytest.mark.parametrize(
    ("image", "spacing", "message"),
    [
        (np.zeros((40, 40)), None, "give spacing_mm"),
        (np.zeros((40, 40)), (1.0,), "one positive number for each of 2 axes"),
        (np.zeros((40, 40)), (1.0, -1.0), "one positive number for each of 2 axes"),
        (
            np.zeros((3, 40, 40)),
            MM,
            r"an image of shape \(3, 40, 40\) does not fit the model, which takes 1 channel \(US\) in front",
        ),
        (np.zeros((0, 40)), MM, "does not fit"),
        (np.full((40, 40), np.nan), MM, "1600 values are NaN"),
        (np.array([["a"]]), MM, "array of numbers"),
    ],
)
def test_what_does_not_fit_is_refused(run: Path, image: np.ndarray, spacing: object, message: str) -> None:
    predictor = autoseg.Predictor.load(run, engine="torch-float32", device="cpu")
    with pytest.raises(DataError, match=message):
        predictor(image, spacing_mm=spacing)  # type: ignore[arg-type]


def test_colours_last_are_taken_as_such(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", rank=2, channels=("red", "green", "blue"))
    predictor = autoseg.Predictor.load(run, engine="torch-float32", device="cpu")
    picture = np.random.default_rng(0).integers(0, 255, (30, 44, 3), np.uint8)
    assert np.array_equal(predictor(picture).labels, predictor(np.moveaxis(picture, -1, 0)).labels)


def test_volumes(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", rank=3, spacing=(1.0, 1.0, 1.0))
    found = autoseg.Predictor.load(run, engine="torch-float32", device="cpu")(
        np.random.default_rng(0).random((20, 24, 28), np.float32), spacing_mm=(2.0, 1.0, 1.0)
    )
    assert found.labels.shape == (20, 24, 28) and found.labels.any()


def test_a_run_without_folds_is_refused(run: Path, tmp_path: Path) -> None:
    folder = RunFolder.open(run)
    record = folder.model()
    assert isinstance(record, Model) and isinstance(record.configurations[0].folds[0], TrainedFold)
    with pytest.raises(OSError, match="fold 3 is not trained"):
        autoseg.Predictor.load(run, folds=["3"])


def test_a_closed_predictor_says_so(run: Path, pictures: list[np.ndarray]) -> None:
    with autoseg.Predictor.load(run, engine="torch-float32", device="cpu") as predictor:
        predictor(pictures[0], spacing_mm=np.float32(MM))
    with pytest.raises(ValueError, match="the predictor is closed"):
        predictor(pictures[0], spacing_mm=MM)


def test_images_before_one_at_fault_are_given_out(run: Path, pictures: list[np.ndarray]) -> None:
    predictor, found = autoseg.Predictor.load(run, engine="torch-float32", device="cpu"), []
    images = [(pictures[0], MM), (pictures[1], MM), (np.zeros((3, 4, 5)), MM)]
    with pytest.raises(DataError, match="does not fit the model"):
        for one in predictor.iterate(images):
            found.append(one)
    assert len(found) == 2


def test_a_union_is_a_structure_too(run: Path, pictures: list[np.ndarray]) -> None:
    with autoseg.Predictor.load(run, engine="torch-float32") as predictor:
        found = predictor(pictures[0], spacing_mm=0.5)
    names = list(found.names.values())
    for name, values in found.structures.items():
        assert (found.mask(name) == np.isin(found.labels, values)).all()
    assert names == [name for name in found.structures if name in names]
