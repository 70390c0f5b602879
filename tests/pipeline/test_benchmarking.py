"""`benchmark` on a small run: it measures, prepares what is missing, changes nothing else, and compares by hand-worked ratios."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import autoseg
from autoseg.cli_benchmark import benchmark_json, benchmark_report
from autoseg.phantom import write_fetal_head
from autoseg.pipeline import benchmarking
from autoseg.pipeline.benchmarking import hints, known_machines
from autoseg.records.benchmark import Benchmarks, SpeedFigures
from autoseg.stages.plan.presets import shipped
from tests.test_readme import SMALL

FIGURES = SpeedFigures(
    machine="a processor",
    cores=2,
    device="cpu",
    precision="float32",
    dataset="heads",
    configuration="2d",
    patch_size=(64, 64),
    batch_size=2,
    width=8,
    multiply_adds=1e6,
    steps_per_second=5.0,
    samples_per_second=10.0,
    seconds_per_case=0.5,
    peak_bytes=None,
)


def test_a_run_is_measured_and_not_changed(tmp_path: Path) -> None:
    write_fetal_head(tmp_path / "data", subjects=6)
    autoseg.plan(tmp_path / "data", tmp_path / "run", epochs=1, overrides=SMALL)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    outcome = autoseg.benchmark(tmp_path / "run", seconds=2)
    after = {path for path in (tmp_path / "run").rglob("*") if path.is_file() and "prepared" not in path.parts}
    assert {path: path.read_bytes() for path in after} == before
    assert outcome.prepared == outcome.trained_on and len(outcome.prepared) >= 2
    assert outcome.weights == "random"
    assert outcome.figures.samples_per_second == outcome.figures.batch_size * outcome.training.steps_per_second
    assert outcome.figures.patch_size == (64, 64)
    assert outcome.figures.seconds_per_case is not None and outcome.figures.seconds_per_case > 0
    assert set(outcome.predicted_seconds) <= set(outcome.trained_on)
    again = autoseg.benchmark(tmp_path / "run", seconds=1)
    assert again.prepared == ()
    written = json.loads(benchmark_json(outcome))
    assert SpeedFigures.model_validate_json(json.dumps(written["figures"]), strict=True) == outcome.figures
    assert "no case was prepared yet" in " ".join(part for part in benchmark_report(outcome) if isinstance(part, str))


def test_machines_are_compared_by_samples_or_by_arithmetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other_plan = FIGURES.model_copy(update={"multiply_adds": 4e6, "samples_per_second": 5.0, "patch_size": (128, 128)})
    volumes = FIGURES.model_copy(update={"patch_size": (8, 8, 8)})
    same = FIGURES.model_copy(update={"machine": "a quick one", "samples_per_second": 40.0})
    Benchmarks(command="by hand", figures=(other_plan, volumes, same)).save(tmp_path / "b.json")
    monkeypatch.setattr(benchmarking, "shipped", lambda _: tmp_path / "b.json")
    first, second = known_machines(FIGURES)
    assert (first.figures.machine, first.same_work, first.times_as_fast) == ("a quick one", True, 0.25)
    assert (second.same_work, second.times_as_fast) == (False, 0.5)  # 10 * 1e6 against 5 * 4e6 multiply-adds a second


def test_hints() -> None:
    assert hints("x", 1.25, 1.0) == hints("x", 0.8, 1.0) == hints("x", 9.0, None) == ()
    (slow,) = hints("a processor", 2.0, 1.0, 3.5)
    assert "2.0 times as long" in slow and "a processor" in slow and "3.5 on" in slow
    (fast,) = hints("x", 0.5, 1.0)
    assert "0.50 of the time" in fast


def test_the_shipped_figures_are_readable() -> None:
    for figures in Benchmarks.load(shipped("benchmarks.json")).figures:
        assert figures.samples_per_second == pytest.approx(figures.steps_per_second * figures.batch_size)
