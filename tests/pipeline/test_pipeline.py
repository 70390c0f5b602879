"""The whole way on synthetic data: it learns, resumes, ensembles, and keeps what was done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from safetensors.torch import load_file, save_file

from autoseg import pipeline
from autoseg.engines.weights import file_sha256
from autoseg.errors import RunFolderError
from autoseg.learning.journal import read_journal
from autoseg.phantom import write_fetal_head, write_volumes
from autoseg.pipeline.recording import record_model
from autoseg.records import FoldCheckpoint, Predictions, Scores
from autoseg.run_folder import RunFolder

# A small network and a fixed length, so that every machine trains the same.
SMALL: dict[str, Any] = {
    "time_budget_seconds": 60.0,
    "overrides": (
        "preparation.spacing_mm=1.6,1.6",
        "training.patch_size=96,128",
        "training.batch_size=4",
        "training.validation_steps=2",
        "training.epochs=6",
        "training.steps_per_epoch=50",
        "training.time_budget_seconds=none",
        "network.features=16,32,64,128,128",
        "network.strides=[[1,1],[2,2],[2,2],[2,2],[2,2]]",
        "network.kernel_sizes=[[3,3],[3,3],[3,3],[3,3],[3,3]]",
        "network.encoder_blocks=2,2,2,2,2",
        "network.decoder_convs=2,2,2,2",
    ),
}
SHORT = ("training.steps_per_epoch=4", "training.validation_steps=1", "training.batch_size=2")


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fetal_head(tmp_path_factory.mktemp("heads") / "data", subjects=16)


@pytest.fixture(scope="module")
def trained(heads: Path, tmp_path_factory: pytest.TempPathFactory, device: str) -> Path:
    """A run whose first fold learned long enough to see heads, and whose second only just began."""
    run = tmp_path_factory.mktemp("run") / "run"
    pipeline.plan(heads, run, device=device, hold_out=0.25, folds=3, **SMALL)
    pipeline.train(run, fold=0, device=device)
    return run


def test_learns_heads_in_mm(trained: Path) -> None:
    """An untrained network, or one that mistakes pixels for mm, is far from this."""
    folder = RunFolder.open(trained)
    scores = Scores.load(folder.fold_scores("2d", "0"))
    head = scores.summary["head"]
    assert head.dice is not None
    assert head.dice > 0.85
    assert head.circumference_mae_mm is not None
    assert head.circumference_mae_mm < 25  # one pixel size for all would be off by a quarter of about 250 mm
    validation = folder.splits().folds[0].validation
    assert {case.id for case in scores.cases} == set(validation)
    assert (folder.fold("2d", "0") / "curves.png").exists()
    summary = json.loads((folder.validation("2d", "0") / "summary.json").read_text())
    assert len(summary["metric_per_case"]) == len(validation), "nnU-Net's, for scripts that read it"


def test_held_out_cases_are_predicted_and_scored(trained: Path, heads: Path, tmp_path: Path, device: str) -> None:
    out = tmp_path / "out"
    predictions = pipeline.predict(trained, "held-out", out, save=["overlay"], device=device)
    held_out = set(RunFolder.open(trained).splits().held_out)
    assert {case.id for case in predictions.cases} == held_out
    assert all(case.status == "done" for case in predictions.cases)
    assert len(list((out / "overlays").glob("*.png"))) == len(held_out)
    scores = pipeline.evaluate(heads, out)
    assert scores.summary["head"].dice is not None
    assert scores.summary["head"].dice > 0.8
    assert set(json.loads((out / "summary.json").read_text())["mean"]) == {
        str(target.output_value) for target in predictions.targets
    }
    assert (out / "scores.csv").read_text().count("\n") == 1 + 4 * len(held_out)
    before = (out / predictions.cases[0].mask).stat().st_mtime_ns
    pipeline.predict(trained, "held-out", out, save=["overlay"], device=device)
    assert (out / predictions.cases[0].mask).stat().st_mtime_ns == before, "what was done is kept"


def test_a_folder_with_a_bad_file(trained: Path, heads: Path, tmp_path: Path, device: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for source in sorted((heads / "images").iterdir())[:2]:
        shutil.copy(source, images)
    (images / "zebra.png").write_bytes(b"\x89PNG no more")
    predictions = pipeline.predict(trained, images, tmp_path / "out", spacing=0.2, device=device)
    assert [case.status for case in predictions.cases] == ["done", "done", "failed"]
    assert "zebra" in (predictions.cases[2].error or "")
    unknown = pipeline.predict(trained, images, tmp_path / "unknown", device=device)
    assert {case.status for case in unknown.cases} == {"failed"}
    assert "assume-spacing" in (unknown.cases[0].error or "")
    with pytest.raises(RunFolderError):
        pipeline.predict(trained, images, tmp_path / "out2", folds=["1"], device=device)


def test_ensemble_of_folds(trained: Path, tmp_path: Path, device: str) -> None:
    """Fold 1 is fold 0 with its last layer negated: the mean of both knows nothing, whatever either says alone."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    folder = RunFolder.open(run)
    zero, one = folder.fold("2d", "0"), folder.fold("2d", "1")
    shutil.copytree(zero, one)
    weights = load_file(one / "weights.safetensors")
    for name in weights:
        if name.startswith("heads.0."):
            weights[name] = -weights[name]
    save_file(weights, one / "weights.safetensors")
    record = FoldCheckpoint.load(one / "checkpoint.json")
    record.model_copy(update={"weights_sha256": file_sha256(one / "weights.safetensors")}).save(one / "checkpoint.json")
    record_model(folder, folder.plan())
    found = {
        name: pipeline.predict(run, "held-out", tmp_path / name, folds=folds, save=["probabilities"], device=device)
        for name, folds in (("alone", ["0"]), ("both", None))
    }
    assert found["both"].folds == ("0", "1")
    for case in found["both"].cases:
        alone, both = (np.load(tmp_path / name / f"{case.id}.npz") for name in ("alone", "both"))
        (mean,), (single,) = ([values[key] for key in values.files] for values in (both, alone))
        seen = single.max(axis=0) < 1  # outside the crop, and where the network is certain, one class has it all
        assert seen.mean() > 0.3
        assert np.abs(mean[:, seen] - 0.25).max() < 0.02, "four classes, equally likely"
        assert np.abs(single[:, seen] - 0.25).max() > 0.3


