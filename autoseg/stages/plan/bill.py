"""What a plan will cost before anything is trained: steps, hours, memory and disk, per configuration and for all folds.

Arithmetic on records. Seconds come from the machine's probes as in planning; where there are none they are typical figures,
and the bill says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np

from autoseg.networks.cost import n_parameters
from autoseg.processing.store import FEWEST_LOCATIONS, MOST_LOCATIONS, SHARE_OF_LOCATIONS
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Plan, Preparation, Shape, Splits
from autoseg.stages.plan.inputs import PlanInputs, inputs_from
from autoseg.stages.plan.presets import BudgetRule, Preset, load_preset, preset_names
from autoseg.stages.plan.timing import memory_of, speed_of, training_step_seconds, validation_seconds

Basis = Literal["measured", "like", "typical"]

# Of its float16 values, what a stored image takes: 0.50 in HC18 as it is, 0.90 on a coarse grid; 1.00 in Hippocampus.
IMAGE_SHARE = {2: 0.75, 3: 1.0}
IMAGE_BYTES = 2
LABEL_SHARE = 0.05  # of a byte per voxel
CASE_BYTES = 1500  # placement and headers
FLOAT_BYTES = 4
AVERAGES = {"sgd": 1, "adamw": 2}  # that the optimiser keeps of every weight
CONFIGURED = "default"  # the preset whose figures for start and export serve where the plan's own has none


@dataclass(frozen=True)
class Bill:
    """What one configuration costs; seconds and bytes.

    `time_basis` tells whether this very network was timed on the machine (`measured`), others (`like`), or none (`typical`).
    """

    configuration: str
    n_folds: int
    epochs: int
    steps: int  # of one fold
    step_seconds: float
    startup_seconds: float
    training_seconds: float  # of one fold
    validation_seconds: float  # of the largest fold
    all_folds_seconds: float  # those of the stage before it included
    time_basis: Basis
    peak_bytes: float  # of memory while training
    memory_basis: Basis
    prepared_bytes: float  # on disk, of all cases; may be deleted after training
    weights_bytes: int  # on disk, of one trained fold
    state_bytes: int  # beside them while it trains
    stage_before: str | None = None  # whose folds must all be trained first
    stage_before_seconds: float = 0.0

    @property
    def fold_seconds(self) -> float:
        """Wall time of one fold."""
        return self.startup_seconds + self.training_seconds + self.validation_seconds

    @property
    def disk_bytes(self) -> float:
        """What all folds need at most: prepared cases, every model, and the state of the one that trains."""
        return self.prepared_bytes + self.n_folds * self.weights_bytes + self.state_bytes


def bills_of(plan: Plan, dataset: Dataset, fingerprint: Fingerprint, splits: Splits, machine: MachineProfile) -> dict[str, Bill]:
    """The bill of every configuration, by name.

    Args:
        plan: its configurations as they are now, edited by hand or not.
        dataset: the data set that was planned for.
        fingerprint: its shapes and structures.
        splits: its folds.
        machine: that will train.
    """
    rule = _rule_of(plan)
    bills: dict[str, Bill] = {}
    for name, configuration in plan.configurations.items():
        preset = _reading_as(configuration.preparation)
        inputs = inputs_from(dataset, fingerprint, splits, preset)
        bills[name] = _bill(configuration, inputs, dataset, fingerprint, splits, machine, rule)
    return {name: _after_stage(bill, plan.configurations[name], bills) for name, bill in bills.items()}


def prepared_shapes(inputs: PlanInputs, preparation: Preparation) -> list[Shape]:
    """Shape of every case on the configuration's grid, axes transposed; cases of unknown size keep theirs."""
    shapes = []
    for own, shape in zip(inputs.spacings_mm, inputs.shapes_after_crop, strict=True):
        turned = [shape[axis] for axis in preparation.transpose]
        if own is not None and preparation.spacing_mm is not None:
            spacing = [own[axis] for axis in preparation.transpose]
            turned = [
                n if wanted is None else max(1, round(n * mm / wanted))
                for n, mm, wanted in zip(turned, spacing, preparation.spacing_mm, strict=True)
            ]
        shapes.append(tuple(turned))
    return shapes


