"""Why a network, its patch and its batch are as they are, where nnU-Net's rule decides; and what is said of every network."""

from __future__ import annotations

from autoseg.networks.cost import n_parameters
from autoseg.records import Configuration, Decision, Throughput
from autoseg.records.plan import NetworkFamily, Number
from autoseg.stages.plan.decisions.words import SOURCE, TAKEN_OVER, WITHOUT_SOURCE, set_to
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.nnunet import Sized, sample_room
from autoseg.stages.plan.presets import SizeRule
from autoseg.stages.plan.saying import decide
from autoseg.stages.plan.topology import SMALLEST_EDGE

FAMILIES: dict[NetworkFamily, str] = {
    "plain_unet": "nnU-Net's U-Net: two convolutions a stage, losses at several resolutions (Isensee et al. 2021)",
    "residual_unet": "nnU-Net's residual-encoder U-Net: 1 to 6 residual blocks a stage (Isensee et al. 2024)",
    "unet2015": "the U-Net of Ronneberger et al. 2015: max-pooling, no normalisation, 64 to 1024 features",
}
DEPTH = (
    f"nnU-Net's topology: an axis is halved while at least {SMALLEST_EDGE} pixels remain, coarse axes once the others have "
    "caught up within a factor of 2" + SOURCE
)
DEPTH_2015 = f"Ronneberger et al. 2015: every axis is halved four times, but never below {SMALLEST_EDGE} pixels"
PATCH = "nnU-Net's patch: shrinks from the median image until so many of them fit the memory" + SOURCE
BATCH = "nnU-Net's batch: what fits the memory, and no more than a share of the data set" + SOURCE
LARGEST_BATCH = "; ours: with an upper limit, as larger steps take longer and learn no more"
FORMAT = "ours: channels apart (contiguous) or next to one another (channels_last), whichever trains quicker on the machine"
TRIED_STEPS = 4
MEMORY = "ours: the estimate of peak memory stays within what may be used; "
COMPARED = MEMORY + "what would take more is not compared"
REDUCED = MEMORY + "batch, width and patch are reduced in this order until it does"
BATCH_REDUCED = MEMORY + "the batch is reduced until it does"


def family(configuration: Configuration, *, asked: bool) -> Decision:
    """What kind of network is trained."""
    network = configuration.network
    others = [name for name in FAMILIES if name != network.family]
    return decide(
        "network",
        "{family}",
        rule=FAMILIES[network.family],
        reason="You asked for this kind of network; here it has {parameters:.1f} million weights."
        if asked
        else "The preset plans this kind of network; here it has {parameters:.1f} million weights.",
        numbers={"family": network.family, "parameters": n_parameters(network) / 1e6, "others": " or ".join(others)},
        alternative="{others}: --set network.family=NAME.",
    )


def memory_format(configuration: Configuration, probe: Throughput | None) -> Decision:
    """How tensors lie in memory: what was quicker when this very network was measured."""
    field = "training.memory_format"
    if probe is None:
        return decide(
            "memory format",
            "auto",
            rule=FORMAT,
            reason="This network was not measured here, so both are tried for {steps} steps each when training begins.",
            numbers={"steps": TRIED_STEPS},
            alternative=f"{set_to(configuration, field, 'contiguous')} or channels_last.",
        )
    return decide(
        "memory format",
        "{format}",
        rule=FORMAT,
        reason="A step of this network takes {seconds:.3f} s here with its tensors {format}, which was the quicker way.",
        numbers={"format": probe.memory_format, "seconds": probe.step_seconds},
        alternative=f"{set_to(configuration, field, 'auto')} tries both again when training begins.",
    )


