"""What is handed over, whatever shape it takes: records without names, weights, and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.inference.profiles import with_profile
from autoseg.records import (
    Configuration,
    Dataset,
    InferenceProfile,
    Model,
    ModelCard,
    Plan,
    Selection,
    TrainedFold,
)
from autoseg.stages.export.privacy import Names, handed_over_plan, without_cases

DEFAULT_PROFILE: InferenceProfile = "balanced"  # that of `autoseg predict`


@dataclass(frozen=True)
class Contents:
    """A model that is ready to be written.

    Args:
        root: where the weights' paths begin.
        plan: with the configurations of `folds` only; the default is the one that is handed over.
        dataset: without cases.
        model: says which weights belong to which fold.
        card: what is told of it.
        profile: how an exported graph is to be applied.
    """

    root: Path
    plan: Plan
    dataset: Dataset
    model: Model
    card: ModelCard
    profile: InferenceProfile

    @property
    def configuration(self) -> Configuration:
        """The one that is handed over, applied as the profile says."""
        return with_profile(self.plan.configurations[self.plan.default], self.profile)

    @property
    def folds(self) -> tuple[TrainedFold, ...]:
        """Of that configuration."""
        return next(trained.folds for trained in self.model.configurations if trained.name == self.plan.default)

    def weights(self) -> list[tuple[Path, str]]:
        """Files of that configuration's folds, and the SHA-256 that the record states."""
        return [(self.root / fold.weights, fold.sha256) for fold in self.folds]


def gathered(
    root: Path,
    plan: Plan,
    dataset: Dataset,
    folds: Mapping[str, Sequence[TrainedFold]],
    card: ModelCard,
    profile: InferenceProfile | None,
    selection: Selection | None,
) -> Contents:
    """Take what is needed and leave the rest behind.

    Args:
        root: of the run.
        plan: of the run.
        dataset: of the run.
        folds: by configuration, in the order in which they run; the last one is what is handed over.
        card: what is told of it.
        profile: how an exported graph is to be applied; None as `autoseg predict` does by itself.
        selection: what was found best for the run; handed over where it is about the configuration that is, and that alone.
    """
    stripped, names = without_cases(dataset), tuple(folds)
    reduced = handed_over_plan(plan, names, stripped, Names(dataset))
    model = Model.of(reduced, {name: tuple(members) for name, members in folds.items()})
    if selection is not None and selection.configurations == (names[-1],):
        model = model.model_copy(update={"selection": selection})
        profile = profile or selection.profile
    return Contents(root, reduced, stripped, model, card, profile or DEFAULT_PROFILE)
