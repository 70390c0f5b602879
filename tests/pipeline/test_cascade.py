"""The second stage of a cascade: it learns from masks of networks that had not seen their cases, and predicts after the first."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg import pipeline
from autoseg.errors import RecordError, RunFolderError
from autoseg.phantom import write_volumes
from autoseg.pipeline.predicting import FIRST_STAGE_FOLDER
from autoseg.processing.previous import open_previous
from autoseg.progress import SilentProgress
from autoseg.records import PREDICTIONS_FILE, FoldCheckpoint, Predictions
from autoseg.run_folder import RunFolder
from autoseg.stages.plan.frame import cascade_of

FIRST, SECOND = "3d_lowres", "3d_cascade_fullres"
TINY = (
    "training.patch_size=16,16,16",
    "training.batch_size=2",
    "training.steps_per_epoch=3",
    "training.validation_steps=1",
    "network.features=4,8",
    "network.strides=[[1,1,1],[2,2,2]]",
    "network.kernel_sizes=[[3,3,3],[3,3,3]]",
    "network.encoder_blocks=1,1",
    "network.decoder_convs=1",
    "inference.mirror_axes=",
    "inference.step_fraction=1",
)
PLAN: dict[str, Any] = {"preset": "nnunet", "epochs": 1, "folds": 3, "hold_out": 0.25, "workers": 0}


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)

    def stage(self, name: str, total: int) -> None:
        self.told.append(name)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_volumes(tmp_path_factory.mktemp("volumes") / "data", cases=8)


@pytest.fixture(scope="module")
def planned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds, two cases held out, and a cascade of tiny networks on grids of 8 and 5 mm."""
    run = tmp_path_factory.mktemp("planned") / "run"
    overrides = tuple(f"3d_fullres.{text}" for text in TINY)
    plan = pipeline.plan(data, run, overrides=overrides, **PLAN).plan
    fullres = plan.configurations["3d_fullres"]

    def on_grid(spacing: float) -> Any:
        return fullres.preparation.model_copy(update={"spacing_mm": (spacing,) * 3})

    fullres = fullres.model_copy(update={"preparation": on_grid(5.0)})
    lowres = fullres.model_copy(update={"name": FIRST, "next_stage": SECOND, "preparation": on_grid(8.0)})
    held = {"3d_fullres": fullres, FIRST: lowres, SECOND: cascade_of(fullres, len(plan.targets))}
    RunFolder(run).save(plan.model_copy(update={"configurations": held}))
    return run


@pytest.fixture(scope="module")
def first(planned: Path, device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All folds of the first stage are trained, for three steps each. Read only: tests change copies."""
    run = Path(shutil.copytree(planned, tmp_path_factory.mktemp("first") / "run"))
    pipeline.train(run, fold="all", configuration=FIRST, device=device, workers=0)
    return run


@pytest.fixture(scope="module")
def both(first: Path, device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fold 1 of the second stage is trained, too. Read only."""
    run = Path(shutil.copytree(first, tmp_path_factory.mktemp("both") / "run"))
    _train(run, device=device)
    return run


@pytest.fixture
def run(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "run"))


def _train(run: Path, fold: str = "1", device: str = "cpu", progress: SilentProgress | None = None) -> None:
    pipeline.train(run, fold=fold, configuration=SECOND, device=device, workers=0, progress=progress)


