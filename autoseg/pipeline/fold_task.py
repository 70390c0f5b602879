"""Which fold is to be trained, of which run, on what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.pipeline.cascade import OutOfFold
from autoseg.pipeline.fold_checks import cases_of, material_digest
from autoseg.records import FULL, Configuration, Fold, Plan, Splits
from autoseg.run_folder import RunFolder


@dataclass(frozen=True)
class FoldTask:
    """A fold of a configuration. `prepared` holds the cases of all folds; `previous` says which masks of a cascade's first stage it sees."""

    folder: RunFolder
    plan: Plan
    configuration: Configuration
    splits: Splits
    fold: str
    prepared: Path
    previous: OutOfFold | None = None

    @property
    def number(self) -> int:
        """Of the fold; -1 for `full`."""
        return -1 if self.fold == FULL else int(self.fold)

    @property
    def members(self) -> Fold:
        """Its cases."""
        return cases_of(self.splits, self.fold)

    @property
    def material(self) -> str:
        """Digest of what it learns from."""
        return material_digest(self.splits, self.fold, self.previous.digest if self.previous is not None else "")

    @property
    def place(self) -> Path:
        """Where its checkpoint is."""
        return self.folder.fold(self.configuration.name, self.fold)

    @property
    def siblings(self) -> tuple[Path, ...]:
        """Journals of the configuration's other folds that have begun."""
        name = self.configuration.name
        return tuple(self.folder.journal(name, other) for other in self.folder.folds(name) if other not in (self.fold, FULL))
