"""The reasons that a plan carries: each says the rule, the numbers of this data set, and what else there was."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from autoseg.records import Configuration, Decision, MachineProfile, Normalization, Spacing
from autoseg.stages.plan.budget import Candidate, Task, allowed_coarsenings, loss_terms
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.nnunet import Sized
from autoseg.stages.plan.presets import Preset, SizeRule
from autoseg.stages.plan.spacing import Extent


def orientation(inputs: PlanInputs, preset: Preset) -> Decision:
    """Whether volumes are turned to one orientation."""
    if inputs.rank == 2:
        return Decision(name="orientation", choice="as stored", reason="2D images have no anatomical orientation in their files")
    if not preset.canonical_orientation:
        return Decision(
            name="orientation", choice="as stored", reason="nnU-Net takes axes in file order", alternative="canonical"
        )
    return Decision(
        name="orientation",
        choice="canonical (LPS)",
        reason=f"{inputs.oriented} of {inputs.n_training} volumes are stored otherwise ({inputs.turned} with axes "
        "in another order); the network then sees anatomy one way round, and predictions are turned back",
        alternative="as stored",
    )


def spacing(
    inputs: PlanInputs, target: Spacing, coarse_axis_rule: bool, grid: tuple[float | None, ...] | None, why: str
) -> Decision:
    """The network's grid. `target` is the data set's, `grid` the one chosen, `why` explains the difference."""
    known = inputs.known_spacings
    if grid is None or not known:
        reason = f"no pixel size in mm is used ({len(known)} of {inputs.n_training} cases have one): images keep their own pixels"
        return Decision(name="spacing", choice="not resampled", reason=reason, alternative="a table of pixel sizes (--spacing)")
    spread = ", ".join(f"{min(s[axis] for s in known):.4g} to {max(s[axis] for s in known):.4g}" for axis in range(inputs.rank))
    reason = f"the median over {len(known)} cases is {_mm(target)} (per axis {spread} mm)"
    if coarse_axis_rule:
        reason += "; the coarsest axis takes the 10th percentile, as it is over 3 times coarser and shorter than the others"
    if len(known) < inputs.n_training:
        reason += f"; {inputs.n_training - len(known)} cases without a known spacing are not resampled"
    if None in grid:
        reason += "; a 2D network leaves the slice axis as it is"
    return Decision(name="spacing", choice=_mm(grid), reason=f"{reason}{why}", alternative=_mm(target) if why else "")


def coarsening(task: Task, chosen: Candidate) -> str:
    """Why the grid is, or is not, coarser than the target spacing."""
    allowed, thickness = allowed_coarsenings(task), task.inputs.thickness
    limit = f"up to {allowed[-1]:g} times coarser was allowed"
    if thickness is not None:
        finest = min(task.spacing[-task.rank :])
        limit += (
            f" (the thinnest target, {task.inputs.thinnest}, is {thickness / finest:.1f} pixels thick at the target spacing "
            f"and keeps at least {task.rule.thickness_pixels:g})"
        )
    if chosen.coarsening == 1:
        return f"; not coarsened for the time budget: {limit}"
    return f"; {chosen.coarsening:g} times coarser, so that {chosen.steps} steps fit the time budget: {limit}"


def transpose(target: Spacing, order: tuple[int, ...]) -> Decision:
    """The axis order. `target` is given before transposition."""
    if len(target) == 2:
        return Decision(name="transpose", choice="0, 1", reason="2D images keep their axes")
    return Decision(
        name="transpose",
        choice=", ".join(map(str, order)),
        reason=f"axis {order[0]} has the coarsest target spacing ({target[order[0]]:.4g} mm of {_mm(target)}) and goes first: "
        "it is the slice axis of a 2D network",
        alternative="0, 1, 2" if order != (0, 1, 2) else "",
    )


def normalization(inputs: PlanInputs, schemes: Sequence[Normalization]) -> Decision:
    """Per channel, by name."""
    texts = []
    for channel, scheme in zip(inputs.channels, schemes, strict=True):
        text = f"{channel}: {scheme.scheme}{' in the non-zero mask' if scheme.use_mask else ''}"
        if scheme.scheme == "ct":
            text += f", clipped to {scheme.lower:.4g} .. {scheme.upper:.4g}, minus {scheme.mean:.4g}, by {scheme.std:.4g}"
        texts.append(text)
    size = inputs.relative_size_after_crop
    return Decision(
        name="normalization",
        choice="; ".join(texts),
        reason="the channel's name decides (CT by the data set's foreground, others by each image); "
        f"{size:.0%} of the median image is left after cropping to non-zero, "
        f"{'below' if size < 3 / 4 else 'not below'} the 75 % under which z-scores use the non-zero mask only",
    )


def depth(configuration: Configuration) -> Decision:
    """Stages and what is left at the bottom."""
    network, patch = configuration.network, configuration.training.patch_size
    bottom = tuple(p // d for p, d in zip(patch, network.divisor, strict=True))
    return Decision(
        name="depth",
        choice=f"{network.n_stages} stages",
        reason=f"axes of the {_size(patch)} patch are halved while at least 4 pixels remain, coarse axes once the others have "
        f"caught up within a factor of 2; {_size(bottom)} is left at the bottom",
    )


def sized(found: Sized, rule: SizeRule, memory_bytes: float, inputs: PlanInputs) -> list[Decision]:
    """Patch and batch by nnU-Net's rule."""
    rank = found.network.rank
    room = rule.reference_batch[rank] / rule.minimum_batch * found.reference
    shrunk = prod(found.patch_size) < prod(found.median)
    return [
        Decision(
            name="patch",
            choice=_size(found.patch_size),
            reason=f"the median image is {_size(found.median)}; "
            + ("it was shrunk until" if shrunk else "all of it fits, as")
            + f" {found.elements / 1e6:.1f} million feature elements stay below the {room / 1e6:.1f} million that a batch of "
            f"{rule.minimum_batch} may hold in {memory_bytes / 1e9:.1f} GB",
            alternative="--memory changes it",
        ),
        Decision(
            name="batch",
            choice=str(found.batch_size),
            reason=f"memory allows {found.batch_by_memory}; {rule.largest_dataset_share:.0%} of the {inputs.n_training} cases "
            f"are {found.batch_by_data} patches; at least {rule.minimum_batch}"
            + (f", at most {rule.largest_batch[rank]}" if rule.largest_batch else ""),
        ),
    ]


