"""The network of a configuration of nnU-Net's plans, as `NetworkSpec`: its plain and its residual-encoder U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoseg.layouts.json_part import JsonObject, JsonPart, shown
from autoseg.records import NetworkSpec, Shape
from autoseg.records.plan import NetworkFamily

LIBRARY = "dynamic_network_architectures."
PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
FAMILIES: dict[str, NetworkFamily] = {PLAIN: "plain_unet", RESIDUAL: "residual_unet"}
BLOCKS_KEY = {PLAIN: "n_conv_per_stage", RESIDUAL: "n_blocks_per_stage"}
SHARED_KEYS = {
    "n_stages",
    "features_per_stage",
    "conv_op",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage_decoder",
    "conv_bias",
    "norm_op",
    "norm_op_kwargs",
    "dropout_op",
    "dropout_op_kwargs",
    "nonlin",
    "nonlin_kwargs",
    "deep_supervision",  # of training; prediction uses the finest head
}
# options of the two networks, with the values at which they do what ours do
OPTIONS: dict[str, dict[str, tuple[object, ...]]] = {
    PLAIN: {"nonlin_first": (False,)},
    RESIDUAL: {
        "block": (None, f"{LIBRARY}building_blocks.residual.BasicBlockD"),
        "bottleneck_channels": (None,),
        "stem_channels": (None,),
    },
}
NORM_EPS, SLOPE = 1e-5, 0.01
ELSEWHERE = "networks that differ in it are not supported here"
# keys of plans of nnU-Net 2.0 to 2.2, by those of the architecture's arguments
OLD_NAMES = {
    "kernel_sizes": "conv_kernel_sizes",
    "strides": "pool_op_kernel_sizes",
    "n_conv_per_stage": "n_conv_per_stage_encoder",
    "n_blocks_per_stage": "n_conv_per_stage_encoder",
    "n_stages": "n_conv_per_stage_encoder",
    "features_per_stage": "UNet_base_num_features",
}
PerStage = int | tuple[int, ...]
SizePerStage = int | tuple[int | Shape, ...]


@dataclass(frozen=True)
class ReadNetwork:
    """The network, and whether its convolutions have a bias, which decides what weights a checkpoint holds."""

    spec: NetworkSpec
    conv_bias: bool


def read_network(configuration: JsonPart, rank: int, in_channels: int, out_channels: int) -> ReadNetwork | None:
    """The network of a configuration; None where there are faults, which the part then holds.

    Args:
        configuration: with what it inherits.
        rank: axes of the patch.
        in_channels: of the images, masks of a first stage included.
        out_channels: what it tells apart.
    """
    before = len(configuration.faults)
    if "architecture" not in configuration.content and "UNet_class_name" in configuration.content:
        name, arguments = _old_architecture(configuration, rank)
    else:
        architecture = configuration.part("architecture", "the network's class and arguments")
        whole = architecture.take("network_class_name", str, "the name of a class")
        arguments = architecture.part("arch_kwargs", "the network's arguments")
        name = (whole or "").rpartition(".")[2]
        if whole is not None and not (whole.startswith(LIBRARY) and name in FAMILIES):
            architecture.fault(
                "network_class_name", f"{whole} is not supported; known are {PLAIN} and {RESIDUAL} of nnU-Net's library"
            )
    if name not in FAMILIES or len(configuration.faults) > before:
        return None
    conv_bias = _check_operations(arguments, name, rank)
    n_stages = arguments.take("n_stages", int, "a whole number") or 0
    features = _per_stage(arguments, "features_per_stage", n_stages)
    blocks = _per_stage(arguments, BLOCKS_KEY[name], n_stages)
    decoder = _per_stage(arguments, "n_conv_per_stage_decoder", n_stages - 1)
    kernels = _sizes(arguments, "kernel_sizes", n_stages, rank)
    strides = _sizes(arguments, "strides", n_stages, rank)
    if len(configuration.faults) > before:
        return None
    spec = NetworkSpec(
        family=FAMILIES[name],
        rank=rank,  # type: ignore[arg-type]  # 2 or 3: `_check_operations` compares it with the convolutions
        in_channels=in_channels,
        out_channels=out_channels,
        features=features,
        strides=strides,
        kernel_sizes=kernels,
        encoder_blocks=blocks,
        decoder_convs=decoder[::-1],  # nnU-Net counts from the deepest stage
    )
    return ReadNetwork(spec, conv_bias)


def _old_architecture(part: JsonPart, rank: int) -> tuple[str, JsonPart]:
    """Plans of nnU-Net 2.0 to 2.2, which hold the network's numbers in the configuration itself."""
    name = part.take("UNet_class_name", str, "the name of a class") or ""
    if name and name not in FAMILIES:
        part.fault("UNet_class_name", f"{name} is not supported; known are {PLAIN} and {RESIDUAL}")
    base = part.take("UNet_base_num_features", int, "a whole number")
    most = part.take("unet_max_num_features", int, "a whole number")
    blocks = part.take("n_conv_per_stage_encoder", tuple[int, ...], "a list of whole numbers")
    decoder = part.take("n_conv_per_stage_decoder", tuple[int, ...], "a list of whole numbers")
    kernels = part.take("conv_kernel_sizes", tuple[Shape, ...], "a list of sizes")
    strides = part.take("pool_op_kernel_sizes", tuple[Shape, ...], "a list of sizes")
    n_stages = len(blocks or ())
    arguments = {
        "n_stages": n_stages,
        "features_per_stage": [min((base or 0) * 2**stage, most or 0) for stage in range(n_stages)],
        "kernel_sizes": kernels,
        "strides": strides,
        BLOCKS_KEY.get(name, ""): blocks,
        "n_conv_per_stage_decoder": decoder,
        **_default_operations(rank),
    }
    return name, JsonPart(arguments, part.file, part.place, part.faults, OLD_NAMES)


