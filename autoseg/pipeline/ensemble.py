"""The trained folds of a configuration that vote together, and how they are applied."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import RunFolderError
from autoseg.inference.profiles import applied_as, folds_for, with_profile
from autoseg.pipeline.trained import trained_configuration
from autoseg.records import Configuration, InferenceProfile, Model, Plan, TrainedFold
from autoseg.run_folder import RunFolder


@dataclass(frozen=True)
class Ensemble:
    """Trained folds of a configuration, and how they are applied."""

    configuration: Configuration
    root: Path
    folds: tuple[TrainedFold, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the folds."""
        return tuple(fold.fold for fold in self.folds)

    @property
    def told(self) -> str:
        """In words."""
        of = f"folds {', '.join(self.names)} ensembled" if len(self.names) > 1 else f"fold {self.names[0]}"
        return f"{self.configuration.name}: {of}"

    @property
    def identity(self) -> str:
        """Digest of the networks and of how they are applied."""
        parts = [applied_as(self.configuration)]
        return hashlib.sha256(" ".join([*parts, *(fold.sha256 for fold in self.folds)]).encode()).hexdigest()[:12]

    @property
    def weights(self) -> list[tuple[Path, str]]:
        """File and SHA-256 of each fold."""
        return [(self.root / fold.weights, fold.sha256) for fold in self.folds]


def ensemble_of(
    folder: RunFolder, plan: Plan, model: Model, name: str, wanted: Sequence[str] | None, profile: InferenceProfile
) -> Ensemble:
    """The folds of a configuration that are asked for, or what the profile takes, applied as the profile says.

    Raises:
        RunFolderError: see `choose_folds` and `trained_configuration`.
    """
    folds = choose_folds(model, name, wanted, profile)
    return Ensemble(with_profile(trained_configuration(folder, plan, model, name), profile), folder.root, folds)


def choose_folds(
    model: Model, configuration: str, wanted: Sequence[str] | None, profile: InferenceProfile = "best"
) -> tuple[TrainedFold, ...]:
    """The folds to ensemble: those asked for, else what the profile takes.

    Raises:
        RunFolderError: one that is asked for is not trained.
    """
    trained = next((c.folds for c in model.configurations if c.name == configuration), ())
    by_name = {fold.fold: fold for fold in trained}
    if not by_name:
        there = ", ".join(c.name for c in model.configurations) or "none"
        raise RunFolderError(f"no fold of configuration {configuration} is trained to its end; trained configurations: {there}")
    if wanted is None:
        wanted = folds_for(list(by_name), profile)
    if missing := [name for name in wanted if name not in by_name]:
        raise RunFolderError(f"fold {', '.join(missing)} is not trained to its end; trained: {', '.join(by_name)}")
    return tuple(by_name[name] for name in wanted)
