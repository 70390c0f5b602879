"""The plain U-Net of nnU-Net (Isensee et al. 2021), put together from MONAI's blocks.

Two convolutions a stage, each followed by instance normalisation and leaky ReLU (0.01); a stage is entered with a
strided convolution and left with a transposed one; every decoder resolution has a 1x1 head for deep supervision.
Convolutions have no bias: the instance normalisation behind each would take it out again.
"""

from __future__ import annotations

from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetOutBlock, UnetUpBlock
from torch import Tensor, nn

from autoseg.records import NetworkSpec

NORM = ("INSTANCE", {"affine": True, "eps": 1e-5})
NEGATIVE_SLOPE = 0.01


class UNet(nn.Module):
    """A U-Net by `NetworkSpec`.

    `forward` takes `(B, C, *spatial)` with spatial sizes that are multiples of the spec's `divisor`. In training mode
    with deep supervision it returns logits for every decoder resolution but the coarsest two, finest first
    (nnU-Net weighs the coarsest head with zero, so it is not computed); otherwise the finest logits `(B, K, *spatial)`.
    """

    def __init__(self, spec: NetworkSpec):
        super().__init__()
        self.spec = spec
        widths = (spec.in_channels, *spec.features)
        self.encoder = nn.ModuleList(
            UnetBasicBlock(spec.rank, widths[i], widths[i + 1], spec.kernel_sizes[i], spec.strides[i], NORM)
            for i in range(spec.n_stages)
        )
        self.decoder = nn.ModuleList(
            UnetUpBlock(
                spec.rank,
                spec.features[i + 1],
                spec.features[i],
                spec.kernel_sizes[i],
                1,
                spec.strides[i + 1],
                NORM,
                trans_bias=True,
            )
            for i in reversed(range(spec.n_stages - 1))
        )
        n_heads = max(1, spec.n_stages - 2) if spec.deep_supervision else 1
        self.heads = nn.ModuleList(UnetOutBlock(spec.rank, spec.features[i], spec.out_channels) for i in range(n_heads))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """See the class."""
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        outputs: list[Tensor] = []
        for stage in self.decoder:
            level = len(skips) - 1
            x = stage(x, skips.pop())
            if level == 0 or (self.training and level < len(self.heads)):
                outputs.append(self.heads[level](x))
        if not self.decoder:
            outputs.append(self.heads[0](x))
        return outputs[::-1] if self.training and self.spec.deep_supervision else outputs[-1]


def build_network(spec: NetworkSpec) -> UNet:
    """The network of a plan, freshly initialised from torch's global random state."""
    return UNet(spec)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)  # He et al. 2015, as nnU-Net
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
