"""Why a network, its patch and its batch are as they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from autoseg.networks.cost import n_parameters
from autoseg.records import Configuration, Decision
from autoseg.records.plan import NetworkFamily, Number
from autoseg.stages.plan.budget import Candidate, Task, loss_terms
from autoseg.stages.plan.decisions.grid import SOURCE, TAKEN_OVER
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.nnunet import LOWRES_WORTHWHILE, Sized, sample_room
from autoseg.stages.plan.presets import SizeRule
from autoseg.stages.plan.saying import decide
from autoseg.stages.plan.spacing import Extent
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
CASCADE = "nnU-Net's cascade, where a patch shows less than a quarter of the median image, and half its voxels would do" + SOURCE
IN_TIME = "ours: of all grids, patches, widths and batches, those with the smallest expected loss of Dice in the time given"
MEMORY = "ours: the estimate of peak memory stays within what may be used; batch, width and patch are reduced in this order"
BATCH_DICE = "nnU-Net's batch Dice: the Dice loss sums over the batch where a patch may lack a structure" + SOURCE


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


def depth(configuration: Configuration) -> Decision:
    """Stages and what is left at the bottom."""
    network, patch = configuration.network, configuration.training.patch_size
    bottom = tuple(p // d for p, d in zip(patch, network.divisor, strict=True))
    halvings = tuple(d.bit_length() - 1 for d in network.divisor)
    numbers: dict[str, Number] = {
        "stages": network.n_stages,
        "patch": tuple(patch),
        "bottom": bottom,
        "halvings": halvings[0] if len(set(halvings)) == 1 else ", ".join(map(str, halvings)),
        "features": network.features,
    }
    return decide(
        "depth",
        "{stages} stages",
        rule=DEPTH_2015 if network.family == "unet2015" else DEPTH,
        reason="The axes of the {patch} patch are halved {halvings} times, which leaves {bottom} at the bottom.",
        numbers=numbers,
        alternative="more or fewer stages: --set network.features={features:list} with one entry a stage, and strides, "
        "kernel_sizes, encoder_blocks and decoder_convs to match.",
    )


def sized(found: Sized, rule: SizeRule, memory_bytes: float, inputs: PlanInputs) -> list[Decision]:
    """Patch and batch by nnU-Net's rule."""
    rank = found.network.rank
    whole = all(p >= m for p, m in zip(found.patch_size, found.median, strict=True))
    many = rule.minimum_batch if rule.patch_fits_batch == "minimum" else rule.reference_batch[rank]
    numbers: dict[str, Number] = {
        "patch": found.patch_size,
        "median": found.median,
        "values": found.elements / 1e6,
        "room": sample_room(rule, rank, memory_bytes) / 1e6,
        "many": many,
        "memory": memory_bytes,
        "divisor": found.network.divisor,
    }
    reason = (
        "The median image, {median}, fits as a whole"
        if whole
        else "It is the largest part of the median image, {median}, that fits"
    )
    reason += ": it makes {values:,.0f} million feature values, and {room:,.0f} million may be held for each of {many} in {memory:bytes}."
    patch = decide(
        "patch",
        "{patch}",
        rule=PATCH,
        reason=reason,
        numbers=numbers,
        alternative="larger or smaller: --memory, or --set training.patch_size=... in multiples of {divisor}.",
    )
    return [patch, _batch_by_memory(found, rule, inputs)]


def _batch_by_memory(found: Sized, rule: SizeRule, inputs: PlanInputs) -> Decision:
    numbers: dict[str, Number] = {
        "batch": found.batch_size,
        "memory": found.batch_by_memory,
        "data": found.batch_by_data,
        "share": rule.largest_dataset_share,
        "cases": inputs.n_training,
        "minimum": rule.minimum_batch,
        "largest": rule.largest_batch[found.network.rank] if rule.largest_batch else 0,
    }
    either = "Memory has room for {memory:#patch/patches}, and {share:%} of the {cases:#case} make {data:#patch/patches}"
    if rule.largest_batch and found.batch_size == numbers["largest"]:
        reason = f"{either}; more than {{largest}} would take longer and learn no more."
    elif found.batch_size == rule.minimum_batch:
        reason = f"{either}; {{minimum}} are the fewest."
    elif found.batch_size == min(found.batch_by_memory, found.batch_by_data):
        reason = f"{either}; the smaller number counts."
    else:
        reason = f"{either}; {{batch}} of them fit by the estimate of peak memory."
    return decide(
        "batch",
        "{batch}",
        rule=BATCH + (LARGEST_BATCH if rule.largest_batch else ""),
        reason=reason,
        numbers=numbers,
        alternative="another: --memory, or --set training.batch_size=N.",
    )


def taken_over(configuration: Configuration) -> list[Decision]:
    """Patch and batch of a network that comes from another run."""
    training = configuration.training
    patch = decide(
        "patch",
        "{patch}",
        rule=TAKEN_OVER,
        reason="The run that this plan was made from trains on patches of {patch}, for which its network is made.",
        numbers={"patch": training.patch_size},
        alternative="one for these data: plan without --plan-from.",
    )
    batch = decide(
        "batch",
        "{batch}",
        rule=TAKEN_OVER,
        reason="Of the batches that fit the memory, {batch} is the one to take with this network.",
        numbers={"batch": training.batch_size},
        alternative="another: --set training.batch_size=N.",
    )
    return [patch, batch]