def shrunk_to_memory(found: Sized, used: float, memory_bytes: float) -> Decision:
    """What the estimate of peak memory led to."""
    return Decision(
        name="memory",
        choice=f"{used / 1e9:.2f} GB estimated",
        reason=f"batch, width and patch (in that order) were reduced until a step of batch {found.batch_size}, width "
        f"{found.network.features[0]}, patch {_size(found.patch_size)} stays within {memory_bytes / 1e9:.2f} GB",
    )


def batch_dice(configuration: str, median: Extent, patch: Sequence[int], value: bool, threshold: float) -> Decision:
    """Whether the Dice loss sums over the batch."""
    share = prod(patch) / prod(median)
    reason = (
        "2D slices often lack a structure"
        if configuration == "2d"
        else f"a patch shows {share:.0%} of the median image ({threshold:.0%} call for a coarser network beside this one)"
    )
    return Decision(name="batch_dice", choice="over the batch" if value else "per sample", reason=reason)


def fitted(task: Task, chosen: Candidate, compared: int) -> list[Decision]:
    """Patch, width and batch by the time budget."""
    rule, slice_or_image, losses = task.rule, chosen.median[-task.rank :], loss_terms(task, chosen)
    compared_text = f"the smallest expected loss of {compared} combinations of grid, patch, width and batch"
    return [
        Decision(
            name="patch",
            choice=_size(chosen.patch_size),
            reason=f"it shows {chosen.coverage:.0%} of {_size(chosen.extent)} pixels, which hold the median image "
            f"({_size(slice_or_image)} on this grid) and the largest structure as a whole; {compared_text}",
        ),
        Decision(
            name="width",
            choice=f"{chosen.network.features[0]} features",
            reason=f"one step takes {chosen.step_seconds:.3g} s at this width, and {chosen.steps} steps fit: "
            f"for want of steps {losses['steps']:.3f} of Dice are expected to be lost, for want of width {losses['width']:.3f}; {compared_text}",
            alternative=", ".join(str(width) for width in rule.widths if width != chosen.network.features[0]),
        ),
        Decision(
            name="batch",
            choice=str(chosen.batch_size),
            reason=f"many small steps beat few large ones; a step holds about {chosen.bytes / 1e9:.2f} GB of "
            f"{task.memory_bytes / 1e9:.2f} GB",
            alternative=", ".join(str(batch) for batch in rule.batches[task.rank] if batch != chosen.batch_size),
        ),
    ]


