"""The verb `plan` as a door: its uses, what goes together, and what is printed where."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoseg.phantom import write_fetal_head
from autoseg.records import MachineProfile, Plan
from autoseg.stages.plan import preset_names

from .conftest import exit_code
from .stages.plan.conftest import cpu_probe

FILES_SECONDS = 0.5
NNUNET_FINGERPRINT = {
    "spacings": [[1.0, 1.0, 1.0]] * 6,
    "shapes_after_crop": [[36, 50, 35]] * 6,
    "median_relative_size_after_cropping": 1.0,
}
NNUNET_DATASET = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1, "b": 2}, "numTraining": 260}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a machine that was measured elsewhere, two runs on them, and nnU-Net's two files."""
    folder = tmp_path_factory.mktemp("plan")
    write_fetal_head(folder / "heads", subjects=4)
    probes = tuple(cpu_probe(2, width, rate) for width, rate in ((16, 25e9), (32, 40e9)))
    machine = MachineProfile(
        device="cpu", name="laptop", cores=2, memory_bytes=8 * 10**9, precision="bfloat16", throughput=probes
    )
    machine.save(folder / "machine.json")
    (folder / "fingerprint.json").write_text(json.dumps(NNUNET_FINGERPRINT))
    (folder / "dataset.json").write_text(json.dumps(NNUNET_DATASET))
    for run, budget in (("run", "20m"), ("quick", "2m")):
        _run(folder, "plan", "heads", run, "--throughput", "machine.json", "--time-budget", budget, "--folds", "2")
    return folder


def _run(folder: Path, *words: str, width: int | None = None) -> str:
    """What a command prints on standard output."""
    environment = os.environ | ({"COLUMNS": str(width)} if width else {})
    done = subprocess.run(
        [sys.executable, "-m", "autoseg", *words], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_plan_passes_everything_on(replaced: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoseg.cli_tables.plan_report", lambda outcome: ["planned"])
    table = tmp_path / "mm.csv"
    table.write_text("name,mm\n")
    plan = replaced("plan", SimpleNamespace(splits=SimpleNamespace(can_validate=True)))
    words = f"plan data run --preset nnunet --device cuda --memory 24GB --time-budget 1h30m --subjects (\\d+)_ --spacing {table}"
    words += " --hold-out 0.2 --folds 3 --seed 7 --set a=1 --set b=2 --workers 0 --overwrite --layout msd"
    words += " --augmentation light --throughput there/machine.json --init-from other"
    assert exit_code(*words.split()) == 0
    (dataset, run), options = plan.call_args
    assert (dataset, run) == (Path("data"), Path("run"))
    options.pop("progress")
    assert options == {
        "layout": "msd",
        "preset": "nnunet",
        "device": "cuda",
        "memory_bytes": 24 * 10**9,
        "time_budget_seconds": 5400.0,
        "epochs": None,
        "throughput": Path("there/machine.json"),
        "augmentation": "light",
        "plan_from": None,
        "init_from": Path("other"),
        "subjects": r"(\d+)_",
        "spacing": table,
        "splits": None,
        "hold_out": 0.2,
        "folds": 3,
        "seed": 7,
        "overrides": ("a=1", "b=2"),
        "workers": 0,
        "overwrite": True,
        "dry_run": False,
    }
    assert exit_code("plan", "data", "run", "--splits", "folds.json", "--seed", "7") == 0
    assert (plan.call_args[1]["splits"], plan.call_args[1]["seed"]) == (Path("folds.json"), 7)


def test_plan_of_files_passes_everything_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files = replaced("plan_files", {})
    words = "plan --fingerprint f.json --dataset-json d.json --preset nnunet-resenc-l --device cpu --memory 4GB --epochs 9"
    assert exit_code(*words.split(), "--throughput", "m.json", "--set", "network.family=unet2015") == 0
    arguments, options = files.call_args
    assert arguments == (Path("f.json"), Path("d.json"))
    assert options == {
        "preset": "nnunet-resenc-l",
        "device": "cpu",
        "memory_bytes": 4 * 10**9,
        "time_budget_seconds": None,
        "epochs": 9,
        "throughput": Path("m.json"),
        "overrides": ("network.family=unet2015",),
    }
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan", "give DATASET RUN"),
        ("plan data", "RUN is missing"),
        ("plan data --memory 8GB", "RUN is missing"),
        ("plan run --explain --memory 8GB", "--memory: not possible with a RUN that is there"),
        ("plan data run --memory 8", "--memory is a size"),
        ("plan data run --time-budget 20", "--time-budget is a duration"),
        ("plan data run --time-budget 20m --epochs 3", "one fixes the length"),
        ("plan data run --plan-from a --init-from b", "give --plan-from or --init-from"),
        ("plan data run --splits f.json --folds 3", "give --splits or --folds: the file has its own folds"),
        ("plan data run --json --explain", "JSON stands alone"),
        ("plan data run --json --dry-run", "JSON stands alone"),
        ("plan data run --hold-out 0", "--hold-out must be positive"),
        ("plan data run --spacing nowhere.csv", "neither a number nor a file"),
        ("plan data run --subjects (", "regular expression"),
        ("plan data run --layout dicom", "dicom"),
        ("plan --fingerprint f.json", "go together"),
        ("plan --dataset-json f.json --json", "go together"),
        ("plan data run --fingerprint f.json --dataset-json d.json", "DATASET, RUN: not possible with --fingerprint"),
        ("plan --fingerprint f.json --dataset-json d.json --folds 3 --seed 2", "--folds, --seed: not possible"),
        ("plan --fingerprint f.json --dataset-json d.json --dry-run", "--dry-run: not possible"),
        ("plan --compare a", "--compare"),
        ("plan --compare a b --explain", "--explain: not possible with --compare"),
        ("plan data run --compare a b", "DATASET, RUN: not possible with --compare"),
    ],
)
def test_what_does_not_go_together_is_a_sentence_and_exit_code_2(
    replaced: Any, words: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    doubles = [replaced(name, None) for name in ("plan", "plan_files", "planned")]
    assert exit_code(*words.split()) == 2
    assert not any(double.called for double in doubles)
    error = " ".join(capsys.readouterr().err.split())
    assert "Error" in error and said in error
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("plan", str(tmp_path), "--explain"), ("plan", "--compare", str(tmp_path), str(tmp_path))):
        assert exit_code(*words) == 2
        assert "is not a run" in capsys.readouterr().err


