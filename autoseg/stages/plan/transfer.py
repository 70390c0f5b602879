"""Planning with another run's network, grid and patch, and what its weights are used for.

Another run's network fits other data where both have the same axes: its input and output layers take the channels and structures
of these data, everything else stays. Images are brought to the grid that the network knows, with the intensities that it knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from autoseg.errors import PlanError
from autoseg.records import (
    FULL,
    Configuration,
    Decision,
    Fingerprint,
    Normalization,
    Plan,
    Splits,
    StartingWeights,
    TrainedFold,
    Transfer,
)
from autoseg.records.plan import Number
from autoseg.stages.plan.frame import PlanOptions
from autoseg.stages.plan.inputs import PlanInputs
from autoseg.stages.plan.normalization import normalization
from autoseg.stages.plan.presets import Preset
from autoseg.stages.plan.saying import decide

RANK_NAMES = {2: "2D images", 3: "volumes"}
RULE = "ours: a plan made from another run sees images as that run's network does, so that its weights fit"
WEIGHTS_RULE = (
    "ours: a fold starts from the weights of the same fold of the other run, so that the members of an ensemble differ; else from "
    "those of its network on all cases, else of its first fold. Weights that were trained on images which are kept out of the "
    "fold here come last, because they would make its scores too good"
)
RATE_RULE = "nnU-Net's: fine-tuning has the learning rate of a training from the start (Isensee et al. 2021)"


@dataclass(frozen=True)
class Source:
    """The run that a plan is made from: its plan, which configuration of it, and the record of what is taken."""

    plan: Plan
    name: str
    transfer: Transfer

    @property
    def configuration(self) -> Configuration:
        """The one that is taken over."""
        return self.plan.configurations[self.name]


def with_axes_of(source: Configuration, preset: Preset) -> Preset:
    """The preset, for a network that is taken over: axes run, and pixels count, as in the run that it comes from."""
    grid = source.preparation
    return preset.model_copy(
        update={"canonical_orientation": grid.canonical_orientation, "physical_spacing_2d": grid.spacing_mm is not None}
    )


def fitted_source(source: Source, inputs: PlanInputs, options: PlanOptions) -> Configuration:
    """The other run's configuration with input and output layers, and the normalisation of channels, for these data.

    A channel keeps the other run's normalisation (with its numbers, for CT) if it has the name of one there: the network must
    see intensities as it learnt them.

    Args:
        source: the other run.
        inputs: facts of these data, taken with `with_axes_of` the source.
        options: what else is asked for.

    Raises:
        PlanError: why the network cannot be used on these data; all reasons are listed.
    """
    run, there = source.transfer.run, source.configuration
    faults = []
    if source.plan.rank != inputs.rank:
        faults.append(
            f"{run} was planned for {RANK_NAMES[source.plan.rank]}, but these data are {RANK_NAMES[inputs.rank]}; "
            "give a run on data like these"
        )
    elif there.preparation.spacing_mm is not None and not inputs.known_spacings:
        faults.append(
            f"{run} brings images to a grid in mm, but no size in mm is known of these; give a table of pixel sizes with --spacing"
        )
    if there.previous_stage is not None:
        faults.append(
            f"{run}: {there.name} is the second stage of a cascade, which cannot be taken over; set another default there"
        )
    if options.family is not None:
        faults.append(f"the kind of network is that of {run}; leave --set network.family={options.family} away")
    names, own = _folded(source.plan.channels), _folded(inputs.channels)
    if names != own and sorted(names) == sorted(own):
        faults.append(
            f"the channels of {run} are {', '.join(source.plan.channels)}, those of these data {', '.join(inputs.channels)}; "
            "declare them in the order of that run"
        )
    if faults:
        raise PlanError("\n".join(faults))
    network = there.network.model_copy(update={"in_channels": len(inputs.channels), "out_channels": inputs.n_outputs})
    preparation = there.preparation.model_copy(update={"normalization": _schemes(source, inputs)})
    return there.model_copy(
        update={"network": network, "preparation": preparation, "previous_stage": None, "next_stage": None, "decisions": ()}
    )


def told_of_source(
    configurations: Mapping[str, Configuration], fitted: Configuration, source: Source, inputs: PlanInputs
) -> dict[str, Configuration]:
    """The planned configurations with the whole preparation of the other run, and with the reasons for what comes from it."""
    result = {}
    for name, configuration in configurations.items():
        planned = {decision.name: decision for decision in configuration.decisions}
        told = _taken_decisions(planned, source, inputs)
        reasons = [told.pop(decision.name, decision) for decision in configuration.decisions]
        rate = configuration.training.initial_lr
        reasons += (
            [_start_decision(source)] if source.transfer.mode == "plan" else [_weights_decision(source), _rate_decision(rate)]
        )
        result[name] = configuration.model_copy(update={"preparation": fitted.preparation, "decisions": tuple(reasons)})
    return result


def starting_weights(
    trained: Mapping[str, TrainedFold],
    files: Mapping[str, str],
    seen_there: Mapping[str, Collection[str]],
    kept_out: Mapping[str, Collection[str]],
) -> tuple[StartingWeights, ...]:
    """Which trained fold of the other run each fold here starts from; see `WEIGHTS_RULE`.

    Args:
        trained: folds of the other run, by name.
        files: their weights, absolute paths.
        seen_there: hashes of the images that each of them was trained on.
        kept_out: hashes of the images that each fold here is judged by.
    """
    result = []
    for fold, images in kept_out.items():
        order = sorted(trained, key=lambda name: (name != fold, name != FULL, len(name), name))
        seen = {name: len(set(images) & set(seen_there[name])) for name in order}
        chosen = min(order, key=lambda name: seen[name])  # the first of equals
        result.append(
            StartingWeights(fold=fold, source_fold=chosen, file=files[chosen], sha256=trained[chosen].sha256, seen=seen[chosen])
        )
    return tuple(result)


def images_of_folds(splits: Splits, fingerprint: Fingerprint) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Hashes of the images that each fold is trained on, and of those that are kept out of it; `full` included.

    What is held out of all folds is kept out of each.
    """
    hashes = {case.id: case.content_hash for case in fingerprint.cases}
    trained = {str(index): set(fold.train) for index, fold in enumerate(splits.folds)}
    kept = {str(index): {*fold.validation, *splits.held_out} for index, fold in enumerate(splits.folds)}
    trained[FULL] = {case for fold in splits.folds for case in (*fold.train, *fold.validation)}
    kept[FULL] = set(splits.held_out)
    return _hashed(trained, hashes), _hashed(kept, hashes)


