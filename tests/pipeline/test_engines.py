"""Which engine a prediction takes, what it remembers, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from autoseg.engines.quickest import setting_here
from autoseg.engines.remembered import library_versions, machine_name, remember_times, remembered_verdicts
from autoseg.engines.weights import file_sha256
from autoseg.errors import PlanError
from autoseg.inference.networks import CheckedEngines
from autoseg.inference.profiles import applied_as
from autoseg.pipeline import engines
from autoseg.pipeline.engines import EngineWish, networks_for
from autoseg.records import Configuration, EngineTimes, Parity, ParitySetting
from tests.engines.networks import PATCHES, network_of, small_spec
from tests.stages.predicting import plan_of

SPEC = small_spec(in_channels=1)
NAMES = ("torch-float32", "torch-bfloat16", "openvino-float32", "openvino-bfloat16")
CPU = torch.device("cpu")


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def weights(tmp_path: Path) -> list[tuple[Path, str]]:
    path = tmp_path / "fold.safetensors"
    save_file(network_of(SPEC).state_dict(), path)
    return [(path, file_sha256(path))]


@pytest.fixture
def configuration() -> Configuration:
    plan = plan_of(2)
    found = plan.configurations[plan.default]
    training = found.training.model_copy(update={"patch_size": PATCHES[2]})
    return found.model_copy(update={"network": SPEC, "training": training})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All engines of the CPU, whatever is installed here; opening one is noted and gives PyTorch."""
    real = engines.open_engine

    def opened(name: str, *arguments: Any, **options: Any) -> Any:
        engine = real("torch-float32", *arguments, **{key: value for key, value in options.items() if key != "calibration"})
        engine.name = name
        return engine

    monkeypatch.setattr(engines, "installed_engines", lambda device: NAMES)
    monkeypatch.setattr(engines, "open_engine", opened)


def networks(configuration: Configuration, weights: Any, wish: EngineWish, listener: Listener | None = None) -> CheckedEngines:
    found = networks_for(configuration, weights, CPU, wish, lambda: (), listener or Listener())  # type: ignore[arg-type]
    assert isinstance(found, CheckedEngines)
    return found


def remember(cache: Path, configuration: Configuration, **seconds: float) -> None:
    """As if the engines had been measured here."""
    patch, batch = configuration.training.patch_size, configuration.inference.tile_batch_size
    setting = setting_here(configuration.network, patch, batch, NAMES)
    by_name = {name.replace("_", "-"): taken for name, taken in seconds.items()}
    chosen = min(by_name, key=lambda name: by_name[name])
    remember_times(cache, EngineTimes(setting=setting, measured=0.0, seconds_per_tile=by_name, left_out={}, chosen=chosen))


def opened_names(found: CheckedEngines, n_cases: int) -> list[str]:
    return [engine.name for engine in found.begin(n_cases)]


def test_the_quickest_and_the_reference(configuration: Configuration, weights: Any, installed: None, tmp_path: Path) -> None:
    cache = tmp_path / "engines.json"
    remember(cache, configuration, torch_float32=0.4, torch_bfloat16=0.3, openvino_float32=0.2, openvino_bfloat16=0.1)
    found = networks(configuration, weights, EngineWish(cache=cache))
    assert opened_names(found, 10) == ["openvino-bfloat16", "torch-float32"]
    assert [*found._openers] == ["openvino-bfloat16", "openvino-float32", "torch-bfloat16", "torch-float32"]


def test_what_is_slower_than_the_reference_is_left_out(
    configuration: Configuration, weights: Any, installed: None, tmp_path: Path
) -> None:
    cache = tmp_path / "engines.json"
    remember(cache, configuration, torch_float32=0.2, torch_bfloat16=0.3, openvino_float32=0.1, openvino_bfloat16=0.4)
    found = networks(configuration, weights, EngineWish(cache=cache))
    found.begin(10)
    assert [*found._openers] == ["openvino-float32", "torch-float32"]