def test_the_help_names_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("plan", "--help") == 0
    told = "".join(capsys.readouterr().out.split())
    assert [name for name in preset_names() if f"`{name}`" not in told] == []


def test_tables_by_default(place: Path) -> None:
    printed = _run(place, "plan", "heads", "again", "--throughput", "machine.json", "--time-budget", "20m")
    assert (place / "again" / "plan.json").is_file()
    assert "Structures" in printed and "laptop" in printed
    assert "Next: autoseg train again --fold 0" in printed
    assert "autoseg plan again --explain" in printed
    assert "Rule:" not in printed


@pytest.mark.parametrize("width", [80, 160])
def test_explain_tells_rules_and_alternatives(place: Path, width: int) -> None:
    printed = _run(place, "plan", "run", "--explain", width=width)
    for heading in ("The data", "The grid", "The network", "Time and memory"):
        assert f"\n{heading}\n" in printed
    assert "\n    Rule: nnU-Net's target spacing" in printed
    assert "Instead: another --time-budget, or --epochs N." in printed
    assert "Brain (in all)" in printed
    assert "Next:" not in printed
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 100


def test_a_dry_run_prints_the_bill_and_writes_nothing(place: Path) -> None:
    before = sorted(place.rglob("*"))
    printed = _run(place, "plan", "heads", "new", "--throughput", "machine.json", "--time-budget", "20m", "--dry-run")
    assert "What training will cost (cpu: laptop)" in printed
    assert "all 4 folds" in printed, "one per subject"
    assert printed.rstrip().endswith("Nothing was written.")
    assert sorted(place.rglob("*")) == before
    assert "all 2 folds" in _run(place, "plan", "run", "--dry-run")


