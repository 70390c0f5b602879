"""Runs that start from other runs, and runs whose files were edited or changed after training."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autoseg import pipeline
from autoseg.errors import PlanError, RecordError, RunFolderError
from autoseg.phantom import write_fetal_head
from autoseg.progress import SilentProgress
from autoseg.records import FoldCheckpoint, Plan
from autoseg.run_folder import RunFolder

TINY = (
    "preparation.spacing_mm=4,4",
    "training.patch_size=32,32",
    "training.batch_size=2",
    "training.steps_per_epoch=3",
    "training.validation_steps=1",
    "network.features=4,8,8",
    "network.strides=[[1,1],[2,2],[2,2]]",
    "network.kernel_sizes=[[3,3],[3,3],[3,3]]",
    "network.encoder_blocks=2,2,2",
    "network.decoder_convs=2,2",
    "inference.mirror_axes=",
)
SHORT = ("training.batch_size=2", "training.steps_per_epoch=3", "training.validation_steps=1")
PLAN: dict[str, Any] = {"preset": "nnunet", "epochs": 1, "folds": 2, "workers": 0}


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fetal_head(tmp_path_factory.mktemp("heads") / "data", subjects=4)


@pytest.fixture(scope="module")
def source(heads: Path, tmp_path_factory: pytest.TempPathFactory, device: str) -> Path:
    """Fold 0 is trained, for three steps. Read only: tests change copies."""
    run = tmp_path_factory.mktemp("source") / "run"
    pipeline.plan(heads, run, overrides=TINY, **PLAN)
    pipeline.train(run, fold=0, device=device, workers=0)
    return run


@pytest.fixture
def run(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "run"))


@pytest.fixture(scope="module")
def outlines(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images with one structure instead of three."""
    data = Path(shutil.copytree(heads, tmp_path_factory.mktemp("outlines") / "data"))
    for path in (data / "labels").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    declared = json.loads((data / "dataset.json").read_text())
    del declared["derived"]
    (data / "dataset.json").write_text(json.dumps(declared | {"labels": {"head": 1}}))
    return data


def edit(run: Path, file: str, change: object) -> None:
    """Replace values in a record's JSON, as by hand."""

    def merged(old: Any, new: Any) -> Any:
        return {**old, **{key: merged(old.get(key, {}), value) for key, value in new.items()}} if isinstance(new, dict) else new

    path = run / file
    path.write_text(json.dumps(merged(json.loads(path.read_text()), change)))


def test_fine_tuning_from_end_to_end(source: Path, outlines: Path, tmp_path: Path, device: str) -> None:
    tuned, progress = tmp_path / "tuned", Listener()
    outcome = pipeline.plan(outlines, tuned, init_from=source, overrides=SHORT, splits=source / "splits.json", **PLAN)
    configuration = outcome.plan.configurations["2d"]
    there = RunFolder.open(source).plan().configurations["2d"]
    assert configuration.network == there.network.model_copy(update={"out_channels": 2})
    assert configuration.preparation == there.preparation
    transfer = outcome.plan.transfer
    assert transfer is not None
    assert (transfer.mode, transfer.run, transfer.same_structures) == ("init", str(source.resolve()), False)
    assert [(entry.fold, entry.source_fold, entry.seen > 0) for entry in transfer.weights] == [
        ("0", "0", False),  # the same folds there: what is validated on here was not trained on there
        ("1", "0", True),
        ("full", "0", False),
    ]
    pipeline.train(tuned, fold=0, device=device, workers=0, progress=progress)
    assert any("layers start from" in text and "heads.0 (4x4x1x1 there, 2x4x1x1 here)" in text for text in progress.messages)
    record = FoldCheckpoint.load(tuned / "models" / "2d" / "fold_0" / "checkpoint.json")
    assert record.initial is not None
    assert list(record.initial.fresh) == ["heads.0"]
    edit(tuned, "plan.json", {"transfer": None})
    with pytest.raises(RecordError, match=r"started from fold 0 of .*restore plan\.json"):
        pipeline.train(tuned, fold=0, device=device, workers=0)


def test_a_network_without_its_weights(source: Path, outlines: Path, tmp_path: Path, device: str) -> None:
    plain, progress = tmp_path / "plain", Listener()
    outcome = pipeline.plan(outlines, plain, plan_from=source, overrides=SHORT, **PLAN)
    assert outcome.plan.transfer is not None
    assert (outcome.plan.transfer.mode, outcome.plan.transfer.weights) == ("plan", ())
    pipeline.train(plain, fold=0, device=device, workers=0, progress=progress)
    assert not any("layers start from" in text for text in progress.messages)