def test_few_images_are_left_to_the_reference(
    configuration: Configuration, weights: Any, installed: None, tmp_path: Path
) -> None:
    """Of nine, three would be compared, after all engines are measured. Once an engine has passed, they are not, and it is taken."""
    cache, listener = tmp_path / "engines.json", Listener()
    remember(cache, configuration, torch_float32=0.4, torch_bfloat16=0.3, openvino_float32=0.2, openvino_bfloat16=0.1)
    found = networks(configuration, weights, EngineWish(cache=cache), listener)
    assert opened_names(found, 9) == ["torch-float32"] and listener.told == []
    many = networks(configuration, weights, EngineWish(cache=cache), listener)
    many.begin(10)
    many._settle(Parity(engine="openvino-bfloat16", n_cases=3, foreground=1000, differing=0, passed=True))
    assert len(listener.told) == 1 and "agrees" in listener.told[0]
    assert opened_names(networks(configuration, weights, EngineWish(cache=cache)), 3) == ["openvino-bfloat16"]


def test_a_failure_is_remembered_for_these_weights_alone(
    configuration: Configuration, weights: Any, installed: None, tmp_path: Path
) -> None:
    cache = tmp_path / "engines.json"
    remember(cache, configuration, torch_float32=0.4, torch_bfloat16=0.3, openvino_float32=0.2, openvino_bfloat16=0.1)
    found = networks(configuration, weights, EngineWish(cache=cache))
    found.begin(10)
    found._settle(Parity(engine="openvino-bfloat16", n_cases=3, foreground=1000, differing=9, passed=False))
    again = networks(configuration, weights, EngineWish(cache=cache))
    assert opened_names(again, 10) == ["openvino-float32", "torch-float32"]
    other = tmp_path / "other.safetensors"
    save_file(network_of(SPEC, seed=5).state_dict(), other)
    elsewhere = networks(configuration, [(other, file_sha256(other))], EngineWish(cache=cache))
    assert opened_names(elsewhere, 10) == ["openvino-bfloat16", "torch-float32"]
    setting = ParitySetting(
        weights=(weights[0][1],),
        inference=applied_as(configuration),
        device="cpu",
        machine=machine_name(),
        versions=library_versions(),
    )
    assert remembered_verdicts(cache, setting) == {"openvino-bfloat16": False}


def test_engines_are_measured_where_nothing_is_known(
    configuration: Configuration, weights: Any, installed: None, tmp_path: Path
) -> None:
    cache, listener = tmp_path / "engines.json", Listener()
    found = networks(configuration, weights, EngineWish(cache=cache), listener)
    assert opened_names(found, 10)[-1] == "torch-float32" and len(listener.told) == 1 and "quickest here" in listener.told[0]
    assert cache.is_file()
    networks(configuration, weights, EngineWish(cache=cache), listener).begin(10)
    assert len(listener.told) == 1


def test_an_engine_by_name_is_used_as_it_is(configuration: Configuration, weights: Any) -> None:
    found = networks(configuration, weights, EngineWish("torch-float32", cache=None))
    (engine,) = found.begin(10)
    assert engine.name == "torch-float32"
    (logits,) = engine(torch.zeros(1, 1, *PATCHES[2]))
    assert logits.shape == (1, 3, *PATCHES[2])


def test_integers_are_calibrated(configuration: Configuration, weights: Any) -> None:
    pytest.importorskip("nncf")
    pytest.importorskip("openvino")
    asked = []

    def calibration() -> list[torch.Tensor]:
        asked.append(True)
        return [torch.randn(2, 1, *PATCHES[2])]

    found = networks_for(configuration, weights, CPU, EngineWish("openvino-int8"), calibration, Listener())  # type: ignore[arg-type]
    assert asked == [] and found.begin(1)[0].name == "openvino-int8" and asked == [True]


def test_unknown_engines_are_refused_at_once() -> None:
    with pytest.raises(PlanError, match="there is no engine tensorrt; there are auto, torch-float32"):
        EngineWish("tensorrt")
