"""`splits.json`: which cases train and validate in each fold, and which stay out of all of them."""

from __future__ import annotations

from autoseg.records.base import Part, Record

FULL = "full"  # names the fold that trains on the cases of all folds and validates on none


class Fold(Part):
    """Case ids of one fold."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


class Splits(Record):
    """The folds, how they were made (`rule`, a sentence), and the cases held out of every fold.

    Where one subject is all there is, there is one fold that validates on nothing: only `full` can be trained.
    """

    rule: str
    seed: int | None
    folds: tuple[Fold, ...]
    held_out: tuple[str, ...] = ()

    @property
    def can_validate(self) -> bool:
        """Whether any case is judged by a network that did not see it."""
        return any(fold.validation for fold in self.folds)
