"""The U-Nets by `NetworkSpec`: nnU-Net's plain and residual-encoder networks (Isensee et al. 2021, 2024), and the U-Net of 2015.

All have an encoder of stages, a decoder that is entered with transposed convolutions, and a 1x1 head at the finest resolution,
with deep supervision also at the coarser ones. The residual network has a stem of one convolution. With equal weights the plain
and the residual network compute what dynamic_network_architectures 0.4.4, nnU-Net's library, computes.

The U-Net of Ronneberger et al. 2015 pools by maxima and has no normalisation. Here it pads its convolutions, so that masks keep
the image's size, and it leaves out the dropout at the end of the encoder. As in the paper, nothing is rectified between an
up-convolution and the concatenation (the network that its authors released has a ReLU there).
"""

from __future__ import annotations

from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from autoseg.networks.blocks import NEGATIVE_SLOPE, ResidualBlock, UpBlock, convolution, encoder_stage
from autoseg.records import NetworkSpec


class UNet(nn.Module):
    """A U-Net by `NetworkSpec`.

    `forward` takes `(B, C, *spatial)` with spatial sizes that are multiples of the spec's `divisor`. In training mode
    with deep supervision it returns logits for every decoder resolution but the coarsest two, finest first
    (nnU-Net weighs the coarsest head with zero, so it is not computed); otherwise the finest logits `(B, K, *spatial)`.
    """

    def __init__(self, spec: NetworkSpec, *, initialised: bool = True):
        super().__init__()
        self.spec = spec
        residual = spec.family == "residual_unet"
        self.stem = convolution(spec, spec.in_channels, spec.features[0], spec.kernel_sizes[0]) if residual else nn.Identity()
        widths = (spec.features[0] if residual else spec.in_channels, *spec.features)
        self.encoder = nn.ModuleList(encoder_stage(spec, index, widths[index]) for index in range(spec.n_stages))
        self.decoder = nn.ModuleList(UpBlock(spec, index) for index in reversed(range(spec.n_stages - 1)))
        n_heads = max(1, spec.n_stages - 2) if spec.deep_supervision else 1
        head = Conv[Conv.CONV, spec.rank]
        self.heads = nn.ModuleList(head(spec.features[i], spec.out_channels, 1) for i in range(n_heads))
        if not initialised:
            return
        self.apply(_initialise)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.start_as_identity()

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """See the class."""
        x = self.stem(x)
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


def build_for_weights(spec: NetworkSpec) -> UNet:
    """The network of a plan whose weights are about to be loaded."""
    return UNet(spec, initialised=False)


def _initialise(module: nn.Module) -> None:
    """He et al. 2015, as nnU-Net and the U-Net of 2015."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
