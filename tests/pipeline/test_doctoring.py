"""The doctor on a run, from its folds to the page, with networks that were never trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg import pipeline
from autoseg.errors import RunFolderError
from autoseg.records import Case, Diagnosis, Fold, NotJudged, Splits
from autoseg.run_folder import LOCK, PARTS, RunFolder
from tests.conftest import exit_code

from .runs import run_of

CASES = tuple(f"case_{number}" for number in range(6))


def run_with_cases(root: Path, folds: int = 2) -> tuple[Path, Path]:
    """Two of the six cases in each of three folds, of which `folds` are trained."""
    run, data = run_of(root / "run", rank=2, folds=folds), root / "data"
    data.mkdir()
    random = np.random.default_rng(0)
    for case in CASES:
        Image.fromarray(random.integers(0, 255, (40, 44), np.uint8)).save(data / f"{case}.png")
        label = np.zeros((40, 44), np.uint8)
        label[8:30, 10:30] = 7
        Image.fromarray(label).save(data / f"{case}_label.png")
    folder = RunFolder(run)
    cases = tuple(
        Case(id=case, subject=case, images=(f"{case}.png",), label=f"{case}_label.png", encoding="values") for case in CASES
    )
    dataset = folder.dataset().model_copy(update={"root": str(data), "cases": cases})
    parts = [CASES[index : index + 2] for index in (0, 2, 4)]
    splits = tuple(Fold(train=tuple(case for case in CASES if case not in part), validation=part) for part in parts)
    folder.save(dataset, Splits(rule="by hand", seed=None, folds=splits))
    return run, data


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_cases_of_trained_folds_are_judged_and_the_data_set_stays_as_it_is(tmp_path: Path) -> None:
    run, data = run_with_cases(tmp_path)
    before = contents(data)
    found = pipeline.doctor(run, show=3, engine="torch-float32", workers=0)
    assert contents(data) == before
    assert {case.id for case in found.cases} == set(CASES[:4])
    assert {case.id: case.fold for case in found.cases} == {"case_0": "0", "case_1": "0", "case_2": "1", "case_3": "1"}
    assert {one.id for one in found.not_judged} == {"case_4", "case_5"} and not any(one.failed for one in found.not_judged)
    assert (found.configuration, found.profile, found.folds) == ("2d", "balanced", ("0", "1"))
    assert Diagnosis.load(run / "doctor.json") == found
    assert len(list((run / "doctor").glob("*.png"))) == 3
    assert not list((run / "selection").rglob("*.npz")), "probabilities take much room"
    assert {path.name for path in run.iterdir()} <= {*PARTS, LOCK}
    again = pipeline.doctor(run, show=1, engine="torch-float32", workers=0)
    assert [case.id for case in again.cases] == [case.id for case in found.cases]
    assert len(list((run / "doctor").glob("*.png"))) == 1, "pictures of before are gone"


def test_command_line_tells_the_first_cases_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, data = run_with_cases(tmp_path)
    arguments = ("doctor", str(run), "--show", "2", "--engine", "torch-float32", "--workers", "0")
    assert exit_code(*arguments) == 0
    told = capsys.readouterr().out
    assert "4 labels were judged by 2 folds of 2d (balanced)" in told and "index.html" in told
    assert "no trained fold has it among its validation cases: case_4, case_5" in told
    assert exit_code(*arguments, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["cases"]) == 4
    (data / "case_0_label.png").write_bytes(b"")
    assert exit_code(*arguments) == 1
    assert "case_0_label.png: the file is empty" in capsys.readouterr().out
    assert exit_code(*arguments, "--configuration", "5d") == 2
    assert "the plan has no configuration 5d; it has 2d" in capsys.readouterr().err


def test_run_in_which_nothing_can_be_judged(tmp_path: Path) -> None:
    run, data = run_with_cases(tmp_path, folds=1)
    for case in CASES:
        (data / f"{case}_label.png").unlink()
    with pytest.raises(RunFolderError, match=r"no label could be judged .*case_0"):
        pipeline.doctor(run, engine="torch-float32", workers=0)


def test_cases_that_are_held_out_are_told_apart(tmp_path: Path) -> None:
    run, _ = run_with_cases(tmp_path)
    folder = RunFolder(run)
    parts = folder.splits().folds[:2]
    folds = tuple(
        part.model_copy(update={"train": tuple(case for case in part.train if case not in CASES[4:])}) for part in parts
    )
    folder.save(Splits(rule="by hand", seed=None, folds=folds, held_out=CASES[4:]))
    found = pipeline.doctor(run, show=1, engine="torch-float32", workers=0)
    assert found.not_judged[0] == NotJudged(id="case_4", reason="it is held out of every fold", failed=False)


def test_pictures_of_before_stay_until_all_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = run_with_cases(tmp_path)
    pipeline.doctor(run, show=2, engine="torch-float32", workers=0)
    before = contents(run / "doctor")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autoseg.stages.doctor.drawing.save_comparison", killed)
    with pytest.raises(KeyboardInterrupt):
        pipeline.doctor(run, show=3, engine="torch-float32", workers=0)
    assert contents(run / "doctor") == before and not list(run.glob(".doctor*"))


def test_moved_data_and_a_second_doctor_are_told_before_the_work(tmp_path: Path) -> None:
    run, data = run_with_cases(tmp_path)
    with RunFolder(run).alone(), pytest.raises(RunFolderError, match="another `select` or `doctor` works on this run"):
        pipeline.doctor(run, engine="torch-float32", workers=0)
    data.rename(tmp_path / "elsewhere")
    for verb in (pipeline.doctor, pipeline.select):
        with pytest.raises(RunFolderError, match=r"none of the 12 files of the data set is in .* any more; move it back there"):
            verb(run, engine="torch-float32", workers=0)
    assert not (run / "selection").exists()
