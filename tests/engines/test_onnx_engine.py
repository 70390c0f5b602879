"""ONNX Runtime computes what torch computes, and the file keeps instance normalisation in one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.engines.onnx_engine import OnnxEngine
from autoseg.engines.onnx_graph import write_onnx
from autoseg.engines.torch_engine import TorchEngine
from autoseg.errors import OutOfMemory
from tests.engines.networks import PATCHES, distance, network_of, small_spec, tiles_for

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ROUNDING = 1e-4  # of the largest logit; 3e-6 to 1e-5 were measured
SPEC = small_spec()


def opened(*networks: Any, spec: Any = SPEC, **options: Any) -> OnnxEngine:
    return OnnxEngine(networks, PATCHES[spec.rank], in_channels=spec.in_channels, threads=1, **options)


@pytest.fixture(scope="module")
def two_folds() -> tuple[list[torch.nn.Module], OnnxEngine]:
    networks = [network_of(SPEC, seed) for seed in range(2)]
    return networks, opened(*networks, weights=("a", "b"))


@pytest.mark.parametrize(("rank", "family"), [(3, "residual_unet"), (2, "unet2015")])
def test_torch_to_rounding_for_batches_of_any_size(rank: int, family: str) -> None:
    spec = small_spec(rank, family)
    network = network_of(spec)
    engine = opened(network, spec=spec)
    for count in (2, 1, 3):
        tiles = tiles_for(spec, count)
        (logits,), (reference,) = engine(tiles), TorchEngine([network])(tiles)
        assert distance(logits, reference) < ROUNDING


def test_every_fold_answers_for_itself_and_keeps_its_answer(two_folds: Any) -> None:
    networks, engine = two_folds
    assert (
        engine.n_folds == 2 and engine.weights == ("a", "b") and engine.device == engine.buffer_device(1) == torch.device("cpu")
    )
    first, second = tiles_for(SPEC, seed=1), tiles_for(SPEC, seed=2)
    answers = list(engine(first))
    kept = [logits.clone() for logits in answers]
    list(engine(second))
    for logits, before, reference in zip(answers, kept, TorchEngine(networks)(first), strict=True):
        assert torch.equal(logits, before)
        assert distance(logits, reference) < ROUNDING
    assert distance(answers[0], answers[1]) > 0.1
    answers[0].add_(1.0)  # the caller's own


def test_memory_that_does_not_suffice_is_asked_for_in_parts(two_folds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def run(self, *_: Any) -> None:
            raise Exception("[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 91750400")

    networks, engine = two_folds
    tiles = tiles_for(SPEC, 4)
    monkeypatch.setattr(engine, "_sessions", [Full(), engine._sessions[1]])
    (logits, _), (reference, _) = engine(tiles), TorchEngine(networks)(tiles)
    assert engine.fitting.largest == 2
    assert distance(logits, reference) < ROUNDING
    monkeypatch.setattr(engine, "_sessions", [Full(), Full()])
    with pytest.raises(OutOfMemory, match="one tile of 32x48"):
        list(engine(tiles[:1]))


def test_the_file_names_its_ends_and_keeps_normalisation_whole(tmp_path: Path) -> None:
    write_onnx(network_of(SPEC).train(), tmp_path / "network.onnx", PATCHES[2], in_channels=2)
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
    model = onnx.load(tmp_path / "network.onnx")
    onnx.checker.check_model(model)
    ends = {
        end.name: [axis.dim_param or axis.dim_value for axis in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    assert ends == {"image": ["batch", 2, 32, 48], "logits": ["batch", 3, 32, 48]}
    operations = [node.op_type for node in model.graph.node]
    assert set(operations) == {"Conv", "ConvTranspose", "InstanceNormalization", "LeakyRelu", "Concat"}
    assert operations.count("InstanceNormalization") == 10  # two convolutions in each of five stages


def test_an_engine_needs_a_network() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        opened()
