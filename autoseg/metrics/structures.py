"""Which reference values and which painted values make up each structure that can be scored.

Reference labels hold the data set's internal values; a predicted mask holds the output values of the model's targets. The two were
numbered apart, so structures are matched by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.errors import DataError
from autoseg.records import Dataset, Predictions, Structure


@dataclass(frozen=True)
class ScoredStructure:
    """A structure as a set of values on either side; `target` is False for derived unions."""

    name: str
    reference_values: frozenset[int]
    painted_values: frozenset[int]
    target: bool


def match_structures(dataset: Dataset, predictions: Predictions) -> tuple[ScoredStructure, ...]:
    """The structures that both sides know: all targets, then the derived unions of either side.

    Where the targets differ, but those of one side are all derived unions of the other (a model that learned Brain, CSP and LV against
    labels of the head alone, or the reverse), these are scored.

    Raises:
        DataError: the names match in neither way; both lists are given.
    """
    reference_names, predicted_names = ({target.name for target in side.targets} for side in (dataset, predictions))
    if reference_names == predicted_names:
        return _same_targets(dataset, predictions)
    painted = painted_memberships(predictions.targets)
    if reference_names <= {union.name for union in predictions.derived}:
        unions = {union.name: union for union in predictions.derived}
        return tuple(
            ScoredStructure(target.name, frozenset(target.values), _painted(unions[target.name].values, painted), True)
            for target in dataset.targets
        )
    if predicted_names <= {union.name for union in dataset.derived}:
        unions = {union.name: union for union in dataset.derived}
        return tuple(
            ScoredStructure(target.name, frozenset(unions[target.name].values), _painted(target.values, painted), True)
            for target in predictions.targets
        )
    raise DataError(
        f"the labels have the structures {_listed(dataset.targets)}, the predictions {_listed(predictions.targets)}; "
        "give both the same names"
    )


def painted_memberships(targets: Sequence[Structure]) -> dict[int, frozenset[int]]:
    """For each value painted in a mask, the internal values that a pixel of it can have.

    Exclusive labels: the target's own value. Overlapping regions are painted one over another in the order of `targets`, so a pixel
    that still shows a region lies in none of the later ones, and their values are ruled out: of whole tumour {1, 2, 3} painted
    before core {2, 3}, what is seen is {1}. A region that later ones cover entirely keeps all its values.
    """
    seen: dict[int, frozenset[int]] = {}
    for place, target in enumerate(targets):
        later = {value for other in targets[place + 1 :] for value in other.values}
        seen[target.output_value] = frozenset(target.values) - later or frozenset(target.values)
    return seen


def painted_structures(targets: Sequence[Structure], derived: Sequence[Structure]) -> dict[str, tuple[int, ...]]:
    """The values that each structure is painted with in a mask, by its name: the targets', then those of the derived unions."""
    painted = painted_memberships(targets)
    return {structure.name: tuple(sorted(_painted(structure.values, painted))) for structure in (*targets, *derived)}


def _same_targets(dataset: Dataset, predictions: Predictions) -> tuple[ScoredStructure, ...]:
    """Everything is told in the data set's values; the predictions' targets serve for their names, order and painted values."""
    own = {target.name: target for target in dataset.targets}
    painted = painted_memberships(
        [target.model_copy(update={"values": own[target.name].values}) for target in predictions.targets]
    )
    unions = {union.name: frozenset(union.values) for union in dataset.derived}
    for union in predictions.derived:
        members = [own[target.name].values for target in predictions.targets if set(target.values) <= set(union.values)]
        unions.setdefault(union.name, frozenset(value for values in members for value in values))
    targets = tuple(
        ScoredStructure(target.name, frozenset(target.values), _painted(target.values, painted), True)
        for target in dataset.targets
    )
    derived = tuple(
        ScoredStructure(name, values, _painted(values, painted), False)
        for name, values in unions.items()
        if name not in own and values
    )
    return targets + derived


def _painted(values: Sequence[int] | frozenset[int], painted: dict[int, frozenset[int]]) -> frozenset[int]:
    return frozenset(value for value, members in painted.items() if members <= set(values))


def _listed(structures: Sequence[Structure]) -> str:
    return ", ".join(sorted(structure.name for structure in structures)) or "(none)"