def _default_operations(rank: int) -> Mapping[str, Any]:
    return {
        "conv_op": f"torch.nn.modules.conv.Conv{rank}d",
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{rank}d",
        "norm_op_kwargs": {"eps": NORM_EPS, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def _check_operations(part: JsonPart, name: str, rank: int) -> bool:
    """Convolution, normalisation and rectifier must be those of our networks; returns whether convolutions have a bias."""
    options = OPTIONS[name]
    for key in part.content.keys() - SHARED_KEYS - {BLOCKS_KEY[name], *options}:
        part.fault(key, f"is not known here for {name}; {ELSEWHERE}")
    for key, values in options.items():
        part.must_be(key, part.content.get(key, values[0]), values, ELSEWHERE)
    for key, class_name in (("conv_op", f"Conv{rank}d"), ("norm_op", f"InstanceNorm{rank}d"), ("nonlin", "LeakyReLU")):
        found = part.take(key, str | None, "the name of a class", None)
        if (found or "").rpartition(".")[2] != class_name or not str(found).startswith("torch.nn."):
            part.fault(key, f"expected {class_name} of torch, found {shown(found)}; {ELSEWHERE}")
    norm = {"eps": NORM_EPS, "affine": False, "track_running_stats": False, **_arguments(part, "norm_op_kwargs")}
    part.must_be("norm_op_kwargs.eps", norm["eps"], [NORM_EPS], ELSEWHERE)
    part.must_be("norm_op_kwargs.affine", norm["affine"], [True], ELSEWHERE)
    part.must_be("norm_op_kwargs.track_running_stats", norm["track_running_stats"], [False], ELSEWHERE)
    rectifier = {"negative_slope": SLOPE, **_arguments(part, "nonlin_kwargs")}
    part.must_be("nonlin_kwargs.negative_slope", rectifier["negative_slope"], [SLOPE], ELSEWHERE)
    dropout = part.take("dropout_op", str | None, "the name of a class, or null", None)  # it does nothing in prediction
    if dropout is not None:
        part.must_be("dropout_op", dropout.rpartition(".")[2], [f"Dropout{rank}d", "Dropout"], ELSEWHERE)
    return bool(part.take("conv_bias", bool, "true or false", False))


def _arguments(part: JsonPart, key: str) -> JsonObject:
    return part.take(key, JsonObject | None, "an object", None) or {}


def _per_stage(part: JsonPart, key: str, n_stages: int) -> tuple[int, ...]:
    found: PerStage | None = part.take(key, PerStage, "a whole number, or a list of them")
    values = (found,) * n_stages if isinstance(found, int) else found
    if values is not None and (len(values) != n_stages or n_stages < 1):
        part.fault(key, f"{len(values)} entries for {n_stages} stages")
    return values or ()


def _sizes(part: JsonPart, key: str, n_stages: int, rank: int) -> tuple[Shape, ...]:
    found: SizePerStage | None = part.take(key, SizePerStage, "a list of sizes, one per stage")
    values = (found,) * n_stages if isinstance(found, int) else found or ()
    sizes = tuple((size,) * rank if isinstance(size, int) else size for size in values)
    if found is not None and (len(sizes) != n_stages or any(len(size) != rank for size in sizes)):
        part.fault(key, f"expected {n_stages} entries of {rank} numbers, one per stage, found {shown(found)}")
    return sizes
