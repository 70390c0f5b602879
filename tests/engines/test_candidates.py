"""Engines by name: what can be used here, what to install for the others."""

from __future__ import annotations

import ast
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from autoseg.engines import candidates
from autoseg.engines.candidates import CANDIDATES, installed_engines, open_engine
from autoseg.engines.device import pick_precision
from autoseg.engines.torch_engine import TorchEngine
from autoseg.engines.weights import file_sha256
from autoseg.errors import PlanError
from tests.engines.networks import PATCHES, distance, network_of, small_spec, tiles_for

SPEC = small_spec()


def only(monkeypatch: pytest.MonkeyPatch, *modules: str, precision: str = "bfloat16") -> None:
    """A machine with these modules, whose processor computes in a precision."""
    monkeypatch.setattr(candidates, "find_spec", lambda name: object() if name in modules else None)
    monkeypatch.setattr(candidates, "pick_precision", lambda device: precision)


def test_what_is_installed_and_what_the_processor_can(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    assert installed_engines() == ("torch-float32", "torch-bfloat16")
    only(monkeypatch, "openvino", "nncf", "onnx", "onnxscript", precision="float32")
    assert installed_engines() == ("torch-float32", "openvino-float32", "openvino-int8")
    only(monkeypatch, "openvino", "onnx", "onnxscript", "onnxruntime")
    assert installed_engines("cpu") == (
        "torch-float32",
        "torch-bfloat16",
        "openvino-float32",
        "openvino-bfloat16",
        "onnxruntime-float32",
    )
    only(monkeypatch, "openvino", precision="float16")
    assert installed_engines("cuda") == ("torch-float32", "torch-float16")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openvino-float32", r'needs openvino, not installed here: pip install "autoseg-toolkit\[cpu\]"'),
        ("openvino-int8", r'needs openvino and nncf, not installed here: pip install "autoseg-toolkit\[cpu,int8\]"'),
        ("onnxruntime-float32", r'needs onnxruntime and onnx and onnxscript, .*pip install "autoseg-toolkit\[onnx\]"'),
        ("torch-float16", "does not compute in float16"),
        ("tensorrt", "there is no engine tensorrt; there are torch-float32, "),
    ],
)
def test_what_is_not_here_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    only(monkeypatch)
    with pytest.raises(PlanError, match=message):
        open_engine(name, SPEC, [network_of(SPEC)], PATCHES[2])


def test_engines_of_the_cpu_are_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "openvino")
    with pytest.raises(PlanError, match="runs on the CPU, not on mps"):
        open_engine("openvino-float32", SPEC, [network_of(SPEC)], PATCHES[2], device="mps")


def test_the_extras_that_are_named_bring_what_is_missing() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == candidates.DISTRIBUTION
    for candidate in CANDIDATES.values():
        brought = [need for extra in candidate.extras for need in project["optional-dependencies"][extra]]
        for module in candidate.modules:
            assert any(need.startswith(f"{module}>=") for need in brought), module


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_engine_opens_networks_and_files_alike(name: str, tmp_path: Path) -> None:
    if name not in installed_engines():
        pytest.skip("not installed, or not for this processor")
    network = network_of(SPEC)
    path = tmp_path / "fold.safetensors"
    save_file(network.state_dict(), path)
    tiles = tiles_for(SPEC)
    (reference,) = TorchEngine([network_of(SPEC)])(tiles)
    from_files = open_engine(name, SPEC, [(path, file_sha256(path))], PATCHES[2], threads=1, calibration=[tiles])
    (logits,) = from_files(tiles)
    assert from_files.weights == (file_sha256(path),)
    assert distance(logits, reference) < {"int8": 0.5, "bfloat16": 0.05}.get(CANDIDATES[name].precision, 1e-4)
    if name in ("onnxruntime-float32", "openvino-int8"):
        return  # opening them again takes its time
    from_networks = open_engine(name, SPEC, [network], PATCHES[2], threads=1, calibration=[tiles])
    assert from_networks.weights == () and torch.equal(next(from_networks(tiles)), logits)


def test_optional_libraries_are_imported_only_where_they_are_used() -> None:
    """Asking for the engines must not take the seconds that these libraries take to load."""
    optional = {module for candidate in CANDIDATES.values() for module in candidate.modules}
    assert optional == {"openvino", "nncf", "onnxruntime", "onnx", "onnxscript"}
    for path in Path(candidates.__file__).parent.glob("*.py"):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Import):
                assert not optional & {alias.name.split(".")[0] for alias in statement.names}, path
            if isinstance(statement, ast.ImportFrom) and statement.module:
                assert statement.module.split(".")[0] not in optional, path


def test_precision_of_this_processor_is_among_the_engines() -> None:
    assert f"torch-{pick_precision(torch.device('cpu'))}" in installed_engines()
    assert ("openvino-float32" in installed_engines()) == (find_spec("openvino") is not None)
