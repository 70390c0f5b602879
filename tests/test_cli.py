"""The command line as a door: what it accepts, what it passes on, what it answers when something is wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from autoseg import __version__, cli
from autoseg.cli_console import typed
from autoseg.errors import AutosegError, CaseError, DataError, Fault, OutOfMemory, PlanError, RecordError, RunFolderError
from autoseg.metrics.surface import TOLERANCE_MM
from autoseg.records import PredictedCase, Predictions, Scores

from .conftest import exit_code

HELP_SECONDS = 0.4
HEAVY = ("torch", "monai", "numpy", "scipy", "SimpleITK", "nibabel", "PIL", "pydantic", "matplotlib", "rich", "blosc2")

# Hyper-parameters are not flags: they enter by preset, by --set, or in plan.json. A new flag is a decision, made here too.
FLAGS = {
    "check": "layout spacing subjects splits json out fix workers",
    "plan": "layout preset device memory time-budget epochs throughput augmentation plan-from init-from set subjects spacing splits hold-out "
    "folds seed workers overwrite explain dry-run json compare fingerprint dataset-json",
    "train": "fold configuration device workers track extend",
    "augment": "out configuration fold cases variants seed workers",
    "status": "configuration watch every json",
    "benchmark": "configuration seconds device workers json",
    "predict": "fold configuration device spacing assume-spacing save profile postprocessing no-postprocessing engine memory measure resume "
    "overwrite",
    "select": "profile device engine workers json",
    "doctor": "show configuration device engine workers json",
    "export": "to configuration fold profile overwrite",
    "measure": "spacing structure layout subjects truth dating figures no-figures workers",
    "export-masks": "to overwrite",
    "fetch": "keep-archives",
    "import": "from image label structure only overlap unknown images spacing subjects folders-are-labels missing every overwrite workers json",
    "import-model": "",
    "evaluate": "layout spacing subjects tolerance workers",
    "compare": "configuration figure json",
    "demo": "rank time-budget",
    "preprocess": "configuration workers",
    "phantom": "rank subjects seed",
}
NO_SCORES = Scores(labels="labels", predictions="out", mean_dice=None, cases=(), summary={})


def _predictions(*statuses: str) -> Predictions:
    cases = tuple(
        PredictedCase(id=f"case_{i}", images=(f"{i}.png",), status=status, error="truncated" if status == "failed" else None)  # type: ignore[arg-type]
        for i, status in enumerate(statuses)
    )
    return Predictions(
        run="run", configuration="2d", folds=("0",), device="cpu", targets=(), derived=(), regions=False, cases=cases
    )


def test_help_answers_at_once() -> None:
    def wall() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "autoseg", "--help"], check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(wall() for _ in range(5)) <= HELP_SECONDS


def test_nothing_heavy_is_imported_for_help() -> None:
    program = f"import sys, autoseg, autoseg.cli; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_verbs_and_flags_are_these() -> None:
    group = get_command(cli.app)
    found = {
        verb: {
            option.removeprefix("--")
            for p in command.params
            for option in (*p.opts, *p.secondary_opts)
            if option.startswith("--")
        }
        for verb, command in group.commands.items()  # type: ignore[attr-defined]
    }
    assert found == {verb: set(flags.split()) for verb, flags in FLAGS.items()}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"autoseg {__version__}\n"


def test_augment_passes_everything_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    augment = replaced("augment", Path("sheet.png"))
    words = "augment run --out sheet.png --configuration 2d --fold 1 --cases 2 --variants 3 --seed 4 --workers 1"
    assert exit_code(*words.split()) == 0
    arguments, options = augment.call_args
    assert arguments == (Path("run"),)
    del options["progress"]
    expected = {"out": Path("sheet.png"), "configuration": "2d", "fold": "1", "cases": 2, "variants": 3, "seed": 4, "workers": 1}
    assert options == expected
    assert "sheet.png" in capsys.readouterr().out


def test_predict_passes_everything_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    predict = replaced("predict", _predictions("done", "done"))
    words = (
        "predict run held-out out --fold 0 --fold 2 --spacing 0.5 --save overlay,uncertainty --save probabilities --profile best "
        "--engine openvino-int8 --memory 4GB --overwrite"
    )
    assert exit_code(*words.split()) == 0
    arguments, options = predict.call_args
    assert arguments == (Path("run"), "held-out", Path("out"))
    options.pop("progress")
    assert options == {
        "folds": ("0", "2"),
        "configuration": None,
        "device": "auto",
        "spacing": 0.5,
        "assume_spacing": None,
        "save": ("overlay", "uncertainty", "probabilities"),
        "overwrite": True,
        "profile": "best",
        "postprocessing": True,
        "engine": "openvino-int8",
        "memory_bytes": 4 * 10**9,
        "measure": False,
    }
    assert "2 done" in capsys.readouterr().out


def test_evaluate_passes_everything_on(replaced: Any) -> None:
    evaluate = replaced("evaluate", NO_SCORES)
    words = "evaluate labels out --tolerance 2.5 --spacing 0.3 --subjects ^(.) --layout folders --workers 1"
    assert exit_code(*words.split()) == 0
    arguments, options = evaluate.call_args
    assert arguments == (Path("labels"), Path("out"))
    del options["progress"]
    assert options == {"layout": "folders", "spacing": 0.3, "subjects": "^(.)", "tolerance_mm": 2.5, "workers": 1}
    assert exit_code("evaluate", "labels", "out") == 0
    assert evaluate.call_args.kwargs["tolerance_mm"] == TOLERANCE_MM, "the same default at the door as inside"
    assert exit_code("evaluate", "labels", "out", "--tolerance", "-1") == 2


def test_import_model_says_what_comes_next(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    imported = replaced("import_model", Path("run"))
    assert exit_code("import-model", "model.zip", "run") == 0
    assert imported.call_args.args == (Path("model.zip"), Path("run"))
    assert "autoseg predict run IMAGES OUT" in capsys.readouterr().out


def test_predict_without_options_takes_all_folds_and_no_extras(replaced: Any) -> None:
    predict = replaced("predict", _predictions("done"))
    assert exit_code("predict", "run", "images", "out") == 0
    options = predict.call_args.kwargs
    assert (options["folds"], options["save"], options["profile"]) == (None, (), None)
    assert (options["engine"], options["memory_bytes"], options["overwrite"]) == ("auto", None, False)


def test_a_failed_file_is_named_and_exit_code_is_1(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    replaced("predict", _predictions("done", "failed", "done"))
    assert exit_code("predict", "run", "images", "out") == 1
    out = capsys.readouterr().out
    assert "2 done, 1 failed" in out
    assert "failed: case_1: truncated" in out


def test_a_file_too_large_for_the_memory_ends_with_75(replaced: Any) -> None:
    predictions = _predictions("done", "failed", "failed")
    cases = [*predictions.cases[:2], predictions.cases[2].model_copy(update={"reason": "memory"})]
    replaced("predict", predictions.model_copy(update={"cases": tuple(cases)}))
    assert exit_code("predict", "run", "images", "out") == 75


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError([Fault("case_1", "no label")]), 2, "error: case_1: no label\n"),
        (DataError([Fault("a", "x"), Fault("b", "y")]), 2, "error: 2 faults:\n  a: x\n  b: y\n"),
        (
            DataError([*(Fault(f"c{number}", "no image") for number in range(300)), Fault("x", "no label")]),
            2,
            "error: 301 faults:\n  c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 290 more: no image\n  x: no label\n",
        ),
        (PlanError("no plan fits 1 MB"), 2, "error: no plan fits 1 MB\n"),
        (RecordError("plan.json is not valid"), 2, "error: plan.json is not valid\n"),
        (RunFolderError("run holds another run"), 2, "error: run holds another run\n"),
        (CaseError("case_7", "worker died"), 1, "error: case_7: worker died\n"),
        (OutOfMemory("batch 8 does not fit"), 75, "error: batch 8 does not fit\n"),
        (MemoryError(), 75, "error: out of memory: this process got no more of it\n"),
        (PermissionError(13, "Permission denied", "run"), 2, "error: [Errno 13] Permission denied: 'run'\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; the same command goes on where it was\n"),
        (SystemExit(143), 143, "error: told to end (SIGTERM); the same command goes on where it was\n"),
        (
            ZeroDivisionError("oh"),
            70,
            "error: ZeroDivisionError: oh (a fault in autoseg, not in the data; --debug shows where)\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_are_sentences_with_anexit_code(
    replaced: Any, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    replaced("train", error)
    assert exit_code("train", "run", "--fold", "0") == code
    captured = capsys.readouterr()
    assert captured.err == said
    assert captured.out == ""


def test_paths_are_told_as_one_types_them() -> None:
    for plain in ("/tmp/out", "März/köpfe_1.csv", "C:\\data\\set", "../a+b"):
        assert typed(Path(plain)) == plain
    for odd in ("my heads", "a&b", "Übung (2)", "it's"):
        assert typed(Path(odd)) == f'"{odd}"'


@pytest.mark.parametrize("words", [("--debug", "train", "run", "--fold", "0"), ("train", "run", "--fold", "0", "--debug")])
def test_debug_shows_the_traceback(replaced: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    replaced("train", AutosegError("no"))
    assert exit_code(*words) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err and err.endswith("error: no\n")


@pytest.mark.parametrize(
    "words",
    [
        "train run",
        "predict run images out --save video",
        "demo --rank 4",
        "segment",
    ],
)
def test_wrong_use_is_exit_code_2_and_runs_nothing(
    replaced: Any, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    doubles = [replaced(name, None) for name in ("plan", "train", "predict", "demo")]
    assert exit_code(*words.split()) == 2
    assert not any(double.called for double in doubles)
    assert "Error" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_demo_keeps_a_folder_only_when_one_is_named(replaced: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = replaced("demo", NO_SCORES)
    assert exit_code("demo", "--rank", "3") == 0
    (place,), options = demo.call_args
    assert not place.exists() and options["rank"] == 3
    assert exit_code("demo", str(tmp_path), "--time-budget", "30s") == 0
    assert demo.call_args.args == (tmp_path,) and demo.call_args.kwargs["time_budget_seconds"] == 30
    assert tmp_path.is_dir()
    assert f"Everything is in {tmp_path}" in capsys.readouterr().out.replace("\n", "")


def test_phantom_writes_a_data_set_into_a_new_folder_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("phantom", str(tmp_path / "heads"), "--subjects", "2") == 0
    images = {path.name for path in (tmp_path / "heads" / "images").iterdir()}
    assert images and images == {path.name for path in (tmp_path / "heads" / "labels").iterdir()}
    assert exit_code("phantom", str(tmp_path / "heads")) == 2
    assert "not empty" in capsys.readouterr().err
    assert exit_code("phantom", str(tmp_path / "volumes"), "--rank", "3", "--subjects", "1") == 0
    assert len(list((tmp_path / "volumes" / "imagesTr").iterdir())) == 1