def depth(configuration: Configuration) -> Decision:
    """Stages and what is left at the bottom."""
    network, patch = configuration.network, configuration.training.patch_size
    bottom = tuple(p // d for p, d in zip(patch, network.divisor, strict=True))
    halvings = tuple(d.bit_length() - 1 for d in network.divisor)
    alike = len(set(halvings)) == 1
    numbers: dict[str, Number] = {
        "stages": network.n_stages,
        "patch": tuple(patch),
        "bottom": bottom,
        "halvings": halvings[0] if alike else ", ".join(map(str, halvings)),
        "features": network.features,
    }
    often = "{halvings:#time}" if alike else "{halvings} times"
    return decide(
        "depth",
        "{stages} stages",
        rule=DEPTH_2015 if network.family == "unet2015" else DEPTH,
        reason=f"The axes of the {{patch}} patch are halved {often}, which leaves {{bottom}} at the bottom.",
        numbers=numbers,
        alternative=f"more or fewer stages: {set_to(configuration, 'network.features', '{features:list}')} with one entry a stage, "
        "and strides, kernel_sizes, encoder_blocks and decoder_convs to match.",
    )


def sized(
    configuration: Configuration,
    found: Sized,
    rule: SizeRule,
    inputs: PlanInputs,
    *,
    memory_bytes: float,
    at_first: tuple[float, int],
) -> list[Decision]:
    """Patch and batch by nnU-Net's rule, and the width where it had to be reduced.

    Args:
        configuration: that was planned.
        found: its network.
        rule: with the width that was taken.
        inputs: the facts.
        memory_bytes: that the patch was sized for.
        at_first: memory that was tried first, and the preset's width.
    """
    most, width = at_first
    reasons = [_patch_by_memory(configuration, found, rule, memory_bytes, most)]
    if found.network.features[0] < width:
        reasons.append(_narrowed(configuration, rule, width))
    return [*reasons, _batch_by_memory(configuration, found, rule, inputs)]


def _patch_by_memory(configuration: Configuration, found: Sized, rule: SizeRule, memory_bytes: float, most: float) -> Decision:
    rank = found.network.rank
    whole = all(p >= m for p, m in zip(found.patch_size, found.median, strict=True))
    reason = "It is the largest part of the median image, {median}, that fits"
    if whole:
        reason = "The median image, {median}, fits as a whole"
    reason += ": it makes {values:,.0f} million feature values, and {room:,.0f} million may be held for each of {many} in {memory:bytes}."
    if memory_bytes < most:
        reason += " Sized for {most:bytes} it would not fit by the estimate of peak memory, whatever the width."
    return decide(
        "patch",
        "{patch}",
        rule=PATCH,
        reason=reason,
        numbers={
            "patch": found.patch_size,
            "median": found.median,
            "values": found.elements / 1e6,
            "room": sample_room(rule, rank, memory_bytes) / 1e6,
            "many": rule.minimum_batch if rule.patch_fits_batch == "minimum" else rule.reference_batch[rank],
            "memory": memory_bytes,
            "most": most,
            "divisor": found.network.divisor,
        },
        alternative=f"larger or smaller: --memory, or {set_to(configuration, 'training.patch_size', '...')} in multiples of {{divisor}}.",
    )


def _narrowed(configuration: Configuration, rule: SizeRule, width: int) -> Decision:
    return decide(
        "width",
        "{width} features",
        rule=REDUCED,
        reason="With the preset's {planned} features at full resolution a step would take more memory than may be used, even with "
        "{minimum:#patch/patches}.",
        numbers={"width": configuration.network.features[0], "planned": width, "minimum": rule.minimum_batch},
        alternative=f"more memory: --memory, or {set_to(configuration, 'network.features', '...')}, one entry a stage.",
    )


def _batch_by_memory(configuration: Configuration, found: Sized, rule: SizeRule, inputs: PlanInputs) -> Decision:
    largest = rule.largest_batch[found.network.rank] if rule.largest_batch else None
    allowed = min(found.batch_by_memory, found.batch_by_data)
    wanted = max(allowed, rule.minimum_batch) if largest is None else min(max(allowed, rule.minimum_batch), largest)
    numbers: dict[str, Number] = {
        "batch": found.batch_size,
        "memory": found.batch_by_memory,
        "data": found.batch_by_data,
        "share": rule.largest_dataset_share,
        "cases": inputs.n_training,
        "minimum": rule.minimum_batch,
        "largest": largest or 0,
    }
    reason = "By nnU-Net's reference memory has room for {memory:#patch/patches}, and {share:%} of {cases:#case} make {data:#patch/patches}; "
    if found.batch_size < wanted:
        reason += "by the estimate of peak memory only {batch} fit."
    elif largest is not None and allowed > largest:
        reason += "more than {largest} would take longer and learn no more."
    elif allowed < rule.minimum_batch:
        reason += "{minimum} are the fewest."
    else:
        reason += "the smaller number counts."
    return decide(
        "batch",
        "{batch}",
        rule=BATCH + (LARGEST_BATCH if rule.largest_batch else ""),
        reason=reason,
        numbers=numbers,
        alternative=f"another: --memory, or {set_to(configuration, 'training.batch_size', 'N')}.",
    )


def taken_patch(configuration: Configuration) -> Decision:
    """The patch of a network that comes from another run."""
    return decide(
        "patch",
        "{patch}",
        rule=TAKEN_OVER,
        reason="The run that this plan was made from trains on patches of {patch}, for which its network is made.",
        numbers={"patch": configuration.training.patch_size},
        alternative=f"one for these data: {WITHOUT_SOURCE}.",
    )


def taken_over(configuration: Configuration, source: Configuration, memory_bytes: float) -> list[Decision]:
    """Patch and batch of a network that comes from another run: its own, and as many of them as fit the memory."""
    batch, there = configuration.training.batch_size, source.training.batch_size
    reason = "The run that this plan was made from trains on {there:#patch/patches} at a time"
    reason += "." if batch == there else "; {batch} of them fit into {memory:bytes} here."
    decision = decide(
        "batch",
        "{batch}",
        rule=TAKEN_OVER,
        reason=reason,
        numbers={"batch": batch, "there": there, "memory": memory_bytes},
        alternative=f"another: {set_to(configuration, 'training.batch_size', 'N')}.",
    )
    return [taken_patch(configuration), decision]


def memory(network_bytes: float, configuration: Configuration, memory_bytes: float, rule: str) -> Decision:
    """The estimate of peak memory; `rule` tells how it was kept: `COMPARED`, `REDUCED` or `BATCH_REDUCED`."""
    network, training = configuration.network, configuration.training
    return decide(
        "memory",
        "{used:bytes}",
        rule=rule,
        reason="A step on {batch:#patch/patches} of {patch} with {width} features at full resolution holds about {used:bytes}; "
        "{allowed:bytes} may be used.",
        numbers={
            "used": network_bytes,
            "allowed": memory_bytes,
            "batch": training.batch_size,
            "patch": training.patch_size,
            "width": network.features[0],
        },
        alternative="more or less: --memory.",
    )
