"""Why patch, width and batch are as they are, where the time given decides."""

from __future__ import annotations

from collections.abc import Mapping

from autoseg.records import Configuration, Decision
from autoseg.records.plan import Number
from autoseg.stages.plan.budget import Candidate, Task, loss_terms
from autoseg.stages.plan.decisions.network import taken_patch
from autoseg.stages.plan.decisions.words import TAKEN_OVER, set_to
from autoseg.stages.plan.saying import decide

IN_TIME = (
    "ours: of the grids, patches, widths and batches that fit the memory and leave time for enough steps, those with the smallest "
    "expected loss of Dice; where none leaves enough, those with the most steps"
)
DIMENSIONS = "ours: 3D for volumes, unless a network that goes slice by slice is expected to miss less in the time given"
ASKED = " It is sized for {budget:time}, whatever --epochs says."


def fitted(task: Task, chosen: Candidate, compared: int, configuration: Configuration) -> list[Decision]:
    """Patch, width and batch by the time budget; where the user asked for epochs, by the time that is given without.

    Of a network that comes from another run only the batch is left to choose.
    """
    if task.source is not None:
        return [taken_patch(configuration), _fitted_batch(task, chosen, compared, configuration)]
    asked = "" if task.must_fit else ASKED
    numbers = _numbers(task, chosen, compared, configuration)

    def to(field: str, value: str) -> str:
        return set_to(configuration, field, value)

    width = f"{{others}}: {to('network.features', '...')}, one entry a stage." if numbers["others"] else "none was compared."
    said = {
        "patch": ("{patch}", _patch(task) + asked, f"another: {to('training.patch_size', '...')} in multiples of {{divisor}}."),
        "width": ("{width} features", _width(task, chosen, compared) + asked, width),
        "batch": ("{batch}", _batch(task, chosen) + asked, f"{{batches}}: {to('training.batch_size', 'N')}."),
    }
    return [
        decide(name, choice, rule=IN_TIME, reason=reason, numbers=numbers, alternative=alternative)
        for name, (choice, reason, alternative) in said.items()
    ]


def _fitted_batch(task: Task, chosen: Candidate, compared: int, configuration: Configuration) -> Decision:
    numbers = _numbers(task, chosen, compared, configuration)
    reason = f"Only the batch is left to choose: {_none_better(task, chosen, compared, 'batch', 'batches')}."
    alternative = f"{{batches}}: {set_to(configuration, 'training.batch_size', 'N')}."
    rule = TAKEN_OVER + "; the batch is that of the smallest expected loss of Dice in the time given"
    return decide(
        "batch", "{batch}", rule=rule, reason=reason + ("" if task.must_fit else ASKED), numbers=numbers, alternative=alternative
    )


def _numbers(task: Task, chosen: Candidate, compared: int, configuration: Configuration) -> dict[str, Number]:
    rule, training = task.rule, configuration.training
    losses = loss_terms(task, chosen) if chosen.steps else {}
    widths = () if task.family == "unet2015" else rule.widths
    steps = training.epochs * training.steps_per_epoch
    return {
        "patch": chosen.patch_size,
        "extent": tuple(float(round(n)) for n in chosen.extent),
        "median": chosen.median[-task.rank :],
        "coverage": chosen.coverage,
        "divisor": chosen.network.divisor,
        "width": chosen.network.features[0],
        "batch": chosen.batch_size,
        "step": chosen.step_seconds,
        "fitting": chosen.steps,
        "minimum": rule.steps_minimum,
        "budget": task.seconds,
        "compared": compared,
        **{f"for_{cause}": loss for cause, loss in losses.items()},
        "others": ", ".join(str(width) for width in widths if width != chosen.network.features[0]),
        "batches": ", ".join(str(value) for value in rule.batches[task.rank] if value != chosen.batch_size),
        "steps": steps,
        "seen": steps * chosen.batch_size,
    }


