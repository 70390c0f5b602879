"""Fixtures shared by all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

# Two test processes with two threads each would wait for one another at every barrier. Read when torch is first imported, and
# by the programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is measured of engines in a test is not remembered for the user, nor taken from what is.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="autoseg-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--device` runs the tests that train or predict on another device."""
    parser.addoption("--device", default="cpu", choices=("cpu", "cuda", "mps"), help="device for tests that train or predict")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device to test on."""
    return str(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout; tests that need it are skipped where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("real data is not at hand")
    return path


def exit_code(*arguments: str) -> int:
    """What the command line answers."""
    from autoseg import cli

    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    return int(stopped.value.code or 0)


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands for a function of the pipeline, with its signature; returns a value or raises an error."""

    from autoseg import pipeline

    def replace(name: str, result: object) -> Any:
        double = create_autospec(getattr(pipeline, name))
        if isinstance(result, BaseException):
            double.side_effect = result
        else:
            double.return_value = result
        monkeypatch.setattr(pipeline, name, double)
        return double

    return replace
