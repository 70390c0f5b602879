"""Every family of networks is trained, goes on exactly where it stopped, and predicts from its weights file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autoseg.engines.torch_engine import load_engine
from autoseg.networks.unet import build_network
from autoseg.records import Configuration, FoldCheckpoint
from autoseg.records.plan import NetworkFamily
from autoseg.stages.train import epochs
from tests.learning.cases import small_configuration
from tests.stages.train.test_fold import Interrupter, journal_of, run


def configuration_of(family: NetworkFamily, **options: int) -> Configuration:
    """Counts of blocks that differ from stage to stage."""
    small = small_configuration(**options)
    changes = {
        "family": family,
        "encoder_blocks": (1, 3, 2),
        "decoder_convs": (1, 2),
        "deep_supervision": family != "unet2015",
    }
    return small.model_copy(update={"network": small.network.model_copy(update=changes)})


@pytest.mark.parametrize("family", ["residual_unet", "unet2015", "plain_unet"])
def test_trained_in_parts_as_in_one(family: NetworkFamily, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "SHARE_OF_SAVING", 10.0)
    configuration = configuration_of(family, epochs=2, steps=10)
    whole = run(tmp_path / "whole", configuration, device)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", configuration, device, progress=Interrupter(20))  # at the end of the second epoch
    assert FoldCheckpoint.load(tmp_path / "parts" / "checkpoint.json").epoch == 1
    parts = run(tmp_path / "parts", configuration, device)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert first.keys() == build_network(configuration.network).state_dict().keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.weights_sha256 == parts.weights_sha256
    losses = [line.train_loss for line in journal_of(tmp_path / "whole")]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("family", ["residual_unet", "unet2015"])
def test_the_engine_answers_with_the_finest_logits(family: NetworkFamily, tmp_path: Path, device: str) -> None:
    configuration = configuration_of(family, epochs=1, steps=2)
    checkpoint = run(tmp_path, configuration, device)
    engine = load_engine(configuration.network, [(tmp_path / checkpoint.weights, checkpoint.weights_sha256)], device=device)
    network = build_network(configuration.network).eval()
    network.load_state_dict(load_file(tmp_path / checkpoint.weights))
    tiles = torch.randn(2, 1, 32, 40)
    (logits,) = engine(tiles)
    with torch.no_grad():
        torch.testing.assert_close(logits.cpu(), network(tiles), rtol=1e-4, atol=1e-4)
    assert logits.shape == (2, 2, 32, 40)