def _hashed(folds: Mapping[str, set[str]], hashes: Mapping[str, str]) -> dict[str, set[str]]:
    return {fold: {hashes[case] for case in cases if case in hashes} for fold, cases in folds.items()}


def _folded(channels: Collection[str]) -> list[str]:
    return [channel.casefold() for channel in channels]


def _schemes(source: Source, inputs: PlanInputs) -> tuple[Normalization, ...]:
    there = dict(zip(_folded(source.plan.channels), source.configuration.preparation.normalization, strict=True))
    here = zip(_folded(inputs.channels), normalization(inputs), strict=True)
    return tuple(there.get(channel, scheme) for channel, scheme in here)


def _taken_decisions(planned: Mapping[str, Decision], source: Source, inputs: PlanInputs) -> dict[str, Decision]:
    """Reasons for what the rules did not choose here; choices are worded as planning words them."""
    known = set(_folded(source.plan.channels))
    new = [channel for channel in inputs.channels if channel.casefold() not in known]
    reasons = {
        "orientation": "{run} handles volumes so.",
        "transpose": "{run} orders the axes so.",
        "network": "{run} trains this kind of network.",
        "normalization": "{run} normalises so, and its network must see intensities as it learnt them."
        + (" It has no channel named {new}: by the rule for the name." if new else ""),
    }
    if source.configuration.preparation.spacing_mm is None:
        reasons["spacing"] = "{run} leaves images on their own pixels."
    numbers: dict[str, Number] = {"run": source.transfer.run, "new": ", ".join(new)}
    return {
        name: decide(
            name,
            "{choice}",
            rule=RULE,
            reason=reason,
            numbers=numbers | {"choice": planned[name].choice},
            alternative="what the rules choose for these data: plan without the other run.",
        )
        for name, reason in reasons.items()
        if name in planned and planned[name].numbers  # 2D images are neither turned nor transposed, there or here
    }


def _start_decision(source: Source) -> Decision:
    return decide(
        "start",
        "random numbers",
        rule="ours: --plan-from takes a network without its weights",
        reason="The network of {run} ({configuration}) is trained anew.",
        numbers={"run": source.transfer.run, "configuration": source.name},
        alternative="its weights: --init-from {run}.",
    )


def _weights_decision(source: Source) -> Decision:
    transfer = source.transfer
    pairs = ", ".join(f"{entry.fold} from {entry.source_fold}" for entry in transfer.weights)
    leaking = [entry for entry in transfer.weights if entry.seen]
    reason = "Folds start from trained folds of {run} ({configuration}): {pairs}."
    if not transfer.same_structures:
        reason += " Its structures are others, so the output layers start from random numbers."
    if leaking:
        reason += (
            " Beware: all weights there were trained on images that are kept out of training here ({leaking}), "
            "so the scores of these folds are too good. Where these are the images of that run, --splits {run}/splits.json takes its "
            "folds, and each one can start from its own."
        )
    numbers: dict[str, Number] = {
        "run": transfer.run,
        "configuration": transfer.configuration,
        "pairs": pairs,
        "leaking": ", ".join(f"fold {entry.fold}: {entry.seen}" for entry in leaking),
    }
    return decide(
        "start",
        "weights of {run}",
        rule=WEIGHTS_RULE,
        reason=reason,
        numbers=numbers,
        alternative="random numbers: --plan-from {run}.",
    )


def _rate_decision(rate: float) -> Decision:
    return decide(
        "learning rate",
        "{rate:g}",
        rule=RATE_RULE,
        reason="Fine-tuning starts at {rate:g}, as a training from the start does.",
        numbers={"rate": rate, "gentler": rate / 10},
        alternative="a gentler start, which keeps closer to the other run: --set training.initial_lr={gentler:g}.",
    )
