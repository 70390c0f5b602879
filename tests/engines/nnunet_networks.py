"""Networks whose weights bear the names that nnU-Net's checkpoints have, and checkpoints of them. Written for these tests.

Every layer stands in the state twice, alone and in the sequence of its block, and the decoder holds the encoder, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autoseg.records import NetworkSpec

CONVOLUTIONS = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.InstanceNorm2d, nn.AvgPool2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.InstanceNorm3d, nn.AvgPool3d),
}


class Block(nn.Module):
    """Convolution, dropout where asked for, normalisation, rectifier."""

    def __init__(
        self,
        spec: NetworkSpec,
        before: int,
        after: int,
        kernel: Any,
        stride: Any,
        *,
        bias: bool,
        act: bool = True,
        dropout: bool = False,
    ):
        super().__init__()
        conv, _, norm, _ = CONVOLUTIONS[spec.rank]
        self.conv = conv(before, after, kernel, stride, padding=[size // 2 for size in kernel], bias=bias)
        self.norm = norm(after, eps=1e-5, affine=True)
        layers = [self.conv, *([nn.Dropout(0.5)] if dropout else []), self.norm, *([nn.LeakyReLU(0.01)] if act else [])]
        self.all_modules = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.all_modules(x)


class Stack(nn.Module):
    def __init__(self, spec: NetworkSpec, before: int, after: int, kernel: Any, stride: Any, count: int, **options: bool):
        super().__init__()
        ones = (1,) * spec.rank
        self.convs = nn.Sequential(
            *(Block(spec, after if i else before, after, kernel, ones if i else stride, **options) for i in range(count))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class Residual(nn.Module):
    def __init__(self, spec: NetworkSpec, before: int, after: int, kernel: Any, stride: Any, **options: bool):
        super().__init__()
        ones = (1,) * spec.rank
        self.conv1 = Block(spec, before, after, kernel, stride, **options)
        self.conv2 = Block(spec, after, after, kernel, ones, bias=options["bias"], act=False)
        skip: list[nn.Module] = [CONVOLUTIONS[spec.rank][3](stride, stride)] if max(stride) > 1 else []
        if before != after:
            skip.append(Block(spec, before, after, ones, ones, bias=False, act=False))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.conv2(self.conv1(x)) + self.skip(x), 0.01)


class Residuals(nn.Module):
    def __init__(self, spec: NetworkSpec, before: int, after: int, kernel: Any, stride: Any, count: int, **options: bool):
        super().__init__()
        ones = (1,) * spec.rank
        self.blocks = nn.Sequential(
            *(Residual(spec, after if i else before, after, kernel, ones if i else stride, **options) for i in range(count))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Encoder(nn.Module):
    def __init__(self, spec: NetworkSpec, **options: bool):
        super().__init__()
        residual = spec.family == "residual_unet"
        before = spec.features[0] if residual else spec.in_channels
        if residual:
            self.stem = Stack(spec, spec.in_channels, before, spec.kernel_sizes[0], (1,) * spec.rank, 1, **options)
        stages: list[nn.Module] = []
        for after, kernel, stride, count in zip(spec.features, spec.kernel_sizes, spec.strides, spec.encoder_blocks, strict=True):
            kind = Residuals if residual else Stack
            stage = kind(spec, before, after, kernel, stride, count, **options)
            stages.append(stage if residual else nn.Sequential(stage))
            before = after
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x) if hasattr(self, "stem") else x
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return skips


class Decoder(nn.Module):
    def __init__(self, encoder: Encoder, spec: NetworkSpec, **options: bool):
        super().__init__()
        conv, transposed, _, _ = CONVOLUTIONS[spec.rank]
        self.encoder = encoder
        levels = range(spec.n_stages - 2, -1, -1)  # the deepest first
        width, ones = spec.features, (1,) * spec.rank
        self.stages = nn.ModuleList(
            Stack(spec, 2 * width[i], width[i], spec.kernel_sizes[i], ones, spec.decoder_convs[i], **options) for i in levels
        )
        self.transpconvs = nn.ModuleList(
            transposed(width[i + 1], width[i], spec.strides[i + 1], spec.strides[i + 1], bias=options["bias"]) for i in levels
        )
        self.seg_layers = nn.ModuleList(conv(width[i], spec.out_channels, 1) for i in levels)

    def forward(self, skips: list[Tensor]) -> Tensor:
        x = skips.pop()
        for up, stage in zip(self.transpconvs, self.stages, strict=True):
            x = stage(torch.cat((up(x), skips.pop()), 1))
        return self.seg_layers[-1](x)


class Network(nn.Module):
    def __init__(self, spec: NetworkSpec, **options: bool):
        super().__init__()
        self.encoder = Encoder(spec, **options)
        self.decoder = Decoder(self.encoder, spec, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def network(spec: NetworkSpec, seed: int = 0, *, bias: bool = True, dropout: bool = False) -> Network:
    """With random weights throughout, biases and scales of normalisations included."""
    torch.manual_seed(seed)
    found = Network(spec, bias=bias, dropout=dropout).eval()
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.4)
    return found


def checkpoint(found: nn.Module, configuration: str = "3d_fullres", **changed: Any) -> dict[str, Any]:
    """What nnU-Net's trainer saves, numpy's numbers included."""
    optimiser = torch.optim.SGD(found.parameters(), 0.01, momentum=0.99)
    return {
        "network_weights": found.state_dict(),
        "optimizer_state": optimiser.state_dict(),
        "grad_scaler_state": None,
        "logging": {
            "dice_per_class_or_region": [[np.float32(0.5), np.float64(0.25)]],
            "lrs": [0.01],
            "epoch_start_timestamps": [1.5],
        },
        "_best_ema": np.float32(0.5),
        "current_epoch": 2,
        "init_args": {"plans": {}, "configuration": configuration, "fold": 0, "dataset_json": {}, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
    } | changed


def save(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path