def test_runs_that_cannot_be_a_source(run: Path, heads: Path, tmp_path: Path) -> None:
    def refusal(target: Path, **options: object) -> str:
        with pytest.raises((PlanError, RecordError, RunFolderError)) as caught:
            pipeline.plan(heads, target, **PLAN, **options)
        assert not (tmp_path / "new").exists()
        return str(caught.value)

    new = tmp_path / "new"
    assert "give one of" in refusal(new, plan_from=run, init_from=run)
    assert "is not a run" in refusal(new, plan_from=tmp_path)
    assert "the run that is planned here" in refusal(run, plan_from=run, overwrite=True)
    edit(run, "plan.json", {"configurations": {"2d": {"preparation": {"crop_to_nonzero": False}}}})
    assert "preparation of 2d changed in plan.json since" in refusal(new, init_from=run)
    edit(run, "plan.json", {"configurations": {"2d": {"preparation": {"crop_to_nonzero": True}}}})
    weights = run / "models" / "2d" / "fold_0" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "damaged: models/2d/fold_0/weights.safetensors; copy" in refusal(new, init_from=run)
    weights.unlink()
    assert "lacks the weights that its model.json names (models/2d/fold_0/weights.safetensors)" in refusal(new, init_from=run)
    edit(run, "model.json", {"configurations": []})
    assert "has no fold that is trained to its end" in refusal(new, init_from=run)
    (run / "model.json").unlink()
    assert "no trained model yet" in refusal(new, init_from=run)


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_weights_do_not_meet_an_edited_plan(run: Path, heads: Path, tmp_path: Path, verb: str) -> None:
    """Said at once: before any case is prepared."""
    shutil.rmtree(run / "prepared")
    for change in ({"network": {"features": [4, 8, 16]}}, {"preparation": {"normalization": [{"scheme": "none"}]}}):
        edit(run, "plan.json", {"configurations": {"2d": change}})
        with pytest.raises((RecordError, RunFolderError), match=r"changed in plan\.json since"):
            if verb == "train":
                pipeline.train(run, fold=0)
            else:
                pipeline.predict(run, heads / "images", tmp_path / "out", spacing=0.2)
    assert not (run / "prepared").exists()


def test_edited_folds_are_refused(run: Path) -> None:
    folds = json.loads((run / "splits.json").read_text())["folds"]
    edit(run, "splits.json", {"folds": folds[::-1]})
    with pytest.raises(RecordError, match="on other cases"):
        pipeline.train(run, fold=0)


def test_a_plan_of_another_data_set_is_refused(run: Path, heads: Path, tmp_path: Path) -> None:
    edit(run, "plan.json", {"channels": ["doppler"]})
    for use in (
        lambda: pipeline.train(run, fold=1),
        lambda: pipeline.preprocess(run),
        lambda: pipeline.predict(run, heads / "images", tmp_path / "out", spacing=0.2),
    ):
        with pytest.raises(RunFolderError, match="differ in channels"):
            use()


def test_a_fold_of_an_earlier_plan_is_left_out_and_named(run: Path, device: str) -> None:
    progress = Listener()
    edit(run, "plan.json", {"configurations": {"2d": {"network": {"features": [4, 8, 16]}}}})
    pipeline.train(run, fold=1, device=device, workers=0, progress=progress)
    assert any("fold_0 was trained before plan.json changed" in text for text in progress.messages)
    assert [fold.fold for fold in RunFolder.open(run).model().configurations[0].folds] == ["1"]


def test_changed_and_lost_files(run: Path, heads: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(heads, tmp_path / "data"))
    edit(run, "dataset.json", {"root": str(data)})
    pipeline.preprocess(run, workers=0)
    image = next((data / "images").iterdir())
    os.utime(image, (1, 1))
    progress = Listener()
    pipeline.preprocess(run, workers=0, progress=progress)
    assert [text for text in progress.messages if image.stem in text], "prepared anew, and said"
    progress = Listener()
    pipeline.preprocess(run, workers=0, progress=progress)
    assert progress.messages == []
    shutil.rmtree(data)
    with pytest.raises(RunFolderError, match=r"is gone; bring it back, or write where it is now into dataset\.json"):
        pipeline.preprocess(run, workers=0)


def test_an_older_plan_with_trained_folds_is_not_overwritten(run: Path, heads: Path) -> None:
    edit(run, "plan.json", {"format": 1})
    for use in (lambda: pipeline.train(run, fold=0), lambda: pipeline.plan(heads, run, overwrite=True, overrides=TINY, **PLAN)):
        with pytest.raises(RecordError, match="has format 1, this version reads 3; plan the data set again into a new folder"):
            use()
    shutil.rmtree(run / "models")
    pipeline.plan(heads, run, overwrite=True, overrides=TINY, **PLAN)
    assert RunFolder.open(run).plan().format == Plan.FORMAT