def length_in_time(task: Task, chosen: Candidate, epochs: int, steps_per_epoch: int, measured: bool) -> Decision:
    """Length by the time budget."""
    rule = task.rule
    reason = (
        f"{task.seconds:.0f} s less {rule.slack:.0%} slack, {rule.startup_seconds:.0f} s to start and "
        f"{chosen.validation_seconds:.0f} s to validate {task.inputs.n_validation} cases leave room for "
        f"{chosen.steps} steps of {chosen.step_seconds:.3g} s ({'measured on this machine' if measured else 'typical speed, not measured'})"
    )
    if chosen.steps < rule.steps_minimum:
        reason += f"; that is fewer than the {rule.steps_minimum} steps a training needs to begin to converge: expect poor masks"
    total = epochs * steps_per_epoch
    return Decision(
        name="length",
        choice=f"{epochs} epochs of {steps_per_epoch} steps ({total} in all)",
        reason=reason,
        alternative="--time-budget or --epochs",
    )


def length_by_rule(epochs: int, steps_per_epoch: int, asked: bool, hours: float | None) -> Decision:
    """Length as asked for, or nnU-Net's."""
    predicted = "" if hours is None else f"; about {hours:.3g} h a fold on this machine, by its measured speed"
    return Decision(
        name="length",
        choice=f"{epochs} epochs of {steps_per_epoch} steps ({epochs * steps_per_epoch} in all)",
        reason=("as asked for with --epochs" if asked else "nnU-Net's length") + predicted,
        alternative="--epochs" if asked else "--epochs or --time-budget",
    )


def inference(configuration: Configuration, why: str) -> Decision:
    """Mirroring and tiles."""
    axes, spec = configuration.inference.mirror_axes, configuration.inference
    choice = f"mirrored along axes {', '.join(map(str, axes))}" if axes else "not mirrored"
    return Decision(
        name="inference",
        choice=f"{choice}, windows overlap by {1 - spec.step_fraction:.0%}, {spec.tile_batch_size} at a time",
        reason=why,
    )


def device(machine: MachineProfile, preset: Preset) -> Decision:
    """What the plan was made for."""
    if not preset.fit_machine:
        return Decision(name="device", choice=machine.device, reason=f"preset {preset.name} plans the same for every machine")
    return Decision(
        name="device",
        choice=machine.device,
        reason=f"{machine.name}, {machine.cores} cores, {machine.memory_bytes / 1e9:.1f} GB, {machine.precision}, "
        f"{len(machine.throughput)} speed probes",
    )


def _size(shape: Sequence[float]) -> str:
    return "x".join(f"{n:g}" for n in shape)


def _mm(spacing: Sequence[float | None]) -> str:
    return " x ".join("own" if value is None else f"{value:.4g}" for value in spacing) + " mm"