def test_an_edited_plan_does_not_meet_old_weights(trained: Path, tmp_path: Path, device: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    folder = RunFolder.open(run)
    plan = folder.plan()
    edited = plan.configurations["2d"].preparation.model_copy(update={"spacing_mm": (3.0, 3.0)})
    configuration = plan.configurations["2d"].model_copy(update={"preparation": edited})
    folder.save(plan.model_copy(update={"configurations": {"2d": configuration}}))
    with pytest.raises(RunFolderError, match="preparation of 2d changed"):
        pipeline.predict(run, "held-out", tmp_path / "out", device=device)


def test_a_run_may_be_moved(trained: Path, tmp_path: Path, device: str) -> None:
    shutil.copytree(trained, tmp_path / "moved")
    (outcome,) = pipeline.train(tmp_path / "moved", device=device)
    assert outcome.scores is not None


def test_planning_anew_spares_trained_folds(trained: Path, heads: Path, device: str) -> None:
    with pytest.raises(RunFolderError, match="trained folds"):
        pipeline.plan(heads, trained, device=device, hold_out=0.25, folds=3, seed=1, overwrite=True, **SMALL)


def test_a_data_set_is_no_run_folder(heads: Path) -> None:
    before = (heads / "dataset.json").read_bytes()
    with pytest.raises(RunFolderError):
        pipeline.plan(heads, heads, preset="nnunet")
    assert (heads / "dataset.json").read_bytes() == before


def test_killed_training_goes_on(heads: Path, tmp_path: Path, device: str) -> None:
    """A killed process leaves a run that the same command completes."""
    run = tmp_path / "run"
    overrides = ("training.steps_per_epoch=4", "training.validation_steps=0", "training.batch_size=2")
    pipeline.plan(heads, run, device=device, epochs=300, folds=3, overrides=overrides)
    save_always = "from autoseg.stages.train import epochs; epochs.SHARE_OF_SAVING = 10.0"
    code = f"{save_always}; import autoseg; autoseg.train({str(run)!r}, device={device!r}, workers=0)"
    process = subprocess.Popen([sys.executable, "-c", code])
    record = run / "models" / "2d" / "fold_0" / "checkpoint.json"
    deadline = time.monotonic() + 120
    while not record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = FoldCheckpoint.load(record)
    assert 0 < reached.epoch < 300
    plan = RunFolder.open(run).plan()
    training = plan.configurations["2d"].training.model_copy(update={"epochs": reached.epoch + 2})
    shorter = plan.configurations["2d"].model_copy(update={"training": training})
    RunFolder.open(run).save(plan.model_copy(update={"configurations": {"2d": shorter}}))
    (outcome,) = pipeline.train(run, device=device)
    assert outcome.epochs == reached.epoch + 2
    assert outcome.scores is not None
    journal = [line.epoch for line in read_journal(record.parent / "journal.jsonl")[0]]
    assert journal == list(range(reached.epoch + 2))


@pytest.mark.parametrize("configuration", ["3d_fullres", "2d"])
def test_volumes_with_regions_and_an_ignore_label(tmp_path: Path, configuration: str, device: str) -> None:
    data = write_volumes(tmp_path / "data", cases=6)
    declared = json.loads((data / "dataset.json").read_text())
    declared["labels"] = {"background": 0, "whole": [1, 2], "lesion": 2, "ignore": 3}
    declared["regions_class_order"] = [1, 2]
    (data / "dataset.json").write_text(json.dumps(declared))
    for path in sorted((data / "labelsTr").iterdir())[:2]:
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        array[:, :8] = 3
        marked = sitk.GetImageFromArray(array)
        marked.CopyInformation(image)
        sitk.WriteImage(marked, str(path))
    run, out = tmp_path / "run", tmp_path / "out"
    pipeline.plan(data, run, device=device, epochs=1, folds=3, overrides=SHORT)
    (outcome,) = pipeline.train(run, configuration=configuration, device=device)
    assert outcome.scores is not None
    assert set(outcome.scores.summary) == {"whole", "lesion"}
    predictions = pipeline.predict(run, data / "imagesTr", out, configuration=configuration, device=device)
    assert all(case.status == "done" for case in predictions.cases)
    for case in predictions.cases:
        mask = sitk.ReadImage(str(out / (case.mask or "")))
        source = sitk.ReadImage(str(data / "imagesTr" / f"{case.id}_0000.nii.gz"))
        assert mask.GetSize() == source.GetSize()
        assert (mask.GetSpacing(), mask.GetOrigin(), mask.GetDirection()) == (
            source.GetSpacing(),
            source.GetOrigin(),
            source.GetDirection(),
        )
        assert set(np.unique(sitk.GetArrayFromImage(mask))) <= {0, 1, 2}
    scores = pipeline.evaluate(data, out)
    assert len(scores.cases) == 6


def test_full_trains_on_all_and_is_used_alone(heads: Path, tmp_path: Path, device: str) -> None:
    run = tmp_path / "run"
    pipeline.plan(heads, run, device=device, epochs=1, hold_out=0.25, folds=3, overrides=SHORT)
    (outcome,) = pipeline.train(run, fold="full", device=device)
    assert outcome.scores is None
    predictions = pipeline.predict(run, "held-out", tmp_path / "out", device=device)
    assert predictions.folds == ("full",)
    assert Predictions.load(tmp_path / "out" / "predictions.json") == predictions


def test_one_subject_trains_in_full_alone(heads: Path, tmp_path: Path, device: str) -> None:
    """There is nothing to validate on, which folds are refused for, and `full` is not."""
    run = tmp_path / "run"
    outcome = pipeline.plan(heads, run, device=device, epochs=1, subjects="^(.)", overrides=SHORT)
    assert not outcome.splits.can_validate
    for fold in ("all", 0):
        with pytest.raises(RunFolderError, match=r"no fold leaves a case to validate on; give --fold full.*only one subject"):
            pipeline.train(run, fold=fold, device=device)
    (trained,) = pipeline.train(run, fold="full", device=device)
    assert trained.scores is None and pipeline.predict(run, heads / "images", tmp_path / "out", device=device).folds == ("full",)


def test_a_run_without_models_says_so(heads: Path, tmp_path: Path) -> None:
    pipeline.plan(heads, tmp_path / "run", preset="nnunet", folds=3)
    with pytest.raises(RunFolderError, match="autoseg train"):
        pipeline.predict(tmp_path / "run", heads / "images", tmp_path / "out")
    with pytest.raises(RunFolderError, match="there is no fold 7"):
        pipeline.train(tmp_path / "run", fold=7)
    with pytest.raises(RunFolderError, match="not a run"):
        pipeline.train(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=r"no predictions\.json"):
        pipeline.evaluate(heads, tmp_path / "run")


def test_preprocess_once(heads: Path, tmp_path: Path) -> None:
    pipeline.plan(heads, tmp_path / "run", preset="nnunet", folds=3)
    (prepared,) = pipeline.preprocess(tmp_path / "run")
    records = sorted(prepared.glob("*.json"))
    before = [path.stat().st_mtime_ns for path in records]
    assert len(records) == len(RunFolder.open(tmp_path / "run").dataset().cases)
    pipeline.preprocess(tmp_path / "run")
    assert [path.stat().st_mtime_ns for path in records] == before


def test_epochs_edited_by_hand_are_trained(heads: Path, tmp_path: Path, device: str) -> None:
    """Under a time budget, too, which would have made many more of them."""
    run = tmp_path / "run"
    kept = [setting for setting in SMALL["overrides"] if not setting.startswith(("training.epochs", "training.time"))]
    pipeline.plan(heads, run, device=device, time_budget_seconds=600, overrides=(*kept, *SHORT))
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert plan["configurations"]["2d"]["training"]["epochs"] > 2
    plan["configurations"]["2d"]["training"]["epochs"] = 1
    (run / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (outcome,) = pipeline.train(run, fold=0, device=device)
    assert outcome.epochs == 1


@pytest.mark.parametrize("written", range(5))
def test_a_plan_that_was_cut_off_can_be_made_again(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """As where the program was killed: after any number of its files the same command goes through."""
    replace, replaced = os.replace, []

    def cut_off(source: Path, target: Path) -> None:
        if len(replaced) == written:
            raise KeyboardInterrupt
        replaced.append(target)
        replace(source, target)

    monkeypatch.setattr("autoseg.records.base.os.replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        pipeline.plan(heads, tmp_path / "run", preset="nnunet", folds=3)
    monkeypatch.undo()
    assert len(list((tmp_path / "run").iterdir())) == written
    pipeline.plan(heads, tmp_path / "run", preset="nnunet", folds=3)
    assert (tmp_path / "run" / "plan.json").is_file()