def _patch(task: Task) -> str:
    if task.inputs.thickest is None:
        return "It shows {coverage:%} of the median image, which is {median} on this grid."
    return (
        "It shows {coverage:%} of the {extent} pixels that the largest structure needs with what is around it; the median image "
        "is {median} on this grid."
    )


def _width(task: Task, chosen: Candidate, compared: int) -> str:
    none_better = _none_better(task, chosen, compared, "combination", "combinations")
    fitting = "A step takes {step:time} and {fitting:#step fits/steps fit} into {budget:time}"
    if not chosen.steps:
        return f"{none_better[0].upper()}{none_better[1:]}."
    if chosen.steps < task.rule.steps_minimum:  # the expected losses say nothing of so few
        return f"{fitting}: {none_better}."
    late = ", {for_onset:.3f} for small structures that may be missed" if task.inputs.shares else ""
    return (
        f"{fitting}. Expected to be missing from the Dice then: {{for_steps:.3f}} for too few steps{late}, {{for_width:.3f}} for this "
        f"width, {{for_grid:.3f}} for the grid and {{for_patch:.3f}} for the patch; {none_better}."
    )


def _batch(task: Task, chosen: Candidate) -> str:
    reason = "A step learns from {batch:#patch/patches}, {steps:#step} from {seen:,} in all"
    scarce = task.must_fit and chosen.steps < task.rule.steps_enough
    return reason + ("; more patches a step would leave fewer steps." if scarce else ".")


def _none_better(task: Task, chosen: Candidate, compared: int, one: str, many: str) -> str:
    """What the choice was compared with: first those with enough steps count, then those with the most."""
    if not chosen.steps:
        return f"no {one} leaves time for a step of training in {{budget:time}}, and none has a quicker one than {{step:time}}"
    if chosen.steps >= task.rule.steps_minimum:
        if compared == 1:
            return f"no other {one} leaves {{minimum:#step}}"
        return f"none of the {{compared:,}} {many} that leave at least {{minimum:#step}} misses less"
    if compared == 1:
        return f"no {one} leaves {{minimum:#step}}, and this one leaves the most"
    return f"no {one} leaves {{minimum:#step}}, and of the {{compared:,}} {many} that leave the most none misses less"


def dimensions(fits: Mapping[str, tuple[Task, Candidate]]) -> Decision:
    """Whether a 3D network or one that goes slice by slice is trained where none is named; the first of `fits` is."""
    first, *_ = fits
    numbers: dict[str, Number] = {"other": "3D" if first == "2d" else "2D"}
    for task, chosen in fits.values():
        rank, losses = ("2", "3")[task.rank - 2], loss_terms(task, chosen) if chosen.steps else {}
        numbers |= {f"steps{rank}": chosen.steps, f"loss{rank}": min(1.0, sum(losses.values()))}
        numbers |= {"slices": losses.get("slices", 0.0)} if task.rank == 2 else {}
        numbers |= {"budget": task.seconds, "minimum": task.rule.steps_minimum}
    task, volumes = fits["3d_fullres"]
    if not task.must_fit:
        reason = "A 3D network sees neighbouring slices."
    elif volumes.steps < task.rule.steps_minimum and first == "2d":
        reason = (
            "{budget:time} leave {steps3:#step} to a 3D network, which needs {minimum:,} to begin to converge, and {steps2:,} to one "
            "that goes slice by slice."
        )
    else:
        reason = (
            "In {budget:time} a 3D network is expected to miss {loss3:.3f} of the Dice, one that goes slice by slice {loss2:.3f}, of "
            "which {slices:.3f} because it does not see the neighbouring slices."
        )
    return decide(
        "dimensions",
        "2D" if first == "2d" else "3D",
        rule=DIMENSIONS,
        reason=reason,
        numbers=numbers,
        alternative=f"{{other}}: --configuration {'3d_fullres' if first == '2d' else '2d'} when training.",
    )