def test_explain_and_bill_together(place: Path) -> None:
    printed = _run(place, "plan", "run", "--explain", "--dry-run")
    assert "The grid" in printed and "What training will cost" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--throughput", "dataset.json"), "not a valid MachineProfile"), (("--preset", "nunet"), "does not exist")],
)
def test_wrong_options_are_told_before_the_data_are_read(
    place: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert exit_code("plan", "heads", "wrong", *words) == 2
    error = capsys.readouterr().err
    assert said in error and "reading" not in error
    assert not (place / "wrong").exists()


def test_json_is_all_that_standard_output_holds(place: Path) -> None:
    made = json.loads(_run(place, "plan", "heads", "as_json", "--throughput", "machine.json", "--epochs", "2", "--json"))
    assert json.loads(_run(place, "plan", "as_json", "--json")) == made
    saved = Plan.load(place / "as_json" / "plan.json").configurations["2d"]
    assert made["preset"] == "default"
    assert made["configurations"]["2d"]["patch_size"] == list(saved.training.patch_size)
    assert made["configurations"]["2d"]["epochs"] == 2


def test_compare_runs_and_files(place: Path) -> None:
    printed = _run(place, "plan", "--compare", "run", "quick/plan.json")
    assert "training.time_budget_seconds" in printed and "1200.0" in printed and "120.0" in printed
    assert "length, A: 20 min" in printed and "length, B: 2 min" in printed
    assert "Structures" not in printed
    assert _run(place, "plan", "--compare", "run", "run") == "The plans do not differ: run, run\n"


FROM_FILES = ("plan", "--fingerprint", "fingerprint.json", "--dataset-json", "dataset.json")


def test_files_are_planned_in_half_a_second(place: Path) -> None:
    """Processor time, all threads together: that of the clock says nothing on a busy machine.

    Where importing numpy, pydantic, typer and rich alone takes long, planning may take 3.8 times that (it took 2.4 to 3.4 times); torch would
    take ten times that.
    """

    def seconds(*command: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, *command], cwd=place, check=True, stdout=subprocess.PIPE, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.stdout:
            assert json.loads(done.stdout)["configurations"]["3d_fullres"]["patch_size"] == [40, 56, 40]
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    imports = ("-c", "import numpy, pydantic, typer, rich.table")
    rounds = [(seconds(*imports), seconds("-m", "autoseg", *FROM_FILES, "--preset", "nnunet", "--json")) for _ in range(5)]
    assert min(plan for _, plan in rounds) <= max(FILES_SECONDS, 3.8 * min(base for base, _ in rounds))


def test_files_are_planned_for_a_machine_that_is_not_here(place: Path) -> None:
    printed = json.loads(_run(place, *FROM_FILES, "--throughput", "machine.json", "--time-budget", "20m", "--json"))
    assert set(printed["configurations"]) == {"3d_fullres", "2d"}
    by_size = json.loads(_run(place, *FROM_FILES, "--device", "cuda", "--memory", "24GB", "--json"))
    assert by_size["configurations"]["3d_fullres"]["epochs"] == 1000
    table = _run(place, *FROM_FILES, "--preset", "nnunet-resenc-m")
    assert "Configuration 3d_fullres" in table and "residual_unet" in table


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "run", "--explain"),
        ("plan", "run", "--dry-run"),
        ("plan", "run", "--json"),
        ("plan", "--compare", "run", "quick"),
        (*FROM_FILES, "--json"),
        (*FROM_FILES, "--preset", "nnunet", "--json"),
        ("plan", "heads", "without", "--throughput", "machine.json", "--workers", "0", "--dry-run"),
    ],
    ids=" ".join,
)
def test_no_torch_where_nothing_is_measured(place: Path, words: tuple[str, ...]) -> None:
    program = f"""
import sys
from autoseg.cli import main
try:
    main({list(words)!r})
except SystemExit as stopped:
    assert not stopped.code, stopped.code
print([name for name in ("torch", "monai") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