def _bill(
    configuration: Configuration,
    inputs: PlanInputs,
    dataset: Dataset,
    fingerprint: Fingerprint,
    splits: Splits,
    machine: MachineProfile,
    rule: BudgetRule,
) -> Bill:
    network, training = configuration.network, configuration.training
    patch, batch = training.patch_size, training.batch_size
    speed = speed_of(machine, network.rank)
    shapes = prepared_shapes(inputs, configuration.preparation)
    median = tuple(round(float(n)) for n in np.median(shapes, axis=0))
    step = training_step_seconds(speed, network, patch, batch, training.validation_steps / training.steps_per_epoch)
    steps = training.epochs * training.steps_per_epoch
    validation = validation_seconds(speed, inputs, network, patch, median, configuration.inference, rule)
    parts = [len(fold.validation) / max(1, inputs.n_validation) for fold in splits.folds]
    memory = memory_of(machine)
    return Bill(
        configuration=configuration.name,
        n_folds=len(splits.folds),
        epochs=training.epochs,
        steps=steps,
        step_seconds=step,
        startup_seconds=rule.startup_seconds,
        training_seconds=steps * step,
        validation_seconds=validation,
        all_folds_seconds=len(parts) * (rule.startup_seconds + steps * step) + sum(parts) * validation,
        time_basis="measured" if speed.probe_of(network, patch, batch) else "like" if speed.measured else "typical",
        peak_bytes=memory.peak_bytes(network, patch, batch),
        memory_basis="measured" if memory.is_measured(network, patch, batch) else "like" if memory.probes else "typical",
        prepared_bytes=_prepared_bytes(
            shapes, inputs, dataset, fingerprint, splits, 1 if configuration.previous_stage is None else 2
        ),
        weights_bytes=FLOAT_BYTES * n_parameters(network),
        state_bytes=FLOAT_BYTES * n_parameters(network) * AVERAGES[training.optimizer],
    )


def _prepared_bytes(
    shapes: Sequence[Shape], inputs: PlanInputs, dataset: Dataset, fingerprint: Fingerprint, splits: Splits, n_masks: int
) -> float:
    """Image, masks (labels, and those of a first stage) and sampled voxels of every structure, as `processing.store` writes them."""
    used = {case for fold in splits.folds for case in (*fold.train, *fold.validation)}
    cases = [case for case in fingerprint.cases if case.id in used]
    total = 0.0
    for case, shape, before in zip(cases, shapes, inputs.shapes_after_crop, strict=True):
        voxels = prod(shape)
        total += CASE_BYTES + voxels * (IMAGE_BYTES * IMAGE_SHARE[inputs.rank] * len(inputs.channels) + LABEL_SHARE * n_masks)
        found = [
            case.structures[target.name].pixels / prod(before) for target in dataset.targets if target.name in case.structures
        ]
        found += [1.0] if dataset.ignore_value is not None else []  # all annotated voxels count as one more structure
        for share in found:
            n = share * voxels
            sampled = min(n, MOST_LOCATIONS, max(FEWEST_LOCATIONS, SHARE_OF_LOCATIONS * n))
            total += sampled * len(shape) * 4  # int32 per axis
    return total


def _after_stage(bill: Bill, configuration: Configuration, bills: dict[str, Bill]) -> Bill:
    """The second stage of a cascade is trained on masks of the first, which no fold that learned from a case may predict for it.

    So all folds of the first stage come before any of the second.
    """
    before = bills.get(configuration.previous_stage or "")
    if before is None:
        return bill
    seconds = bill.all_folds_seconds + before.all_folds_seconds
    return replace(
        bill, stage_before=before.configuration, stage_before_seconds=before.all_folds_seconds, all_folds_seconds=seconds
    )


def _rule_of(plan: Plan) -> BudgetRule:
    """The plan's own figures for start and export; the default ones where its preset has none, or is a file elsewhere."""
    names = [name for name in (plan.preset, CONFIGURED) if name in preset_names()]
    return next(rule for rule in (load_preset(name).budget for name in names) if rule is not None)


def _reading_as(preparation: Preparation) -> Preset:
    """A preset by which facts are read in the axes that cases are prepared in."""
    update = {"canonical_orientation": preparation.canonical_orientation, "physical_spacing_2d": True}
    return load_preset(CONFIGURED).model_copy(update=update)
