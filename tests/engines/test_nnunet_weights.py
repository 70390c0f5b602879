"""nnU-Net's checkpoints: what they say, what they may not do, and that our networks compute the same with their weights."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from autoseg.engines.nnunet_weights import convert_weights, read_checkpoint_facts, read_nnunet_weights
from autoseg.errors import RecordError
from autoseg.layouts.nnunet_folders import CheckpointFacts
from autoseg.networks.unet import build_network
from autoseg.records import NetworkSpec
from tests.engines.nnunet_networks import checkpoint, network, save


def spec(family: str = "plain_unet", rank: int = 3, **changed: Any) -> NetworkSpec:
    numbers = {
        "features": (4, 8, 8, 12),
        "strides": ((1, 1, 1)[-rank:], (1, 2, 2)[-rank:], (2, 2, 2)[-rank:], (2, 2, 2)[-rank:]),
        "kernel_sizes": ((1, 3, 3)[-rank:], (3,) * rank, (3,) * rank, (3,) * rank),
        "encoder_blocks": (1, 2, 3, 1),
        "decoder_convs": (1, 3, 2),
    }
    return NetworkSpec.model_validate({"family": family, "rank": rank, "in_channels": 2, "out_channels": 3, **numbers, **changed})


TWO_STAGES = {
    "features": (4, 6),
    "strides": ((1, 1, 1), (2, 2, 2)),
    "kernel_sizes": ((3, 3, 3),) * 2,
    "encoder_blocks": (2, 2),
    "decoder_convs": (2,),
}


@pytest.mark.parametrize("family", ["plain_unet", "residual_unet"])
@pytest.mark.parametrize("options", [{}, {"rank": 2}, TWO_STAGES])
@pytest.mark.parametrize(("bias", "dropout"), [(True, False), (False, False), (True, True)])
def test_the_same_logits(family: str, options: dict[str, Any], bias: bool, dropout: bool) -> None:
    wanted = spec(family, **options)
    theirs = network(wanted, bias=bias, dropout=dropout)
    ours = build_network(wanted).eval()
    ours.load_state_dict(convert_weights(theirs.state_dict(), wanted, conv_bias=bias))
    image = torch.randn(2, 2, *(8, 16, 24)[-wanted.rank :])
    with torch.inference_mode():
        expected, found = theirs(image), ours(image)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_heads_of_deep_supervision_are_those_of_their_resolution() -> None:
    wanted = spec()
    state = network(wanted).state_dict()
    found = convert_weights(state, wanted, conv_bias=True)
    assert [name for name in found if name.startswith("heads") and name.endswith("weight")] == [
        "heads.0.weight",
        "heads.1.weight",
    ]
    assert torch.equal(found["heads.0.weight"], state["decoder.seg_layers.2.weight"])
    assert torch.equal(found["heads.1.weight"], state["decoder.seg_layers.1.weight"])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrapped_networks(prefix: str) -> None:
    wanted = spec()
    state = network(wanted).state_dict()
    found = convert_weights({prefix + name: value for name, value in state.items()}, wanted, conv_bias=True)
    assert found.keys() == build_network(wanted).state_dict().keys()


def without_twins(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if "all_modules" not in name and not name.startswith("decoder.encoder")}


def test_weights_may_stand_there_once_and_in_half_precision() -> None:
    wanted = spec()
    state = without_twins(network(wanted).state_dict())
    found = convert_weights({name: value.half() for name, value in state.items()}, wanted, conv_bias=True)
    assert {value.dtype for value in found.values()} == {torch.float32}


def faults(changes: dict[str, Tensor | None], wanted: NetworkSpec | None = None, conv_bias: bool = True) -> str:
    """The message about a state in which weights are replaced, added, or taken away (None)."""
    wanted = wanted or spec()
    state = without_twins(network(spec()).state_dict()) | changes
    with pytest.raises(ValueError, match=r".") as raised:
        convert_weights({name: value for name, value in state.items() if value is not None}, wanted, conv_bias=conv_bias)
    return str(raised.value)


def test_everything_that_does_not_fit_is_named() -> None:
    told = faults(
        {
            "encoder.stages.1.0.convs.1.norm.weight": None,
            "encoder.stages.0.0.convs.0.norm.running_mean": torch.zeros(4),
            "decoder.transpconvs.0.weight": torch.zeros(3),
            "decoder.seg_layers.2.bias": torch.full((3,), torch.nan),
        }
    )
    assert told == (
        "missing: encoder.stages.1.0.convs.1.norm.weight; "
        # what is left of the layer: its bias belongs to no normalisation any more
        "not known: encoder.stages.0.0.convs.0.norm.running_mean, encoder.stages.1.0.convs.1.conv.bias; "
        "of another shape: decoder.transpconvs.0.weight is (3,), not (12, 8, 2, 2, 2); "
        "not finite: decoder.seg_layers.2.bias"
    )


def test_a_bias_that_nothing_takes_out_again_is_not_dropped() -> None:
    assert "decoder.extra.conv.bias" in faults({"decoder.extra.conv.bias": torch.zeros(4)})
    assert "decoder.transpconvs.0.bias" in faults({"decoder.transpconvs.0.bias": None})


def test_biases_that_the_plans_deny() -> None:
    assert "not known: decoder.stages.0.convs.0.conv.bias" in faults({}, conv_bias=False)


def test_a_deeper_network_than_planned() -> None:
    shallow = spec().model_copy(
        update={"features": (4, 8, 8), "strides": spec().strides[:3], "kernel_sizes": spec().kernel_sizes[:3]}
    )
    told = faults({}, shallow.model_copy(update={"encoder_blocks": (1, 2, 3), "decoder_convs": (1, 3)}))
    assert "not known: decoder.seg_layers.2.bias" in told


def test_a_weight_that_differs_from_its_twin() -> None:
    wanted = spec()
    state = network(wanted).state_dict()
    state["decoder.encoder.stages.0.0.convs.0.conv.weight"] = torch.zeros(4, 2, 1, 3, 3)
    with pytest.raises(ValueError, match=r"given twice, and not the same: encoder\.stages\.0\.0\.convs\.0\.conv\.weight$"):
        convert_weights(state, wanted, conv_bias=True)


def test_a_checkpoint_as_nnunet_saves_it(tmp_path: Path) -> None:
    wanted = spec()
    theirs = network(wanted)
    path = save(tmp_path / "checkpoint_final.pth", checkpoint(theirs))
    assert read_checkpoint_facts(path) == CheckpointFacts("3d_fullres", "nnUNetTrainer", (0, 1))
    found = read_nnunet_weights(path, wanted, conv_bias=True)
    path.unlink()  # nothing of the result lies in the file
    assert torch.equal(found["decoder.0.up.weight"], theirs.decoder.transpconvs[0].weight)


@pytest.mark.parametrize("axes", [None, ()])
def test_without_mirroring(tmp_path: Path, axes: object) -> None:
    content = checkpoint(network(spec()), inference_allowed_mirroring_axes=axes)
    assert read_checkpoint_facts(save(tmp_path / "a.pth", content)).mirror_axes == ()
    del content["inference_allowed_mirroring_axes"]
    assert read_checkpoint_facts(save(tmp_path / "b.pth", content)).mirror_axes == ()


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """A copy of a checkpoint in which a global has another name."""
    copy = path.with_name(f"renamed_{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as sink:
        for member in source.infolist():
            content = source.read(member)
            if member.filename.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            sink.writestr(member.filename, content)
    return copy


def test_numbers_of_numpy_1_and_2(tmp_path: Path) -> None:
    path = save(tmp_path / "checkpoint_final.pth", checkpoint(network(spec())))
    name = (
        b"numpy._core.multiarray"
        if b"numpy._core" in zipfile.ZipFile(path).read("checkpoint_final/data.pkl")
        else b"numpy.core.multiarray"
    )
    for other in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        assert read_checkpoint_facts(renamed(path, name, other)).configuration == "3d_fullres"


class Harmful:
    """Unpickling it writes a file."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


