"""What a MONAI bundle states; that MONAI runs it is tested with the pipeline."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from autoseg import pipeline
from autoseg.engines.graph_files import MeanOfCopies
from autoseg.inference.mirroring import mirror_subsets
from autoseg.records import Normalization
from autoseg.stages.export.bundle_config import _normalisation
from tests.stages.export.runs import picture_run, volume_run

REQUIRED = [  # of MONAI's bundle specification, and of the schema it is checked against
    *("version", "changelog", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
    *("task", "description", "authors", "copyright", "network_data_format"),
]
REQUIRED_OF_A_TENSOR = ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data", "channel_def"]


def members(model: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(model) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_layout_and_metadata(tmp_path: Path) -> None:
    held = members(pipeline.export_model(picture_run(tmp_path / "run"), tmp_path / "heads.monai-bundle.zip", to="monai-bundle"))
    assert list(held) == [
        f"heads/{name}" for name in ("configs/inference.json", "configs/metadata.json", "docs/README.md", "models/model.ts")
    ]
    told = json.loads(held["heads/configs/metadata.json"])
    assert not [key for key in REQUIRED if key not in told]
    (image,), (pred,) = told["network_data_format"]["inputs"].values(), told["network_data_format"]["outputs"].values()
    for tensor in (image, pred):
        assert not [key for key in REQUIRED_OF_A_TENSOR if key not in tensor]
    assert (image["num_channels"], image["spatial_shape"], pred["num_channels"]) == (1, [32, 32], 3)
    assert pred["channel_def"] == {"0": "background", "1": "head", "2": "csf"}
    readme = held["heads/docs/README.md"].decode()
    assert "not a medical device" in readme and "## Where MONAI computes otherwise than autoseg" in readme


def test_thick_slices_are_told_as_a_difference(tmp_path: Path) -> None:
    held = members(pipeline.export_model(volume_run(tmp_path / "run"), tmp_path / "organs.zip", to="monai-bundle"))
    assert "Thick slices" in held["organs/docs/README.md"].decode()


def test_the_mean_of_folds_and_mirrored_copies() -> None:
    torch.manual_seed(0)
    networks = [nn.Conv2d(1, 2, 3, padding=1) for _ in range(2)]
    tiles = torch.randn(3, 1, 8, 6)
    copies = [network(tiles.flip(axes)).flip(axes) for network in networks for axes in ([], [2], [3], [2, 3])]
    found = MeanOfCopies(networks, mirror_subsets((0, 1)))(tiles)
    assert torch.allclose(found, torch.stack(copies).mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="at least one network"):
        MeanOfCopies([], [()])(tiles)


CT = Normalization(scheme="ct", mean=10.0, std=4.0, lower=-20.0, upper=30.0)


@pytest.mark.parametrize(
    "schemes",
    [
        (CT,),
        (CT, Normalization(scheme="zscore")),
        (Normalization(scheme="zscore"),) * 2,
        (Normalization(scheme="rescale_to_0_1"),) * 2,
        (Normalization(scheme="rgb_to_0_1"),) * 3,
        (Normalization(scheme="none"), Normalization(scheme="rescale_to_0_1"), CT),
    ],
    ids=lambda schemes: "+".join(one.scheme for one in schemes),
)
def test_channels_are_normalised_as_ours(schemes: tuple[Normalization, ...]) -> None:
    from monai.bundle import ConfigParser

    from autoseg.processing.normalise import normalise

    parser = ConfigParser({"imports": ["$import torch", "$import monai"], "step": _normalisation(schemes)})
    parser.get_parsed_content("imports")
    image = torch.randint(0, 255, (len(schemes), 12, 9)).float()
    found = parser.get_parsed_content("step")({"image": image})["image"]
    assert torch.allclose(torch.as_tensor(found), torch.from_numpy(normalise(image.numpy(), schemes)), atol=1e-5)
