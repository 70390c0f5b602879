"""The table of `autoseg status`, and its bars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from autoseg.cli_status import sparkline, status_report
from autoseg.pipeline.status import FoldStatus, RunStatus, StructureDice
from autoseg.records import Fold, Splits
from autoseg.run_folder import RunFolder
from tests.conftest import exit_code
from tests.learning.cases import small_configuration, small_plan

TRAINING = FoldStatus(
    configuration="2d",
    fold="0",
    state="training",
    epoch=8,
    epochs=20,
    dice={"brain": 0.75, "csp": 0.25},
    mean_dice=0.5,
    history=(0.0, 0.25, 0.5),
    score=None,
    scores={},
    steps_per_second=2.5,
    seconds=160.0,
    seconds_left=42.0,
    silent_seconds=3.0,
    last_event="20 -> 18 epochs",
    warnings=(),
)


def shown(found: RunStatus, **options: bool) -> str:
    console = Console(width=200, file=None, record=True)
    with console.capture() as capture:
        for part in status_report(found, **options):
            console.print(part, markup=False, highlight=False)
    return capture.get()


def test_a_row_per_fold_and_what_happened() -> None:
    from dataclasses import replace

    scores = {"brain": StructureDice(0.9, (0.85, 0.95)), "csp": StructureDice(None, None)}
    done = replace(TRAINING, fold="1", state="validated", score=0.9, scores=scores, seconds_left=None, warnings=("it is dead",))
    text = shown(RunStatus("run", "2d", (TRAINING, done)))
    for words in ("8/20", "0.500", "brain 0.750", "2.50", "3 min", "42 s", "3 s ago", "▁▃▅", "brain 0.900 [0.850..0.950]"):
        assert words in text
    assert "fold 0: 20 -> 18 epochs\n" in text
    assert "warning: fold 1: it is dead" in text
    assert "configuration" not in text
    assert "▅" not in shown(RunStatus("run", "2d", (TRAINING,)), unicode=False)


def test_a_sparkline_is_the_mean_of_each_share() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.0, 0.5, 0.5, 1.0], width=2) == "▃▇"  # 0.25 and 0.75


def test_json_and_watching(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fold = Fold(train=("a",), validation=("b",))
    RunFolder(tmp_path).save(Splits(rule="by hand", seed=0, folds=(fold,)), small_plan(small_configuration()))
    assert exit_code("status", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["folds"][0]["state"] == "not begun"

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    assert exit_code("status", str(tmp_path), "--watch", "--json") == 0, "Ctrl-C is how one stops watching"
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert exit_code("status", str(tmp_path / "none")) == 2