def memory(network_bytes: float, configuration: Configuration, memory_bytes: float) -> Decision:
    """The estimate of peak memory."""
    network, training = configuration.network, configuration.training
    return decide(
        "memory",
        "{used:bytes}",
        rule=MEMORY,
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


def cascade(fullres: Configuration) -> Decision:
    """Why there is a second stage that refines low-resolution masks."""
    return decide(
        "cascade",
        "3d_lowres, then this",
        rule=CASCADE,
        reason="A patch of 3d_fullres, {patch}, shows only {shown:%} of the median image, {median}; 3d_lowres sees more of it, and "
        "this network refines its masks at full resolution.",
        numbers={
            "patch": fullres.training.patch_size,
            "median": fullres.median_shape,
            "shown": prod(fullres.training.patch_size) / prod(fullres.median_shape),
        },
        alternative="one of them alone: --configuration 3d_fullres or 3d_lowres when training.",
    )


def batch_dice(configuration: str, median: Extent, patch: Sequence[int], value: bool, threshold: float) -> Decision:
    """Whether the Dice loss sums over the batch."""
    if configuration == "2d":
        reason = "Single slices and images often lack a structure, so the loss sums over the batch."
    elif not value and prod(patch) / prod(median) < threshold:
        reason = "A patch shows {shown:%} of the median image, but no coarser network is called for, so each sample has a loss of its own."
    elif value:
        reason = "A patch shows {shown:%} of the median image, less than {threshold:%}, and may lack a structure: the loss sums over the batch."
    else:
        reason = "A patch shows {shown:%} of the median image, at least {threshold:%}, so each sample has a loss of its own."
    return decide(
        "batch_dice",
        "over the batch" if value else "per sample",
        rule=BATCH_DICE,
        reason=reason,
        numbers={"shown": min(1.0, prod(patch) / prod(median)), "threshold": threshold, "other": "false" if value else "true"},
        alternative="the other: --set training.batch_dice={other}.",
    )


def fitted(task: Task, chosen: Candidate, compared: int) -> list[Decision]:
    """Patch, width and batch by the time budget."""
    losses, rule = loss_terms(task, chosen), task.rule
    others = [] if task.family == "unet2015" else [value for value in rule.widths if value != chosen.network.features[0]]
    numbers: dict[str, Number] = {
        "patch": chosen.patch_size,
        "extent": tuple(float(round(n)) for n in chosen.extent),
        "median": chosen.median[-task.rank :],
        "coverage": chosen.coverage,
        "divisor": chosen.network.divisor,
        "width": chosen.network.features[0],
        "batch": chosen.batch_size,
        "step": chosen.step_seconds,
        "steps": chosen.steps,
        "budget": task.seconds,
        "compared": compared,
        "for_steps": losses["steps"],
        "for_width": losses["width"],
        "for_grid": losses["grid"],
        "for_patch": losses["patch"],
        "others": ", ".join(map(str, others)),
        "batches": ", ".join(str(value) for value in rule.batches[task.rank] if value != chosen.batch_size),
        "seen": chosen.steps * chosen.batch_size,
    }
    patch = (
        "It shows {coverage:%} of the {extent} pixels that the largest structure needs with what is around it; the median image "
        "is {median} on this grid."
    )
    if task.inputs.thickest is None:
        patch = "It shows {coverage:%} of the median image, which is {median} on this grid."
    width = (
        "A step takes {step:time} and {steps:#step} fit into {budget:time}. Expected to be missing from the Dice: {for_steps:.3f} "
        "for too few steps, {for_width:.3f} for this width, {for_grid:.3f} for the grid and {for_patch:.3f} for the patch; none of "
        "{compared:#combination} misses less."
    )
    batch = (
        "Each of {steps:#step} learns from {batch:#patch/patches}, {seen:,} in all; more patches a step would leave fewer steps."
    )
    said = {
        "patch": ("{patch}", patch, "another: --set training.patch_size=... in multiples of {divisor}."),
        "width": (
            "{width} features",
            width,
            "{others}: --set network.features=..., one entry a stage." if others else "none was compared.",
        ),
        "batch": ("{batch}", batch, "{batches}: --set training.batch_size=N."),
    }
    return [
        decide(name, choice, rule=IN_TIME, reason=reason, numbers=numbers, alternative=alternative)
        for name, (choice, reason, alternative) in said.items()
    ]


def low_resolution(fullres: Configuration, lowres: Extent | None, threshold: float) -> Decision:
    """Why a network at a lower resolution, and a cascade, stand beside the full-resolution one, or do not.

    `lowres` is the median image on its grid; None where there is none.
    """
    shown = prod(fullres.training.patch_size) / prod(fullres.median_shape)
    numbers: dict[str, Number] = {
        "patch": fullres.training.patch_size,
        "median": fullres.median_shape,
        "shown": min(1.0, shown),
        "threshold": threshold,
        "worthwhile": LOWRES_WORTHWHILE,
    }
    reason = "A patch, {patch}, shows {shown:%} of the median image, {median}"
    alternative = "one on a coarser grid: --set 3d_fullres.preparation.spacing_mm=..."
    if lowres is not None:
        numbers["lowres"] = lowres
        reason += ", less than {threshold:%}: 3d_lowres sees more of it, on {lowres}, and its masks can be refined."
        alternative = "this one alone: --configuration 3d_fullres when training."
    elif shown >= threshold:
        reason += ": enough, as it is at least {threshold:%}."
    else:
        reason += (
            ", less than {threshold:%}; but no grid that has {worthwhile} times fewer voxels, and is not too coarse for the "
            "structures, would show as much."
        )
    choice = "none" if lowres is None else "3d_lowres and a cascade"
    return decide("low resolution", choice, rule=CASCADE, reason=reason, numbers=numbers, alternative=alternative)
