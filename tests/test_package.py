"""What a user installs: a wheel, away from the checkout, with `plans/` inside."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import autoseg

CHECKOUT = Path(__file__).resolve().parents[1]


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} returned {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")  # a copy, so that building leaves nothing in the checkout
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    for name in ("autoseg", "plans"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=out)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment: the wheel, and this environment's packages after it."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place)
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    packages = [entry for entry in sys.path if entry.endswith("-packages")]
    (site / "zz_dependencies.pth").write_text("\n".join(packages) + "\n")  # they come after the wheel, which wins
    return place / "bin"


def test_wheel_holds_package_and_plans_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"autoseg_toolkit-{autoseg.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {"autoseg", f"autoseg_toolkit-{autoseg.__version__}.dist-info"}
    plans = {path.relative_to(CHECKOUT / "plans") for path in (CHECKOUT / "plans").rglob("*") if path.is_file()}
    assert plans, "no plans to ship"
    assert {f"autoseg/plans/{path.as_posix()}" for path in plans} <= names
    assert "autoseg/py.typed" in names


def test_installed_wheel_finds_its_augmentations(installed: Path, tmp_path: Path) -> None:
    words = "from autoseg.stages.plan.augmentation import augmentation_names as n, augmentation_for as f; print(*n()); f('heavy', (64, 64))"
    assert _run(installed / "python", "-c", words, cwd=tmp_path).split() == ["default", "heavy", "light", "none"]


@pytest.mark.slow
def test_installed_wheel_runs_the_demo_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = _run(installed / "python", "-c", "import autoseg; print(autoseg.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent), f"{where} is not the wheel's"
    assert _run(installed / "autoseg", "--version", cwd=tmp_path) == f"autoseg {autoseg.__version__}\n"
    assert "Mean Dice" in _run(installed / "autoseg", "demo", tmp_path / "demo", "--time-budget", "40s", cwd=tmp_path)


def test_public_functions_are_those_of_the_pipeline() -> None:
    from autoseg import pipeline

    for name in ("plan", "train", "status", "predict", "evaluate", "compare", "benchmark"):
        assert getattr(autoseg, name) is getattr(pipeline, name)
        assert name in dir(autoseg)
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        autoseg.segment  # noqa: B018