class Evaluated(Harmful):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.file)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", [Harmful, Evaluated])
@pytest.mark.parametrize("place", ["trainer_name", "logging", "network_weights"])
def test_a_pickle_that_would_run_code(tmp_path: Path, kind: type[Harmful], place: str) -> None:
    witness = tmp_path / "witness"
    content = checkpoint(network(spec())) | {place: kind(witness)}
    path = save(tmp_path / "checkpoint_final.pth", content)
    for read in (read_checkpoint_facts, lambda path: read_nnunet_weights(path, spec(), conv_bias=True)):
        with pytest.raises(RecordError, match=r"is refused: to open it, \S+ would have to be called") as raised:
            read(path)
        assert "weights_only" not in str(raised.value)
    assert not witness.exists()
    torch.load(path, weights_only=False)  # the payload is a real one
    assert witness.exists()


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no pickle")
    (tmp_path / "empty.pth").touch()
    whole = save(tmp_path / "whole.pth", checkpoint(network(spec())))
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:-2000])
    for name in ("text", "empty", "cut", "absent"):
        with pytest.raises(RecordError, match=rf"{name}\.pth is damaged, or no checkpoint") as raised:
            read_checkpoint_facts(tmp_path / f"{name}.pth")
        assert "weights_only" not in str(raised.value)  # torch's advice, to open it without care


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "it holds a list"),
        ({}, "init_args.configuration is no text; trainer_name is no text"),
        (
            {"init_args": {"configuration": "2d"}, "trainer_name": "a", "inference_allowed_mirroring_axes": "xy"},
            "mirroring_axes are no axes",
        ),
    ],
)
def test_what_is_another_checkpoint(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(RecordError, match=told):
        read_checkpoint_facts(save(tmp_path / "a.pth", content))


def test_weights_that_are_none(tmp_path: Path) -> None:
    content = checkpoint(network(spec()), network_weights={"a": 1})
    with pytest.raises(RecordError, match="network_weights are no tensors by name"):
        read_nnunet_weights(save(tmp_path / "a.pth", content), spec(), conv_bias=True)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", checkpoint(network(spec())))
    with pytest.raises(
        RecordError, match=r"a\.pth does not hold the weights of the network in plans.json: missing: encoder.stem"
    ):
        read_nnunet_weights(path, spec("residual_unet"), conv_bias=True)