def _mark(run: Path) -> dict[str, tuple[slice, ...]]:
    """Plant a cube of another place per fold and case into the masks of the first stage; where each validation case's own lies."""
    folder, places = RunFolder.open(run), {}
    for index, fold in enumerate(folder.splits().folds):
        for number, case in enumerate(fold.validation):
            (path,) = folder.validation(FIRST, str(index)).glob(f"{case}.*")
            image = sitk.ReadImage(str(path))
            array = np.zeros_like(sitk.GetArrayFromImage(image))
            size = array.shape
            box = (slice(0, size[0] // 3 * (index + 1)), slice(0, size[1]), slice(0, size[2] // (number + 1)))
            array[box] = folder.plan().targets[0].output_value
            marked = sitk.GetImageFromArray(array)
            marked.CopyInformation(image)
            sitk.WriteImage(marked, str(path))
            places[case] = box
    return places


def test_masks_are_those_of_the_fold_that_had_not_seen_the_case(run: Path) -> None:
    """Every case's mask is told apart: a mask of another fold or case would have another part of its volume marked."""
    places = _mark(run)
    folder = RunFolder.open(run)
    # what the other folds would say of a case: nobody should look at it
    for index, fold in enumerate(folder.splits().folds):
        for case in fold.train:
            shutil.copy(
                next(folder.validation(FIRST, str(index)).glob(f"{fold.validation[0]}.*")),
                folder.validation(FIRST, str(index)) / f"{case}.nii.gz",
            )
    _train(run, fold="1")
    second = folder.plan().configurations[SECOND]
    fold = folder.splits().folds[1]
    assert set(places) == {*fold.train, *fold.validation}
    for case, box in places.items():
        stored = open_previous(folder.previous_masks(second), case)
        mask = stored.read(tuple(slice(0, size) for size in stored.shape))
        assert set(np.unique(mask)) == {0, folder.plan().targets[0].values[0]}
        (entry,) = [entry for entry in folder.fingerprint().cases if entry.id == case]
        wanted = np.prod([part.stop / size for part, size in zip(box, entry.shape, strict=True)])
        assert (mask > 0).mean() == pytest.approx(wanted, abs=0.06)
    assert folder.prepared(second) == folder.prepared(folder.plan().configurations["3d_fullres"]), "images are not prepared twice"


def test_the_second_stage_is_trained_validated_and_recorded(both: Path) -> None:
    folder = RunFolder.open(both)
    assert {case.id for case in Predictions.load(folder.validation(SECOND, "1") / PREDICTIONS_FILE).cases} == set(
        folder.splits().folds[1].validation
    )
    assert folder.fold_scores(SECOND, "1").is_file()
    (trained,) = [entry for entry in folder.model().configurations if entry.name == SECOND]
    assert [fold.fold for fold in trained.folds] == ["1"]
    plan = folder.plan()
    assert plan.configurations[SECOND].network.in_channels == len(plan.channels) + len(plan.targets)


def test_full_uses_the_same_masks(run: Path) -> None:
    _train(run, fold="full")
    folder = RunFolder.open(run)
    second = folder.plan().configurations[SECOND]
    everyone = {case for fold in folder.splits().folds for case in fold.validation}
    assert {path.name.removesuffix(".previous.json") for path in folder.previous_masks(second).glob("*.json")} == everyone
    assert FoldCheckpoint.load(folder.fold(SECOND, "full") / "checkpoint.json").finished


def test_what_the_first_stage_lacks_is_named_with_the_command(run: Path, planned: Path) -> None:
    folder = RunFolder.open(run)
    with pytest.raises(RunFolderError, match=r"fold 0 is not trained\n.*fold 1 is not trained\n.*fold 2 is not trained\n"):
        _train(planned)
    assert not (planned / "prepared").exists()
    lost = folder.splits().folds[2].validation[0]
    next(folder.validation(FIRST, "2").glob(f"{lost}.*")).unlink()
    shutil.rmtree(folder.validation(FIRST, "1"))
    checkpoint = folder.fold(FIRST, "0") / "checkpoint.json"
    record = FoldCheckpoint.load(checkpoint)
    record.model_copy(update={"finished": False, "epochs": 5}).save(checkpoint)
    with pytest.raises(RunFolderError) as refused:
        _train(run)
    lines = str(refused.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [
        "fold 0 is trained for 1 of 5 epochs only",
        "fold 1 is trained, but not validated",
        f"fold 2 has no mask of {lost}",
    ]
    assert lines[-1] == f"train them with `autoseg train {run} --configuration 3d_lowres --fold all`"
    record.model_copy(update={"network": "0" * 12}).save(checkpoint)
    with pytest.raises(RunFolderError, match=r"fold 0: .*network changed in plan\.json since"):
        _train(run)


def test_a_first_stage_that_was_trained_anew(both: Path, tmp_path: Path, device: str) -> None:
    """Its masks are prepared anew; a fold that has learned from the old ones is not continued."""
    run = Path(shutil.copytree(both, tmp_path / "run"))
    folder = RunFolder.open(run)
    second = folder.plan().configurations[SECOND]
    splits = folder.splits()
    before = {path.name: path.stat().st_mtime_ns for path in folder.previous_masks(second).glob("*.b2nd")}
    _train(run, device=device)  # nothing is left to do
    assert {path.name: path.stat().st_mtime_ns for path in folder.previous_masks(second).glob("*.b2nd")} == before
    shutil.rmtree(folder.fold(FIRST, "2"))
    lowres = folder.plan().configurations[FIRST]
    training = lowres.training.model_copy(update={"epochs": 2})
    configurations = {**folder.plan().configurations, FIRST: lowres.model_copy(update={"training": training})}
    folder.save(folder.plan().model_copy(update={"configurations": configurations}))
    pipeline.train(run, fold=2, configuration=FIRST, device=device, workers=0)
    with pytest.raises(RecordError, match=r"learned from masks of other networks than 3d_lowres has now.*delete this folder"):
        _train(run, device=device)
    shutil.rmtree(folder.fold(SECOND, "1"))
    _train(run, device=device)
    after = {path.name: path.stat().st_mtime_ns for path in folder.previous_masks(second).glob("*.b2nd")}
    changed = {name.removesuffix(".previous.b2nd") for name in after if after[name] != before[name]}
    assert changed == set(splits.folds[2].validation)


def test_new_images_go_through_both_stages(both: Path, data: Path, tmp_path: Path, device: str) -> None:
    run = Path(shutil.copytree(both, tmp_path / "run"))
    out, listener = tmp_path / "out", Listener()
    predictions = pipeline.predict(run, "held-out", out, configuration=SECOND, device=device, progress=listener)
    assert [case.status for case in predictions.cases] == ["done"] * 2
    assert any(re.search(r"3d_cascade_fullres: fold 1, after 3d_lowres: folds 0, 1, 2 ensembled", text) for text in listener.told)
    assert "predicting with 3d_lowres" in listener.told
    assert not (out / FIRST_STAGE_FOLDER).exists()
    again = Listener()
    assert pipeline.predict(run, "held-out", out, configuration=SECOND, device=device, progress=again) == predictions
    assert "predicting with 3d_lowres" not in again.told, "what is done needs no masks any more"
    (out / str(predictions.cases[0].mask)).unlink()
    kept = (out / str(predictions.cases[1].mask)).stat().st_mtime_ns
    pipeline.predict(run, "held-out", out, configuration=SECOND, device=device, progress=again)
    assert "predicting with 3d_lowres" in again.told
    assert (out / str(predictions.cases[1].mask)).stat().st_mtime_ns == kept
    shutil.rmtree(RunFolder.open(run).fold(FIRST, "2"))
    pipeline.recording.record_model(RunFolder.open(run), RunFolder.open(run).plan())
    others = Listener()
    pipeline.predict(run, "held-out", out, configuration=SECOND, device=device, progress=others)
    assert (out / str(predictions.cases[1].mask)).stat().st_mtime_ns != kept, (
        "masks of another first stage make other predictions"
    )


def test_a_prediction_that_was_interrupted_keeps_the_masks(
    both: Path, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stage dies at its first case; the first stage's work is found again."""
    from autoseg.inference import case

    out = tmp_path / "out"
    whole = case.read_previous

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(case, "read_previous", die)
    with pytest.raises(KeyboardInterrupt):
        pipeline.predict(both, "held-out", out, configuration=SECOND, device=device)
    kept = {path.name: path.stat().st_mtime_ns for path in (out / FIRST_STAGE_FOLDER).glob("*.nii.gz")}
    assert len(kept) == 2
    seen: dict[str, int] = {}

    def note(path: Path, *arguments: Any) -> np.ndarray:
        seen[path.name] = path.stat().st_mtime_ns
        return whole(path, *arguments)

    monkeypatch.setattr(case, "read_previous", note)
    predictions = pipeline.predict(both, "held-out", out, configuration=SECOND, device=device)
    assert [case.status for case in predictions.cases] == ["done"] * 2
    assert seen == kept
    assert {path.name for path in out.iterdir()} == {PREDICTIONS_FILE, "predictions.csv", *kept}
